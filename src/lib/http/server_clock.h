/*
 * The server's time, as its answers tell it: a machine's clock may be wrong by hours, and still its
 * calls must be signed for a time that the server accepts, and what it reports must be dated.
 *
 * An answer's Date says the second in which it was made. That was between sending and receiving,
 * so it bounds what the server's clock is ahead by; each answer narrows the bounds. Where they
 * leave room for none, a clock was set: the last answer counts alone. As long as a difference of
 * zero is within the bounds the local clock is taken to be right.
 *
 * Times are milliseconds since 1970. Any thread.
 */
#ifndef GT_LIB_HTTP_SERVER_CLOCK_H
#define GT_LIB_HTTP_SERVER_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct server_clock {
    pthread_mutex_t lock;
    bool heard;
    int64_t low, high; /* the difference is >= low and < high */
};
#define SERVER_CLOCK_INIT ((struct server_clock){.lock = PTHREAD_MUTEX_INITIALIZER})

/* An answer dated `date` to a call between these two readings of the local clock. */
void server_clock_heard(struct server_clock *c, int64_t date, int64_t sent, int64_t received);
/* What to add to the local clock's readings. */
int64_t server_clock_ahead(struct server_clock *c);
int64_t server_clock_now(struct server_clock *c);

#endif
