/* Poll: what a node should run. */
#include "control/services/agent/agent.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/agent_handlers.h"
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

int agent_poll(struct tx *tx, const struct agent_poll_in *in, struct agent_poll_out *out,
               struct gt_err *err)
{
    struct rec_ecs_session *s = agent_session(tx, in->session, err);
    if (!s) {
        return gt_err_code(err);
    }
    bool full = in->revision < s->full_since;
    char *prefix = tx_key(tx, "ecs/assign/" GT_STR_FMT "/", GT_STR_ARG(s->node));
    size_t cap = tx_count(tx, prefix);
    struct agent_task *tasks = gt_arena_array(tx_arena(tx), struct agent_task, cap + 1);
    size_t n = 0;
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; n < cap && (key = tx_next(&c));) {
        uint64_t created, modified = 0;
        tx_revisions(tx, key, &created, &modified);
        if (!full && (int64_t)modified <= in->revision) {
            continue;
        }
        struct rec_ecs_assignment *a = tx_get(tx, key, &rec_ecs_assignment_desc);
        struct rec_ecs_task *t = task_get(tx, a->cluster, a->task);
        if (t) {
            show(tx, t, &tasks[n++]);
        }
    }
    if (!full && n == 0 && in->wait_ms > 0 && !tx_wait_over(tx)) {
        tx_wait(tx, prefix, tx_now(tx) + in->wait_ms);
        return 0;
    }
    out->tasks.v = tasks;
    out->tasks.n = n;
    out->tasks.has = out->gone.has = true;
    WIRE_SET(out, full, full);
    WIRE_SET(out, revision, (int64_t)tx_revision(tx) - 1);
    return 0;
}
