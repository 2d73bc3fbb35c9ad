/*
 * Calls of the agent protocol over a network that may lose, delay and repeat them: a message is the
 * request, then the call at the server (or a poll that waits there), then the answer on its way
 * back. An agent has one message of each kind under way; an answer to another one comes too late.
 */
#include "control/sim/agents_priv.h"

#include "control/services/agent/agent.h"
#include "lib/base/limits.h"

enum { REPORTS_A_CALL = 200 };

/* ---- messages ---- */

static struct message *new_message(struct sim_agents *a, struct sim_node *n, enum call_kind kind)
{
    struct message *m = gt_new(struct message);
    m->kind = kind;
    m->node = n->index;
    m->life = n->life;
    m->number = ++a->numbers;
    agents_copy(m->session, sizeof m->session, gt_str(n->session));
    gt_list_push_back(&a->messages, &m->link);
    n->waits[kind] = m->number;
    return m;
}

static void unref(struct message *m)
{
    if (--m->refs == 0) {
        gt_list_remove(&m->link);
        free(m->said);
        free(m->told);
        free(m);
    }
}

static void message_at(struct sim_agents *a, int64_t delay, sim_event_fn *fn, struct message *m)
{
    m->refs++;
    sim_at(a->w, delay, fn, a, (uint64_t)(uintptr_t)m, 0);
}

static struct sim_passage passage(struct sim_agents *a, const struct message *m, bool to_server)
{
    return a->rules.passage ? a->rules.passage(a->rules.arg, a->nodes[m->node], to_server)
                            : (struct sim_passage){0};
}

/* The agent that sent it, if it still waits for this very message. */
static struct sim_node *waits(struct sim_agents *a, const struct message *m)
{
    struct sim_node *n = agents_current(a, m->node, m->life);
    return n && n->waits[m->kind] == m->number ? n : NULL;
}

static void again(struct sim_agents *a, struct sim_node *n, enum call_kind kind)
{
    switch (kind) {
    case CALL_REGISTER:
        agents_register(a, n);
        break;
    case CALL_POLL:
        agents_poll(a, n);
        break;
    case CALL_REPORT:
        agents_report(a, n);
        break;
    case CALL_BEAT:
        break;
    }
}

/* The connection is broken: the agent tries once more. */
static void gave_up(void *arg, uint64_t message, uint64_t unused)
{
    struct sim_agents *a = arg;
    struct message *m = (struct message *)(uintptr_t)message;
    struct sim_node *n = waits(a, m);
    if (n) {
        n->waits[m->kind] = 0;
        again(a, n, m->kind);
    }
    unref(m);
}

/* ---- at the agent: the answer ---- */

/* What it was told is what it knows, and an adoption is over. */
static void walk_ends(struct sim_agents *a, struct sim_node *n)
{
    n->walk = ++a->numbers;
    if (!n->astray && n->epoch) {
        n->memory.epoch = n->epoch;
        n->memory.revision = n->revision;
        n->adopted = false;
    }
}

static void walk_anew(struct sim_agents *a, struct sim_node *n)
{
    n->more[0] = '\0';
    n->walk = ++a->numbers;
}

static void take_poll(struct sim_agents *a, struct sim_node *n, const struct message *m)
{
    agents_answered(n, m->number);
    for (size_t i = 0; i < m->n_told; i++) {
        agents_told(a, n, &m->told[i]);
    }
    if (m->full) {
        agents_drop_others(a, n);
    }
    bool anew = n->epoch && n->epoch != m->next_epoch;
    if (anew) {
        agents_report_all(a, n);
    }
    n->revision = m->next_revision;
    n->epoch = m->next_epoch;
    agents_copy(n->more, sizeof n->more, gt_str(m->next_more));
    if (!n->more[0]) {
        walk_ends(a, n);
    }
    if (anew) { /* what it is told is said anew, too */
        n->revision = 0;
        walk_anew(a, n);
    }
    agents_poll(a, n);
}

static void take_report(struct sim_agents *a, struct sim_node *n, const struct message *m)
{
    for (size_t i = 0; i < m->n_said; i++) {
        agents_accepted(a, n, &m->said[i]);
    }
    if (n->n_unreported && !n->report_planned) {
        agents_report(a, n);
    }
}

static void register_again(void *arg, uint64_t node, uint64_t life)
{
    struct sim_agents *a = arg;
    struct sim_node *n = agents_current(a, node, life);
    if (n && !n->registered && !n->waits[CALL_REGISTER]) {
        agents_register(a, n);
    }
}

