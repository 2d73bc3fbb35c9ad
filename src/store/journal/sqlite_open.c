/*
 * The journal in one SQLite file.
 *
 *   log(rev, entry)                 the entries
 *   head(id, rev)                   the last of them, so that a lost end is noticed
 *   chunk(id, rev, seq, data)       pieces of snapshots
 *   snapshot(rev, time, chunks, bytes, sum)     snapshots that are complete
 *
 * `head`, `bytes` and `sum` came later and leave the format as it is: the release before neither
 * reads nor writes them. A journal without them gets them when it is opened.
 *
 * WAL with synchronous=FULL: a commit is one append and one fdatasync. A committer thread takes
 * all that was appended since its last commit into the next one, writes a piece of a snapshot along
 * when one is under way, and deletes what may be forgotten, a little with each commit. Checkpoints
 * come from another connection on a thread of its own, because inside a commit they cost 46 to
 * 135 ms (facts of the design); only their last pages are taken between two commits, which lets
 * the log start over.
 *
 * A second process is kept out by a lock on `<path>.lock`: SQLite alone would let it write.
 */
#include "store/journal/sqlite_priv.h"

#include "lib/base/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x476e7479 /* "Gnty" */, FORMAT = 1 };

/* The log and a checkpoint of it fit in twice its usual size. */
enum { ROOM_BYTES = 48 * 1024 * 1024 };

static const char schema[] =
    "CREATE TABLE log(rev INTEGER PRIMARY KEY, entry BLOB NOT NULL);"
    "CREATE TABLE chunk(id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " data BLOB NOT NULL);"
    "CREATE TABLE snapshot(rev INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
    " chunks INTEGER NOT NULL, bytes INTEGER NOT NULL DEFAULT 0, sum INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE head(id INTEGER PRIMARY KEY, rev INTEGER NOT NULL);";

static const char additions[] = "BEGIN IMMEDIATE;"
                                "ALTER TABLE snapshot ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE snapshot ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"
                                "CREATE TABLE head(id INTEGER PRIMARY KEY, rev INTEGER NOT NULL);"
                                "COMMIT;";

int sqlite_fail(sqlite3 *db, struct gt_err *err, const char *what, const char *path)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    const char *text = db ? sqlite3_errmsg(db) : "out of memory";
    int sys = db ? sqlite3_system_errno(db) : ENOMEM;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_SCHEMA ||
        code == SQLITE_ERROR || code == SQLITE_MISMATCH) {
        return gt_err_set(err, GT_ERR_CORRUPT, "%s journal \"%s\": %s", what, path, text);
    }
    if (sys) {
        return gt_err_errno(err, sys, "%s journal \"%s\": %s", what, path, text);
    }
    return gt_err_set(err, GT_ERR_IO, "%s journal \"%s\": %s", what, path, text);
}

static bool exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

int sqlite_connect(const char *path, bool read_only, sqlite3 **ret, struct gt_err *err)
{
    sqlite3 *db = NULL;
    int flags = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    bool ok = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK;
    if (ok) {
        sqlite3_extended_result_codes(db, 0);
        sqlite3_busy_timeout(db, 10000);
        sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
        sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
        ok = exec(db, "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
                      "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;"
                      "PRAGMA cache_size=-2048;") &&
             (read_only || exec(db, "PRAGMA journal_mode=WAL;"));
    }
    if (!ok) {
        int r = sqlite_fail(db, err, "cannot open", path);
        sqlite3_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, const char *path,
                   struct gt_err *err)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK) {
        return sqlite_fail(db, err, "cannot use", path);
    }
    return 0;
}

/* The first column of the first row; -1 when there is none. */
static int64_t query_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int64_t n = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        n = sqlite3_column_int64(st, 0);
    }
    sqlite3_finalize(st);
    return n;
}

bool sqlite_is_old(sqlite3 *db)
{
    return query_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'head'") == 0;
}

/* A new journal is made beside its place, and then is there whole: so a file that is empty is not
 * one that was about to be made, but one that was lost. */
static int create_file(const char *path, struct gt_err *err)
{
    gt_auto_free char *fresh = gt_asprintf("%s.new", path);
    gt_auto_free char *sql =
        gt_asprintf("BEGIN IMMEDIATE; PRAGMA application_id=%d; PRAGMA user_version=%d; %s COMMIT;",
                    APPLICATION_ID, FORMAT, schema);
    sqlite3 *db = NULL;
    unlink(fresh);
    int r = sqlite_connect(fresh, /* read_only= */ false, &db, err);
    if (r == 0 && !exec(db, sql)) {
        r = sqlite_fail(db, err, "cannot create", path);
    }
    if (sqlite3_close(db) != SQLITE_OK || (r == 0 && rename(fresh, path) < 0)) {
        r = gt_err_errno(err, errno, "cannot create \"%s\"", path);
    }
    return r;
}

