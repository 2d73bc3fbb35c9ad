#include "store/journal/sqlite_priv.h"

#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/log.h"

#include <errno.h>

enum {
    GROUP_ENTRIES = 4096,          /* most of one commit */
    GROUP_BYTES = 8 * 1024 * 1024, /* and no more than so much by the way */
    CHUNK_BUSY = 64 * 1024,        /* piece of a snapshot that rides along with a commit */
    CHUNK_IDLE = 512 * 1024,       /* when nobody waits */
    CHECKPOINT_PAGES = 2000,       /* 8 MB of log */
    TAIL_PAGES = 256,              /* what the committer takes itself */
    SPENT_ENTRIES = 128,           /* whose memory is kept for the next ones */
    SPENT_BYTES = 8 * 1024,        /* when they have no more than this */
};

/* One round: what goes into one commit. */
struct round {
    struct gt_list entries;
    size_t n, bytes;
    uint64_t last;
    bool chunk; /* a piece of the snapshot */
    bool trim;
    uint64_t forget, forget_snapshots;
    bool tail;
};

/* ---- statements ---- */

static int run(struct sqlite_journal *s, sqlite3_stmt *st, const char *what, struct gt_err *err)
{
    int step = GT_FAIL(what) ? SQLITE_IOERR : sqlite3_step(st);
    int r = step == SQLITE_DONE ? 0
            : step == SQLITE_IOERR && sqlite3_errcode(s->db) == SQLITE_OK
                ? gt_err_set(err, GT_ERR_IO, "cannot %s journal \"%s\": injected", what, s->path)
                : sqlite_fail(s->db, err, what, s->path);
    sqlite3_reset(st);
    return r;
}

static int insert_entries(struct sqlite_journal *s, const struct round *round, struct gt_err *err)
{
    gt_list_for_each (it, next, &round->entries) {
        struct pending *p = gt_list_entry(it, struct pending, link);
        sqlite3_bind_int64(s->insert, 1, (int64_t)p->revision);
        sqlite3_bind_blob64(s->insert, 2, p->bytes.p, p->bytes.n, SQLITE_STATIC);
        int r = run(s, s->insert, "append to", err);
        if (r < 0) {
            return r;
        }
    }
    if (!round->n) {
        return 0;
    }
    sqlite3_bind_int64(s->head, 1, (int64_t)round->last);
    return run(s, s->head, "append to", err);
}

/* The row of a snapshot whose pieces are all there. */
static int complete_snapshot(struct sqlite_journal *s, struct gt_err *err)
{
    s->mark = (struct journal_mark){.revision = s->snapshot.revision,
                                    .time = s->snapshot.time,
                                    .bytes = s->bytes,
                                    .chunks = s->chunk_seq};
    sqlite3_bind_int64(s->snapshot_done, 1, (int64_t)s->mark.revision);
    sqlite3_bind_int64(s->snapshot_done, 2, s->mark.time);
    sqlite3_bind_int64(s->snapshot_done, 3, s->mark.chunks);
    sqlite3_bind_int64(s->snapshot_done, 4, (int64_t)s->mark.bytes);
    sqlite3_bind_int64(s->snapshot_done, 5, sqlite_mark_sum(&s->mark));
    return run(s, s->snapshot_done, "complete a snapshot in", err);
}

/* Returns 1 when the snapshot is complete. */
static int insert_chunk(struct sqlite_journal *s, size_t size, struct gt_err *err)
{
    struct journal_item item;
    bool more = true;
    journal_chunk_begin(&s->chunk_buf);
    while (s->chunk_buf.n < size && (more = s->snapshot.next(s->snapshot.arg, &item))) {
        journal_chunk_add(&s->chunk_buf, &item);
    }
    journal_chunk_end(&s->chunk_buf);
    int64_t rev = (int64_t)s->snapshot.revision;
    sqlite3_bind_int64(s->chunk, 1, rev);
    sqlite3_bind_int64(s->chunk, 2, s->chunk_seq++);
    sqlite3_bind_blob64(s->chunk, 3, s->chunk_buf.p, s->chunk_buf.n, SQLITE_STATIC);
    int r = run(s, s->chunk, "write a snapshot to", err);
    if (r < 0 || more) {
        return r;
    }
    r = complete_snapshot(s, err);
    return r < 0 ? r : 1;
}

/* A little of what may go. Returns 1 when there is nothing left of it. */
static int trim(struct sqlite_journal *s, const struct round *round, struct gt_err *err)
{
    sqlite3_bind_int64(s->trim_log, 1, (int64_t)GT_MIN(round->forget, s->newest_snapshot));
    int r = run(s, s->trim_log, "trim", err);
    int gone = sqlite3_changes(s->db);
    uint64_t below = GT_MIN(round->forget_snapshots, s->newest_snapshot);
    sqlite3_bind_int64(s->trim_snapshots, 1, (int64_t)below);
    r = r < 0 ? r : run(s, s->trim_snapshots, "trim", err);
    if (r < 0) {
        return r;
    }
    sqlite3_bind_int64(s->trim_chunks, 1, round->chunk ? (int64_t)s->snapshot.revision : 0);
    r = run(s, s->trim_chunks, "trim", err);
    gone += sqlite3_changes(s->db);
    return r < 0 ? r : gone == 0;
}