/* Not at once: two machines with one identity would keep the server busy. */
static void session_over(struct sim_agents *a, struct sim_node *n, const struct message *m)
{
    if (n->registered && gt_streq(n->session, m->session)) {
        n->registered = false;
        n->waits[CALL_POLL] = n->waits[CALL_REPORT] = 0;
        sim_at(a->w, a->rules.retry_ms, register_again, a, n->index, n->life);
    }
}

static void delivered(void *arg, uint64_t message, uint64_t unused)
{
    struct sim_agents *a = arg;
    struct message *m = (struct message *)(uintptr_t)message;
    struct sim_node *n = waits(a, m);
    if (n && m->fenced) { /* its tasks were given to others: an operator's word ends them */
        n->astray = n->adopted = false;
        n->walk = ++a->numbers;
        agents_drop_others(a, n);
    } else if (n && m->lost_place) { /* the server came back older than the walk */
        walk_anew(a, n);
    }
    if (n && m->refused && !m->stale) { /* once more, as after a broken connection */
        message_at(a, a->rules.retry_ms, gave_up, m);
    } else if (n) {
        n->waits[m->kind] = 0;
        if (m->stale) {
            session_over(a, n, m);
        } else if (m->kind == CALL_REGISTER) {
            agents_registered(a, n, m);
        } else if (m->kind == CALL_POLL) {
            take_poll(a, n, m);
        } else if (m->kind == CALL_REPORT) {
            take_report(a, n, m);
        }
    }
    unref(m);
}

/* ---- at the server ---- */

static void answer(struct sim_agents *a, struct message *m, const struct core_call *c)
{
    m->answered = true;
    m->refused = c->result < 0;
    const char *name = m->refused ? gt_err_aws_name(&c->err) : "";
    m->stale = gt_streq(name, "StaleSessionException") || gt_streq(name, "UnknownNodeException");
    m->fenced = gt_streq(name, "NodeFencedException");
    m->lost_place = m->kind == CALL_POLL && gt_streq(name, "InvalidParameterException");
    struct sim_passage p = passage(a, m, /* to_server= */ false);
    if (p.lost) {
        message_at(a, a->rules.retry_ms, gave_up, m);
    } else {
        message_at(a, p.delay_ms, delivered, m);
    }
}

static struct core_call call(struct sim_agents *a, const struct message *m,
                             const struct wire_op *op, const void *in, void *out)
{
    struct principal who = sim_node_principal(a->nodes[m->node]);
    return sim_world_call(a->w, agent_control(), op, &who, in, out);
}

static void serve_register(struct sim_agents *a, struct message *m, bool first)
{
    const struct sim_node_spec *s = &a->nodes[m->node]->spec;
    struct agent_register_node_in in = {.name = gt_str(s->name ? s->name : s->id),
                                        .node_id = gt_str(s->id),
                                        .cluster = gt_str(s->cluster ? s->cluster : "default"),
                                        .external = s->external,
                                        .subnet = gt_str(s->subnet),
                                        .attributes = s->attributes,
                                        .ports_reserved = s->ports};
    WIRE_SET(&in, cpu, s->cpu);
    WIRE_SET(&in, memory, s->memory);
    const char *installation = a->nodes[m->node]->memory.cluster_id;
    if (installation[0]) {
        in.cluster_id = gt_str(installation);
        WIRE_SET(&in, epoch, m->epoch);
    }
    if (installation[0] && m->revision) {
        WIRE_SET(&in, revision, m->revision);
    }
    struct agent_register_node_out out = {0};
    struct core_call c = call(a, m, &agent_op_register_node, &in, &out);
    if (first) {
        agents_copy(m->new_session, sizeof m->new_session, out.session);
        agents_copy(m->cluster_id, sizeof m->cluster_id, out.cluster_id);
        m->astray = out.astray;
        m->adopted = out.adopted;
        m->next_epoch = out.epoch;
        answer(a, m, &c);
    }
}

static void keep_told(struct sim_agents *a, struct message *m, const struct agent_poll_out *out)
{
    m->told = gt_new_array(struct told, out->tasks.n + 1);
    for (size_t i = 0; i < out->tasks.n; i++) {
        const struct agent_task *t = &out->tasks.v[i];
        struct told *to = &m->told[m->n_told++];
        agents_copy(to->id, sizeof to->id, t->id);
        agents_copy(to->address, sizeof to->address, t->address);
        to->family = agents_name(a, t->family);
        to->service = agents_name(a, t->service_name);
        to->revision = t->revision_number;
        to->generation = t->generation;
        to->sequence = t->sequence;
        to->stop = gt_str_is(t->desired_status, "STOPPED");
    }
    m->full = out->full;
    m->next_revision = out->revision;
    m->next_epoch = out->epoch;
    agents_copy(m->next_more, sizeof m->next_more, out->more);
}

