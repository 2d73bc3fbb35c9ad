#include "node/shim/shim_priv.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"

#include <string.h>
#include <sys/stat.h>

/* To the file first: an event that somebody was told of must not be unknown to who asks later. */
void event_record(struct shim_server *s, struct shim_event *e)
{
    e->seq = ++s->last_seq;
    if (!e->time_ms) {
        e->time_ms = gt_clock_real_ms();
    }
    if (gt_write_full(s->events_fd, e, sizeof *e) < 0) {
        gt_error("event %llu could not be recorded", (unsigned long long)e->seq);
    }
    client_event(s, e);
}
