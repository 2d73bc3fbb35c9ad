/*
 * Connections. One writes, behind a lock; readers take one from a pool; one moves the log into the
 * file, so that no commit waits for that (a checkpoint inside a commit costs 50 to 130 ms).
 * WAL with synchronous=FULL: a commit's frames are on stable storage before a reader can see them.
 */
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "store/registry/registry_priv.h"

#include <errno.h>

#define CHECKPOINT_PAGES 1000

static const char schema[] =
    "CREATE TABLE repo(id INTEGER PRIMARY KEY AUTOINCREMENT, rid TEXT NOT NULL UNIQUE);"
    "CREATE TABLE link(repo INTEGER NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,"
    " linked_ms INTEGER NOT NULL, PRIMARY KEY(repo, digest)) WITHOUT ROWID;"
    "CREATE INDEX link_digest ON link(digest);"
    "CREATE TABLE manifest(repo INTEGER NOT NULL, digest BLOB NOT NULL, media_type TEXT NOT NULL,"
    " artifact_type TEXT NOT NULL, config_type TEXT NOT NULL, size INTEGER NOT NULL,"
    " image_size INTEGER NOT NULL, pushed_ms INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY(repo, digest));"
    "CREATE TABLE reference(repo INTEGER NOT NULL, manifest BLOB NOT NULL, target BLOB NOT NULL,"
    " kind INTEGER NOT NULL, PRIMARY KEY(repo, manifest, target, kind)) WITHOUT ROWID;"
    "CREATE INDEX reference_target ON reference(repo, target, kind);"
    "CREATE TABLE tag(repo INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,"
    " tagged_ms INTEGER NOT NULL, PRIMARY KEY(repo, name)) WITHOUT ROWID;"
    "CREATE INDEX tag_digest ON tag(repo, digest);"
    "PRAGMA user_version = 1;";

static const char *const texts[N_SQL] = {
#define X(name, text) text,
    REGISTRY_STATEMENTS(X)
#undef X
};

static int sql_err(struct registry_conn *c, const char *what, struct gt_err *err)
{
    int code = sqlite3_errcode(c->db) & 0xff;
    enum gt_err_kind kind =
        code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? GT_ERR_CORRUPT : GT_ERR_IO;
    int r = gt_err_set(err, kind, "registry index: %s: %s", what, sqlite3_errmsg(c->db));
    if (code == SQLITE_FULL) {
        if (err) {
            err->sys_errno = ENOSPC;
        }
        return -ENOSPC;
    }
    return r;
}

static void conn_close(struct registry_conn *c)
{
    if (!c) {
        return;
    }
    for (int i = 0; i < N_SQL; i++) {
        sqlite3_finalize(c->st[i]);
    }
    sqlite3_close(c->db);
    free(c);
}

static int conn_open(struct registry *r, bool create, struct registry_conn **ret,
                     struct gt_err *err)
{
    struct registry_conn *c = gt_new(struct registry_conn);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(r->path, &c->db, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(c->db, 10000) != SQLITE_OK ||
        sqlite3_exec(c->db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-1024;"
                     "PRAGMA trusted_schema=OFF",
                     NULL, NULL, NULL) != SQLITE_OK) {
        int rc = sql_err(c, "open", err);
        conn_close(c);
        return rc;
    }
    *ret = c;
    return 0;
}

sqlite3_stmt *registry_sql(struct registry_conn *c, enum registry_sql which)
{
    if (!c->st[which]) {
        int rc = sqlite3_prepare_v3(c->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                    &c->st[which], NULL);
        GT_ASSERT(rc == SQLITE_OK);
    }
    sqlite3_reset(c->st[which]);
    sqlite3_clear_bindings(c->st[which]);
    return c->st[which];
}

void registry_bind_str(sqlite3_stmt *st, int at, struct gt_str s)
{
    sqlite3_bind_text64(st, at, s.p ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8);
}

void registry_bind_digest(sqlite3_stmt *st, int at, const struct oci_digest *d)
{
    sqlite3_bind_blob(st, at, d->b, sizeof(d->b), SQLITE_STATIC);
}

int registry_step(struct registry_conn *c, sqlite3_stmt *st, struct gt_err *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        return 1;
    }
    int r = rc == SQLITE_DONE ? 0 : sql_err(c, sqlite3_sql(st), err);
    sqlite3_reset(st);
    return r;
}

int registry_run(struct registry_conn *c, sqlite3_stmt *st, struct gt_err *err)
{
    int r = registry_step(c, st, err);
    if (r > 0) {
        sqlite3_reset(st);
    }
    return r < 0 ? r : 0;
}

int registry_probe(struct registry_conn *c, sqlite3_stmt *st, struct gt_err *err)
{
    int r = registry_step(c, st, err);
    sqlite3_reset(st);
    return r;
}

struct gt_str registry_col_str(sqlite3_stmt *st, int at, struct gt_arena *arena)
{
    const void *p = sqlite3_column_blob(st, at);
    size_t n = (size_t)sqlite3_column_bytes(st, at);
    char *to = gt_arena_alloc(arena, n + 1);
    if (n) {
        memcpy(to, p, n);
    }
    return gt_str_n(to, n);
}

int registry_col_digest(sqlite3_stmt *st, int at, struct oci_digest *ret)
{
    const void *p = sqlite3_column_blob(st, at);
    if (!p || sqlite3_column_bytes(st, at) != (int)sizeof(ret->b)) {
        return -EBADMSG;
    }
    memcpy(ret->b, p, sizeof(ret->b));
    return 0;
}

