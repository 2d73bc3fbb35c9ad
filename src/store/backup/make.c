#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/log.h"
#include "store/backup/backup_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 5, DEPTH_MAX = 8 };

struct making {
    const char *state, *dir, *base;
    struct gt_buf manifest;
    struct backup_result *result;
};

static void note(struct making *m, const char *path, struct backup_file *f, bool linked)
{
    snprintf(f->path, sizeof f->path, "%s", path);
    manifest_add(&m->manifest, f);
    m->result->files++;
    m->result->bytes += f->bytes;
    m->result->linked += linked;
}

static int add(struct making *m, const char *path,
               int (*copy)(const char *from, const char *to, struct backup_file *ret,
                           struct gt_err *err),
               struct gt_err *err)
{
    gt_auto_free char *from = gt_asprintf("%s/%s", m->state, path);
    gt_auto_free char *to = gt_asprintf("%s/%s", m->dir, path);
    struct backup_file f;
    int r = strlen(path) < BACKUP_PATH_MAX
                ? copy(from, to, &f, err)
                : gt_err_set(err, GT_ERR_LIMIT, "'%s' has too long a name", path);
    if (r == 0) {
        note(m, path, &f, false);
    }
    return r;
}

static bool there(const struct making *m, const char *path)
{
    gt_auto_free char *from = gt_asprintf("%s/%s", m->state, path);
    return access(from, F_OK) == 0;
}

/* --- blobs */

/* The base has it under the same digest: its bytes need not be looked at. */
static bool link_blob(struct making *m, const char *path, const char *hex)
{
    if (!m->base) {
        return false;
    }
    gt_auto_free char *from = gt_asprintf("%s/%s", m->base, path);
    gt_auto_free char *to = gt_asprintf("%s/%s", m->dir, path);
    gt_auto_free char *folder = gt_asprintf("%.*s", (int)(strrchr(to, '/') - to), to);
    struct stat st;
    if (gt_mkdirs(folder, 0700, NULL) < 0 || link(from, to) < 0 || stat(to, &st) < 0) {
        return false;
    }
    struct backup_file f = {.bytes = (uint64_t)st.st_size};
    snprintf(f.sha256, sizeof f.sha256, "%s", hex);
    note(m, path, &f, true);
    return true;
}

/* -ENOENT: it went meanwhile. */
static int add_blob(struct making *m, const char *hex, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("server/blobs/sha256/%.2s/%s", hex, hex);
    gt_auto_free char *from = gt_asprintf("%s/%s", m->state, path);
    gt_auto_free char *to = gt_asprintf("%s/%s", m->dir, path);
    struct backup_file f;
    if (access(to, F_OK) == 0 || link_blob(m, path, hex)) { /* of an earlier round, too */
        return 0;
    }
    int r = copy_file(from, to, &f, err);
    if (r == 0 && strcmp(f.sha256, hex) != 0) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "'%s' is damaged: it has digest %s", from, f.sha256);
    }
    if (r == 0) {
        note(m, path, &f, false);
    }
    return r;
}

/* Every blob that the copied index links. */
static int add_blobs(struct making *m, const char *index, struct gt_err *err)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    int r = 0, step = SQLITE_ERROR;
    if (sqlite3_open_v2(index, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT DISTINCT digest FROM link", -1, &st, NULL) == SQLITE_OK) {
        while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
            char hex[GT_SHA256_HEX];
            if (sqlite3_column_bytes(st, 0) != GT_SHA256_LEN) {
                step = SQLITE_ERROR;
                break;
            }
            gt_hex_encode(sqlite3_column_blob(st, 0), GT_SHA256_LEN, hex);
            r = add_blob(m, hex, err);
        }
    }
    if (r == 0 && step != SQLITE_DONE) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "read '%s': %s", index, sqlite3_errmsg(db));
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return r;
}

/* The index, and what it links. When a blob has gone, somebody deleted an image meanwhile: the
 * index is taken once more. */
