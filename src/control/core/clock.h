/*
 * The core's clock: the system's, but never slower than time itself. When the system's clock steps
 * back, the core's goes on from where it was, as fast as the monotonic one, until it is caught up
 * with: alarms and long polls are late by nothing. A step forward is taken as it comes.
 */
#ifndef GT_CONTROL_CORE_CLOCK_H
#define GT_CONTROL_CORE_CLOCK_H

#include "lib/base/mem.h"

#include <stdint.h>

struct core_clock {
    int64_t last;    /* ms since 1970: what it read */
    int64_t last_at; /* ... at this monotonic ms */
};

/* `from`: the core's time so far (core_time()), which may be ahead of the system's clock. */
static inline void core_clock_init(struct core_clock *c, int64_t from, int64_t mono_ms)
{
    *c = (struct core_clock){from, mono_ms};
}

static inline int64_t core_clock_read(struct core_clock *c, int64_t real_ms, int64_t mono_ms)
{
    int64_t at_least = c->last + GT_MAX(mono_ms - c->last_at, (int64_t)0);
    c->last = GT_MAX(real_ms, at_least);
    c->last_at = mono_ms;
    return c->last;
}

#endif
