#include "control/services/agent/subnets.h"

#include "control/core/view.h"
#include "control/services/ecs/names.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "store/record/gen/rec_ecs.h"
#include "store/record/record.h"

struct subnets {
    struct gt_table owners; /* "<account>/<region>/<subnet>" -> the node's id, NUL-terminated */
    struct gt_arena arena;  /* of the record at hand */
};

static void *open_subnets(void)
{
    struct subnets *s = gt_new(struct subnets);
    gt_table_init(&s->owners);
    gt_arena_init(&s->arena, GT_LIMIT_API_ARENA);
    return s;
}

static void close_subnets(void *data)
{
    struct subnets *s = data;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->owners, &it));) {
        free(e->value);
    }
    gt_table_fini(&s->owners);
    gt_arena_fini(&s->arena);
    free(s);
}

/* The subnet of a node's record, after the account and region of its key; n 0: none. */
static struct gt_str subnet_of(struct subnets *s, const char *key, struct gt_str value)
{
    void *rec = NULL;
    int r = value.p ? rec_decode(&rec_ecs_node_desc, value, &s->arena, &rec, NULL) : 0;
    GT_ASSERT(r == 0); /* as in tx_get() */
    const struct rec_ecs_node *n = rec;
    if (!n || !n->subnet.n) {
        return (struct gt_str){0};
    }
    int place = (int)(key_rest(key) - key);
    return gt_str(gt_arena_printf(&s->arena, "%.*s" GT_STR_FMT, place, key, GT_STR_ARG(n->subnet)));
}

static void change(void *data, const char *key, struct gt_str before, struct gt_str after)
{
    struct subnets *s = data;
    struct gt_str id = key_tail(key);
    struct gt_str old = subnet_of(s, key, before), new = subnet_of(s, key, after);
    const char *owner = old.n ? gt_table_get(&s->owners, old) : NULL;
    if (owner && gt_str_is(id, owner)) { /* else another node has taken it over */
        free(gt_table_del(&s->owners, old));
    }
    if (new.n) {
        free(gt_table_put(&s->owners, new, gt_strndup(id.p, id.n)));
    }
    gt_arena_reset(&s->arena);
}

bool subnet_taken(struct tx *tx, struct gt_str subnet, struct gt_str by)
{
    static const char *const under[] = {"ecs/node/", NULL};
    static const struct core_view view = {under, open_subnets, change, close_subnets};
    const struct subnets *s = tx_view(tx, &view);
    const char *owner =
        gt_table_get(&s->owners, gt_str(tx_key(tx, GT_STR_FMT, GT_STR_ARG(subnet))));
    return owner && !gt_str_is(by, owner);
}
