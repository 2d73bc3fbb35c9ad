/*
 * The smallest event loop that does: sources with a descriptor and a callback, and one tick.
 * One event is taken at a time, so a callback may free any source, also itself; there is never a
 * second event in hand for one that is gone.
 */
#ifndef GT_NODE_LINK_LOOP_H
#define GT_NODE_LINK_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_source {
    int fd;
    void (*on)(struct loop_source *self, uint32_t events); /* EPOLL* */
};

struct loop {
    int fd;
    bool stop;
    int64_t now; /* monotonic ms, at the start of this turn */
};

int loop_open(struct loop *l);
void loop_close(struct loop *l);
int loop_add(struct loop *l, struct loop_source *s, uint32_t events);
int loop_change(struct loop *l, struct loop_source *s, uint32_t events);
/* Closes the descriptor. */
void loop_remove(struct loop *l, struct loop_source *s);
/* Until l->stop. tick() runs about every interval_ms while it says that something waits for it. */
int loop_run(struct loop *l, bool (*tick)(void *arg), void *arg, int interval_ms);

#endif
