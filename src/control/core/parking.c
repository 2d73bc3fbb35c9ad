#include "control/core/thread_priv.h"

void parking_init(struct parking *p)
{
    *p = (struct parking){.next = INT64_MAX};
    prefix_table_init(&p->by_prefix);
    gt_list_init(&p->all);
    gt_list_init(&p->woken);
}

void parking_fini(struct parking *p)
{
    GT_ASSERT(p->n == 0);
    prefix_table_fini(&p->by_prefix);
}

void parking_put(struct parking *p, struct core_request *rq)
{
    struct parked *it = gt_new(struct parked);
    it->rq = rq;
    it->slot = prefix_add(&p->by_prefix, rq->call.wait_prefix, &it->link);
    gt_list_push_back(&p->all, &it->by_time);
    rq->parked = it;
    p->next = GT_MIN(p->next, rq->call.wait_until);
    p->n++;
}

static void wake(struct parking *p, struct parked *it)
{
    prefix_remove(&p->by_prefix, it->slot, &it->link);
    gt_list_remove(&it->by_time);
    gt_list_push_back(&p->woken, &it->rq->link);
    it->rq->parked = NULL;
    p->n--;
    free(it);
}

static void wake_slot(void *arg, struct prefix_slot *slot)
{
    /* The slot goes with its last item. */
    for (size_t n = slot->n; n > 0; n--) {
        wake(arg, gt_list_entry(slot->items.next, struct parked, link));
    }
}

void parking_written(struct parking *p, const char *key)
{
    prefix_match(&p->by_prefix, key, wake_slot, p);
}

void parking_expire(struct parking *p, int64_t now)
{
    if (now < p->next) {
        return;
    }
    p->next = INT64_MAX;
    gt_list_for_each (link, next, &p->all) {
        struct parked *it = gt_list_entry(link, struct parked, by_time);
        if (it->rq->call.wait_until <= now) {
            it->rq->call.wait_over = true;
            wake(p, it);
        } else {
            p->next = GT_MIN(p->next, it->rq->call.wait_until);
        }
    }
}
