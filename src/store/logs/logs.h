/*
 * The store of log events: streams within groups, appended to, read by time.
 *
 * A group is named by an id that its owner never uses again, so that a group made anew under an old
 * name begins empty. Events come in two ways:
 *   log_append_events()  events with their own times, as PutLogEvents has them
 *   log_append_frames()  what a container wrote, as the shim's spool frames, raw. They are stored
 *                        as they come and split into lines only when somebody reads.
 * Either returns after the bytes are on stable storage; callers at the same time share one
 * fdatasync. Calls block and are safe from any thread.
 *
 * Order: events of a stream are ordered by (time, position). The position of an event is its byte
 * offset in all that was ever written to the stream; it never changes, and names the event for
 * good. A line belongs to the moment and position of its first byte. A line that has no end yet is
 * shown once it has waited for LOG_LINE_WAIT_MS; what comes later then begins a new line.
 *
 * Disk: one append-only log in segments that all streams share (segment.h), and a small catalogue
 * of streams (SQLite). In memory: an index entry for each block.
 */
#ifndef GT_STORE_LOGS_LOGS_H
#define GT_STORE_LOGS_LOGS_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_store;

enum {
    LOG_LINE_WAIT_MS = 2000,
    LOG_FRAME_MAX = 256 * 1024,
    LOG_LINE_MAX = 256 * 1024 - 26, /* a longer line becomes several events, as with awslogs */
};

/* Recovers what a crash left: a torn tail was never acknowledged and is cut off. */
int log_store_open(const char *dir, struct log_store **ret, struct gt_err *err);
void log_store_close(struct log_store *s); /* NULL is allowed; no call may be under way */
GT_DEFINE_AUTO(log_store, struct log_store *, log_store_close)

/* -- streams -- */

struct log_stream_info {
    uint64_t id;
    struct gt_str name;
    int64_t created;               /* ms since 1970 */
    int64_t first, last, ingested; /* of its events; 0: it has none */
};

/* GT_ERR_EXISTS when there is one; *ret_id may be NULL. */
int log_stream_create(struct log_store *s, struct gt_str group, struct gt_str name, int64_t now,
                      uint64_t *ret_id, struct gt_err *err);
/* GT_ERR_NOT_FOUND; the events go with it. */
int log_stream_delete(struct log_store *s, struct gt_str group, struct gt_str name,
                      struct gt_err *err);
/* Its id; 0: there is none. */
uint64_t log_stream_find(struct log_store *s, struct gt_str group, struct gt_str name);
/* All streams of a group; none is success. */
int log_group_drop(struct log_store *s, struct gt_str group, struct gt_err *err);
/* Bytes of events kept for a group, as written. */
uint64_t log_group_bytes(struct log_store *s, struct gt_str group);
/* The groups that have streams, in the arena. */
void log_groups(struct log_store *s, struct gt_arena *arena, struct gt_str **ret, size_t *ret_n);

struct log_stream_query {
    struct gt_str prefix;
    bool by_time; /* by last event, else by name */
    bool descending;
    /* Begin after this one; name.p NULL: from the start. */
    struct gt_str after_name;
    int64_t after_time;
    size_t limit;
};
/* In the arena. *ret_more: the limit cut the list. */
void log_streams(struct log_store *s, struct gt_str group, const struct log_stream_query *q,
                 struct gt_arena *arena, struct log_stream_info **ret, size_t *ret_n,
                 bool *ret_more);

/* -- writing -- */

struct log_event_in {
    int64_t time; /* ms since 1970; not before the event in front of it */
    struct gt_str text;
};
/* The stream must exist. The events become durable together. */
int log_append_events(struct log_store *s, struct gt_str group, struct gt_str stream,
                      const struct log_event_in *v, size_t n, int64_t now, struct gt_err *err);

/*
 * Whole frames {u64 time in ms, u32 source (1 stdout, 2 stderr), u32 n, n bytes}, little endian,
 * that begin at `offset` of the spool. Makes the stream if need be. Frames that the stream has
 * already are passed over; *ret_next is the offset that it wants next. `spool` tells apart spools
 * that write to one stream one after the other; may be empty. GT_ERR_INVALID: not frames.
 */
int log_append_frames(struct log_store *s, struct gt_str group, struct gt_str stream,
                      struct gt_str spool, uint64_t offset, struct gt_str frames, int64_t now,
                      uint64_t *ret_next, struct gt_err *err);

/* -- reading -- */

struct log_key { /* where an event stands among those of its group */
    int64_t time;
    uint64_t stream, pos;
};
int log_key_cmp(const struct log_key *a, const struct log_key *b);

struct log_event {
    struct log_key key;
    int64_t ingested;
    struct gt_str text, stream_name;
};

struct log_query {
    struct gt_str group;
    const struct gt_str *streams; /* these; n_streams == 0: all that begin with prefix */
    size_t n_streams;
    struct gt_str prefix;
    int64_t from, to;                     /* from <= time < to */
    const struct log_key *after, *before; /* keys beyond these only; NULL: no bound */
    bool backward; /* the last events of the range instead of the first; one stream only */
    size_t max_events, max_bytes; /* of the answer */
    size_t max_scan;              /* bytes looked at before giving up for this time; 0: all */
    bool (*match)(void *arg, struct gt_str text); /* NULL: all */
    void *arg;
    int64_t now;
};

struct log_result {
    struct log_event *v; /* ascending, in the arena */
    size_t n;
    bool more;           /* a limit was reached; go on after `last` */
    struct log_key last; /* of the last event looked at, also one that did not match */
};
/* GT_ERR_NOT_FOUND: a stream of `streams` does not exist (its name in the message). */
int log_read(struct log_store *s, const struct log_query *q, struct gt_arena *arena,
             struct log_result *ret, struct gt_err *err);

/* -- retention -- */

/* Forgets what of a group lies wholly before the time. */
void log_expire(struct log_store *s, struct gt_str group, int64_t before);
/* Gives back the space of what was forgotten; merges small blocks. Bounded work; call it now and
 * then, from one thread. */
void log_store_tidy(struct log_store *s);

#endif
