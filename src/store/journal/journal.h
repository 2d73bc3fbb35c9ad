/*
 * The journal: an append-only log of what happened to the core, and the only thing that it keeps.
 *
 * An entry is one committed transaction: its revision (they rise by one), the core's time, the
 * seed, who called with what, and the writes that came of it. From time to time a snapshot of the
 * whole state stands beside the log, so that recovery reads the newest snapshot and the entries
 * after it, and older entries may go.
 *
 * Appending does not wait. Entries become durable in order, in groups; the journal says so by
 * calling on_durable with the highest durable revision, from a thread of its own (sqlite) or from
 * within journal_append (memory). A commit that does not succeed, or whose outcome is unknown, is
 * told by on_failed, once; after that the journal takes no more, and its owner must end the
 * process and recover.
 *
 * Two back ends: sqlite_journal_open (one file) and memory_journal_new (tests, simulator).
 * All calls but the callbacks come from one thread at a time.
 */
#ifndef GT_STORE_JOURNAL_JOURNAL_H
#define GT_STORE_JOURNAL_JOURNAL_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct journal_write {
    struct gt_str key;
    struct gt_str value; /* an encoded record */
    bool deleted;
};

struct journal_entry {
    uint64_t revision;
    int64_t time; /* ms since 1970 */
    uint64_t seed;
    struct gt_str principal; /* an encoded record, opaque here */
    struct gt_str label;     /* what was called: "ecs.RunTask", "controller:ecs-service" */
    struct gt_str input;     /* its input; opaque here */
    const struct journal_write *writes;
    size_t n_writes;
};

/* One key of a snapshot. */
struct journal_item {
    struct gt_str key, value;
    uint64_t create, modify; /* revisions */
};

/* What recovery calls, in this order: start once, item for each key of the newest snapshot in
 * rising order of keys, entry for each entry after it in rising order of revisions. What they are
 * given lives only during the call. A negative return ends the recovery with it. */
struct journal_reader {
    int (*start)(void *arg, uint64_t revision, int64_t time, struct gt_err *err);
    int (*item)(void *arg, const struct journal_item *item, struct gt_err *err);
    int (*entry)(void *arg, const struct journal_entry *entry, struct gt_err *err);
    void *arg;
};

/* Where a snapshot comes from: next() gives one key after the other, in rising order, until it
 * returns false; it is called on the journal's thread, so what it walks must not change. done() is
 * called when it is durable, or given up (err set; the journal goes on without it). */
struct journal_snapshot {
    uint64_t revision;
    int64_t time;
    bool (*next)(void *arg, struct journal_item *item);
    void (*done)(void *arg, const struct gt_err *err);
    void *arg;
};

/* < 0 ends the walk with it. */
typedef int journal_entry_fn(void *arg, const struct journal_entry *entry, struct gt_err *err);

struct journal_events {
    void (*on_durable)(void *arg, uint64_t revision);
    void (*on_failed)(void *arg, const struct gt_err *err);
    void *arg;
};

struct journal;

struct journal_stats {
    uint64_t commits, entries, bytes;
    uint64_t longest_us; /* the slowest commit */
};

/* Once, before the first append. */
int journal_recover(struct journal *j, const struct journal_reader *reader, struct gt_err *err);
/* Before the first append; replaces what was set. */
void journal_listen(struct journal *j, const struct journal_events *events);
/* Copies the entry. Its revision must be the last one's plus one. */
void journal_append(struct journal *j, const struct journal_entry *entry);
/* Waits until everything appended is durable and on_durable has returned. -EIO when a commit did
 * not succeed. */
int journal_flush(struct journal *j, struct gt_err *err);
/* Starts writing a snapshot in the background, between the commits. False when one is under way. */
bool journal_snapshot(struct journal *j, const struct journal_snapshot *snapshot);
/* When this returns no snapshot is under way: done() was called. */
void journal_cancel_snapshot(struct journal *j);
/* Entries at or below `revision`, but only those that a durable snapshot covers, may be forgotten;
 * and snapshots older than `snapshots_below`, but never the newest. */
void journal_forget(struct journal *j, uint64_t revision, uint64_t snapshots_below);
/* Walks kept entries with revision > after: replay, audit, standby. Only what is durable. Any
 * thread (sqlite). */
int journal_read(struct journal *j, uint64_t after, journal_entry_fn *fn, void *arg,
                 struct gt_err *err);
/* Calls the reader as recovery does, but for the state at `revision`. Any thread (sqlite).
 * NOT_FOUND: it is forgotten, or not written yet; the message says what is there. */
int journal_state_at(struct journal *j, uint64_t revision, const struct journal_reader *reader,
                     struct gt_err *err);
/* What of the past can be read: kept entries, and snapshots, which may be older. Any thread. */
enum { JOURNAL_SNAPSHOTS_MAX = 64 };
struct journal_mark {
    uint64_t revision; /* 0: none */
    int64_t time;      /* ms since 1970 */
    /* Of snapshots: */
    uint64_t bytes; /* of all entries that there ever were up to about then */
    int64_t chunks;
};
struct journal_span {
    struct journal_mark first, last; /* of the entries that are kept and durable */
    struct journal_mark snapshots[JOURNAL_SNAPSHOTS_MAX]; /* rising */
    size_t n_snapshots;
};
int journal_span(struct journal *j, struct journal_span *ret, struct gt_err *err);
/* The oldest state that can be rebuilt together with all that came after it. */
uint64_t journal_span_begin(const struct journal_span *span);
/* When that was. NOT_FOUND: it is not kept; the message says what is. Any thread (sqlite). */
int journal_entry_mark(struct journal *j, uint64_t revision, struct journal_mark *ret,
                       struct gt_err *err);
/* The last kept entry at or before `time`. NOT_FOUND: what was then is forgotten, or there is
 * nothing. Any thread (sqlite). */
int journal_find_time(struct journal *j, int64_t time, struct journal_mark *ret,
                      struct gt_err *err);
/* The snapshots alone, in rising order, from memory; *ret_bytes: of all entries until now. */
size_t journal_snapshots(struct journal *j, struct journal_mark to[static JOURNAL_SNAPSHOTS_MAX],
                         uint64_t *ret_bytes);
/* Whether the disk has room for a good many more entries. An append without room ends like any
 * commit that does not succeed: who asks in time can refuse to write instead. Costs a system call.
 */
bool journal_has_room(struct journal *j);
void journal_stats(struct journal *j, struct journal_stats *ret);
/* What was appended becomes durable first. */
void journal_close(struct journal *j);

GT_DEFINE_AUTO(journal, struct journal *, journal_close)

struct journal *memory_journal_new(void);
void memory_journal_set_room(struct journal *j, bool room); /* what journal_has_room() says */
/* The next append does not succeed: on_failed is called, and nothing is taken any more. The entry
 * is lost, or (`keep`) there nevertheless. */
void memory_journal_break(struct journal *j, bool keep);
void memory_journal_mend(struct journal *j); /* what has not broken yet does not */
/* Changes or cuts off some byte of what recovery reads, chosen by `dice`. False: there is none. */
bool memory_journal_damage(struct journal *j, uint64_t dice);
/* What a crash leaves: a journal with all entries up to `revision`. The original stays. */
struct journal *memory_journal_copy(struct journal *j, uint64_t revision);

struct sqlite_journal_options {
    bool read_only; /* for tools: no append, no recovery of a hot log's leftovers */
};
/* Opens or creates the file. A file that is no journal, or is damaged, is refused: -EBADMSG. */
int sqlite_journal_open(const char *path, const struct sqlite_journal_options *options,
                        struct journal **ret, struct gt_err *err);

#endif
