#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "store/backup/backup_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

static int make_folder_of(const char *path, struct gt_err *err)
{
    gt_auto_free char *folder = gt_strdup(path);
    *strrchr(folder, '/') = '\0';
    return gt_mkdirs(folder, 0700, err);
}

/* From one descriptor, hashed, to another; to < 0: only hashed. */
static int pump(int from, int to, const char *what, struct backup_file *ret, struct gt_err *err)
{
    gt_auto_free char *piece = gt_malloc(PIECE);
    struct gt_sha256 sum;
    unsigned char out[GT_SHA256_LEN];
    ssize_t n;
    int r = 0;
    gt_sha256_init(&sum);
    ret->bytes = 0;
    while (r == 0 && (n = gt_read_full(from, piece, PIECE)) > 0) {
        gt_sha256_add(&sum, piece, (size_t)n);
        ret->bytes += (uint64_t)n;
        r = to < 0 ? 0 : gt_write_full(to, piece, (size_t)n);
    }
    gt_sha256_final(&sum, out);
    gt_sha256_fini(&sum);
    gt_hex_encode(out, sizeof out, ret->sha256);
    r = r < 0 ? r : n < 0 ? (int)n : to >= 0 && fsync(to) < 0 ? -errno : 0;
    return r < 0 ? gt_err_errno(err, r, "copy '%s'", what) : 0;
}

int copy_file(const char *from, const char *to, struct backup_file *ret, struct gt_err *err)
{
    gt_auto_close int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0) {
        return gt_err_errno(err, errno, "open '%s'", from);
    }
    int r = make_folder_of(to, err);
    if (r < 0) {
        return r;
    }
    gt_auto_close int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) {
        return gt_err_errno(err, errno, "make '%s'", to);
    }
    return pump(in, out, from, ret, err);
}

int hash_file(const char *path, struct backup_file *ret, struct gt_err *err)
{
    gt_auto_close int in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return in < 0 ? gt_err_errno(err, errno, "open '%s'", path) : pump(in, -1, path, ret, err);
}

static int run_backup(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int step = SQLITE_BUSY;
    while (b && (step == SQLITE_BUSY || step == SQLITE_LOCKED)) {
        step = sqlite3_backup_step(b, -1); /* all at once: of one commit */
        if (step == SQLITE_BUSY || step == SQLITE_LOCKED) {
            sqlite3_sleep(20);
        }
    }
    return sqlite3_backup_finish(b) == SQLITE_OK && step == SQLITE_DONE ? 0 : -EIO;
}

int copy_database(const char *from, const char *to, struct backup_file *ret, struct gt_err *err)
{
    sqlite3 *a = NULL, *b = NULL;
    int r = make_folder_of(to, err);
    if (r < 0) {
        return r;
    }
    bool ok =
        sqlite3_open_v2(from, &a, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_open_v2(to, &b, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK;
    if (ok) {
        sqlite3_busy_timeout(a, 10000);
        ok = run_backup(a, b) == 0 && /* one file, whole */
             sqlite3_exec(b, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) == SQLITE_OK;
    }
    if (!ok) {
        r = gt_err_set(err, GT_ERR_IO, "copy '%s': %s", from,
                       sqlite3_errmsg(b && sqlite3_errcode(b) ? b : a));
    }
    sqlite3_close(a);
    sqlite3_close(b);
    gt_auto_close int fd = r < 0 ? -1 : open(to, O_RDONLY | O_CLOEXEC);
    if (r == 0 && (fd < 0 || fsync(fd) < 0)) {
        r = gt_err_errno(err, errno, "sync '%s'", to);
    }
    return r < 0 ? r : pump(fd, -1, to, ret, err);
}

int sync_folder(const char *path, struct gt_err *err)
{
    gt_auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? gt_err_errno(err, errno, "sync '%s'", path) : 0;
}
