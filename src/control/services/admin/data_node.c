/*
 * DescribeNodes, Fence, ReleaseNodes: nodes as the server's failure detector sees them, and an
 * operator's word on those that are silent.
 */
#include "control/services/admin/admin.h"
#include "control/services/agent/agent.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/admin_handlers.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum { A_PAGE = 500 };

struct listing {
    struct gt_str after; /* "<cluster>/<node>" of the one that the page before ended with */
    struct admin_describe_nodes_out *out;
};

static void show(struct tx *tx, const struct rec_ecs_node *n, struct admin_node *to)
{
    struct rec_ecs_load *l = tx_get(tx, key_load(tx, n->cluster, n->id), &rec_ecs_load_desc);
    l = l ? l : gt_arena_new(tx_arena(tx), struct rec_ecs_load);
    const char *state = n->fenced   ? "FENCED"
                        : n->astray ? "ASTRAY"
                        : n->held   ? "HELD"
                        : n->lost   ? "LOST"
                                    : "LIVE";
    *to = (struct admin_node){.node_id = n->id,
                              .name = n->name,
                              .cluster = n->cluster,
                              .zone = n->zone,
                              .subnet = n->subnet,
                              .status = n->status,
                              .state = gt_str(state),
                              .agent_version = n->agent_version};
    WIRE_SET(to, cpu, n->cpu);
    WIRE_SET(to, cpu_free, n->cpu - l->cpu);
    WIRE_SET(to, memory, n->memory);
    WIRE_SET(to, memory_free, n->memory - l->memory);
    WIRE_SET(to, running_tasks, l->running);
    WIRE_SET(to, pending_tasks, l->pending);
    WIRE_SET(to, external, n->external);
}

static int list_nodes(struct tx *tx, void *arg, struct gt_err *err)
{
    struct listing *l = arg;
    char *prefix = tx_key(tx, "ecs/node/");
    char *after = l->after.n ? tx_key(tx, "ecs/node/" GT_STR_FMT, GT_STR_ARG(l->after)) : NULL;
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next(&c));) {
        if (l->out->nodes.n == A_PAGE) {
            const struct admin_node *last = &l->out->nodes.v[A_PAGE - 1];
            l->out->next_token =
                gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT "/" GT_STR_FMT,
                                       GT_STR_ARG(last->cluster), GT_STR_ARG(last->node_id)));
            break;
        }
        show(tx, tx_get(tx, key, &rec_ecs_node_desc), &l->out->nodes.v[l->out->nodes.n++]);
    }
    return 0;
}

static void show_brake(struct gt_arena *a, struct detector *d, int64_t now,
                       struct admin_describe_nodes_out *out)
{
    struct detector_brake b = detector_brake(d);
    if (b.on) {
        out->brake = gt_arena_new(a, struct admin_brake);
        WIRE_SET(out->brake, since_ms, now - b.since);
        WIRE_SET(out->brake, silent, b.silent);
        WIRE_SET(out->brake, of, b.of);
    }
}

int admin_describe_nodes(struct data_req *rq, const struct admin_describe_nodes_in *in,
                         struct admin_describe_nodes_out *out, struct gt_err *err)
{
    struct admin_host *host = data_store(rq);
    struct listing l = {.after = in->next_token, .out = out};
    out->nodes.has = true;
    out->nodes.v = gt_arena_array(data_arena(rq), struct admin_node, A_PAGE);
    int r = data_core_call(rq, list_nodes, &l, err);
    int64_t now = gt_clock_mono_ms();
    for (size_t i = 0; i < out->nodes.n; i++) {
        struct admin_node *n = &out->nodes.v[i];
        int64_t heard = detector_heard_at(host->detector, n->node_id);
        if (heard >= 0) {
            WIRE_SET(n, heard_ms, now - heard);
        }
    }
    show_brake(data_arena(rq), host->detector, now, out);
    return r;
}

int admin_fence(struct data_req *rq, const struct admin_fence_in *in, struct admin_fence_out *out,
                struct gt_err *err)
{
    struct admin_host *host = data_store(rq);
    struct rec_ecs_fence f = {.node = in->node_id, .undo = in->undo};
    int r = data_core_change(rq, &node_fence, &f, NULL, err);
    if (r == 0 && !in->undo) {
        detector_gone(host->detector, in->node_id);
    }
    return r;
}

int admin_release_nodes(struct data_req *rq, const struct admin_release_nodes_in *in,
                        struct admin_release_nodes_out *out, struct gt_err *err)
{
    struct admin_host *host = data_store(rq);
    detector_release(host->detector, gt_clock_mono_ms());
    return 0;
}
