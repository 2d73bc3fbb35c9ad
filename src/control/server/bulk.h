/*
 * Worker threads for what may block: data operations and bodies of uploads. A job is run once, by
 * one worker; jobs begin in the order in which they came.
 */
#ifndef GT_CONTROL_SERVER_BULK_H
#define GT_CONTROL_SERVER_BULK_H

#include <stdbool.h>

struct bulk;
struct bulk_job {
    void (*run)(struct bulk_job *job); /* may free it or submit it again */
    struct bulk_job *next;             /* the pool's own */
};

struct bulk *bulk_new(unsigned threads, unsigned max_waiting);
/* From any thread. False when too many wait (never for `urgent` ones, which go on with something
 * that was begun). */
bool bulk_submit(struct bulk *b, struct bulk_job *job, bool urgent);
/* Runs what waits, then ends the threads. */
void bulk_free(struct bulk *b);

#endif
