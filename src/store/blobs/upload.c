/*
 * Uploads. One that is in memory has its file open and its hash at hand; one that a former process
 * left has its bytes hashed again when it is taken. The owner's file is written before the data
 * file, so that an upload on disk always has an owner; a data file without one is litter.
 */
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/rand.h"
#include "lib/crypto/digest.h"
#include "store/blobs/blobs_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER_MAX 1024
/* Writeback is started this often, so that the sync at the end finds little left to do. */
#define FLUSH_EVERY (8 * (int64_t)GT_MIB)

struct blob_upload {
    struct blobs *store;
    char id[BLOBS_UPLOAD_ID + 1];
    char *owner;
    int fd;
    int64_t size, flushed, synced; /* synced: -1 until the upload itself is on stable storage */
    struct gt_sha256 hash;
    bool taken;
    int64_t used_ms;
};

static void upload_free(struct blob_upload *u)
{
    gt_sha256_fini(&u->hash);
    gt_closep(&u->fd);
    free(u->owner);
    free(u);
}

static void upload_unlink(struct blobs *b, const char *id)
{
    char owner[BLOBS_UPLOAD_ID + 8];
    snprintf(owner, sizeof(owner), "%s.owner", id);
    unlinkat(b->uploads, id, 0);
    unlinkat(b->uploads, owner, 0);
}

/* Takes the upload out of the table and frees it. */
static void upload_forget(struct blob_upload *u)
{
    struct blobs *b = u->store;
    pthread_mutex_lock(&b->lock);
    gt_table_del(&b->table, gt_str(u->id));
    pthread_mutex_unlock(&b->lock);
    upload_free(u);
}

void blobs_uploads_fini(struct blobs *b)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&b->table, &it));) {
        upload_free(e->value);
    }
}

static struct blob_upload *upload_alloc(struct blobs *b, struct gt_str id, struct gt_str owner)
{
    struct blob_upload *u = gt_new(struct blob_upload);
    u->store = b;
    memcpy(u->id, id.p, BLOBS_UPLOAD_ID);
    u->owner = gt_strndup(owner.p ? owner.p : "", owner.n);
    u->fd = -1;
    u->synced = -1;
    u->taken = true;
    u->used_ms = gt_clock_real_ms();
    gt_sha256_init(&u->hash);
    return u;
}

static int write_owner(struct blob_upload *u, struct gt_err *err)
{
    char name[BLOBS_UPLOAD_ID + 8];
    snprintf(name, sizeof(name), "%s.owner", u->id);
    gt_auto_close int fd =
        openat(u->store->uploads, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : gt_write_full(fd, u->owner, strlen(u->owner));
    return r < 0 ? gt_err_errno(err, r, "write '%s'", name) : 0;
}

static int too_many(struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_THROTTLED, "more than %d uploads are under way",
                      BLOBS_LIMIT_UPLOADS);
}

int blobs_upload_new(struct blobs *b, struct gt_str owner, struct blob_upload **ret,
                     struct gt_err *err)
{
    unsigned char random[BLOBS_UPLOAD_ID / 2];
    char id[BLOBS_UPLOAD_ID + 1];
    gt_rand_bytes(random, sizeof(random));
    gt_hex_encode(random, sizeof(random), id);
    if (owner.n > OWNER_MAX || (owner.n && memchr(owner.p, 0, owner.n))) {
        return gt_err_set(err, GT_ERR_INVALID, "the owner of an upload is not valid");
    }
    pthread_mutex_lock(&b->lock);
    bool full = b->table.count >= BLOBS_LIMIT_UPLOADS;
    struct blob_upload *u = NULL;
    if (!full) {
        u = upload_alloc(b, gt_str(id), owner);
        gt_table_put(&b->table, gt_str(id), u);
    }
    pthread_mutex_unlock(&b->lock);
    if (full) {
        return too_many(err);
    }
    int r = GT_FAIL("blobs.upload_new") ? gt_err_errno(err, EIO, "begin an upload")
                                        : write_owner(u, err);
    if (r == 0) {
        u->fd = openat(b->uploads, id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        r = u->fd < 0 ? gt_err_errno(err, errno, "create an upload") : 0;
    }
    if (r < 0) {
        upload_unlink(b, id);
        upload_forget(u);
        return r;
    }
    *ret = u;
    return 0;
}

static int no_upload(struct gt_err *err, struct gt_str id)
{
    return gt_err_set(err, GT_ERR_NOT_FOUND, "no upload '" GT_STR_FMT "'",
                      (int)GT_MIN(id.n, (size_t)64), id.p ? id.p : "");
}

static bool id_valid(struct gt_str id)
{
    for (size_t i = 0; i < id.n; i++) {
        if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f'))) {
            return false;
        }
    }
    return id.n == BLOBS_UPLOAD_ID;
}