int registry_reader(struct registry *r, struct registry_conn **ret, struct gt_err *err)
{
    pthread_mutex_lock(&r->pool_lock);
    struct registry_conn *c = r->idle;
    if (c) {
        r->idle = c->next;
    }
    pthread_mutex_unlock(&r->pool_lock);
    *ret = c;
    return c ? 0 : conn_open(r, /* create= */ false, ret, err);
}

void registry_reader_done(struct registry *r, struct registry_conn *c)
{
    pthread_mutex_lock(&r->pool_lock);
    c->next = r->idle;
    r->idle = c;
    pthread_mutex_unlock(&r->pool_lock);
}

int registry_begin(struct registry *r, struct registry_conn **ret, struct gt_err *err)
{
    pthread_mutex_lock(&r->write_lock);
    struct registry_conn *c = r->writer;
    int rc = GT_FAIL("registry.begin") ? gt_err_errno(err, EIO, "registry index")
                                       : registry_run(c, registry_sql(c, SQL_BEGIN), err);
    if (rc < 0) {
        pthread_mutex_unlock(&r->write_lock);
        return rc;
    }
    *ret = c;
    return 0;
}

static int wal_hook(void *arg, sqlite3 *db, const char *name, int pages)
{
    ((struct registry *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

/* Passive: waits for nobody and is taken up by a later caller where it could not finish. */
static void checkpoint(struct registry *r)
{
    if (pthread_mutex_trylock(&r->checkpoint_lock) != 0) {
        return;
    }
    (void)sqlite3_wal_checkpoint_v2(r->checkpointer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                    NULL);
    pthread_mutex_unlock(&r->checkpoint_lock);
}

int registry_end(struct registry *r, int rc, struct gt_err *err)
{
    struct registry_conn *c = r->writer;
    if (rc >= 0) {
        int done = GT_FAIL("registry.commit") ? gt_err_errno(err, EIO, "registry index")
                                              : registry_run(c, registry_sql(c, SQL_COMMIT), err);
        rc = done < 0 ? done : rc;
    }
    if (!sqlite3_get_autocommit(c->db)) {
        (void)registry_run(c, registry_sql(c, SQL_ROLLBACK), NULL);
    }
    bool long_log = r->wal_pages >= CHECKPOINT_PAGES;
    pthread_mutex_unlock(&r->write_lock);
    if (long_log) {
        checkpoint(r);
    }
    return rc;
}

int registry_repo_id(struct registry_conn *c, struct gt_str repo, int64_t *ret_id,
                     struct gt_err *err)
{
    sqlite3_stmt *st = registry_sql(c, SQL_REPO_FIND);
    registry_bind_str(st, 1, repo);
    int r = registry_step(c, st, err);
    if (r > 0) {
        *ret_id = sqlite3_column_int64(st, 0);
    }
    sqlite3_reset(st);
    return r;
}

int registry_repo_make(struct registry *r, struct registry_conn *c, struct gt_str repo,
                       int64_t *ret_id, struct gt_err *err)
{
    if (gt_table_get(&r->sealed, repo)) {
        (void)gt_err_set(err, GT_ERR_NOT_FOUND, "the repository is being deleted");
        return -ESTALE;
    }
    int rc = registry_repo_id(c, repo, ret_id, err);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    sqlite3_stmt *st = registry_sql(c, SQL_REPO_ADD);
    registry_bind_str(st, 1, repo);
    rc = registry_run(c, st, err);
    *ret_id = sqlite3_last_insert_rowid(c->db);
    return rc;
}

static int prepare_schema(struct registry *r, struct gt_err *err)
{
    struct registry_conn *c = r->writer;
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(c->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        sqlite3_finalize(st);
        return sql_err(c, "read its version", err);
    }
    int version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    if (version == 1) {
        return 0;
    }
    if (version != 0) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED,
                          "registry index '%s' is of version %d; this program knows 1", r->path,
                          version);
    }
    gt_auto_free char *text = gt_asprintf("BEGIN IMMEDIATE; %s COMMIT;", schema);
    return sqlite3_exec(c->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                    : sql_err(c, "make it", err);
}

int registry_open(const char *dir, struct registry **ret, struct gt_err *err)
{
    struct registry *r = gt_new(struct registry);
    pthread_mutex_init(&r->write_lock, NULL);
    pthread_mutex_init(&r->pool_lock, NULL);
    pthread_mutex_init(&r->checkpoint_lock, NULL);
    gt_table_init(&r->sealed);
    gt_auto_free char *blobs = gt_asprintf("%s/blobs", dir);
    r->path = gt_asprintf("%s/registry.db", dir);
    int rc = blobs_open(blobs, &r->blobs, err); /* makes dir; its lock is ours, too */
    if (rc == 0) {
        rc = conn_open(r, /* create= */ true, &r->writer, err);
        rc = rc < 0 ? rc : prepare_schema(r, err);
    }
    if (rc == 0) {
        sqlite3_wal_hook(r->writer->db, wal_hook, r);
        rc = conn_open(r, /* create= */ false, &r->checkpointer, err);
    }
    if (rc < 0) {
        registry_close(r);
        return rc;
    }
    *ret = r;
    return 0;
}

void registry_close(struct registry *r)
{
    if (!r) {
        return;
    }
    while (r->idle) {
        struct registry_conn *c = r->idle;
        r->idle = c->next;
        conn_close(c);
    }
    conn_close(r->checkpointer);
    conn_close(r->writer);
    gt_table_fini(&r->sealed);
    blobs_close(r->blobs);
    pthread_mutex_destroy(&r->write_lock);
    pthread_mutex_destroy(&r->pool_lock);
    pthread_mutex_destroy(&r->checkpoint_lock);
    free(r->path);
    free(r);
}

struct blobs *registry_blobs(struct registry *r)
{
    return r->blobs;
}
