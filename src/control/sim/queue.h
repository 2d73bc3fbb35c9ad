/*
 * What is to come in virtual time: a heap of events. Two at the same time come in the order in
 * which they were pushed, so the same pushes give the same order of events.
 *
 * An event cannot be taken back. Who may have changed his mind gives it a number (`a` or `b`) that
 * fn compares with what is current.
 */
#ifndef GT_CONTROL_SIM_QUEUE_H
#define GT_CONTROL_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void sim_event_fn(void *arg, uint64_t a, uint64_t b);

struct sim_event {
    int64_t at; /* ms */
    uint64_t order;
    sim_event_fn *fn;
    void *arg;
    uint64_t a, b;
};

struct sim_queue { /* zero: empty */
    struct sim_event *heap;
    size_t n, cap;
    uint64_t order;
};

void sim_queue_push(struct sim_queue *q, int64_t at, sim_event_fn *fn, void *arg, uint64_t a,
                    uint64_t b);
int64_t sim_queue_next(const struct sim_queue *q);   /* when; INT64_MAX: empty */
struct sim_event sim_queue_pop(struct sim_queue *q); /* not empty */
void sim_queue_fini(struct sim_queue *q);

#endif