/* Opens what a former process left and hashes it. */
static int reopen(struct blob_upload *u, struct gt_err *err)
{
    char name[BLOBS_UPLOAD_ID + 8];
    snprintf(name, sizeof(name), "%s.owner", u->id);
    gt_auto_buf struct gt_buf owner = GT_BUF_INIT(OWNER_MAX + 1);
    if (gt_file_read(u->store->uploads, name, &owner, NULL) < 0 ||
        !gt_str_is(gt_buf_view(&owner), u->owner)) {
        return no_upload(err, gt_str(u->id));
    }
    u->fd = openat(u->store->uploads, u->id, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (u->fd < 0) {
        return errno == ENOENT ? no_upload(err, gt_str(u->id))
                               : gt_err_errno(err, errno, "open upload '%s'", u->id);
    }
    const size_t step = 512 * GT_KIB;
    gt_auto_free char *piece = gt_malloc(step);
    for (ssize_t n; (n = gt_read_full(u->fd, piece, step)) != 0; u->size += n) {
        if (n < 0) {
            return gt_err_errno(err, (int)n, "read upload '%s'", u->id);
        }
        gt_sha256_add(&u->hash, piece, (size_t)n);
    }
    return 0;
}

int blobs_upload_take(struct blobs *b, struct gt_str id, struct gt_str owner,
                      struct blob_upload **ret, struct gt_err *err)
{
    if (!id_valid(id)) {
        return no_upload(err, id);
    }
    pthread_mutex_lock(&b->lock);
    struct blob_upload *u = gt_table_get(&b->table, id);
    bool here = u != NULL;
    bool other = here && !gt_str_is(owner, u->owner), busy = here && u->taken;
    if (!here && b->table.count < BLOBS_LIMIT_UPLOADS) {
        u = upload_alloc(b, id, owner);
        gt_table_put(&b->table, id, u);
    } else if (here && !other && !busy) {
        u->taken = true;
        u->used_ms = gt_clock_real_ms();
    }
    pthread_mutex_unlock(&b->lock);
    if (!u) {
        return too_many(err);
    }
    /* Somebody else's may be gone by now: it is not looked at. */
    if (other) {
        return no_upload(err, id);
    }
    if (busy) {
        (void)gt_err_set(err, GT_ERR_CONFLICT, "upload '" GT_STR_FMT "' is being written to",
                         GT_STR_ARG(id));
        return -EBUSY;
    }
    if (!here) {
        int r = reopen(u, err);
        if (r < 0) {
            upload_forget(u);
            return r;
        }
    }
    *ret = u;
    return 0;
}

const char *blob_upload_id(const struct blob_upload *u)
{
    return u->id;
}

int64_t blob_upload_size(const struct blob_upload *u)
{
    return u->size;
}

int blob_upload_write(struct blob_upload *u, const void *p, size_t n, struct gt_err *err)
{
    if ((uint64_t)u->size + n > GT_LIMIT_BLOB) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "the blob is larger than %lu bytes",
                          GT_LIMIT_BLOB);
    }
    const char *at = p;
    for (size_t left = n; left;) {
        ssize_t w = GT_FAIL("blobs.write") ? (errno = ENOSPC, -1)
                                           : pwrite(u->fd, at, left, u->size + (at - (char *)p));
        if (w < 0 && errno == EINTR) {
            continue;
        }
        if (w < 0) {
            return gt_err_errno(err, errno, "write upload '%s'", u->id);
        }
        at += w;
        left -= (size_t)w;
    }
    gt_sha256_add(&u->hash, p, n);
    u->size += (int64_t)n;
    if (u->size - u->flushed >= FLUSH_EVERY) {
        (void)sync_file_range(u->fd, u->flushed, u->size - u->flushed, SYNC_FILE_RANGE_WRITE);
        u->flushed = u->size;
    }
    return 0;
}

int blob_upload_sync(struct blob_upload *u, struct gt_err *err)
{
    if (u->synced == u->size) {
        return 0;
    }
    /* An earlier write that stopped half way may have left bytes behind the end. */
    if (ftruncate(u->fd, u->size) < 0 || GT_FAIL("blobs.sync") || fdatasync(u->fd) < 0) {
        return gt_err_errno(err, errno, "sync upload '%s'", u->id);
    }
    if (u->synced < 0 && fsync(u->store->uploads) < 0) {
        return gt_err_errno(err, errno, "sync the folder of uploads");
    }
    u->synced = u->size;
    return 0;
}

