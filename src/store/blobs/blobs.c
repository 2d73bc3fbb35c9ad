#include "store/blobs/blobs.h"

#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "store/blobs/blobs_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void blobs_path(const struct oci_digest *d, char to[static BLOBS_PATH_MAX])
{
    char hex[OCI_DIGEST_HEX + 1];
    oci_digest_hex(d, hex);
    snprintf(to, BLOBS_PATH_MAX, "sha256/%.2s/%s", hex, hex);
}

static int folder_sync(struct blobs *b, const char *path, struct gt_err *err)
{
    gt_auto_close int fd = openat(b->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || GT_FAIL("blobs.folder_sync") || fsync(fd) < 0) {
        return gt_err_errno(err, errno, "sync the folder '%s'", path);
    }
    return 0;
}

static void shard_path(const struct oci_digest *d, char to[static 16])
{
    snprintf(to, 16, "sha256/%02x", d->b[0]);
}

int blobs_shard_sync(struct blobs *b, const struct oci_digest *d, struct gt_err *err)
{
    char path[16];
    shard_path(d, path);
    return folder_sync(b, path, err);
}

int blobs_shard_make(struct blobs *b, const struct oci_digest *d, struct gt_err *err)
{
    char path[16];
    shard_path(d, path);
    if (mkdirat(b->dir, path, 0700) == 0) {
        return folder_sync(b, "sha256", err);
    }
    return errno == EEXIST ? 0 : gt_err_errno(err, errno, "make the folder '%s'", path);
}

static int open_folders(struct blobs *b, const char *dir, struct gt_err *err)
{
    int r = gt_mkdirs(dir, 0700, err);
    if (r < 0) {
        return r;
    }
    b->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->dir < 0) {
        return gt_err_errno(err, errno, "open '%s'", dir);
    }
    if (flock(b->dir, LOCK_EX | LOCK_NB) < 0) {
        int saved = errno == EWOULDBLOCK ? EBUSY : errno;
        return gt_err_errno(err, saved, "lock '%s'", dir);
    }
    if ((mkdirat(b->dir, "sha256", 0700) < 0 && errno != EEXIST) ||
        (mkdirat(b->dir, "uploads", 0700) < 0 && errno != EEXIST) || fsync(b->dir) < 0) {
        return gt_err_errno(err, errno, "make folders in '%s'", dir);
    }
    b->uploads = openat(b->dir, "uploads", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return b->uploads < 0 ? gt_err_errno(err, errno, "open '%s/uploads'", dir) : 0;
}

int blobs_open(const char *dir, struct blobs **ret, struct gt_err *err)
{
    struct blobs *b = gt_new(struct blobs);
    b->dir = b->uploads = -1;
    pthread_mutex_init(&b->names, NULL);
    pthread_mutex_init(&b->lock, NULL);
    gt_table_init(&b->table);
    int r = open_folders(b, dir, err);
    if (r < 0) {
        blobs_close(b);
        return gt_err_wrap(err, "blob store");
    }
    *ret = b;
    return 0;
}

void blobs_close(struct blobs *b)
{
    if (!b) {
        return;
    }
    blobs_uploads_fini(b);
    gt_table_fini(&b->table);
    gt_closep(&b->uploads);
    gt_closep(&b->dir);
    pthread_mutex_destroy(&b->names);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static int missing(struct gt_err *err, const struct oci_digest *d, const char *what)
{
    char text[OCI_DIGEST_TEXT + 1];
    if (errno == ENOENT) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "no blob %s", oci_digest_text(d, text));
    }
    return gt_err_errno(err, errno, "%s blob %s", what, oci_digest_text(d, text));
}

int blobs_get(struct blobs *b, const struct oci_digest *d, int64_t *ret_size, struct gt_err *err)
{
    char path[BLOBS_PATH_MAX];
    blobs_path(d, path);
    gt_auto_close int fd = openat(b->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return missing(err, d, "open");
    }
    if (ret_size) {
        *ret_size = st.st_size;
    }
    return gt_steal_fd(&fd);
}