static void park(struct sim_agents *a, struct message *m, const struct core_call *c);

static void serve_poll(struct sim_agents *a, struct message *m, bool first, bool over)
{
    struct agent_poll_in in = {.session = gt_str(m->session)};
    WIRE_SET(&in, revision, m->revision);
    if (m->epoch) {
        WIRE_SET(&in, epoch, m->epoch);
    }
    WIRE_SET(&in, wait_ms, first && !over ? a->rules.wait_ms : 0);
    in.more = m->more[0] ? gt_str(m->more) : in.more;
    struct agent_poll_out out = {0};
    struct core_call c = call(a, m, &agent_op_poll, &in, &out);
    if (!first) {
        return;
    }
    if (c.wait_prefix) {
        park(a, m, &c);
        return;
    }
    if (c.result >= 0) {
        keep_told(a, m, &out);
    }
    answer(a, m, &c);
}

static struct agent_container_report *container(struct sim_agents *a, const struct said *s)
{
    struct agent_container_report *c = gt_arena_new(&a->w->arena, struct agent_container_report);
    c->name = GT_STR_LIT("main");
    c->last_status = gt_str(s->status == TASK_STOPPED   ? "STOPPED"
                            : s->status == TASK_RUNNING ? "RUNNING"
                                                        : "PENDING");
    if (s->status == TASK_STOPPED && s->started) {
        WIRE_SET(c, exit_code, s->exit_code);
    }
    return c;
}

static void serve_report(struct sim_agents *a, struct message *m, bool first)
{
    struct agent_task_report *v =
        gt_arena_array(&a->w->arena, struct agent_task_report, m->n_said + 1);
    for (size_t i = 0; i < m->n_said; i++) {
        const struct said *s = &m->said[i];
        v[i] = (struct agent_task_report){
            .id = gt_str(s->id),
            .last_status = gt_str(task_state_name(s->status)),
            .stop_code = gt_str(s->stop_code),
            .stopped_reason = gt_str(s->reason),
            .containers = {container(a, s), 1, true},
        };
        WIRE_SET(&v[i], generation, s->generation);
        WIRE_SET(&v[i], sequence, s->sequence);
    }
    struct agent_report_in in = {.session = gt_str(m->session), .tasks = {v, m->n_said, true}};
    struct agent_report_out out = {0};
    struct core_call c = call(a, m, &agent_op_report, &in, &out);
    if (first) {
        answer(a, m, &c);
    }
}

static void serve(struct sim_agents *a, struct message *m, bool first, bool over)
{
    a->nodes[m->node]->heard = a->w->now;
    if (m->kind == CALL_REGISTER) {
        serve_register(a, m, first);
    } else if (m->kind == CALL_POLL) {
        serve_poll(a, m, first, over);
    } else if (m->kind == CALL_REPORT) {
        serve_report(a, m, first);
    } else {
        struct agent_heartbeat_in in = {.session = gt_str(m->session)};
        struct agent_heartbeat_out out = {0};
        struct core_call c = call(a, m, &agent_op_heartbeat, &in, &out);
        if (first) {
            answer(a, m, &c);
        }
    }
}

static void arrived(void *arg, uint64_t message, uint64_t unused)
{
    struct message *m = (struct message *)(uintptr_t)message;
    serve(arg, m, /* first= */ true, /* over= */ false);
    unref(m);
}

static void arrived_again(void *arg, uint64_t message, uint64_t unused)
{
    struct message *m = (struct message *)(uintptr_t)message;
    serve(arg, m, /* first= */ false, /* over= */ false);
    unref(m);
}

static void send(struct sim_agents *a, struct message *m)
{
    struct sim_passage p = passage(a, m, /* to_server= */ true);
    if (p.lost) {
        message_at(a, a->rules.retry_ms, gave_up, m);
    } else {
        message_at(a, p.delay_ms, arrived, m);
    }
    if (p.again_ms > 0) {
        message_at(a, p.delay_ms + p.again_ms, arrived_again, m);
    }
}

/* ---- polls that wait ---- */

static void unpark(struct message *m)
{
    gt_list_remove(&m->parked);
    m->at->n--;
    m->at = NULL;
    unref(m);
}

static void woken(void *arg, uint64_t message, uint64_t unused)
{
    struct message *m = (struct message *)(uintptr_t)message;
    serve(arg, m, /* first= */ true, /* over= */ false);
    unref(m);
}

