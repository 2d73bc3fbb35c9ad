#include "control/core/retention.h"

#include "lib/base/limits.h"

enum {
    DAY_MS = 24 * 3600 * 1000,
    DAYS = 7,
    SNAPSHOTS = 4,
    EVERY = 50000,
    SHARE = 8, /* a snapshot each eighth of the age: so exactly is what is too old let go */
};

void retention_fill(struct retention *r)
{
    r->age_ms = r->age_ms ? r->age_ms : (int64_t)DAYS * DAY_MS;
    r->bytes = r->bytes ? r->bytes : GT_GIB;
    r->snapshots = r->snapshots ? r->snapshots : SNAPSHOTS;
    r->every = r->every ? r->every : EVERY;
    r->every_bytes = r->every_bytes ? r->every_bytes : GT_MIN(r->bytes / SHARE, 128 * GT_MIB);
}

bool retention_snapshot_due(const struct retention *r, const struct retention_state *s)
{
    struct journal_mark last = s->n ? s->snapshots[s->n - 1] : (struct journal_mark){0};
    uint64_t since = s->revision - GT_MIN(last.revision, s->revision);
    bool old = s->n && s->now - last.time >= r->age_ms / SHARE;
    uint64_t bytes = s->bytes - last.bytes;
    bool much = since >= r->every || bytes >= r->every_bytes;
    return since && (old || (much && bytes >= s->state_bytes / 2));
}

void retention_forget(const struct retention *r, const struct retention_state *s,
                      uint64_t *ret_entries, uint64_t *ret_snapshots)
{
    size_t base = 0; /* one more than the index of what the kept entries stand on */
    for (size_t i = 0; i < s->n; i++) {
        if (s->snapshots[i].time <= s->now - r->age_ms) {
            base = i + 1;
        }
    }
    /* The part before the first snapshot counts with what came after it. */
    while (base < s->n && s->bytes - (base ? s->snapshots[base - 1].bytes : 0) > r->bytes) {
        base++;
    }
    *ret_entries = base ? s->snapshots[base - 1].revision : 0;
    *ret_snapshots = base > r->snapshots + 1 ? s->snapshots[base - 1 - r->snapshots].revision : 0;
}
