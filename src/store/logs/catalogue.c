/* Which streams there are: a small SQLite table. A stream's id is never used again, so that blocks
 * of a deleted one are known to be dead when the segments are scanned. */
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "store/logs/logs_priv.h"

#include <errno.h>

static int db_error(struct log_store *s, struct gt_err *err, const char *doing)
{
    gt_err_set(err, GT_ERR_IO, "%s in the catalogue of log streams: %s", doing,
               s->db ? sqlite3_errmsg(s->db) : "no memory");
    if (err && s->db && sqlite3_errcode(s->db) == SQLITE_FULL) {
        err->sys_errno = ENOSPC;
    }
    return err ? gt_err_code(err) : -EIO;
}

static const char schema[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                             "PRAGMA cache_size=-256;"
                             "CREATE TABLE IF NOT EXISTS streams("
                             " id INTEGER PRIMARY KEY AUTOINCREMENT, grp TEXT NOT NULL,"
                             " name TEXT NOT NULL, created INTEGER NOT NULL, UNIQUE(grp, name));"
                             "CREATE TABLE IF NOT EXISTS salt(salt INTEGER NOT NULL);";

/* A store of before there was a salt has streams, and goes on without one. */
static int load_salt(struct log_store *s, struct gt_err *err)
{
    uint32_t salt;
    gt_rand_bytes(&salt, sizeof(salt));
    gt_auto_free char *make = gt_asprintf(
        "INSERT INTO salt SELECT CASE WHEN EXISTS(SELECT 1 FROM streams) THEN 0 ELSE %u END "
        "WHERE NOT EXISTS(SELECT 1 FROM salt)",
        salt);
    sqlite3_stmt *q = NULL;
    if (sqlite3_exec(s->db, make, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(s->db, "SELECT salt FROM salt", -1, &q, NULL) != SQLITE_OK) {
        return db_error(s, err, "read the salt");
    }
    bool ok = sqlite3_step(q) == SQLITE_ROW;
    s->salt = (uint32_t)sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return ok ? 0 : db_error(s, err, "read the salt");
}

static int load(struct log_store *s, struct gt_err *err)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, "SELECT id, grp, name, created FROM streams", -1, &q, NULL) !=
        SQLITE_OK) {
        return db_error(s, err, "read");
    }
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        index_add(s, (uint64_t)sqlite3_column_int64(q, 0),
                  gt_str((const char *)sqlite3_column_text(q, 1)),
                  gt_str((const char *)sqlite3_column_text(q, 2)), sqlite3_column_int64(q, 3));
    }
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? 0 : db_error(s, err, "read");
}

int catalogue_open(struct log_store *s, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/streams.db", s->dir);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
        return db_error(s, err, "open");
    }
    sqlite3_busy_timeout(s->db, 5000);
    if (sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK) {
        return db_error(s, err, "make the tables");
    }
    int r = load_salt(s, err);
    return r < 0 ? r : load(s, err);
}

int catalogue_add(struct log_store *s, struct gt_str group, struct gt_str name, int64_t now,
                  uint64_t *ret_id, struct gt_err *err)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v2(s->db, "INSERT INTO streams(grp, name, created) VALUES(?, ?, ?)", -1, &q,
                           NULL) != SQLITE_OK) {
        return db_error(s, err, "insert");
    }
    sqlite3_bind_text(q, 1, group.p, (int)group.n, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, name.p, (int)name.n, SQLITE_STATIC);
    sqlite3_bind_int64(q, 3, now);
    int rc = sqlite3_step(q);
    int r = rc == SQLITE_DONE ? 0 : db_error(s, err, "insert");
    sqlite3_finalize(q);
    if (r == 0) {
        *ret_id = (uint64_t)sqlite3_last_insert_rowid(s->db);
    }
    return r;
}

int catalogue_remove(struct log_store *s, struct gt_str group, const struct gt_str *name,
                     struct gt_err *err)
{
    sqlite3_stmt *q = NULL;
    const char *sql = name ? "DELETE FROM streams WHERE grp = ? AND name = ?"
                           : "DELETE FROM streams WHERE grp = ?";
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK) {
        return db_error(s, err, "delete");
    }
    sqlite3_bind_text(q, 1, group.p, (int)group.n, SQLITE_STATIC);
    if (name) {
        sqlite3_bind_text(q, 2, name->p, (int)name->n, SQLITE_STATIC);
    }
    int r = sqlite3_step(q) == SQLITE_DONE ? 0 : db_error(s, err, "delete");
    sqlite3_finalize(q);
    return r;
}
