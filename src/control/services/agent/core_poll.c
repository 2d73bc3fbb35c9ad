/* Poll: what a node should run. */
#include "control/services/agent/agent.h"
#include "control/services/agent/astray.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/agent_handlers.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

static void show_containers(struct tx *tx, const struct rec_ecs_task *t, struct agent_task *out)
{
    out->containers.n = t->containers.n;
    out->containers.v = gt_arena_array(tx_arena(tx), struct agent_container, t->containers.n + 1);
    for (size_t i = 0; i < t->containers.n; i++) {
        const struct rec_ecs_container *c = &t->containers.v[i];
        out->containers.v[i] = (struct agent_container){
            .name = c->name,
            .container_arn = arn_container(tx, t->cluster, t->id, c->id),
            .runtime_id = c->runtime_id.n ? c->runtime_id : gt_str(NULL),
            .image_digest = c->image_digest.n ? c->image_digest : gt_str(NULL),
            .last_status = gt_str(task_state_name(c->last_status)),
        };
    }
}

static void show(struct tx *tx, const struct rec_ecs_task *t, struct agent_task *out)
{
    *out = (struct agent_task){
        .task_arn = arn_task(tx, t->cluster, t->id),
        .id = t->id,
        .desired_status = gt_str(task_state_name(t->desired_status)),
        .last_status = gt_str(task_state_name(t->last_status)),
        .stop_reason = t->stopped_reason,
        .stop_code = t->stop_code,
        .cluster = t->cluster,
        .cluster_arn = arn_cluster(tx, t->cluster),
        .family = t->family,
        .task_definition_arn = arn_taskdef(tx, t->family, t->revision),
        .overrides = t->overrides.n ? t->overrides : gt_str(NULL),
        .group = t->group,
        .started_by = t->started_by,
        .service_name = t->service,
        .launch_type = t->launch_type,
        .availability_zone = t->zone,
        .network_mode = t->network_mode,
        .address = t->address,
        .ipv6_address = t->ipv6,
        .attachment_id = t->attachment,
    };
    WIRE_SET(out, generation, t->generation);
    WIRE_SET(out, sequence, t->sequence);
    WIRE_SET(out, revision_number, t->revision);
    WIRE_SET(out, created_at, t->created_at);
    struct rec_ecs_taskdef *d =
        tx_get(tx, key_taskdef(tx, t->family, t->revision), &rec_ecs_taskdef_desc);
    if (d) {
        out->task_definition = d->document;
    }
    show_containers(tx, t, out);
    out->tags.v = gt_arena_array(tx_arena(tx), struct agent_tag, t->tags.n + 1);
    for (size_t i = 0; i < t->tags.n; i++) {
        out->tags.v[out->tags.n++] =
            (struct agent_tag){.key = t->tags.v[i].key, .value = t->tags.v[i].value};
    }
}

/* About what it takes in the answer. */
static size_t weight(const struct agent_task *t)
{
    enum { TASK = 1024, CONTAINER = 512, TAG = 32 };
    size_t n = TASK + t->task_definition.n + t->overrides.n + t->stop_reason.n;
    n += t->containers.n * CONTAINER;
    for (size_t i = 0; i < t->tags.n; i++) {
        n += TAG + t->tags.v[i].key.n + t->tags.v[i].value.n;
    }
    return n;
}

/* A walk over a node's assignments, and the answer that is a part of it. */
struct walk {
    bool full;
    int64_t since; /* delta: what is newer */
    struct agent_position at;
    struct agent_task *tasks;
    size_t n, cap;
    struct gt_str more;
};

static struct agent_task *next_place(struct tx *tx, struct walk *w)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 8;
        struct agent_task *v = gt_arena_array(tx_arena(tx), struct agent_task, w->cap);
        if (w->n) {
            memcpy(v, w->tasks, w->n * sizeof *v);
        }
        w->tasks = v;
    }
    return &w->tasks[w->n];
}

static void take_steps(struct tx *tx, const char *prefix, struct walk *w)
{
    size_t weighs = 0, bound = tx_bound(tx, GT_LIMIT_POLL_PAGE);
    const char *after = NULL;
    if (w->at.after.n) {
        after = gt_arena_printf(tx_arena(tx), "%s" GT_STR_FMT, prefix, GT_STR_ARG(w->at.after));
    }
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next_since(&c, w->full ? 0 : (uint64_t)w->since));) {
        if (weighs >= bound) {
            w->more = agent_position_text(tx, &w->at, w->tasks[w->n - 1].id);
            return;
        }
        struct rec_ecs_assignment *a = tx_get(tx, key, &rec_ecs_assignment_desc);
        struct rec_ecs_task *t = task_get(tx, a->cluster, a->task);
        if (t) {
            struct agent_task *to = next_place(tx, w);
            show(tx, t, to);
            weighs += weight(to);
            w->n++;
        }
    }
}

/* Nothing, until an operator has it adopted: then its session is over. */
static int poll_astray(struct tx *tx, const struct rec_ecs_session *s,
                       const struct agent_poll_in *in, struct agent_poll_out *out)
{
    if (in->wait_ms > 0 && !tx_wait_over(tx)) {
        tx_wait(tx, key_session(tx, s->node), tx_now(tx) + in->wait_ms);
        return 0;
    }
    out->tasks.has = out->gone.has = true;
    WIRE_SET(out, full, false);
    WIRE_SET(out, epoch, tx_epoch(tx));
    WIRE_SET(out, revision, in->revision);
    return 0;
}

int agent_poll(struct tx *tx, const struct agent_poll_in *in, struct agent_poll_out *out,
               struct gt_err *err)
{
    struct rec_ecs_session *s = agent_session(tx, in->session, err);
    if (!s) {
        return gt_err_code(err);
    }
    if (in->has_epoch && !tx_knows(tx, in->epoch, (uint64_t)in->revision)) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "StaleSessionException",
                          "what the node remembers is not in this server's history");
    }
    if (s->astray) {
        return poll_astray(tx, s, in, out);
    }
    struct walk w = {.since = in->revision, .full = in->revision < s->full_since};
    if (!agent_position(tx, in->more, &w.at)) {
        return invalid(err, "'more' is not from an answer of this server");
    }
    char *prefix = tx_key(tx, "ecs/assign/" GT_STR_FMT "/", GT_STR_ARG(s->node));
    take_steps(tx, prefix, &w);
    bool first = !in->more.n, over = first && !w.full && s->adopted;
    if (over) {
        astray_over(tx, s);
    }
    if (first && !over && !w.full && w.n == 0 && in->wait_ms > 0 && !tx_wait_over(tx)) {
        tx_wait(tx, prefix, tx_now(tx) + in->wait_ms);
        return 0;
    }
    out->tasks.v = w.tasks;
    out->tasks.n = w.n;
    out->tasks.has = out->gone.has = true;
    out->more = w.more;
    WIRE_SET(out, full, w.full && !w.more.n);
    WIRE_SET(out, epoch, tx_epoch(tx));
    WIRE_SET(out, revision, w.more.n ? w.since : w.at.until);
    return 0;
}
