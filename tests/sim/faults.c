/* What goes wrong: networks, agents, machines, images, and the server itself. */
#include "trial_priv.h"

#include "control/services/agent/agent.h"

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
static void cut(struct trial *t, unsigned node)
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

static void cut_many(struct trial *t)
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

static void noise(struct trial *t)
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

static void trouble(struct trial *t)
{
    static const char *const names[] = {"fail", "are slow", "crash at once"};
    t->trouble = (unsigned)between(t, 0, TROUBLES - 1);
    t->trouble_until = t->w.now + between(t, 1000, 20000);
    trace(t, "images %s for %lld ms", names[t->trouble], (long long)(t->trouble_until - t->w.now));
}

/* ---- the server ---- */

enum death {
    NOT_YET,
    UNDURABLE,  /* in a call that wrote, before that is durable */
    UNANSWERED, /* ... after it is, before the answer leaves */
};

size_t fault_turn(void *arg)
{
    struct trial *t = arg;
    if (t->death.dead) {
        return 0;
    }
    return !t->calm && t->w.now < t->slow_until ? gt_prng_below(&t->net, 2) : SIZE_MAX;
}

bool fault_cut_off(void *arg, const struct core_call *c, uint64_t before)
{
    struct trial *t = arg;
    uint64_t after = core_revision(t->w.core);
    note_hash(t);
    if (c->result < 0 && after != before) {
        violation(t, "who is refused changes nothing", GT_STR_FMT " was refused and wrote",
                  GT_STR_ARG(c->label));
    }
    if (!t->death.dead && t->death.when != NOT_YET && after != before) {
        t->death.dead = true;
        t->death.keeps = t->death.when == UNDURABLE ? GT_MAX(before, t->w.durable) : after;
        trace(t, "the server dies in " GT_STR_FMT ", %s", GT_STR_ARG(c->label),
              t->death.when == UNDURABLE ? "before it is durable" : "before it answers");
    }
    return t->death.dead;
}

/* Some of what was committed and nobody was told of may be lost with the process. */
static void server_dies(struct trial *t)
{
    int64_t when = between(t, 0, 2);
    if (when == 0) {
        uint64_t undurable = core_revision(t->w.core) - t->w.durable;
        t->death.dead = true;
        t->death.keeps = t->w.durable + (uint64_t)between(t, 0, (int64_t)undurable);
        trace(t, "the server dies; revision %llu is kept", (unsigned long long)t->death.keeps);
    } else {
        t->death.when = when == 1 ? UNDURABLE : UNANSWERED;
    }
}

int server_restart(struct trial *t)
{
    uint64_t keeps = t->death.keeps;
    t->death.dead = false;
    t->death.when = NOT_YET;
    t->result.restarts++;
    int r = sim_world_restart(&t->w, memory_journal_copy(t->w.journal, keeps), t->err);
    if (r < 0) {
        return gt_err_wrap(t->err, "recovery");
    }
    if (core_revision(t->w.core) != keeps || core_hash(t->w.core) != t->hashes[keeps]) {
        return violation(t, "recovery gives the same state", "revision %llu is another one",
                         (unsigned long long)keeps);
    }
    sim_agents_server_restarted(t->agents);
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        struct sim_node *n = sim_agents_node(t->agents, i);
        n->heard = n->heard ? t->w.now : 0; /* deadlines start anew */
    }
    watch_recovered(t);
    callers_recovered(t);
    return gt_err_code(t->err);
}

/* ---- liveness, as the server's own actor is ---- */

static bool is_lost(struct trial *t, const struct sim_node *n)
{
    char key[128];
    snprintf(key, sizeof key, SIM_PLACE "ecs/node/default/%s", n->spec.id);
    const struct rec_ecs_node *rec = state_get(t, key, &rec_ecs_node_desc);
    return rec && rec->lost;
}

void liveness_look(void *arg, uint64_t a, uint64_t b)
{
    struct trial *t = arg;
    if (t->over) {
        return;
    }
    sim_at(&t->w, 1000, liveness_look, t, 0, 0);
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        const struct sim_node *n = sim_agents_node(t->agents, i);
        bool late = n->heard && t->w.now - n->heard > LOST_AFTER_MS;
        if (!n->heard || late == is_lost(t, n)) {
            continue;
        }
        trace(t, "node %u is %s", i, late ? "lost" : "back");
        if (late) {
            struct agent_node_lost_in in = {.node_id = gt_str(n->spec.id)};
            struct agent_node_lost_out out = {0};
            sim_world_call(&t->w, agent_control(), &agent_op_node_lost, &sim_internal, &in, &out);
            t->result.nodes_lost++;
        } else {
            struct agent_node_back_in in = {.node_id = gt_str(n->spec.id)};
            struct agent_node_back_out out = {0};
            sim_world_call(&t->w, agent_control(), &agent_op_node_back, &sim_internal, &in, &out);
        }
    }
}

/* ---- acts ---- */

void fault_play(struct trial *t, const struct act *a)
{
    switch (a->kind) {
    case ACT_CUT:
        cut(t, a->node);
        break;
    case ACT_CUT_MANY:
        cut_many(t);
        break;
    case ACT_NOISE:
        noise(t);
        break;
    case ACT_AGENT_DIES:
        sim_agents_start(t->agents, a->node, between(t, 50, 3000));
        break;
    case ACT_NODE_DIES:
        sim_agents_crash(t->agents, a->node, chance(t, 50));
        sim_agents_start(t->agents, a->node,
                         chance(t, 70) ? between(t, 50, 5000) : between(t, 5000, 30000));
        break;
    case ACT_SERVER_DIES:
        server_dies(t);
        break;
    case ACT_SLOW_CORE:
        t->slow_until = t->w.now + between(t, 100, 6000);
        break;
    case ACT_TROUBLE:
        trouble(t);
        break;
    case ACT_CALL:
    case ACT_RANDOM_CALL:
    case ACT_KINDS:
        break;
    }
}

void faults_cease(struct trial *t)
{
    t->calm = true;
    t->noise_until = t->trouble_until = 0;
    t->death.when = NOT_YET;
    memset(t->cuts, 0, t->plan.nodes * sizeof *t->cuts);
}