static int find_file(const char *path, bool read_only, struct gt_err *err)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        return st.st_size ? 0
                          : gt_err_set(err, GT_ERR_CORRUPT,
                                       "journal \"%s\" is empty: restore a backup, or remove the "
                                       "file to begin with nothing",
                                       path);
    }
    return errno == ENOENT && !read_only ? create_file(path, err)
                                         : gt_err_errno(err, errno, "journal \"%s\"", path);
}

static int check_format(sqlite3 *db, const char *path, bool read_only, struct gt_err *err)
{
    int64_t id = query_number(db, "PRAGMA application_id");
    int64_t format = query_number(db, "PRAGMA user_version");
    if (id != APPLICATION_ID) {
        return gt_err_set(err, GT_ERR_CORRUPT, "\"%s\" is no journal", path);
    }
    if (format > FORMAT) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED,
                          "journal \"%s\" has format %lld, of a newer release; this one reads %d: "
                          "start the release that wrote it, or restore a backup from before it",
                          path, (long long)format, FORMAT);
    }
    if (format != FORMAT) {
        return gt_err_set(err, GT_ERR_CORRUPT, "journal \"%s\" has format %lld, which never was",
                          path, (long long)format);
    }
    if (sqlite_is_old(db) && !read_only && !exec(db, additions)) {
        int r = sqlite_fail(db, err, "cannot bring up to date", path);
        exec(db, "ROLLBACK");
        return r;
    }
    return 0;
}

int64_t sqlite_mark_sum(const struct journal_mark *m)
{
    const uint64_t all[] = {m->revision, (uint64_t)m->time, (uint64_t)m->chunks, m->bytes};
    int64_t sum = (int64_t)gt_hash(all, sizeof all, 0x736e6170u);
    return sum ? sum : 1;
}

static int lock_out_others(struct sqlite_journal *s, struct gt_err *err)
{
    gt_auto_free char *lock = gt_asprintf("%s.lock", s->path);
    s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return gt_err_errno(err, errno, "cannot open \"%s\"", lock);
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return gt_err_set(err, GT_ERR_CONFLICT, "journal \"%s\" is in use by another process",
                          s->path);
    }
    return 0;
}

