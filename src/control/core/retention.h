/*
 * How much of the past is kept, and when a snapshot is due: pure.
 *
 * The entries of a journal stand on a snapshot: what is kept begins right after one, so that every
 * kept revision can be rebuilt. Older snapshots stay for a while without the entries between them.
 */
#ifndef GT_CONTROL_CORE_RETENTION_H
#define GT_CONTROL_CORE_RETENTION_H

#include "store/journal/journal.h"

struct retention {
    int64_t age_ms;       /* entries younger than this stay ... */
    uint64_t bytes;       /* ... unless the younger ones alone are larger than this */
    unsigned snapshots;   /* so many older snapshots stay */
    uint64_t every;       /* revisions between snapshots at most; */
    uint64_t every_bytes; /* bytes of entries likewise */
};

/* 0 in any member: the default. */
void retention_fill(struct retention *r);

/* How things stand: all snapshots, rising; `bytes` of all entries that there ever were. */
struct retention_state {
    const struct journal_mark *snapshots;
    size_t n;
    uint64_t revision, bytes;
    uint64_t state_bytes; /* about what a snapshot takes: one is due only when the entries since the
                             last one come to half of that, or it is old */
    int64_t now;
};

bool retention_snapshot_due(const struct retention *r, const struct retention_state *s);
/* Entries up to *ret_entries and snapshots below *ret_snapshots may go; 0: none. */
void retention_forget(const struct retention *r, const struct retention_state *s,
                      uint64_t *ret_entries, uint64_t *ret_snapshots);

#endif
