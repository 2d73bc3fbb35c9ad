/* What goes wrong, and the server's own look at who is still there. */
#include "control/sim/sim_priv.h"

#include "control/services/agent/agent.h"
#include "control/services/ecs/ecs.h"
#include "lib/wire/gen/agent.h"

#include <stdio.h>

void sim_next_fault(struct sim *s, enum sim_event_kind kind, unsigned node)
{
    static const int64_t mean[SIM_N_EVENTS] = {
        [SIM_CUT] = 60000,
        [SIM_AGENT_DIES] = 50000,
        [SIM_NODE_DIES] = 90000,
        [SIM_SERVER_DIES] = 15000,
    };
    sim_at(s, sim_between(s, 1, 2 * mean[kind]), kind, node);
}

void sim_cut(struct sim *s, struct sim_node *n)
{
    if (s->calm) {
        return;
    }
    n->cut = !n->cut;
    sim_trace(s, "node %u is %s", n->index, n->cut ? "cut off" : "reached again");
    if (n->cut) {
        /* Sometimes long enough to be given up. */
        sim_at(s, sim_between(s, 100, 2 * SIM_LOST_AFTER_MS), SIM_CUT, n->index);
    } else {
        sim_next_fault(s, SIM_CUT, n->index);
    }
}

static void restart_agent(struct sim *s, struct sim_node *n)
{
    n->life = ++s->lives;
    n->poll = 0;
    n->registered = n->parked = false;
    sim_at(s, sim_between(s, 50, 3000), SIM_REGISTER, n->index);
}

/* Containers run on; what the agent knew of them is on its disk. */
void sim_agent_dies(struct sim *s, struct sim_node *n)
{
    if (!s->calm) {
        sim_trace(s, "node %u: agent starts anew", n->index);
        restart_agent(s, n);
        sim_next_fault(s, SIM_AGENT_DIES, n->index);
    }
}

/* Everything on it is gone; the agent's notes too, or the containers that they speak of. */
void sim_node_dies(struct sim *s, struct sim_node *n)
{
    if (s->calm) {
        return;
    }
    restart_agent(s, n);
    sim_next_fault(s, SIM_NODE_DIES, n->index);
    bool notes = sim_chance(s, 50);
    for (unsigned i = 0; i < SIM_MAX_TASKS; i++) {
        struct sim_task *t = &n->tasks[i];
        if (!t->used) {
            continue;
        }
        if (!notes) {
            sim_forget_task(n, t);
        } else if (t->status != TASK_STOPPED) {
            t->status = TASK_STOPPED;
            t->sequence++;
            t->exit_code = 137;
            t->stop_code = "EssentialContainerExited";
            t->reason = "the machine started anew";
        }
    }
    sim_trace(s, "node %u: machine starts anew, %s notes", n->index, notes ? "with" : "without");
}

static bool is_lost(struct sim *s, struct sim_node *n)
{
    const char *key;
    struct gt_str value;
    char prefix[96];
    snprintf(prefix, sizeof prefix, SIM_PLACE "ecs/node/default/%s", n->id);
    void *rec;
    return core_next_key(s->core, prefix, NULL, &key, &value) &&
           rec_decode(&rec_ecs_node_desc, value, &s->arena, &rec, NULL) == 0 &&
           ((struct rec_ecs_node *)rec)->lost;
}

void sim_liveness(struct sim *s)
{
    sim_at(s, 1000, SIM_LIVENESS, 0);
    for (unsigned i = 0; i < s->n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        bool late = n->seen && s->now - n->seen > SIM_LOST_AFTER_MS;
        if (!n->seen || late == is_lost(s, n)) {
            continue;
        }
        sim_trace(s, "node %u is %s", i, late ? "lost" : "back");
        if (late) {
            struct agent_node_lost_in in = {.node_id = gt_str(n->id)};
            struct agent_node_lost_out out = {0};
            sim_call(s, agent_control(), "NodeLost", &sim_internal, &in, &out);
            s->result.nodes_lost++;
            if (sim_chance(s, 60)) {
                s->slow_until = s->now + sim_between(s, 0, 4000);
            }
        } else {
            struct agent_node_back_in in = {.node_id = gt_str(n->id)};
            struct agent_node_back_out out = {0};
            sim_call(s, agent_control(), "NodeBack", &sim_internal, &in, &out);
        }
    }
}

/* Some of what was committed and nobody was told of is lost with the process. */
int sim_server_dies(struct sim *s)
{
    uint64_t revision = core_revision(s->core);
    uint64_t back = (uint64_t)sim_between(s, 0, (int64_t)(revision - s->durable));
    revision -= back;
    sim_trace(s, "server dies; %llu revisions are lost", (unsigned long long)back);
    struct journal *journal = memory_journal_copy(s->journal, revision);
    core_free(s->core);
    journal_close(s->journal);
    s->journal = journal;
    s->core = NULL;
    s->result.crashes++;
    struct core_options co = {.seed = s->options.seed + s->result.crashes,
                              .tight = s->options.tight,
                              .on_write = sim_written,
                              .on_write_arg = s};
    int r = core_new(journal, s->served, &co, &s->core, s->err);
    if (r < 0) {
        return gt_err_wrap(s->err, "recovery");
    }
    if (core_revision(s->core) != revision || core_hash(s->core) != s->hashes[revision]) {
        return sim_violation(s, "recovered to another state than revision %llu was",
                             (unsigned long long)revision);
    }
    s->durable = revision;
    sim_recovered(s);
    for (unsigned i = 0; i < s->n_nodes; i++) {
        struct sim_node *n = &s->nodes[i];
        n->seen = n->seen ? s->now : 0; /* deadlines start anew */
        if (n->parked) {
            n->parked = false;
            sim_at_poll(s, sim_between(s, 10, 1000), n);
        }
    }
    return 0;
}
