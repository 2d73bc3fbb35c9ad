#include "store/journal/sqlite_priv.h"

#include <inttypes.h>

static struct gt_str column_blob(sqlite3_stmt *st, int column)
{
    const char *p = sqlite3_column_blob(st, column);
    return gt_str_n(p, (size_t)sqlite3_column_bytes(st, column));
}

static int read_entries(sqlite3 *db, const char *path, uint64_t after,
                        int (*fn)(void *arg, const struct journal_entry *entry, struct gt_err *err),
                        void *arg, uint64_t *ret_last, struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(db, "SELECT rev, entry FROM log WHERE rev > ?1 ORDER BY rev", &st, path,
                           err);
    if (r < 0) {
        return r;
    }
    sqlite3_bind_int64(st, 1, (int64_t)after);
    struct gt_arena arena;
    gt_arena_init(&arena, JOURNAL_ENTRY_MAX);
    int step;
    while (r >= 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
        struct journal_entry e;
        uint64_t rev = (uint64_t)sqlite3_column_int64(st, 0);
        gt_arena_reset(&arena);
        r = journal_decode(column_blob(st, 1), &arena, &e, err);
        if (r >= 0 && e.revision != rev) {
            r = gt_err_set(err, GT_ERR_CORRUPT, "entry %" PRIu64 " says that it is %" PRIu64, rev,
                           e.revision);
        }
        r = r < 0 ? r : fn(arg, &e, err);
        *ret_last = rev;
    }
    if (r >= 0 && step != SQLITE_DONE) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    gt_arena_fini(&arena);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

int sqlite_read(struct journal *j, uint64_t after,
                int (*fn)(void *arg, const struct journal_entry *entry, struct gt_err *err),
                void *arg, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    sqlite3 *db;
    uint64_t last;
    int r = sqlite_connect(s->path, /* read_only= */ true, &db, err);
    if (r < 0) {
        return r;
    }
    r = read_entries(db, s->path, after, fn, arg, &last, err);
    sqlite3_close(db);
    return r;
}

/* The entry that `sql` gives; none: the mark stays as it is. */
static int read_mark(sqlite3 *db, const char *path, const char *sql, struct journal_mark *ret,
                     struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(db, sql, &st, path, err);
    if (r < 0) {
        return r;
    }
    int step = sqlite3_step(st);
    if (step == SQLITE_ROW) {
        struct gt_arena arena;
        struct journal_entry e;
        gt_arena_init(&arena, JOURNAL_ENTRY_MAX);
        r = journal_decode(column_blob(st, 0), &arena, &e, err);
        if (r == 0) {
            *ret = (struct journal_mark){e.revision, e.time};
        }
        gt_arena_fini(&arena);
    } else if (step != SQLITE_DONE) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    sqlite3_finalize(st);
    return r;
}

static int read_snapshots(sqlite3 *db, const char *path, struct journal_span *ret,
                          struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(db, "SELECT rev, time FROM snapshot ORDER BY rev", &st, path, err);
    int step = SQLITE_DONE;
    while (r == 0 && ret->n_snapshots < JOURNAL_SNAPSHOTS_MAX &&
           (step = sqlite3_step(st)) == SQLITE_ROW) {
        ret->snapshots[ret->n_snapshots++] = (struct journal_mark){
            (uint64_t)sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1)};
    }
    if (r == 0 && step != SQLITE_DONE && step != SQLITE_ROW) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    sqlite3_finalize(st);
    return r;
}

int sqlite_span(struct journal *j, struct journal_span *ret, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    sqlite3 *db;
    int r = sqlite_connect(s->path, /* read_only= */ true, &db, err);
    if (r < 0) {
        return r;
    }
    r = read_mark(db, s->path, "SELECT entry FROM log ORDER BY rev LIMIT 1", &ret->first, err);
    r = r < 0 ? r
              : read_mark(db, s->path, "SELECT entry FROM log ORDER BY rev DESC LIMIT 1",
                          &ret->last, err);
    r = r < 0 ? r : read_snapshots(db, s->path, ret, err);
    sqlite3_close(db);
    return r;
}

static int read_chunks(struct sqlite_journal *s, uint64_t rev, int64_t chunks,
                       const struct journal_reader *reader, struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(s->db, "SELECT seq, data FROM chunk WHERE rev = ?1 ORDER BY seq, id",
                           &st, s->path, err);
    if (r < 0) {
        return r;
    }
    sqlite3_bind_int64(st, 1, (int64_t)rev);
    int64_t next = 0;
    int step;
    while (r >= 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
        if (sqlite3_column_int64(st, 0) != next++) {
            r = gt_err_set(err, GT_ERR_CORRUPT, "snapshot %" PRIu64 " has no chunk %" PRId64, rev,
                           next - 1);
        }
        r = r < 0 ? r : journal_chunk_read(column_blob(st, 1), reader, err);
    }
    if (r >= 0 && step != SQLITE_DONE) {
        r = sqlite_fail(s->db, err, "cannot read", s->path);
    }
    if (r >= 0 && next != chunks) {
        r = gt_err_set(err, GT_ERR_CORRUPT,
                       "snapshot %" PRIu64 " has %" PRId64 " of %" PRId64 " chunks", rev, next,
                       chunks);
    }
    sqlite3_finalize(st);
    return r;
}

static int newest_snapshot(struct sqlite_journal *s, uint64_t *rev, int64_t *time, int64_t *chunks,
                           struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r =
        sqlite_prepare(s->db, "SELECT rev, time, chunks FROM snapshot ORDER BY rev DESC LIMIT 1",
                       &st, s->path, err);
    if (r < 0) {
        return r;
    }
    int step = sqlite3_step(st);
    if (step == SQLITE_ROW) {
        *rev = (uint64_t)sqlite3_column_int64(st, 0);
        *time = sqlite3_column_int64(st, 1);
        *chunks = sqlite3_column_int64(st, 2);
    } else if (step != SQLITE_DONE) {
        r = sqlite_fail(s->db, err, "cannot read", s->path);
    }
    sqlite3_finalize(st);
    return r;
}

int sqlite_recover(struct journal *j, const struct journal_reader *reader, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    uint64_t rev = 0;
    int64_t time = 0, chunks = 0;
    int r = newest_snapshot(s, &rev, &time, &chunks, err);
    r = r < 0 ? r : reader->start(reader->arg, rev, time, err);
    if (r >= 0 && rev) {
        r = read_chunks(s, rev, chunks, reader, err);
    }
    j->appended = rev;
    r = r < 0 ? r
              : read_entries(s->db, s->path, rev, reader->entry, reader->arg, &j->appended, err);
    if (r < 0) {
        return gt_err_wrap(err, "cannot recover from \"%s\"", s->path);
    }
    s->durable = j->appended;
    s->newest_snapshot = rev;
    return j->read_only ? 0 : sqlite_start(s, err);
}
