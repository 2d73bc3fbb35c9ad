#include "node/agent/ended.h"

struct ended_task {
    struct gt_list link;
    uint64_t number; /* 1: the first one that ended */
    size_t n;
    char id[];
};

void ended_init(struct ended *e)
{
    gt_list_init(&e->tasks);
    atomic_init(&e->count, 0);
}

void ended_fini(struct ended *e)
{
    ended_forget(e, UINT64_MAX);
}

void ended_add(struct ended *e, struct gt_str id)
{
    struct ended_task *t = gt_malloc(sizeof *t + id.n);
    t->number = atomic_fetch_add(&e->count, 1) + 1;
    t->n = id.n;
    memcpy(t->id, id.p, id.n);
    gt_list_push_back(&e->tasks, &t->link);
}

uint64_t ended_count(struct ended *e)
{
    return atomic_load(&e->count);
}

bool ended_after(const struct ended *e, struct gt_str id, uint64_t since)
{
    gt_list_for_each (it, tmp, &e->tasks) {
        const struct ended_task *t = gt_list_entry(it, struct ended_task, link);
        if (t->number > since && gt_str_eq(gt_str_n(t->id, t->n), id)) {
            return true;
        }
    }
    return false;
}

void ended_forget(struct ended *e, uint64_t since)
{
    gt_list_for_each (it, tmp, &e->tasks) {
        struct ended_task *t = gt_list_entry(it, struct ended_task, link);
        if (t->number > since) {
            break;
        }
        gt_list_remove(&t->link);
        free(t);
    }
}
