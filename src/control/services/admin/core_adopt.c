/* Adopt: lets nodes come back that are astray; see agent/astray.h. Also what would become of their
 * tasks. */
#include "control/services/agent/astray.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/admin_handlers.h"
#include "lib/base/mem.h"

enum { TASKS_SHOWN = 500, NODES_A_CALL = 200 };

struct showing {
    struct tx *tx;
    struct admin_astray_node *to;
    int64_t known, unknown, gone;
};

static void show_task(struct showing *s, struct admin_astray_task t)
{
    if (s->to->tasks.n < TASKS_SHOWN) {
        s->to->tasks.v[s->to->tasks.n++] = t;
    }
}

/* What the node has. */
static void show_reported(struct showing *s, struct gt_str node)
{
    struct tx_cursor c = tx_scan(s->tx, key_astray(s->tx, node, gt_str("")), NULL);
    for (const char *key; (key = tx_next(&c));) {
        struct rec_ecs_astray *a = tx_get(s->tx, key, &rec_ecs_astray_desc);
        struct admin_astray_task t = {
            .task_id = a->id,
            .family = a->family,
            .group = a->group,
            .status = gt_str(task_state_name(a->status)),
            .what = gt_str(a->known ? ADMIN_ADOPTION_GOES_ON : ADMIN_ADOPTION_ENDS)};
        if (a->started_at) {
            WIRE_SET(&t, started_at, a->started_at);
        }
        *(a->known ? &s->known : &s->unknown) += 1;
        show_task(s, t);
    }
}

/* What the state says that it has, and it has not. */
static void show_missing(struct showing *s, struct gt_str node)
{
    struct tx_cursor c = tx_scan(s->tx, key_assign(s->tx, node, gt_str("")), NULL);
    for (const char *key; (key = tx_next(&c));) {
        struct rec_ecs_assignment *a = tx_get(s->tx, key, &rec_ecs_assignment_desc);
        struct rec_ecs_task *t = task_get(s->tx, a->cluster, a->task);
        if (!t || t->last_status == TASK_STOPPED ||
            tx_exists(s->tx, key_astray(s->tx, node, t->id))) {
            continue;
        }
        s->gone++;
        show_task(s, (struct admin_astray_task){.task_id = t->id,
                                                .family = t->family,
                                                .group = t->group,
                                                .status = gt_str(task_state_name(t->last_status)),
                                                .what = GT_STR_LIT(ADMIN_ADOPTION_IS_GONE)});
    }
}

static void show(struct tx *tx, const struct rec_ecs_node *n, struct admin_astray_node *to)
{
    struct showing s = {.tx = tx, .to = to};
    *to = (struct admin_astray_node){.node_id = n->id, .name = n->name, .cluster = n->cluster};
    to->tasks.v = gt_arena_array(tx_arena(tx), struct admin_astray_task, TASKS_SHOWN);
    to->tasks.has = true;
    WIRE_SET(to, known_revision, n->known_revision);
    WIRE_SET(to, adopted, n->adopted);
    show_reported(&s, n->id);
    show_missing(&s, n->id);
    WIRE_SET(to, go_on, s.known);
    WIRE_SET(to, end, s.unknown);
    WIRE_SET(to, gone, s.gone);
}

static bool named(const struct admin_adopt_in *in, struct gt_str node)
{
    for (size_t i = 0; i < in->node_ids.n; i++) {
        if (gt_str_eq(in->node_ids.v[i], node)) {
            return true;
        }
    }
    return !in->node_ids.has;
}

int admin_adopt(struct tx *tx, const struct admin_adopt_in *in, struct admin_adopt_out *out,
                struct gt_err *err)
{
    out->nodes.v = gt_arena_array(tx_arena(tx), struct admin_astray_node, NODES_A_CALL);
    out->nodes.has = true;
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "ecs/node/"), NULL);
    for (const char *key; out->nodes.n < NODES_A_CALL && (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
        if (!n->astray || !named(in, n->id)) {
            gt_arena_release(tx_arena(tx), mark);
            continue;
        }
        show(tx, n, &out->nodes.v[out->nodes.n++]);
        if (!in->dry_run) {
            astray_adopt(tx, n);
        }
    }
    for (size_t i = 0; i < in->node_ids.n; i++) {
        size_t k = 0;
        while (k < out->nodes.n && !gt_str_eq(out->nodes.v[k].node_id, in->node_ids.v[i])) {
            k++;
        }
        if (k == out->nodes.n) {
            return gt_err_set(err, GT_ERR_NOT_FOUND, "node '" GT_STR_FMT "' is not astray",
                              GT_STR_ARG(in->node_ids.v[i]));
        }
    }
    return 0;
}
