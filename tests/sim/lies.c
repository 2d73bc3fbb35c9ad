/*
 * What an agent would not say: reports for tasks of others, of another generation, of a status that
 * cannot follow, a second exit code; and calls with a session that is over or another node's. None
 * of it may change anything, but what a node says of its own tasks is believed.
 */
#include "control/services/agent/agent.h"
#include "watch_priv.h"

#include <stdio.h>

static const char *const what = "a lie changes nothing";

/* One report with the node's own key and `session`. Returns whether the task was refused. */
static bool report(struct trial *t, const struct sim_node *n, const char *session,
                   struct agent_task_report *r, struct core_call *ret)
{
    struct principal who = sim_node_principal(n);
    struct agent_container_report c = {.name = GT_STR_LIT("main"),
                                       .last_status = GT_STR_LIT("STOPPED")};
    WIRE_SET(&c, exit_code, 99);
    r->containers.v = &c;
    r->containers.n = 1;
    struct agent_report_in in = {.session = gt_str(session), .tasks = {r, 1, true}};
    struct agent_report_out out = {0};
    *ret = sim_world_call(&t->w, agent_control(), &agent_op_report, &who, &in, &out);
    return ret->result < 0 || out.refused.n == 1;
}

/* The newest session of the node as the server has it; NULL: none, or one of an astray node, whose
 * every word is noted. */
static const char *session_of(struct trial *t, const struct sim_node *n)
{
    char key[128];
    snprintf(key, sizeof key, SIM_PLACE "ecs/session/%s", n->spec.id);
    const struct rec_ecs_session *s = state_get(t, key, &rec_ecs_session_desc);
    return s && s->token.n && !s->astray ? gt_arena_str(&t->w.arena, s->token) : NULL;
}

static const struct seen_task *some_task(struct trial *t)
{
    size_t n = t->watch->tasks.count;
    int64_t i = n ? between(t, 0, (int64_t)n - 1) : 0;
    gt_list_for_each (it, tmp, &t->watch->all_tasks) {
        if (i-- == 0) {
            return gt_list_entry(it, struct seen_task, link);
        }
    }
    return NULL;
}

/* A report that must be refused, or at least change nothing. */
static void lie_about(struct trial *t, const struct sim_node *n, const char *session,
                      const struct seen_task *s)
{
    bool own = gt_streq(s->node->id, n->spec.id);
    struct agent_task_report r = {.id = gt_str(s->id), .last_status = GT_STR_LIT("STOPPED")};
    int64_t generation = s->generation, sequence = s->sequence + between(t, -3, 1000);
    const char *kind = "of another node's task";
    if (own && chance(t, 50)) {
        generation -= between(t, 1, 3);
        kind = "of another generation";
    } else if (own && s->status == TASK_STOPPED) {
        kind = "of an end that was reported before";
    } else if (own) {
        r.last_status = GT_STR_LIT("PROVISIONING");
        kind = "of a status that is over";
        if (s->status <= TASK_PROVISIONING) {
            return;
        }
    }
    WIRE_SET(&r, generation, generation);
    WIRE_SET(&r, sequence, sequence);
    uint64_t before = core_revision(t->w.core);
    struct core_call c;
    bool ghost = s->ghost && generation == s->generation && own;
    if (ghost) {
        return; /* its node may well say that it is gone */
    }
    trace(t, "node %u lies: a report %s, task %.6s", n->index, kind, s->id);
    bool refused = report(t, n, session, &r, &c);
    bool may_stand = own && sequence <= s->sequence && generation == s->generation;
    if (c.err.kind != GT_ERR_UNAVAILABLE &&
        (core_revision(t->w.core) != before || (!refused && !may_stand))) {
        violation(t, what, "a report %s was taken, task %s", kind, s->id);
    }
}

/* Every operation with a session that is over, or that is another node's. */
static void use_session(struct trial *t, const struct sim_node *n, const char *session,
                        const char *kind)
{
    struct principal who = sim_node_principal(n);
    uint64_t before = core_revision(t->w.core);
    trace(t, "node %u uses a session that is %s", n->index, kind);
    struct agent_poll_in poll = {.session = gt_str(session)};
    struct agent_poll_out polled = {0};
    struct agent_heartbeat_in beat = {.session = gt_str(session)};
    struct agent_heartbeat_out beaten = {0};
    struct agent_report_in report = {.session = gt_str(session), .tasks = {NULL, 0, true}};
    struct agent_report_out reported = {0};
    struct core_call c[] = {
        sim_world_call(&t->w, agent_control(), &agent_op_poll, &who, &poll, &polled),
        sim_world_call(&t->w, agent_control(), &agent_op_heartbeat, &who, &beat, &beaten),
        sim_world_call(&t->w, agent_control(), &agent_op_report, &who, &report, &reported),
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(c); i++) {
        if (c[i].result >= 0 || core_revision(t->w.core) != before) {
            violation(t, "a stale session changes nothing", "one that is %s was taken", kind);
        }
    }
}

void lie(struct trial *t, unsigned node)
{
    const struct sim_node *n = sim_agents_node(t->agents, node);
    const struct sim_node *other =
        sim_agents_node(t->agents, (unsigned)between(t, 0, t->plan.nodes - 1));
    const char *session = session_of(t, n), *others = session_of(t, other);
    struct liar *l = &t->liars[node];
    const struct seen_task *s = some_task(t);
    if (!session) {
        return;
    }
    if (s) {
        lie_about(t, n, session, s);
    }
    if (l->old_session[0] && !gt_streq(l->old_session, session)) {
        use_session(t, n, l->old_session, "over");
    }
    if (others && other != n) {
        use_session(t, n, others, "another node's");
    }
    snprintf(l->old_session, sizeof l->old_session, "%s", session);
}