/* ---- a round ---- */

static bool has_work(const struct sqlite_journal *s)
{
    return !gt_list_empty(&s->queue) || s->has_snapshot || s->trimming || s->tail;
}

/* Waits for work and takes it. The lock is held. */
static void take_round(struct sqlite_journal *s, struct round *round)
{
    *round = (struct round){0};
    gt_list_init(&round->entries);
    while (!has_work(s) && !s->closing) {
        pthread_cond_wait(&s->work, &s->lock);
    }
    gt_list_for_each (it, next, &s->queue) {
        struct pending *p = gt_list_entry(it, struct pending, link);
        if (round->n == GROUP_ENTRIES || (round->n && round->bytes + p->bytes.n > GROUP_BYTES)) {
            break;
        }
        gt_list_remove(it);
        gt_list_push_back(&round->entries, it);
        round->n++;
        round->bytes += p->bytes.n;
        round->last = p->revision;
    }
    round->chunk = s->has_snapshot && !s->cancel && s->snapshot.revision <= s->durable;
    round->trim = s->trimming;
    round->forget = s->forget;
    round->forget_snapshots = s->forget_snapshots;
    round->tail = s->tail;
}

struct outcome {
    bool snapshot_done, trimmed;
};

static int commit_round(struct sqlite_journal *s, const struct round *round, struct outcome *out,
                        struct gt_err *err)
{
    int r = run(s, s->begin, "begin in", err);
    r = r < 0 ? r : insert_entries(s, round, err);
    if (r >= 0 && round->chunk) {
        r = insert_chunk(s, round->n ? CHUNK_BUSY : CHUNK_IDLE, err);
        out->snapshot_done = r == 1;
    }
    if (r >= 0 && round->trim) {
        r = trim(s, round, err);
        out->trimmed = r == 1;
    }
    r = r < 0 ? r : run(s, s->commit, "commit to", err);
    if (r >= 0 && GT_FAIL("told of the commit")) {
        r = gt_err_set(err, GT_ERR_IO, "commit to journal \"%s\": outcome unknown", s->path);
    }
    return r < 0 ? r : 0;
}

/* After a commit: keeps some memory for those who append. The lock is held. */
static void put_by(struct sqlite_journal *s, struct round *round)
{
    gt_list_for_each (it, next, &round->entries) {
        struct pending *p = gt_list_entry(it, struct pending, link);
        if (s->n_spent == SPENT_ENTRIES) {
            return;
        }
        if (p->bytes.cap <= SPENT_BYTES) {
            gt_list_remove(it);
            gt_list_push_back(&s->spent, it);
            s->n_spent++;
        }
    }
}

/* The lock is held; it is given up while done() runs. */
static void end_snapshot(struct sqlite_journal *s, const struct gt_err *err)
{
    struct journal_snapshot js = s->snapshot;
    pthread_mutex_unlock(&s->lock);
    js.done(js.arg, err);
    pthread_mutex_lock(&s->lock);
    s->has_snapshot = false;
    s->chunk_seq = 0;
    pthread_cond_broadcast(&s->moved);
}

static void cancel_if_asked(struct sqlite_journal *s)
{
    if (s->has_snapshot && s->cancel) {
        struct gt_err err;
        gt_err_set(&err, GT_ERR_UNAVAILABLE, "the snapshot was cancelled");
        end_snapshot(s, &err);
        s->trimming = true; /* the pieces that were written */
    }
}

static bool commits(const struct round *round)
{
    return round->n || round->chunk || round->trim;
}

/* The lock is held. */
static void drop_marks(struct sqlite_journal *s, uint64_t below)
{
    size_t gone = 0;
    while (gone + 1 < s->n_marks && s->marks[gone].revision < below) {
        gone++;
    }
    s->n_marks -= gone;
    memmove(s->marks, s->marks + gone, s->n_marks * sizeof *s->marks);
}

/* The lock is held. One again at the same revision takes its place. */
static void add_mark(struct sqlite_journal *s)
{
    if (s->n_marks && s->marks[s->n_marks - 1].revision == s->mark.revision) {
        s->n_marks--;
    }
    if (s->n_marks == JOURNAL_SNAPSHOTS_MAX) {
        s->forget_snapshots = GT_MAX(s->forget_snapshots, s->marks[1].revision);
        drop_marks(s, s->forget_snapshots);
    }
    s->marks[s->n_marks++] = s->mark;
}

