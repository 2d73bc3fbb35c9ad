#include "store/journal/sqlite_priv.h"

#include <inttypes.h>

/* A walk over entries for people and tools goes in pieces: one long statement would hold up the
 * checkpoints, and the log of a busy server would grow meanwhile. */
enum { PIECE = 1000 };

static struct gt_str column_blob(sqlite3_stmt *st, int column)
{
    const char *p = sqlite3_column_blob(st, column);
    return gt_str_n(p, (size_t)sqlite3_column_bytes(st, column));
}

struct walk {
    sqlite3 *db;
    const char *path;
    uint64_t last; /* the entry that was read last */
    uint64_t until;
    uint64_t bytes;
    journal_entry_fn *fn;
    void *arg;
};

static int read_entry(struct walk *w, sqlite3_stmt *st, struct gt_arena *arena, struct gt_err *err)
{
    struct journal_entry e;
    uint64_t rev = (uint64_t)sqlite3_column_int64(st, 0);
    struct gt_str bytes = column_blob(st, 1);
    gt_arena_reset(arena);
    int r = journal_decode(bytes, arena, &e, err);
    if (r >= 0 && e.revision != rev) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "entry %" PRIu64 " says that it is %" PRIu64, rev,
                       e.revision);
    }
    r = r < 0 ? r : w->fn(w->arg, &e, err);
    w->last = rev;
    w->bytes += bytes.n;
    return r;
}

