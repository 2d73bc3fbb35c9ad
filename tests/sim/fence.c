/* An operator says of a lost node that it is off, and takes it back. */
#include "control/services/agent/agent.h"
#include "trial_priv.h"

#include <stdio.h>

/* As admin's Fence does. */
static struct core_call call_fence(struct trial *t, struct gt_str node, bool undo)
{
    struct rec_ecs_fence f = {.node = node, .undo = undo};
    struct core_call c = {.change = &node_fence,
                          .in = &f,
                          .principal = sim_root,
                          .region = GT_STR_LIT(SIM_REGION),
                          .arena = &t->w.arena};
    sim_world_apply(&t->w, &c);
    trace(t, "Fence " GT_STR_FMT "%s: %s", GT_STR_ARG(node), undo ? " no more" : "",
          c.result < 0 ? c.err.msg : "ok");
    return c;
}

static void fence_now(void *arg, uint64_t id, uint64_t n)
{
    struct trial *t = arg;
    struct gt_str node = gt_str((const char *)(uintptr_t)id);
    if (t->calm || t->death.dead) {
        return;
    }
    struct liar *l = &t->liars[n];
    snprintf(l->fenced_in, sizeof l->fenced_in, "%s",
             sim_agents_node(t->agents, (unsigned)n)->session);
    if (call_fence(t, node, /* undo= */ false).result >= 0) {
        detector_gone(t->detector, node);
    }
}

static void fence_end(void *arg, uint64_t id, uint64_t unused)
{
    struct trial *t = arg;
    if (!t->death.dead) {
        call_fence(t, gt_str((const char *)(uintptr_t)id), /* undo= */ true);
    }
}

/* An operator has seen that the machine is off; or believes it. */
void fence_node(struct trial *t, unsigned node)
{
    const char *id = sim_agents_node(t->agents, node)->spec.id;
    t->cuts[node].to_server = t->w.now + between(t, LOST_AFTER_MS, 4 * LOST_AFTER_MS);
    sim_at(&t->w, LOST_AFTER_MS + 3000, fence_now, t, (uint64_t)(uintptr_t)id, node);
    sim_at(&t->w, LOST_AFTER_MS + 3000 + between(t, 1, 40000), fence_end, t,
           (uint64_t)(uintptr_t)id, 0);
}

/* Until none is left: a call may have no answer. */
void fence_end_all(void *arg, uint64_t a, uint64_t b)
{
    struct trial *t = arg;
    for (unsigned i = 0; i < t->plan.nodes && !t->death.dead; i++) {
        const char *id = sim_agents_node(t->agents, i)->spec.id;
        char key[128];
        snprintf(key, sizeof key, SIM_PLACE "ecs/node/default/%s", id);
        const struct rec_ecs_node *n = state_get(t, key, &rec_ecs_node_desc);
        if (n && n->fenced) {
            call_fence(t, gt_str(id), /* undo= */ true);
        }
    }
    gt_arena_reset(&t->w.arena);
    if (!t->over) {
        sim_at(&t->w, LOST_AFTER_MS, fence_end_all, t, 0, 0);
    }
}