static void wait_over(void *arg, uint64_t message, uint64_t unused)
{
    struct message *m = (struct message *)(uintptr_t)message;
    if (m->at && !m->answered) { /* else: it was woken before */
        unpark(m);
        serve(arg, m, /* first= */ true, /* over= */ true);
    }
    unref(m);
}

static void park(struct sim_agents *a, struct message *m, const struct core_call *c)
{
    struct gt_str prefix = gt_str(c->wait_prefix);
    struct waiting *w = gt_table_get(&a->waiting, prefix);
    if (!w) {
        w = gt_new(struct waiting);
        gt_list_init(&w->polls);
        gt_table_put(&a->waiting, prefix, w);
    }
    gt_list_push_back(&w->polls, &m->parked);
    m->at = w;
    w->n++;
    m->refs++;
    message_at(a, a->rules.wait_ms, wait_over, m);
}

static void wake(struct sim_agents *a, struct waiting *w)
{
    gt_list_for_each (it, tmp, &w->polls) {
        struct message *m = gt_list_entry(it, struct message, parked);
        message_at(a, 0, woken, m);
        unpark(m);
    }
}

void agents_written(void *arg, const char *key)
{
    struct sim_agents *a = arg;
    for (const char *slash = strchr(key, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct waiting *w = gt_table_get(&a->waiting, gt_str_n(key, (size_t)(slash + 1 - key)));
        if (w) {
            wake(a, w);
        }
    }
}

void agents_lose_parked(struct sim_agents *a)
{
    gt_list_for_each (it, tmp, &a->messages) {
        struct message *m = gt_list_entry(it, struct message, link);
        if (m->at) {
            message_at(a, a->rules.retry_ms, gave_up, m);
            unpark(m);
        }
    }
}

/* ---- what agents say ---- */

void agents_register(struct sim_agents *a, struct sim_node *n)
{
    struct message *m = new_message(a, n, CALL_REGISTER);
    m->epoch = n->memory.epoch;
    m->revision = n->memory.revision;
    send(a, m);
}

void agents_poll(struct sim_agents *a, struct sim_node *n)
{
    if (!n->registered) {
        return;
    }
    struct message *m = new_message(a, n, CALL_POLL);
    m->revision = n->revision;
    m->epoch = n->epoch;
    agents_copy(m->more, sizeof m->more, gt_str(n->more));
    send(a, m);
}

void agents_beat(struct sim_agents *a, struct sim_node *n)
{
    if (n->registered) {
        send(a, new_message(a, n, CALL_BEAT));
    }
}

void agents_report(struct sim_agents *a, struct sim_node *n)
{
    if (!n->registered || !n->n_unreported || n->waits[CALL_REPORT]) {
        return;
    }
    struct message *m = new_message(a, n, CALL_REPORT);
    m->said = gt_new_array(struct said, GT_MIN(n->n_unreported, (size_t)REPORTS_A_CALL));
    gt_list_for_each (it, tmp, &n->tasks) {
        const struct sim_task *t = gt_list_entry(it, struct sim_task, link);
        if (t->sequence == t->acked || m->n_said == REPORTS_A_CALL) {
            continue;
        }
        struct said *s = &m->said[m->n_said++];
        *s = (struct said){.generation = t->generation,
                           .sequence = t->sequence,
                           .status = t->status,
                           .exit_code = t->exit_code,
                           .started = t->started,
                           .stop_code = t->stop_code,
                           .reason = t->reason};
        memcpy(s->id, t->id, sizeof s->id);
    }
    send(a, m);
}

/* ---- what is said of them ---- */

int sim_tell_change(struct sim_world *w, const struct detector_change *c, struct gt_err *err)
{
    struct core_call call;
    if (c->state == DETECTOR_LIVE) {
        struct agent_node_back_in in = {.node_id = gt_str(c->node)};
        struct agent_node_back_out out = {0};
        call = sim_world_call(w, agent_control(), &agent_op_node_back, &sim_internal, &in, &out);
    } else {
        struct agent_node_lost_in in = {.node_id = gt_str(c->node)};
        struct agent_node_lost_out out = {0};
        WIRE_SET(&in, held, c->state == DETECTOR_HELD);
        call = sim_world_call(w, agent_control(), &agent_op_node_lost, &sim_internal, &in, &out);
    }
    *err = call.err;
    return call.result;
}

/* The world's queue may still hold events of messages: it must not be run any more. */
void agents_free_calls(struct sim_agents *a)
{
    gt_list_for_each (it, tmp, &a->messages) {
        struct message *m = gt_list_entry(it, struct message, link);
        m->refs = 1;
        unref(m);
    }
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&a->waiting, &it));) {
        free(e->value);
    }
    gt_table_fini(&a->waiting);
}
