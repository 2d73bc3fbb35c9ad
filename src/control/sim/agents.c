/*
 * Agents, as far as the server can see them: what they say, and when. The rules are those of the
 * real one: a task that the server wants and that this node never heard of is started when nobody
 * reported on it before, and reported STOPPED when somebody did (the containers went with the
 * machine); every change of a task gets the next sequence number and is reported until it is
 * accepted; what was refused is dropped.
 */
#include "control/sim/sim_priv.h"

#include "control/services/agent/agent.h"
#include "lib/wire/gen/agent.h"

#include <stdio.h>

enum { BEAT_MS = 1000, WAIT_MS = 5000, RETRY_MS = 500, LOSS_PERCENT = 5 };

struct sim_task *sim_find_task(struct sim_node *n, const char *id)
{
    for (unsigned i = 0; i < SIM_MAX_TASKS; i++) {
        if (n->tasks[i].used && gt_streq(n->tasks[i].id, id)) {
            return &n->tasks[i];
        }
    }
    return NULL;
}

void sim_forget_task(struct sim_node *n, struct sim_task *t)
{
    *t = (struct sim_task){0};
}

static struct principal node_principal(const struct sim_node *n)
{
    return (struct principal){
        .kind = PRINCIPAL_NODE, .account = GT_STR_LIT(SIM_ACCOUNT), .name = gt_str(n->id)};
}

/* A call over the network. False: the agent has no answer, whether the server did it or not. */
static bool node_call(struct sim *s, struct sim_node *n, const char *op, const void *in, void *out,
                      struct core_call *ret)
{
    unsigned loss = s->calm ? 0 : LOSS_PERCENT;
    if (n->cut || sim_chance(s, loss)) {
        return false;
    }
    struct principal who = node_principal(n);
    n->seen = s->now;
    *ret = sim_call(s, agent_control(), op, &who, in, out);
    if (ret->result < 0 && (gt_streq(gt_err_aws_name(&ret->err), "StaleSessionException") ||
                            gt_streq(gt_err_aws_name(&ret->err), "UnknownNodeException"))) {
        n->registered = false;
        sim_at(s, RETRY_MS, SIM_REGISTER, n->index);
    }
    return !sim_chance(s, loss);
}

static void begin_walk(struct sim_node *n)
{
    n->more[0] = '\0';
    for (unsigned i = 0; i < SIM_MAX_TASKS; i++) {
        n->tasks[i].told = false;
    }
}

void sim_register(struct sim *s, struct sim_node *n)
{
    if (n->registered) {
        return;
    }
    static struct agent_attribute attrs[] = {{.name = {"zone", 4}, .value = {"a", 1}}};
    char name[16];
    snprintf(name, sizeof name, "host%u", n->index);
    struct agent_register_node_in in = {.name = gt_str(name),
                                        .node_id = gt_str(n->id),
                                        .cluster = GT_STR_LIT("default"),
                                        .attributes = {attrs, 1, true}};
    WIRE_SET(&in, cpu, 65536);
    WIRE_SET(&in, memory, 131072);
    struct agent_register_node_out out = {0};
    struct core_call c;
    if (!node_call(s, n, "RegisterNode", &in, &out, &c) || c.result < 0) {
        sim_at(s, RETRY_MS, SIM_REGISTER, n->index);
        return;
    }
    GT_ASSERT(out.session.n < sizeof n->session);
    memcpy(n->session, out.session.p, out.session.n);
    n->session[out.session.n] = '\0';
    n->registered = true;
    n->revision = 0;
    begin_walk(n);
    n->parked = false;
    sim_at_poll(s, 1, n);
    sim_at(s, BEAT_MS, SIM_BEAT, n->index);
}

/* ---- tasks ---- */

static void advance(struct sim_task *t, int64_t status)
{
    t->status = status;
    t->sequence++;
}

static struct sim_task *add_task(struct sim *s, struct sim_node *n, const struct agent_task *from)
{
    struct sim_task *t = n->tasks;
    while (t->used) {
        t++;
        GT_ASSERT(t < n->tasks + SIM_MAX_TASKS);
    }
    *t = (struct sim_task){.used = true,
                           .life = ++s->lives,
                           .generation = from->generation,
                           .sequence = from->sequence,
                           .acked = from->sequence,
                           .status = TASK_PENDING};
    GT_ASSERT(from->id.n < sizeof t->id && from->address.n < sizeof t->address);
    memcpy(t->id, from->id.p, from->id.n);
    if (from->address.n) {
        memcpy(t->address, from->address.p, from->address.n);
    }
    return t;
}

