#include "control/core/thread_priv.h"

void prefix_table_init(struct prefix_table *t)
{
    gt_table_init(&t->table);
}

void prefix_table_fini(struct prefix_table *t)
{
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&t->table, &it))) {
        free(e->value);
    }
    gt_table_fini(&t->table);
}

struct prefix_slot *prefix_add(struct prefix_table *t, const char *prefix, struct gt_list *item)
{
    struct gt_str p = gt_str(prefix);
    struct prefix_slot *slot = gt_table_get(&t->table, p);
    if (!slot) {
        slot = gt_malloc(sizeof *slot + p.n + 1);
        gt_list_init(&slot->items);
        slot->n = 0;
        memcpy(slot->prefix, prefix, p.n + 1);
        gt_table_put(&t->table, p, slot);
    }
    gt_list_push_back(&slot->items, item);
    slot->n++;
    return slot;
}

void prefix_remove(struct prefix_table *t, struct prefix_slot *slot, struct gt_list *item)
{
    gt_list_remove(item);
    if (--slot->n == 0) {
        gt_table_del(&t->table, gt_str(slot->prefix));
        free(slot);
    }
}

void prefix_match(struct prefix_table *t, const char *key,
                  void (*fn)(void *arg, struct prefix_slot *slot), void *arg)
{
    if (t->table.count == 0) {
        return;
    }
    for (const char *p = key;; p++) {
        bool end = *p == '\0';
        if (!end && *p != '/') {
            continue;
        }
        struct prefix_slot *slot = gt_table_get(&t->table, gt_str_n(key, (size_t)(p - key) + !end));
        if (slot) {
            fn(arg, slot);
        }
        if (end) {
            return;
        }
    }
}
