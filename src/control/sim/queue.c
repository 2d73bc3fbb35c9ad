#include "control/sim/queue.h"

#include "lib/base/mem.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_queue_push(struct sim_queue *q, int64_t at, sim_event_fn *fn, void *arg, uint64_t a,
                    uint64_t b)
{
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 256;
        q->heap = gt_realloc(q->heap, q->cap * sizeof *q->heap);
    }
    struct sim_event e = {.at = at, .order = q->order++, .fn = fn, .arg = arg, .a = a, .b = b};
    size_t i = q->n++;
    while (i && before(&e, &q->heap[(i - 1) / 2])) {
        q->heap[i] = q->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->heap[i] = e;
}

int64_t sim_queue_next(const struct sim_queue *q)
{
    return q->n ? q->heap[0].at : INT64_MAX;
}

struct sim_event sim_queue_pop(struct sim_queue *q)
{
    GT_ASSERT(q->n);
    struct sim_event top = q->heap[0], last = q->heap[--q->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= q->n) {
            break;
        }
        if (child + 1 < q->n && before(&q->heap[child + 1], &q->heap[child])) {
            child++;
        }
        if (before(&last, &q->heap[child])) {
            break;
        }
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
    return top;
}

void sim_queue_fini(struct sim_queue *q)
{
    free(q->heap);
    *q = (struct sim_queue){0};
}