static void take_task(struct sim *s, struct sim_node *n, const struct agent_task *from)
{
    char id[33] = "";
    GT_ASSERT(from->id.n < sizeof id);
    memcpy(id, from->id.p, from->id.n);
    struct sim_task *t = sim_find_task(n, id);
    bool stop = gt_str_is(from->desired_status, "STOPPED");
    bool known = t;
    t = t ? t : add_task(s, n, from);
    t->told = true;
    if (!known) {
        if (stop || from->sequence > 0) {
            advance(t, TASK_STOPPED); /* nothing of it is here */
            t->reason = stop ? NULL : "the node started anew";
            t->stop_code = stop ? NULL : "TaskFailedToStart";
            sim_at(s, 1, SIM_REPORT, n->index);
            return;
        }
        s->result.tasks_started++;
        sim_at_task(s, sim_between(s, 5, 800), n, t);
    }
    if (stop && !t->stop) {
        t->stop = true;
        t->life = ++s->lives; /* what was to happen to it does not */
        if (t->status != TASK_STOPPED) {
            sim_at_task(s, sim_between(s, 5, 400), n, t);
        }
    }
}

void sim_task_event(struct sim *s, struct sim_node *n, const char *id, uint64_t life)
{
    struct sim_task *t = sim_find_task(n, id);
    if (!t || t->life != life || t->status == TASK_STOPPED) {
        return;
    }
    if (t->stop) {
        advance(t, TASK_STOPPED);
        t->exit_code = t->started ? 143 : 0;
    } else if (t->status < TASK_RUNNING) {
        bool broken = sim_chance(s, s->calm ? 0 : 8);
        advance(t, broken ? TASK_STOPPED : TASK_RUNNING);
        if (broken) {
            t->stop_code = "TaskFailedToStart";
            t->reason = "CannotPullContainerError: no such image";
        } else {
            t->started = true;
            if (!s->calm && sim_chance(s, 40)) { /* it will end by itself */
                sim_at_task(s, sim_between(s, 100, 30000), n, t);
            }
        }
    } else {
        advance(t, TASK_STOPPED);
        t->exit_code = sim_between(s, 0, 2);
        t->stop_code = "EssentialContainerExited";
        t->reason = "Essential container in task exited";
    }
    sim_trace(s, "node %u: task %.6s is %s", n->index, t->id, task_state_name(t->status));
    sim_at(s, sim_between(s, 1, 50), SIM_REPORT, n->index);
}

/* ---- poll ---- */

/* What the server did not name in a walk over everything is not this node's any more. */
static void drop_others(struct sim *s, struct sim_node *n)
{
    for (unsigned i = 0; i < SIM_MAX_TASKS; i++) {
        struct sim_task *t = &n->tasks[i];
        if (t->used && !t->told) {
            sim_trace(s, "node %u: task %.6s is not ours any more", n->index, t->id);
            sim_forget_task(n, t);
        }
    }
}

void sim_poll(struct sim *s, struct sim_node *n)
{
    if (!n->registered) {
        return;
    }
    struct agent_poll_in in = {.session = gt_str(n->session)};
    WIRE_SET(&in, revision, n->revision);
    WIRE_SET(&in, wait_ms, n->parked ? 0 : WAIT_MS);
    if (n->more[0]) {
        in.more = gt_str(n->more);
    }
    n->parked = false;
    struct agent_poll_out out = {0};
    struct core_call c;
    if (!node_call(s, n, "Poll", &in, &out, &c)) {
        sim_at_poll(s, RETRY_MS, n);
        return;
    }
    if (c.wait_prefix) {
        n->parked = true;
        n->parked_until = c.wait_until;
        snprintf(n->parked_prefix, sizeof n->parked_prefix, "%s", c.wait_prefix);
        sim_at_poll(s, c.wait_until - s->now, n);
        return;
    }
    if (c.result < 0) {
        if (n->registered) {
            sim_at_poll(s, RETRY_MS, n);
        }
        return;
    }
    for (size_t i = 0; i < out.tasks.n; i++) {
        take_task(s, n, &out.tasks.v[i]);
    }
    if (out.full) {
        drop_others(s, n);
    }
    n->revision = out.revision;
    s->result.pages += out.more.n > 0;
    if (!out.more.n) {
        begin_walk(n);
    }
    GT_ASSERT(out.more.n < sizeof n->more);
    memcpy(n->more, out.more.p ? out.more.p : "", out.more.n);
    n->more[out.more.n] = '\0';
    /* Now and then something happens between two pages. */
    sim_at_poll(s, out.more.n && !s->calm ? sim_between(s, 1, 300) : 1, n);
}

