/* What goes wrong with networks, agents, machines and images. */
#include "trial_priv.h"

#include <stdio.h>

/* ---- the network ---- */

struct sim_passage fault_passage(void *arg, const struct sim_node *n, bool to_server)
{
    struct trial *t = arg;
    struct sim_passage p = {0};
    const struct cut *c = &t->cuts[n->index];
    if (t->w.now < (to_server ? c->to_server : c->to_node)) {
        p.lost = true;
    } else if (t->w.now < t->noise_until) {
        p.lost = gt_prng_below(&t->net, 100) < t->loss;
        p.delay_ms = t->late ? (int64_t)gt_prng_below(&t->net, t->late) : 0;
        p.again_ms =
            gt_prng_below(&t->net, 100) < t->twice ? 1 + (int64_t)gt_prng_below(&t->net, 3000) : 0;
    }
    return p;
}

/* Sometimes long enough for the node to be given up. */
void fault_cut(struct trial *t, unsigned node)
{
    int64_t until = t->w.now + between(t, 100, 2 * LOST_AFTER_MS);
    int64_t ways = between(t, 0, 3); /* half of the time both */
    trace(t, "node %u is cut off for %lld ms, %s", node, (long long)(until - t->w.now),
          ways == 0   ? "to the server"
          : ways == 1 ? "from the server"
                      : "both ways");
    t->cuts[node].to_server = ways == 1 ? t->cuts[node].to_server : until;
    t->cuts[node].to_node = ways == 0 ? t->cuts[node].to_node : until;
}

void fault_cut_many(struct trial *t, unsigned node)
{
    int64_t until = t->w.now + between(t, LOST_AFTER_MS / 2, 3 * LOST_AFTER_MS);
    unsigned share = (unsigned)between(t, 20, 100);
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        if (chance(t, share)) {
            t->cuts[i] = (struct cut){until, until};
        }
    }
    trace(t, "about %u %% of all nodes are cut off for %lld ms", share,
          (long long)(until - t->w.now));
}

void fault_noise(struct trial *t, unsigned node)
{
    t->net.state = gt_prng_next(&t->dice);
    t->noise_until = t->w.now + between(t, 500, 15000);
    t->loss = (unsigned)between(t, 0, 30);
    t->twice = (unsigned)between(t, 0, 30);
    t->late = chance(t, 50) ? (unsigned)between(t, 1, 2000) : 0;
    trace(t, "%u %% of all messages are lost, %u %% come twice, up to %u ms late", t->loss,
          t->twice, t->late);
}

/* ---- tasks ---- */

enum trouble { FAILING, SLOW, CRASHING, TROUBLES };

/* What a task's life is: from its id, so that it is the same whatever else is played. */
void fault_fate(void *arg, const struct sim_node *n, const struct sim_task *task,
                struct sim_fate *ret)
{
    struct trial *t = arg;
    struct gt_prng dice = {.state = gt_hash(task->id, strlen(task->id), t->options.seed)};
    t->result.tasks_started++;
    ret->prepare_ms = 5 + (int64_t)gt_prng_below(&dice, 800);
    ret->stop_ms = 5 + (int64_t)gt_prng_below(&dice, 400);
    uint64_t ends = gt_prng_below(&dice, 100), code = gt_prng_below(&dice, 3);
    if (t->plan.restless && !t->calm && ends < 40) { /* it will end by itself */
        ret->run_ms = 100 + (int64_t)gt_prng_below(&dice, 30000);
        ret->exit_code = (int64_t)code;
    }
    if (t->calm || t->w.now >= t->trouble_until) {
        return;
    }
    if (t->trouble == FAILING) {
        ret->failure = "CannotPullContainerError: no such image";
    } else if (t->trouble == SLOW) {
        ret->prepare_ms += 1000 + (int64_t)gt_prng_below(&dice, 40000);
    } else {
        ret->run_ms = (int64_t)gt_prng_below(&dice, 50);
        ret->exit_code = 1;
    }
}

void fault_trouble(struct trial *t, unsigned node)
{
    static const char *const names[] = {"fail", "are slow", "crash at once"};
    t->trouble = (unsigned)between(t, 0, TROUBLES - 1);
    t->trouble_until = t->w.now + between(t, 1000, 20000);
    trace(t, "images %s for %lld ms", names[t->trouble], (long long)(t->trouble_until - t->w.now));
}

/* ---- machines ---- */

void fault_agent_dies(struct trial *t, unsigned node)
{
    sim_agents_start(t->agents, node, between(t, 50, 3000));
}

void fault_node_dies(struct trial *t, unsigned node)
{
    sim_agents_crash(t->agents, node, chance(t, 50));
    sim_agents_start(t->agents, node,
                     chance(t, 70) ? between(t, 50, 5000) : between(t, 5000, 30000));
}

/* A machine is made from the image of another one, with its identity; in the end it goes. */
static void clone_ends(void *arg, uint64_t node, uint64_t unused)
{
    struct trial *t = arg;
    sim_agents_crash(t->agents, (unsigned)node, /* notes_survive= */ false);
}

void fault_clone(struct trial *t, unsigned node)
{
    unsigned n = sim_agents_add(t->agents, &sim_agents_node(t->agents, node)->spec);
    sim_agents_node(t->agents, n)->memory = sim_agents_node(t->agents, node)->memory;
    t->liars[node].cloned = t->liars[n].cloned = true;
    sim_agents_start(t->agents, n, 1);
    sim_at(&t->w, between(t, 1000, 20000), clone_ends, t, n, 0);
}

static void deregister_again(void *arg, uint64_t node, uint64_t unused);

static void deregister(struct trial *t, unsigned node)
{
    enum { TEXT = 32 };
    struct sim_node *n = sim_agents_node(t->agents, node);
    enum answered a = callers_deregister(t, node);
    if (a == NO_ANSWER) {
        sim_at(&t->w, 200, deregister_again, t, node, 0);
    }
    if (a != YES) {
        return;
    }
    restore_drop(t); /* nodes that joined since are not in it */
    sim_agents_crash(t->agents, node, /* notes_survive= */ false);
    n->memory = (struct sim_memory){0};
    char *id = gt_arena_alloc(&t->texts, TEXT);
    snprintf(id, TEXT, "node%u-%u", node, ++t->ids);
    n->spec.id = id;
    n->heard = 0;
    sim_agents_start(t->agents, node, between(t, 10, 5000));
}

/* Whether a clone came in between does not matter: the first call may have done it. */
static void deregister_again(void *arg, uint64_t node, uint64_t unused)
{
    deregister(arg, (unsigned)node);
}

void fault_deregister(struct trial *t, unsigned node)
{
    if (!t->liars[node].cloned) { /* a clone would come back under the old name */
        deregister(t, node);
    }
}

void faults_cease(struct trial *t)
{
    t->calm = true;
    t->noise_until = t->trouble_until = 0;
    t->death.when = NOT_YET;
    memory_journal_mend(t->w.journal);
    memset(t->cuts, 0, sim_agents_count(t->agents) * sizeof *t->cuts);
    for (unsigned i = t->plan.nodes; i < sim_agents_count(t->agents); i++) {
        clone_ends(t, i, 0);
    }
    for (unsigned i = 0; i < t->plan.nodes; i++) { /* who fought with a clone starts clean */
        if (t->liars[i].cloned) {
            sim_agents_start(t->agents, i, 100);
        }
    }
    callers_activate(t);
    restore_adopt(t, 0, 0);
    fence_end_all(t, 0, 0);
}
