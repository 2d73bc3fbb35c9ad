/*
 * What the loss of a node means for its tasks: they count as stopped, and what they hold stays
 * reserved until the node says that they are gone (ghosts), or somebody says that the node is (it
 * is deregistered or fenced: `gone`). Who lost the node has made the record; this goes over the
 * node's assignments in the order of their keys, some at a time, and remembers how far it came.
 * Nothing is assigned to a lost node, so nothing comes up behind it. A node that is back has no
 * record any more: what was not stopped by then goes on running.
 */
#include "control/services/agent/agent.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "lib/base/mem.h"

enum { TASKS_A_STEP = 100 };

void node_found(struct tx *tx, struct rec_ecs_node *n)
{
    n->lost = n->held = false;
    n->lost_at = 0;
    n->version++;
    tx_delete(tx, key_lost(tx, n->id));
    tx_delete(tx, key_held(tx, n->cluster, n->id));
}

void node_hold(struct tx *tx, struct rec_ecs_node *n)
{
    n->lost = n->held = true;
    n->lost_at = tx_now(tx);
    n->version++;
    tx_mark(tx, key_held(tx, n->cluster, n->id));
}

void node_lose(struct tx *tx, struct rec_ecs_node *n, struct gt_str reason, bool gone)
{
    n->lost = true;
    n->held = false;
    n->lost_at = tx_now(tx);
    n->version++;
    tx_delete(tx, key_held(tx, n->cluster, n->id));
    struct rec_ecs_lost l = {.cluster = n->cluster, .reason = reason, .gone = gone};
    tx_put(tx, key_lost(tx, n->id), &rec_ecs_lost_desc, &l);
}

static struct gt_str reason(struct tx *tx, const struct rec_ecs_lost *l, struct gt_str node)
{
    return gt_str(gt_arena_printf(
        tx_arena(tx), "Host (container instance " GT_STR_FMT ") is lost%s" GT_STR_FMT,
        GT_STR_ARG(node), l->reason.n ? ": " : ".", GT_STR_ARG(l->reason)));
}

static void stop_one(struct tx *tx, const struct rec_ecs_lost *l, struct gt_str node,
                     struct gt_str id)
{
    struct rec_ecs_task *t = task_get(tx, l->cluster, id);
    if (!t) {
        return;
    }
    if (t->last_status != TASK_STOPPED) {
        if (!t->stop_code.n) {
            t->stop_code = GT_STR_LIT("TerminationNotice");
            t->stopped_reason = l->text.n ? l->text : reason(tx, l, node);
        }
        t->disconnected = true;
        task_apply(tx, t, TASK_NODE_LOST);
    }
    if (l->gone) {
        task_lay_ghost(tx, t);
    }
}

static enum step_result step(struct tx *tx, const char *key)
{
    struct rec_ecs_lost *l = tx_get(tx, key, &rec_ecs_lost_desc);
    if (!l) {
        return STEP_DONE;
    }
    struct gt_str node = key_tail(key);
    char *prefix = key_assign(tx, node, gt_str(""));
    struct tx_cursor c = tx_scan(tx, prefix, l->after.n ? key_assign(tx, node, l->after) : NULL);
    size_t left = tx_bound(tx, TASKS_A_STEP);
    for (const char *at; (at = tx_next(&c)); left--) {
        if (left == 0) {
            tx_put(tx, key, &rec_ecs_lost_desc, l);
            return STEP_AGAIN;
        }
        l->after = key_tail(at);
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        stop_one(tx, l, node, l->after);
        gt_arena_release(tx_arena(tx), mark); /* what was written is kept elsewhere */
    }
    tx_delete(tx, key);
    return STEP_DONE;
}

static void watch(struct tx *tx, const char *changed, void (*emit)(void *arg, const char *key),
                  void *arg)
{
    if (gt_str_starts(gt_str(key_rest(changed)), GT_STR_LIT("ecs/lost/"))) {
        emit(arg, changed);
    }
}

const struct controller agent_lost_controller = {
    .name = "agent-lost", .watch = watch, .all = "ecs/lost/", .step = step};
