#include "control/core/core_priv.h"

#include "lib/base/limits.h"

void dirty_init(struct dirty_queue *q)
{
    gt_list_init(&q->list);
    gt_table_init(&q->known);
}

void dirty_fini(struct dirty_queue *q)
{
    struct dirty *d;
    while ((d = dirty_pop(q))) {
        free(d);
    }
    gt_table_fini(&q->known);
}

/* Names of controllers hold no NUL, so the two parts cannot be mixed up. */
static struct gt_str known_key(const struct controller *c, const char *key,
                               char to[static GT_LIMIT_KEY + 128])
{
    size_t name = strlen(c->name) + 1, n = strlen(key);
    GT_ASSERT(name < 128 && n <= GT_LIMIT_KEY);
    memcpy(to, c->name, name);
    memcpy(to + name, key, n);
    return gt_str_n(to, name + n);
}

void dirty_push(struct dirty_queue *q, const struct controller *c, const char *key)
{
    char text[GT_LIMIT_KEY + 128];
    struct gt_str known = known_key(c, key, text);
    if (gt_table_get(&q->known, known)) {
        return;
    }
    size_t n = strlen(key) + 1;
    struct dirty *d = gt_malloc(sizeof *d + n);
    d->controller = c;
    memcpy(d->key, key, n);
    gt_list_push_back(&q->list, &d->link);
    gt_table_put(&q->known, known, d);
}

struct dirty *dirty_pop(struct dirty_queue *q)
{
    if (gt_list_empty(&q->list)) {
        return NULL;
    }
    struct dirty *d = gt_list_entry(q->list.next, struct dirty, link);
    char text[GT_LIMIT_KEY + 128];
    gt_list_remove(&d->link);
    gt_table_del(&q->known, known_key(d->controller, d->key, text));
    return d;
}