static int add_registry(struct making *m, struct gt_err *err)
{
    static const char name[] = "server/registry.db";
    gt_auto_free char *from = gt_asprintf("%s/%s", m->state, name);
    gt_auto_free char *to = gt_asprintf("%s/%s", m->dir, name);
    struct backup_file f;
    int r = -ENOENT;
    if (!there(m, name)) {
        return 0;
    }
    for (int i = 0; i < ROUNDS && r == -ENOENT; i++) {
        unlink(to);
        r = copy_database(from, to, &f, err);
        r = r < 0 ? r : add_blobs(m, to, err);
    }
    if (r == 0) {
        note(m, name, &f, false);
    }
    return r;
}

/* --- everything else */

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

/* What was copied already, or is nobody's: SQLite's own, locks, unfinished uploads. */
static bool skipped(const char *path)
{
    static const char *const whole[] = {"server/core.db", "server/registry.db", "server/blobs",
                                        "server/logs/streams.db"};
    static const char *const ends[] = {"-wal", "-shm", "-journal", ".lock", ".tmp"};
    for (size_t i = 0; i < GT_ARRAY_LEN(whole); i++) {
        if (strcmp(path, whole[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(ends); i++) {
        if (ends_in(path, ends[i])) {
            return true;
        }
    }
    return false;
}

static int add_tree(struct making *m, const char *folder, int depth, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/%s", m->state, folder);
    DIR *d = opendir(path);
    if (!d) {
        return gt_err_errno(err, errno, "open '%s'", path);
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        gt_auto_free char *name = gt_asprintf("%s/%s", folder, e->d_name);
        gt_auto_free char *from = gt_asprintf("%s/%s", m->state, name);
        struct stat st;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || skipped(name) ||
            lstat(from, &st) < 0) {
            continue;
        }
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            r = add_tree(m, name, depth + 1, err);
        } else if (S_ISREG(st.st_mode)) {
            r = add(m, name, ends_in(name, ".db") ? copy_database : copy_file, err);
            r = r == -ENOENT ? 0 : r; /* gone meanwhile: a log segment that was emptied */
        }
    }
    closedir(d);
    return r;
}

/* --- the whole */

static int empty_folder(const char *dir, struct gt_err *err)
{
    int r = gt_mkdirs(dir, 0700, err);
    DIR *d = r < 0 ? NULL : opendir(dir);
    if (r == 0 && !d) {
        return gt_err_errno(err, errno, "open '%s'", dir);
    }
    for (struct dirent *e; d && r == 0 && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            r = gt_err_set(err, GT_ERR_EXISTS, "'%s' is not empty", dir);
        }
    }
    if (d) {
        closedir(d);
    }
    return r;
}

static int make(struct making *m, backup_about_fn *about, void *arg, struct gt_err *err)
{
    gt_auto_free char *core = gt_asprintf("%s/server/core.db", m->dir);
    int r = add(m, "server/core.db", copy_database, err);
    r = r < 0 ? r : about(arg, core, &m->manifest, err);
    r = r < 0 ? r : add_registry(m, err);
    if (r == 0 && there(m, "server/logs/streams.db")) {
        r = add(m, "server/logs/streams.db", copy_database, err);
    }
    r = r < 0 ? r : add_tree(m, "server", 0, err);
    r = r < 0 ? r : add(m, "root.key", copy_file, err);
    if (r == 0) {
        sync(); /* names of folders and files, all of them, before what says that they are there */
        r = manifest_write(&m->manifest, m->dir, err);
    }
    return r;
}

int backup_make(const char *state_dir, const char *dir, const char *base, backup_about_fn *about,
                void *arg, struct backup_result *ret, struct gt_err *err)
{
    *ret = (struct backup_result){0};
    struct making m = {.state = state_dir,
                       .dir = dir,
                       .base = base,
                       .manifest = GT_BUF_INIT(BACKUP_MANIFEST_MAX),
                       .result = ret};
    int r = empty_folder(dir, err);
    if (r < 0) {
        return r;
    }
    gt_buf_puts(&m.manifest, BACKUP_FIRST_LINE);
    r = make(&m, about, arg, err);
    gt_buf_fini(&m.manifest);
    return r < 0 ? gt_err_wrap(err, "the backup '%s' is not complete", dir) : 0;
}