void sim_written(void *arg, uint64_t revision, const char *key)
{
    struct sim *s = arg;
    for (unsigned i = 0; i < s->n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        size_t prefix = strlen(n->parked_prefix);
        if (n->parked && strncmp(key, n->parked_prefix, prefix) == 0) {
            sim_at_poll(s, 0, n);
        }
    }
}

/* ---- heartbeats and reports ---- */

static void fill_report(struct sim *s, const struct sim_task *t, struct agent_task_report *r)
{
    *r = (struct agent_task_report){
        .id = gt_str(t->id),
        .last_status = gt_str(task_state_name(t->status)),
        .stop_code = gt_str(t->stop_code),
        .stopped_reason = gt_str(t->reason),
    };
    WIRE_SET(r, generation, t->generation);
    WIRE_SET(r, sequence, t->sequence);
    struct agent_container_report *c = gt_arena_new(&s->arena, struct agent_container_report);
    c->name = GT_STR_LIT("main");
    c->last_status = gt_str(t->status == TASK_STOPPED   ? "STOPPED"
                            : t->status == TASK_RUNNING ? "RUNNING"
                                                        : "PENDING");
    if (t->status == TASK_STOPPED && t->started) {
        WIRE_SET(c, exit_code, t->exit_code);
    }
    r->containers.v = c;
    r->containers.n = 1;
    r->containers.has = true;
}

static bool was_refused(const struct agent_report_out *out, const char *id)
{
    for (size_t i = 0; i < out->refused.n; i++) {
        if (gt_str_is(out->refused.v[i].id, id)) {
            return true;
        }
    }
    return false;
}

void sim_report(struct sim *s, struct sim_node *n)
{
    struct agent_task_report *reports =
        gt_arena_array(&s->arena, struct agent_task_report, SIM_MAX_TASKS);
    struct sim_task *sent[SIM_MAX_TASKS];
    size_t count = 0;
    for (unsigned i = 0; i < SIM_MAX_TASKS; i++) {
        struct sim_task *t = &n->tasks[i];
        if (t->used && t->sequence > t->acked) {
            sent[count] = t;
            fill_report(s, t, &reports[count++]);
        }
    }
    if (count == 0) {
        return;
    }
    struct agent_report_in in = {.session = gt_str(n->session), .tasks = {reports, count, true}};
    struct agent_report_out out = {0};
    struct core_call c;
    if (!node_call(s, n, "Report", &in, &out, &c) || c.result < 0) {
        return; /* the next heartbeat says it again */
    }
    for (size_t i = 0; i < count; i++) {
        bool refused = was_refused(&out, sent[i]->id);
        sent[i]->acked = sent[i]->sequence;
        if (refused) {
            sim_trace(s, "node %u: report of task %.6s refused", n->index, sent[i]->id);
        }
        if (refused || sent[i]->status == TASK_STOPPED) {
            sim_forget_task(n, sent[i]);
        }
    }
}

void sim_beat(struct sim *s, struct sim_node *n)
{
    if (!n->registered) {
        return;
    }
    struct agent_heartbeat_in in = {.session = gt_str(n->session)};
    struct agent_heartbeat_out out = {0};
    struct core_call c;
    (void)node_call(s, n, "Heartbeat", &in, &out, &c);
    if (n->registered) {
        sim_report(s, n);
    }
    if (n->registered) {
        sim_at(s, BEAT_MS, SIM_BEAT, n->index);
    }
}