/* After a commit; the lock is held. */
static void settle(struct sqlite_journal *s, const struct round *round, const struct outcome *out,
                   int64_t ns)
{
    s->stats.commits++;
    s->stats.entries += round->n;
    s->stats.bytes += round->bytes;
    s->bytes += round->bytes;
    if (round->trim) {
        drop_marks(s, round->forget_snapshots);
    }
    s->stats.longest_us = GT_MAX(s->stats.longest_us, (uint64_t)ns / 1000);
    if (out->snapshot_done) {
        s->newest_snapshot = s->snapshot.revision;
        add_mark(s);
        s->trimming = true;
        end_snapshot(s, NULL);
    } else if (out->trimmed && s->forget == round->forget &&
               s->forget_snapshots == round->forget_snapshots) {
        s->trimming = false;
    }
    if (round->n) {
        s->durable = round->last;
        pthread_cond_broadcast(&s->moved);
    }
    if (s->wal_pages > CHECKPOINT_PAGES && !s->checkpointing && !s->tail) {
        s->checkpointing = true;
        pthread_cond_signal(&s->full);
    }
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_journal *s = arg;
    s->wal_pages = pages; /* the committer's: it commits */
    return SQLITE_OK;
}

/* Between two commits nobody writes, so this finishes what the checkpointer began, and the next
 * commit starts the log over. */
static void take_tail(struct sqlite_journal *s)
{
    int in_log = 0, moved = 0;
    int r = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    if (r == SQLITE_OK && moved == in_log) {
        s->wal_pages = 0; /* nothing to check in until the next commit */
    }
}

static void fail(struct sqlite_journal *s, const struct gt_err *err)
{
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    if (s->base.events.on_failed) {
        s->base.events.on_failed(s->base.events.arg, err);
    }
    pthread_mutex_lock(&s->lock);
    s->failed = *err;
    if (s->has_snapshot) {
        end_snapshot(s, err);
    }
    pthread_cond_broadcast(&s->moved);
    pthread_mutex_unlock(&s->lock);
}

static void *committer_main(void *arg)
{
    struct sqlite_journal *s = arg;
    for (;;) {
        struct round round;
        struct outcome out = {0};
        struct gt_err err;
        pthread_mutex_lock(&s->lock);
        cancel_if_asked(s);
        take_round(s, &round);
        bool end = s->closing && round.n == 0 && !s->has_snapshot;
        pthread_mutex_unlock(&s->lock);
        if (end) {
            return NULL;
        }
        int64_t start = gt_clock_mono_ns();
        int r = 0;
        if (commits(&round)) {
            r = commit_round(s, &round, &out, &err);
        }
        if (r < 0) {
            sqlite_free_pending(&round.entries);
            fail(s, &err);
            return NULL;
        }
        int64_t ns = gt_clock_mono_ns() - start;
        if (round.n && s->base.events.on_durable) {
            s->base.events.on_durable(s->base.events.arg, round.last);
        }
        if (round.tail) {
            take_tail(s);
        }
        pthread_mutex_lock(&s->lock);
        s->tail = s->tail && !round.tail;
        if (commits(&round)) {
            settle(s, &round, &out, ns);
        }
        put_by(s, &round);
        pthread_mutex_unlock(&s->lock);
        sqlite_free_pending(&round.entries);
    }
}

static void *checkpointer_main(void *arg)
{
    struct sqlite_journal *s = arg;
    sqlite3 *db;
    struct gt_err err;
    if (sqlite_connect(s->path, /* read_only= */ false, &db, &err) < 0) {
        gt_warn("no checkpoints: %s", err.msg);
        return NULL;
    }
    int before = 0;
    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        if (!s->checkpointing) {
            before = 0;
            pthread_cond_wait(&s->full, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        int in_log = 0, moved = 0;
        int r = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
        pthread_mutex_lock(&s->lock);
        /* What the commits added meanwhile: if it is little, the committer takes it, else we go
         * round again from where we are, unless a reader holds us up. */
        bool far = in_log - moved > TAIL_PAGES;
        if (r == SQLITE_OK && far && moved > before) {
            before = moved;
            continue;
        }
        s->checkpointing = false;
        s->tail = r == SQLITE_OK && !far;
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    sqlite3_close(db);
    return NULL;
}

int sqlite_start(struct sqlite_journal *s, struct gt_err *err)
{
    sqlite3_wal_hook(s->db, on_wal, s);
    s->trimming = true; /* pieces of a snapshot that a crash left */
    int r = pthread_create(&s->committer, NULL, committer_main, s);
    if (r) {
        return gt_err_errno(err, r, "cannot start the journal's thread");
    }
    r = pthread_create(&s->checkpointer, NULL, checkpointer_main, s);
    GT_ASSERT(r == 0);
    s->started = true;
    return 0;
}

void sqlite_stop(struct sqlite_journal *s)
{
    if (!s->started) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    s->cancel = true;
    pthread_cond_signal(&s->work);
    pthread_cond_signal(&s->full);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->committer, NULL);
    pthread_join(s->checkpointer, NULL);
    s->started = false;
}
