/* Which services are to look again, because of what was written. */
#include "control/services/ecs/names.h"
#include "control/services/ecs/service.h"

/* Room may have come: whoever waits for it in this cluster tries again. */
static void wake_waiting(struct tx *tx, const char *cluster,
                         void (*emit)(void *arg, const char *key), void *arg)
{
    size_t n = strcspn(cluster, "/");
    struct gt_str c = gt_str_n(cluster, n);
    struct tx_cursor cur =
        tx_scan(tx, tx_key(tx, "ecs/waiting/" GT_STR_FMT "/", GT_STR_ARG(c)), NULL);
    for (const char *key; (key = tx_next(&cur));) {
        emit(arg, key_service(tx, c, key_tail(key)));
    }
}

/* A node drains or is held, or is so no more: of what it was given, whatever is a service's. */
static void wake_of_node(struct tx *tx, struct gt_str node,
                         void (*emit)(void *arg, const char *key), void *arg)
{
    struct tx_cursor c = tx_scan(tx, key_assign(tx, node, gt_str("")), NULL);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_assignment *a = tx_get(tx, key, &rec_ecs_assignment_desc);
        struct rec_ecs_task *t = task_get(tx, a->cluster, a->task);
        if (t && t->service.n) {
            emit(arg, key_service(tx, t->cluster, t->service));
        }
        gt_arena_release(tx_arena(tx), mark);
    }
}

void service_watch(struct tx *tx, const char *changed, void (*emit)(void *arg, const char *key),
                   void *arg)
{
    struct gt_str rest = gt_str(key_rest(changed));
    if (gt_str_starts(rest, GT_STR_LIT("ecs/service/"))) {
        emit(arg, changed);
    } else if (gt_str_starts(rest, GT_STR_LIT("ecs/task/"))) {
        struct rec_ecs_task *t = tx_get(tx, changed, &rec_ecs_task_desc);
        if (t && t->service.n) {
            emit(arg, key_service(tx, t->cluster, t->service));
        }
    } else if (gt_str_starts(rest, GT_STR_LIT("ecs/drain/")) ||
               gt_str_starts(rest, GT_STR_LIT("ecs/held/"))) {
        wake_of_node(tx, key_tail(changed), emit, arg);
    } else if (gt_str_starts(rest, GT_STR_LIT("ecs/load/")) ||
               gt_str_starts(rest, GT_STR_LIT("ecs/node/"))) {
        wake_waiting(tx, rest.p + strlen("ecs/load/"), emit, arg);
    }
}
