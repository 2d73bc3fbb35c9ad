/* Report: what became of a node's tasks. */
#include "control/services/agent/agent.h"
#include "control/services/agent/astray.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/agent_handlers.h"
#include "lib/base/mem.h"

#define TAKE_TIME(t, in, member)                                                                   \
    do {                                                                                           \
        if ((in)->has_##member && (in)->member > 0) {                                              \
            (t)->member = (in)->member;                                                            \
        }                                                                                          \
    } while (0)

static void take_text(struct gt_str *to, struct gt_str from)
{
    if (from.n) {
        *to = from;
    }
}

static void take_bindings(struct tx *tx, const struct agent_network_binding_list *in,
                          struct rec_ecs_binding_list *to)
{
    if (!in->has) {
        return;
    }
    to->v = gt_arena_array(tx_arena(tx), struct rec_ecs_binding, in->n + 1);
    to->n = in->n;
    for (size_t i = 0; i < in->n; i++) {
        to->v[i] = (struct rec_ecs_binding){.bind_ip = in->v[i].bind_ip,
                                            .container_port = in->v[i].container_port,
                                            .host_port = in->v[i].host_port,
                                            .protocol = in->v[i].protocol};
    }
}

static void take_container(struct tx *tx, const struct agent_container_report *in,
                           struct rec_ecs_task *t)
{
    for (size_t i = 0; i < t->containers.n; i++) {
        struct rec_ecs_container *c = &t->containers.v[i];
        if (!gt_str_eq(c->name, in->name)) {
            continue;
        }
        int64_t status = task_state_parse(in->last_status);
        c->last_status = GT_MAX(c->last_status, status); /* forward only */
        if (in->has_exit_code) {
            c->exit_code = in->exit_code;
            c->has_exit_code = true;
        }
        take_text(&c->reason, in->reason);
        take_text(&c->image_digest, in->image_digest);
        take_text(&c->health, in->health_status);
        take_text(&c->runtime_id, in->runtime_id);
        take_bindings(tx, &in->network_bindings, &c->bindings);
        for (size_t k = 0; k < in->network_interfaces.n; k++) {
            take_text(&t->mac, in->network_interfaces.v[k].mac_address);
            take_text(&t->ipv6, in->network_interfaces.v[k].ipv6_address);
        }
    }
}

static void take_task(struct tx *tx, const struct agent_task_report *in, struct rec_ecs_task *t)
{
    t->sequence = GT_MAX(t->sequence, in->sequence);
    if (!t->connectivity_at) {
        t->connectivity_at = tx_now(tx);
    }
    t->disconnected = false;
    TAKE_TIME(t, in, pull_started_at);
    TAKE_TIME(t, in, pull_stopped_at);
    TAKE_TIME(t, in, started_at);
    TAKE_TIME(t, in, execution_stopped_at);
    if (!t->stopping_at) {
        TAKE_TIME(t, in, stopping_at);
    }
    take_text(&t->health, in->health_status);
    take_text(&t->last_log, in->last_log);
    for (size_t i = 0; i < in->containers.n; i++) {
        take_container(tx, &in->containers.v[i], t);
    }
    bool ends = gt_str_is(in->last_status, "STOPPED");
    if (!t->stop_code.n) { /* who wanted it stopped has said why already */
        take_text(&t->stop_code, in->stop_code);
        take_text(&t->stopped_reason, in->stopped_reason);
        if (ends && !t->stop_code.n) {
            t->stop_code = gt_str(t->started_at ? "EssentialContainerExited" : "TaskFailedToStart");
        }
        if (ends && !t->stopped_reason.n) {
            t->stopped_reason = gt_str(t->started_at ? "Essential container in task exited"
                                                     : "Task failed to start");
        }
    }
}

/* NULL: accepted. */
static const char *report_one(struct tx *tx, const struct rec_ecs_session *s,
                              const struct agent_task_report *in)
{
    if (!name_valid(in->id, "", 64)) {
        return "not a task id";
    }
    struct rec_ecs_assignment *a =
        tx_get(tx, key_assign(tx, s->node, in->id), &rec_ecs_assignment_desc);
    struct rec_ecs_task *t = a ? task_get(tx, a->cluster, in->id) : NULL;
    if (s->astray) {
        astray_note(tx, s->node, in, t != NULL);
    }
    if (!t) {
        return "not assigned to this node";
    }
    if (in->generation != t->generation) {
        return "of another generation";
    }
    if (t->ghost) {
        if (gt_str_is(in->last_status, "STOPPED")) {
            task_lay_ghost(tx, t);
        }
        return NULL;
    }
    enum task_state state = task_state_parse(in->last_status);
    if (in->sequence <= t->sequence && (int64_t)state <= t->last_status) {
        return NULL; /* said before. One that moves on is taken: its agent lost count in a crash */
    }
    if (task_next((enum task_state)t->last_status, (enum task_event)state) == TASK_REFUSED) {
        return "a status only moves forward";
    }
    take_task(tx, in, t);
    task_apply(tx, t, (enum task_event)state);
    return NULL;
}

int agent_report(struct tx *tx, const struct agent_report_in *in, struct agent_report_out *out,
                 struct gt_err *err)
{
    struct rec_ecs_session *s = agent_session(tx, in->session, err);
    if (!s) {
        return gt_err_code(err);
    }
    out->refused.has = true;
    out->refused.v = gt_arena_array(tx_arena(tx), struct agent_refusal, in->tasks.n + 1);
    for (size_t i = 0; i < in->tasks.n; i++) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        const char *why = report_one(tx, s, &in->tasks.v[i]);
        gt_arena_release(tx_arena(tx), mark); /* what was written is kept elsewhere */
        if (why) {
            out->refused.v[out->refused.n++] =
                (struct agent_refusal){.id = in->tasks.v[i].id, .reason = gt_str(why)};
        }
    }
    return 0;
}
