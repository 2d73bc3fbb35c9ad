#include "node/image/layer_fetch.h"

#include "lib/base/file.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK (256 * GT_KIB)

struct feed {
    struct layer_fetch *f;
    struct unpacker *u;
    EVP_MD_CTX *sha; /* of the compressed bytes, as they came */
    uint64_t done;
    bool gave_up; /* the worker said no: the rest is not wanted */
};

/* Whether to go on: the pull may have come to nothing elsewhere, and an image must not take the
 * last of the disk from whoever else lives there (journals, logs). */
static int check(const struct layer_fetch *f, struct gt_err *err)
{
    if (f->stop && atomic_load(f->stop)) {
        return -ECANCELED;
    }
    struct statvfs st;
    if (fstatvfs(f->tmp, &st) < 0) {
        return 0;
    }
    uint64_t free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    uint64_t kept = GT_MIN(GT_LIMIT_KEPT_FREE, (uint64_t)st.f_blocks * st.f_frsize / 50);
    if (free_bytes < kept) {
        return gt_err_errno(err, ENOSPC, "less than %llu MiB would stay free",
                            (unsigned long long)((kept + GT_MIB - 1) / GT_MIB));
    }
    return 0;
}

static int take(void *arg, const void *p, size_t n, struct gt_err *err)
{
    struct feed *feed = arg;
    int r = check(feed->f, err);
    if (r < 0) {
        return r;
    }
    EVP_DigestUpdate(feed->sha, p, n);
    r = unpacker_feed(feed->u, p, n, err);
    if (r == -EPIPE) {
        feed->gave_up = true;
        return r;
    }
    feed->done += n;
    if (r == 0 && feed->f->progress) {
        feed->f->progress(feed->f->arg, feed->done);
    }
    return r;
}

int local_blob_open(const char *local_blobs, const struct oci_digest *digest, int64_t size)
{
    char hex[OCI_DIGEST_HEX + 1];
    struct stat st;
    if (!local_blobs) {
        return -ENOENT;
    }
    oci_digest_hex(digest, hex);
    gt_auto_free char *path = gt_asprintf("%s/sha256/%.2s/%s", local_blobs, hex, hex);
    gt_auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != size) {
        return -ENOENT;
    }
    return gt_steal_fd(&fd);
}

/* The worker reads the file by itself; meanwhile it is hashed here, by offsets. */
static int hash_file(struct feed *feed, int file, struct gt_err *err)
{
    gt_auto_free char *block = gt_malloc(BLOCK);
    for (;;) {
        ssize_t n = pread(file, block, BLOCK, (off_t)feed->done);
        int r = n < 0 ? gt_err_errno(err, errno, "read a blob of the local registry")
                      : check(feed->f, err);
        if (r < 0 || n == 0) {
            return r;
        }
        EVP_DigestUpdate(feed->sha, block, (size_t)n);
        feed->done += (uint64_t)n;
        if (feed->f->progress) {
            feed->f->progress(feed->f->arg, feed->done);
        }
    }
}

static int check_digests(struct feed *feed, const struct unpacker_result *res, struct gt_err *err)
{
    const struct layer_fetch *f = feed->f;
    struct oci_digest got;
    char want_text[OCI_DIGEST_TEXT + 1], got_text[OCI_DIGEST_TEXT + 1];
    EVP_DigestFinal_ex(feed->sha, got.b, NULL);
    if (!oci_digest_eq(&got, &f->blob->digest)) {
        return gt_err_set(
            err, GT_ERR_CORRUPT, "failed commit on ref \"layer-%s\": unexpected commit digest %s",
            oci_digest_text(&f->blob->digest, want_text), oci_digest_text(&got, got_text));
    }
    if (res && !oci_digest_eq(&res->diff_id, f->diff_id)) {
        return gt_err_set(
            err, GT_ERR_CORRUPT, "layer unpacks to diff id %s where the configuration says %s",
            oci_digest_text(&res->diff_id, got_text), oci_digest_text(f->diff_id, want_text));
    }
    return 0;
}

/* When the bytes came to their end but the archive made no sense, a digest that lies is the better
 * reason: what was damaged on its way is not the image's fault. */
static int judge(struct feed *feed, int unpacked, struct gt_err *err)
{
    struct gt_err digest_err = GT_ERR_INIT;
    if (unpacked == 0) {
        return check_digests(feed, &feed->f->result, err);
    }
    if (feed->done == (uint64_t)feed->f->blob->size && check_digests(feed, NULL, &digest_err) < 0) {
        if (err) {
            *err = digest_err;
        }
        return gt_err_code(&digest_err);
    }
    return unpacked;
}

static int run(struct layer_fetch *f, int folder, struct gt_err *err)
{
    char digest[OCI_DIGEST_TEXT + 1];
    struct unpacker u = UNPACKER_INIT;
    struct feed feed = {.f = f, .u = &u};
    gt_auto_close int file = local_blob_open(f->local_blobs, &f->blob->digest, f->blob->size);
    int r = unpacker_start(&u, f->worker, folder, file, err);
    if (r < 0) {
        return r;
    }
    feed.sha = EVP_MD_CTX_new();
    EVP_DigestInit_ex2(feed.sha, EVP_sha256(), NULL);
    if (file >= 0) {
        r = hash_file(&feed, file, err);
    } else {
        r = remote_blob(f->remote, oci_digest_text(&f->blob->digest, digest),
                        (uint64_t)f->blob->size, take, &feed, err);
    }
    if (r == 0 || feed.gave_up) {
        struct gt_err unpack_err = GT_ERR_INIT;
        int unpacked = unpacker_finish(&u, folder, &f->result, &unpack_err);
        if (unpacked < 0 && err) {
            *err = unpack_err;
        }
        if (feed.gave_up && unpacked == 0) {
            unpacked = gt_err_set(err, GT_ERR_INTERNAL, "unpack worker stopped reading");
        }
        r = judge(&feed, unpacked, err);
    }
    unpacker_abort(&u);
    EVP_MD_CTX_free(feed.sha);
    return r;
}

int layer_fetch(struct layer_fetch *f, struct gt_err *err)
{
    char digest[OCI_DIGEST_TEXT + 1];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (mkdirat(f->tmp, f->stem, 0755) < 0) {
        return gt_err_errno(err, errno, "make a folder for a layer");
    }
    gt_auto_close int folder = openat(f->tmp, f->stem, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = folder < 0 ? gt_err_errno(err, errno, "open '%s'", f->stem) : run(f, folder, err);
    if (r < 0) {
        gt_remove_tree(f->tmp, f->stem, NULL);
        if (r != -ECANCELED) {
            gt_err_wrap(err, "layer %s", oci_digest_text(&f->blob->digest, digest));
        }
    }
    return r;
}