/* At most `most` of the entries after w->last; *ret_n is how many. */
static int read_piece(struct walk *w, int64_t most, int64_t *ret_n, struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(w->db,
                           "SELECT rev, entry FROM log WHERE rev > ?1 AND rev <= ?2 ORDER BY rev "
                           "LIMIT ?3",
                           &st, w->path, err);
    if (r < 0) {
        return r;
    }
    sqlite3_bind_int64(st, 1, (int64_t)w->last);
    sqlite3_bind_int64(st, 2, (int64_t)GT_MIN(w->until, (uint64_t)INT64_MAX));
    sqlite3_bind_int64(st, 3, most);
    struct gt_arena arena;
    gt_arena_init(&arena, JOURNAL_ENTRY_MAX);
    int step;
    *ret_n = 0;
    while (r >= 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
        r = read_entry(w, st, &arena, err);
        ++*ret_n;
    }
    if (r >= 0 && step != SQLITE_DONE) {
        r = sqlite_fail(w->db, err, "cannot read", w->path);
    }
    gt_arena_fini(&arena);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

int sqlite_read(struct journal *j, uint64_t after, journal_entry_fn *fn, void *arg,
                struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    struct walk w = {.path = s->path, .last = after, .until = UINT64_MAX, .fn = fn, .arg = arg};
    int r = sqlite_connect(s->path, /* read_only= */ true, &w.db, err);
    if (r < 0) {
        return r;
    }
    int64_t n = PIECE;
    while (r == 0 && n == PIECE) {
        r = read_piece(&w, PIECE, &n, err);
    }
    sqlite3_close(w.db);
    return r;
}

/* --- what is there */

/* The entry that `sql` gives; none: the mark stays as it is. */
static int read_mark(sqlite3 *db, const char *path, const char *sql, uint64_t revision,
                     struct journal_mark *ret, struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(db, sql, &st, path, err);
    if (r < 0) {
        return r;
    }
    if (revision) {
        sqlite3_bind_int64(st, 1, (int64_t)revision);
    }
    int step = sqlite3_step(st);
    if (step == SQLITE_ROW) {
        struct gt_arena arena;
        struct journal_entry e;
        gt_arena_init(&arena, JOURNAL_ENTRY_MAX);
        r = journal_decode(column_blob(st, 0), &arena, &e, err);
        if (r == 0) {
            *ret = (struct journal_mark){.revision = e.revision, .time = e.time};
        }
        gt_arena_fini(&arena);
    } else if (step != SQLITE_DONE) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    sqlite3_finalize(st);
    return r;
}

/* The newest of them, in rising order. */
static int read_snapshots(sqlite3 *db, const char *path, struct journal_mark *to, size_t *ret_n,
                          struct gt_err *err)
{
    static const char now[] = "SELECT rev, time, chunks, bytes, sum FROM (SELECT * FROM snapshot "
                              "ORDER BY rev DESC LIMIT ?1) ORDER BY rev";
    static const char before[] = "SELECT rev, time, chunks, 0, 0 FROM snapshot ORDER BY rev";
    bool old = sqlite_is_old(db); /* there was one snapshot at a time then */
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(db, old ? before : now, &st, path, err);
    if (r < 0) {
        return r;
    }
    sqlite3_bind_int64(st, 1, JOURNAL_SNAPSHOTS_MAX); /* out of range in `before`: no matter */
    int step = SQLITE_DONE;
    *ret_n = 0;
    while (r == 0 && *ret_n < JOURNAL_SNAPSHOTS_MAX && (step = sqlite3_step(st)) == SQLITE_ROW) {
        struct journal_mark m = {.revision = (uint64_t)sqlite3_column_int64(st, 0),
                                 .time = sqlite3_column_int64(st, 1),
                                 .chunks = sqlite3_column_int64(st, 2),
                                 .bytes = (uint64_t)sqlite3_column_int64(st, 3)};
        int64_t sum = sqlite3_column_int64(st, 4);
        if (sum && sum != sqlite_mark_sum(&m)) { /* 0: of a release that wrote none */
            r = gt_err_set(err, GT_ERR_CORRUPT, "the row of snapshot %" PRIu64 " is damaged",
                           m.revision);
        }
        to[(*ret_n)++] = m;
    }
    if (r == 0 && step != SQLITE_DONE && step != SQLITE_ROW) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    sqlite3_finalize(st);
    return r;
}

static int read_span(sqlite3 *db, const char *path, struct journal_span *ret, struct gt_err *err)
{
    int r = read_mark(db, path, "SELECT entry FROM log ORDER BY rev LIMIT 1", 0, &ret->first, err);
    r = r < 0 ? r
              : read_mark(db, path, "SELECT entry FROM log ORDER BY rev DESC LIMIT 1", 0,
                          &ret->last, err);
    return r < 0 ? r : read_snapshots(db, path, ret->snapshots, &ret->n_snapshots, err);
}

int sqlite_span(struct journal *j, struct journal_span *ret, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    sqlite3 *db;
    int r = sqlite_connect(s->path, /* read_only= */ true, &db, err);
    if (r < 0) {
        return r;
    }
    r = read_span(db, s->path, ret, err);
    sqlite3_close(db);
    return r;
}

int sqlite_mark(struct journal *j, uint64_t revision, struct journal_mark *ret, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    sqlite3 *db;
    int r = sqlite_connect(s->path, /* read_only= */ true, &db, err);
    if (r < 0) {
        return r;
    }
    *ret = (struct journal_mark){0};
    r = read_mark(db, s->path, "SELECT entry FROM log WHERE rev = ?1", revision, ret, err);
    sqlite3_close(db);
    return r < 0 || ret->revision
               ? r
               : gt_err_set(err, GT_ERR_NOT_FOUND, "revision %" PRIu64 " is forgotten", revision);
}

/* --- the state at a revision */

static int read_chunks(sqlite3 *db, const char *path, const struct journal_mark *m,
                       const struct journal_reader *reader, struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    int r = sqlite_prepare(db, "SELECT seq, data FROM chunk WHERE rev = ?1 ORDER BY seq, id", &st,
                           path, err);
    if (r < 0) {
        return r;
    }
    sqlite3_bind_int64(st, 1, (int64_t)m->revision);
    int64_t next = 0;
    int step;
    while (r >= 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
        if (sqlite3_column_int64(st, 0) != next++) {
            r = gt_err_set(err, GT_ERR_CORRUPT, "snapshot %" PRIu64 " has no chunk %" PRId64,
                           m->revision, next - 1);
        }
        r = r < 0 ? r : journal_chunk_read(column_blob(st, 1), reader, err);
    }
    if (r >= 0 && step != SQLITE_DONE) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    if (r >= 0 && next != m->chunks) {
        r = gt_err_set(err, GT_ERR_CORRUPT,
                       "snapshot %" PRIu64 " has %" PRId64 " of %" PRId64 " chunks", m->revision,
                       next, m->chunks);
    }
    sqlite3_finalize(st);
    return r;
}

/* What the last commit said that it was; 0: nothing was committed, or by a release without it. */
static int read_head(sqlite3 *db, const char *path, uint64_t *ret, struct gt_err *err)
{
    sqlite3_stmt *st = NULL;
    *ret = 0;
    if (sqlite_is_old(db)) {
        return 0;
    }
    int r = sqlite_prepare(db, "SELECT rev FROM head", &st, path, err);
    int step = r < 0 ? SQLITE_DONE : sqlite3_step(st);
    if (step == SQLITE_ROW) {
        *ret = (uint64_t)sqlite3_column_int64(st, 0);
    } else if (step != SQLITE_DONE) {
        r = sqlite_fail(db, err, "cannot read", path);
    }
    sqlite3_finalize(st);
    return r;
}

/* The newest snapshot that is no later than `revision`; revision 0: none, all from the entries. */
static int choose_base(const struct journal_span *span, uint64_t revision, struct journal_mark *ret,
                       struct gt_err *err)
{
    *ret = (struct journal_mark){0};
    for (size_t i = 0; i < span->n_snapshots; i++) {
        if (span->snapshots[i].revision <= revision) {
            *ret = span->snapshots[i];
        }
    }
    uint64_t oldest = span->n_snapshots ? span->snapshots[0].revision : 0;
    bool whole = span->first.revision <= 1;
    if (!ret->revision && !whole && oldest) {
        return gt_err_set(err, GT_ERR_NOT_FOUND,
                          "revision %" PRIu64 " is forgotten: the oldest that is kept is %" PRIu64,
                          revision, oldest);
    }
    if (!ret->revision && !whole) {
        return gt_err_set(err, GT_ERR_CORRUPT,
                          "the first entry is %" PRIu64 " and no snapshot leads there",
                          span->first.revision);
    }
    return 0;
}

int sqlite_rebuild(sqlite3 *db, const char *path, uint64_t revision,
                   const struct journal_reader *reader, struct sqlite_rebuilt *ret,
                   struct gt_err *err)
{
    struct journal_span *span = gt_new(struct journal_span);
    struct walk w = {
        .db = db, .path = path, .until = revision, .fn = reader->entry, .arg = reader->arg};
    uint64_t head = 0;
    int64_t n;
    int r = read_span(db, path, span, err);
    r = r < 0 ? r : read_head(db, path, &head, err);
    r = r < 0 ? r : choose_base(span, revision, &ret->base, err);
    free(span);
    r = r < 0 ? r : reader->start(reader->arg, ret->base.revision, ret->base.time, err);
    if (r >= 0 && ret->base.revision) {
        r = read_chunks(db, path, &ret->base, reader, err);
    }
    w.last = ret->base.revision;
    r = r < 0 ? r : read_piece(&w, /* most= */ -1, &n, err);
    if (r >= 0 && w.last < GT_MIN(head, revision)) {
        r = gt_err_set(err, GT_ERR_CORRUPT,
                       "the entries end at %" PRIu64 ", but %" PRIu64 " was committed", w.last,
                       head);
    }
    ret->last = w.last;
    ret->bytes = ret->base.bytes + w.bytes;
    return r;
}

int sqlite_state_at(struct journal *j, uint64_t revision, const struct journal_reader *reader,
                    struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    struct sqlite_rebuilt got;
    sqlite3 *db;
    int r = sqlite_connect(s->path, /* read_only= */ true, &db, err);
    if (r < 0) {
        return r;
    }
    /* One reading transaction: nothing is forgotten under it. */
    if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        r = sqlite_fail(db, err, "cannot read", s->path);
    }
    r = r < 0 ? r : sqlite_rebuild(db, s->path, revision, reader, &got, err);
    if (r >= 0 && got.last < revision) {
        r = gt_err_set(err, GT_ERR_NOT_FOUND,
                       "there is no revision %" PRIu64 " yet: the newest is %" PRIu64, revision,
                       got.last);
    }
    sqlite3_close(db);
    return r;
}

int sqlite_recover(struct journal *j, const struct journal_reader *reader, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    struct sqlite_rebuilt got;
    int r = sqlite_rebuild(s->db, s->path, UINT64_MAX, reader, &got, err);
    r = r < 0 ? r : read_snapshots(s->db, s->path, s->marks, &s->n_marks, err);
    if (r < 0) {
        return gt_err_wrap(err, "cannot recover from \"%s\"", s->path);
    }
    j->appended = got.last;
    s->durable = got.last;
    s->bytes = got.bytes;
    s->newest_snapshot = got.base.revision;
    return j->read_only ? 0 : sqlite_start(s, err);
}