static int prepare_all(struct sqlite_journal *s, struct gt_err *err)
{
    const struct {
        sqlite3_stmt **st;
        const char *sql;
    } all[] = {
        {&s->begin, "BEGIN IMMEDIATE"},
        {&s->commit, "COMMIT"},
        {&s->insert, "INSERT INTO log(rev, entry) VALUES(?1, ?2)"},
        {&s->head, "INSERT OR REPLACE INTO head(id, rev) VALUES(1, ?1)"},
        {&s->chunk, "INSERT INTO chunk(rev, seq, data) VALUES(?1, ?2, ?3)"},
        {&s->snapshot_done, "INSERT OR REPLACE INTO snapshot(rev, time, chunks, bytes, sum) "
                            "VALUES(?1, ?2, ?3, ?4, ?5)"},
        {&s->trim_log, "DELETE FROM log WHERE rev IN "
                       "(SELECT rev FROM log WHERE rev <= ?1 ORDER BY rev LIMIT 500)"},
        {&s->trim_chunks, "DELETE FROM chunk WHERE id IN "
                          "(SELECT id FROM chunk WHERE rev NOT IN (SELECT rev FROM snapshot) "
                          "AND rev <> ?1 LIMIT 8)"},
        {&s->trim_snapshots, "DELETE FROM snapshot WHERE rev < ?1"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        int r = sqlite_prepare(s->db, all[i].sql, all[i].st, s->path, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

void sqlite_free_pending(struct gt_list *list)
{
    gt_list_for_each (it, next, list) {
        struct pending *p = gt_list_entry(it, struct pending, link);
        gt_list_remove(it);
        gt_buf_fini(&p->bytes);
        free(p);
    }
}

/* Memory goes round between the two threads: freeing on one what the other allocates lets them
 * wait for each other inside malloc. */
static struct pending *take_spare(struct sqlite_journal *s)
{
    if (gt_list_empty(&s->spare)) {
        struct pending *fresh = gt_new(struct pending);
        fresh->bytes = GT_BUF_INIT(JOURNAL_ENTRY_MAX);
        return fresh;
    }
    struct pending *p = gt_list_entry(s->spare.next, struct pending, link);
    gt_list_remove(&p->link);
    gt_buf_reset(&p->bytes);
    return p;
}

static void sqlite_append(struct journal *j, const struct journal_entry *entry)
{
    struct sqlite_journal *s = sqlite_self(j);
    struct pending *p = take_spare(s);
    p->revision = entry->revision;
    journal_encode(entry, &p->bytes);
    pthread_mutex_lock(&s->lock);
    gt_list_push_back(&s->queue, &p->link);
    if (gt_list_empty(&s->spare)) {
        gt_list_splice(&s->spare, &s->spent);
        s->n_spent = 0;
    }
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

static int sqlite_flush(struct journal *j, struct gt_err *err)
{
    struct sqlite_journal *s = sqlite_self(j);
    pthread_mutex_lock(&s->lock);
    while (s->durable < j->appended && s->failed.kind == GT_ERR_NONE) {
        pthread_cond_wait(&s->moved, &s->lock);
    }
    struct gt_err failed = s->failed;
    pthread_mutex_unlock(&s->lock);
    if (failed.kind != GT_ERR_NONE) {
        if (err) {
            *err = failed;
        }
        return gt_err_code(&failed);
    }
    return 0;
}

static bool sqlite_snapshot(struct journal *j, const struct journal_snapshot *snapshot)
{
    struct sqlite_journal *s = sqlite_self(j);
    pthread_mutex_lock(&s->lock);
    bool ok = !s->has_snapshot && s->failed.kind == GT_ERR_NONE;
    if (ok) {
        s->snapshot = *snapshot;
        s->has_snapshot = true;
        s->cancel = false;
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

static void sqlite_cancel_snapshot(struct journal *j)
{
    struct sqlite_journal *s = sqlite_self(j);
    pthread_mutex_lock(&s->lock);
    s->cancel = true;
    pthread_cond_signal(&s->work);
    while (s->has_snapshot && s->started) {
        pthread_cond_wait(&s->moved, &s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

static void sqlite_forget(struct journal *j, uint64_t revision, uint64_t snapshots_below)
{
    struct sqlite_journal *s = sqlite_self(j);
    pthread_mutex_lock(&s->lock);
    s->forget = GT_MAX(s->forget, revision);
    s->forget_snapshots = GT_MAX(s->forget_snapshots, snapshots_below);
    s->trimming = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

static size_t sqlite_snapshots(struct journal *j, struct journal_mark *to, uint64_t *ret_bytes)
{
    struct sqlite_journal *s = sqlite_self(j);
    pthread_mutex_lock(&s->lock);
    size_t n = s->n_marks;
    memcpy(to, s->marks, n * sizeof *to);
    *ret_bytes = s->bytes;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static bool sqlite_has_room(struct journal *j)
{
    struct statvfs fs;
    if (statvfs(sqlite_self(j)->path, &fs) != 0) {
        return true; /* the commit will tell */
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize >= ROOM_BYTES;
}

static void sqlite_stats(struct journal *j, struct journal_stats *ret)
{
    struct sqlite_journal *s = sqlite_self(j);
    pthread_mutex_lock(&s->lock);
    *ret = s->stats;
    pthread_mutex_unlock(&s->lock);
}

static void sqlite_close(struct journal *j)
{
    struct sqlite_journal *s = sqlite_self(j);
    sqlite_stop(s);
    sqlite3_stmt *all[] = {s->begin,         s->commit,   s->insert,      s->chunk,         s->head,
                           s->snapshot_done, s->trim_log, s->trim_chunks, s->trim_snapshots};
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        sqlite3_finalize(all[i]);
    }
    sqlite3_close(s->db);
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    sqlite_free_pending(&s->queue); /* only after a commit that did not succeed */
    sqlite_free_pending(&s->spent);
    sqlite_free_pending(&s->spare);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->moved);
    pthread_cond_destroy(&s->full);
    pthread_mutex_destroy(&s->lock);
    gt_buf_fini(&s->chunk_buf);
    free(s->path);
    free(s);
}

static const struct journal_ops sqlite_ops = {
    .recover = sqlite_recover,
    .append = sqlite_append,
    .flush = sqlite_flush,
    .snapshot = sqlite_snapshot,
    .cancel_snapshot = sqlite_cancel_snapshot,
    .forget = sqlite_forget,
    .read = sqlite_read,
    .state_at = sqlite_state_at,
    .snapshots = sqlite_snapshots,
    .mark = sqlite_mark,
    .span = sqlite_span,
    .has_room = sqlite_has_room,
    .stats = sqlite_stats,
    .close = sqlite_close,
};

int sqlite_journal_open(const char *path, const struct sqlite_journal_options *options,
                        struct journal **ret, struct gt_err *err)
{
    struct sqlite_journal *s = gt_new(struct sqlite_journal);
    s->base.ops = &sqlite_ops;
    s->base.read_only = options && options->read_only;
    s->path = gt_strdup(path);
    s->lock_fd = -1;
    s->chunk_buf = GT_BUF_INIT(JOURNAL_ENTRY_MAX);
    gt_list_init(&s->queue);
    gt_list_init(&s->spent);
    gt_list_init(&s->spare);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->moved, NULL);
    pthread_cond_init(&s->full, NULL);
    bool ro = s->base.read_only;
    int r = ro ? 0 : lock_out_others(s, err);
    r = r < 0 || ro ? r : sqlite_wal_check(path, err);
    r = r < 0 ? r : find_file(path, ro, err);
    r = r < 0 ? r : sqlite_connect(path, ro, &s->db, err);
    r = r < 0 ? r : check_format(s->db, path, ro, err);
    r = r < 0 || ro ? r : prepare_all(s, err);
    if (r < 0) {
        sqlite_close(&s->base);
        return r;
    }
    *ret = &s->base;
    return 0;
}
