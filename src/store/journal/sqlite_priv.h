/* The sqlite back end's inside. */
#ifndef GT_STORE_JOURNAL_SQLITE_PRIV_H
#define GT_STORE_JOURNAL_SQLITE_PRIV_H

#include "store/journal/journal_priv.h"

#include "lib/base/list.h"

#include <pthread.h>
#include <sqlite3.h>

/* One appended entry that waits for its commit. */
struct pending {
    struct gt_list link;
    uint64_t revision;
    struct gt_buf bytes;
};

struct sqlite_journal {
    struct journal base;
    char *path;
    int lock_fd;
    sqlite3 *db; /* the committer's, once it runs */
    sqlite3_stmt *begin, *commit, *insert, *head, *chunk, *snapshot_done, *trim_log, *trim_chunks,
        *trim_snapshots;
    pthread_t committer, checkpointer;
    bool started;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* for the committer */
    pthread_cond_t moved; /* for flush, cancel_snapshot */
    pthread_cond_t full;  /* for the checkpointer */
    struct gt_list queue;
    struct gt_list spent; /* committed, their memory good for the next */
    size_t n_spent;
    uint64_t durable;     /* and told */
    struct gt_err failed; /* kind set: no commit will follow */
    bool closing;
    bool has_snapshot, cancel;
    struct journal_snapshot snapshot;
    uint64_t forget; /* entries up to here may go, when a snapshot covers them */
    uint64_t forget_snapshots;
    uint64_t bytes;                                   /* of all entries that there ever were */
    struct journal_mark marks[JOURNAL_SNAPSHOTS_MAX]; /* the snapshots, rising */
    size_t n_marks;
    bool trimming;
    bool checkpointing, tail; /* tail: the committer should take the rest of the checkpoint */
    struct journal_stats stats;

    struct gt_list spare; /* the appender's own: what it took from `spent` */

    /* The committer's own. */
    int wal_pages; /* of the log that no checkpoint has seen the end of */
    struct gt_buf chunk_buf;
    int64_t chunk_seq;
    uint64_t newest_snapshot;
    struct journal_mark mark; /* of the snapshot that was completed last */
};

static inline struct sqlite_journal *sqlite_self(struct journal *j)
{
    return GT_CONTAINER_OF(j, struct sqlite_journal, base);
}

/* sqlite_open.c */
int sqlite_fail(sqlite3 *db, struct gt_err *err, const char *what, const char *path);
int sqlite_connect(const char *path, bool read_only, sqlite3 **ret, struct gt_err *err);
int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, const char *path,
                   struct gt_err *err);

void sqlite_free_pending(struct gt_list *list);

bool sqlite_is_old(sqlite3 *db); /* without `head`, `bytes` and `sum` */
/* What is written into a snapshot's row to find damage in it; never 0. */
int64_t sqlite_mark_sum(const struct journal_mark *m);

/* sqlite_wal.c: -EBADMSG when SQLite would pass over commits in the log beside `path`. Nobody may
 * write meanwhile. */
int sqlite_wal_check(const char *path, struct gt_err *err);

/* sqlite_commit.c: the threads */
int sqlite_start(struct sqlite_journal *s, struct gt_err *err);
void sqlite_stop(struct sqlite_journal *s);

/* sqlite_read.c */
int sqlite_recover(struct journal *j, const struct journal_reader *reader, struct gt_err *err);
int sqlite_read(struct journal *j, uint64_t after, journal_entry_fn *fn, void *arg,
                struct gt_err *err);
int sqlite_state_at(struct journal *j, uint64_t revision, const struct journal_reader *reader,
                    struct gt_err *err);
/* The state at `revision`, or at the last one; what it was made from. */
struct sqlite_rebuilt {
    struct journal_mark base; /* revision 0: from the entries alone */
    uint64_t last, bytes;
};
int sqlite_rebuild(sqlite3 *db, const char *path, uint64_t revision,
                   const struct journal_reader *reader, struct sqlite_rebuilt *ret,
                   struct gt_err *err);
int sqlite_mark(struct journal *j, uint64_t revision, struct journal_mark *ret, struct gt_err *err);
int sqlite_span(struct journal *j, struct journal_span *ret, struct gt_err *err);

#endif