int blobs_stat(struct blobs *b, const struct oci_digest *d, int64_t *ret_size, struct gt_err *err)
{
    char path[BLOBS_PATH_MAX];
    struct stat st;
    blobs_path(d, path);
    if (fstatat(b->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return missing(err, d, "look at");
    }
    if (ret_size) {
        *ret_size = st.st_size;
    }
    return 0;
}

int blobs_touch(struct blobs *b, const struct oci_digest *d, struct gt_err *err)
{
    char path[BLOBS_PATH_MAX];
    blobs_path(d, path);
    pthread_mutex_lock(&b->names);
    int r = utimensat(b->dir, path, NULL, AT_SYMLINK_NOFOLLOW);
    pthread_mutex_unlock(&b->names);
    return r < 0 ? missing(err, d, "touch") : 0;
}

int blobs_link(struct blobs *b, const struct oci_digest *d, const char *other_dir,
               struct gt_err *err)
{
    char path[BLOBS_PATH_MAX];
    blobs_path(d, path);
    gt_auto_close int other = open(other_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (other < 0) {
        return gt_err_errno(err, errno, "open '%s'", other_dir);
    }
    int r = blobs_shard_make(b, d, err);
    if (r < 0) {
        return r;
    }
    pthread_mutex_lock(&b->names);
    r = linkat(other, path, b->dir, path, 0);
    if (r < 0 && errno == EEXIST) {
        r = 0;
    }
    if (r == 0) {
        r = utimensat(b->dir, path, NULL, AT_SYMLINK_NOFOLLOW);
    }
    pthread_mutex_unlock(&b->names);
    return r < 0 ? missing(err, d, "link") : blobs_shard_sync(b, d, err);
}

int blobs_delete(struct blobs *b, const struct oci_digest *d, struct gt_err *err)
{
    int r = blobs_delete_older(b, d, INT64_MAX, err);
    return r < 0 ? r : 0;
}

static int64_t mtime_ms(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

int blobs_delete_older(struct blobs *b, const struct oci_digest *d, int64_t before_ms,
                       struct gt_err *err)
{
    char path[BLOBS_PATH_MAX];
    struct stat st;
    blobs_path(d, path);
    pthread_mutex_lock(&b->names);
    int r = fstatat(b->dir, path, &st, AT_SYMLINK_NOFOLLOW);
    bool old = r == 0 && mtime_ms(&st) < before_ms;
    if (old) {
        r = unlinkat(b->dir, path, 0);
    }
    int saved = errno;
    pthread_mutex_unlock(&b->names);
    errno = saved;
    if (r < 0 && errno == ENOENT) {
        return 1;
    }
    return r < 0 ? missing(err, d, "delete") : old;
}

struct each {
    struct blobs *b;
    int (*fn)(void *arg, const struct oci_digest *d, int64_t size, int64_t mtime_ms);
    void *arg;
};

static int each_name(const struct each *e, int folder, const char *name)
{
    struct oci_digest d;
    struct stat st;
    if (strlen(name) != OCI_DIGEST_HEX || gt_hex_decode(name, OCI_DIGEST_HEX, d.b, 32) < 0 ||
        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) {
        return 0; /* nothing of ours, or deleted meanwhile */
    }
    return e->fn(e->arg, &d, st.st_size, mtime_ms(&st));
}

static int each_shard(const struct each *e, unsigned shard, struct gt_err *err)
{
    char path[16];
    snprintf(path, sizeof(path), "sha256/%02x", shard);
    int fd = openat(e->b->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : gt_err_errno(err, errno, "open '%s'", path);
    }
    struct dirent **names = NULL;
    int n = scandirat(fd, ".", &names, NULL, alphasort);
    int r = n < 0 ? gt_err_errno(err, errno, "list '%s'", path) : 0;
    for (int i = 0; i < n; i++) {
        r = r < 0 ? r : each_name(e, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    close(fd);
    return r;
}

int blobs_each(struct blobs *b,
               int (*fn)(void *arg, const struct oci_digest *d, int64_t size, int64_t mtime_ms),
               void *arg, struct gt_err *err)
{
    struct each e = {.b = b, .fn = fn, .arg = arg};
    int r = 0;
    for (unsigned shard = 0; shard < 256 && r >= 0; shard++) {
        r = each_shard(&e, shard, err);
    }
    return r < 0 ? r : 0;
}