void blob_upload_release(struct blob_upload *u)
{
    struct blobs *b = u->store;
    pthread_mutex_lock(&b->lock);
    u->used_ms = gt_clock_real_ms();
    u->taken = false;
    pthread_mutex_unlock(&b->lock);
}

void blob_upload_cancel(struct blob_upload *u)
{
    upload_unlink(u->store, u->id);
    upload_forget(u);
}

/* Gives the upload's file its name, or finds that the blob is there and makes that young. */
static int publish(struct blob_upload *u, const struct oci_digest *d, struct gt_err *err)
{
    struct blobs *b = u->store;
    char path[BLOBS_PATH_MAX];
    blobs_path(d, path);
    int r = blobs_shard_make(b, d, err);
    if (r < 0) {
        return r;
    }
    pthread_mutex_lock(&b->names);
    bool there = utimensat(b->dir, path, NULL, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there) {
        /* The file's time is of its last byte, which may be long ago. */
        r = futimens(u->fd, NULL);
        r = r < 0 || GT_FAIL("blobs.rename") ? -1 : renameat(b->uploads, u->id, b->dir, path);
    }
    int saved = errno;
    pthread_mutex_unlock(&b->names);
    if (r < 0) {
        return gt_err_errno(err, saved, "publish upload '%s'", u->id);
    }
    /* Also when it was there: who renamed it may not have synced the folder yet. */
    return blobs_shard_sync(b, d, err);
}

int blob_upload_commit(struct blob_upload *u, const struct oci_digest *want, struct gt_err *err)
{
    struct oci_digest have;
    /* The final value ends the hash: after a commit that did not work it is made from the file. */
    int r = blob_upload_sync(u, err);
    if (r < 0) {
        blob_upload_release(u);
        return r;
    }
    gt_sha256_final(&u->hash, have.b);
    if (!oci_digest_eq(&have, want)) {
        char text[OCI_DIGEST_TEXT + 1];
        (void)gt_err_set(err, GT_ERR_CORRUPT, "what was uploaded has the digest %s",
                         oci_digest_text(&have, text));
        blob_upload_cancel(u);
        return -EBADMSG;
    }
    r = publish(u, want, err);
    if (r == 0) {
        upload_unlink(u->store, u->id);
    }
    upload_forget(u); /* a later take finds the file, if it is still there, and hashes it */
    return r;
}

int blobs_put(struct blobs *b, const void *p, size_t n, const struct oci_digest *want,
              struct gt_err *err)
{
    struct blob_upload *u;
    int r = blobs_upload_new(b, GT_STR_LIT(""), &u, err);
    if (r < 0) {
        return r;
    }
    r = blob_upload_write(u, p, n, err);
    if (r < 0) {
        blob_upload_cancel(u);
        return r;
    }
    char id[BLOBS_UPLOAD_ID + 1];
    memcpy(id, blob_upload_id(u), sizeof(id));
    r = blob_upload_commit(u, want, err);
    if (r < 0) {
        upload_unlink(b, id);
    }
    return r;
}

/* Removes it unless it was used since: by its file's time, and in memory. */
static bool expire(struct blobs *b, const char *id, int64_t before_ms)
{
    struct stat st;
    if (fstatat(b->uploads, id, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (int64_t)st.st_mtim.tv_sec * 1000 >= before_ms) {
        return false;
    }
    pthread_mutex_lock(&b->lock);
    struct blob_upload *u = gt_table_get(&b->table, gt_str(id));
    bool go = !u || (!u->taken && u->used_ms < before_ms);
    if (go && u) {
        gt_table_del(&b->table, gt_str(id));
        upload_free(u);
    }
    if (go) {
        upload_unlink(b, id); /* under the lock: nobody takes it meanwhile */
    }
    pthread_mutex_unlock(&b->lock);
    return go;
}

int blobs_expire_uploads(struct blobs *b, int64_t before_ms, struct gt_err *err)
{
    struct dirent **names = NULL;
    int n = scandirat(b->uploads, ".", &names, NULL, NULL);
    if (n < 0) {
        return gt_err_errno(err, errno, "list uploads");
    }
    int gone = 0;
    for (int i = 0; i < n; i++) {
        char id[BLOBS_UPLOAD_ID + 1];
        struct gt_str name = gt_str(names[i]->d_name);
        if (name.n >= BLOBS_UPLOAD_ID && id_valid(gt_str_n(name.p, BLOBS_UPLOAD_ID))) {
            memcpy(id, name.p, BLOBS_UPLOAD_ID);
            id[BLOBS_UPLOAD_ID] = 0;
            gone += expire(b, id, before_ms) && name.n == BLOBS_UPLOAD_ID;
        }
        free(names[i]);
    }
    free(names);
    return gone;
}
