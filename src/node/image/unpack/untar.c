#include "node/image/unpack/untar.h"

#include "lib/base/buf.h"
#include "lib/base/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define PART_MAX 255
#define XATTR_BYTES_MAX (1 * GT_MIB)

struct untar {
    inflate_source_fn source;
    void *arg;
    struct untar_limits limits;
    struct layer_sink *sink;
    EVP_MD_CTX *sha;
    uint64_t stream; /* bytes of the tar stream so far */
    uint64_t bytes, files;
    int failed; /* from the source, inside of libarchive's callback */
    struct gt_err *err;
};

static EVP_MD *sha256;

void untar_prepare(void)
{
    /* Names in pax headers are UTF-8; in the C locale libarchive gives no name at all. C.UTF-8 is
     * built into glibc since 2.35. */
    setlocale(LC_CTYPE, "C.UTF-8");
    if (!sha256) {
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        GT_ASSERT(sha256);
    }
}

int untar_check_path(char *path, struct gt_err *err)
{
    if (path[0] == '/') {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' has an absolute path", path);
    }
    char *from = path;
    while (from[0] == '.' && from[1] == '/') {
        from += 2;
        from += strspn(from, "/");
    }
    size_t n = strlen(from);
    while (n > 0 && from[n - 1] == '/') {
        n--;
    }
    if (n == 1 && from[0] == '.') {
        n = 0;
    }
    memmove(path, from, n);
    path[n] = '\0';
    if (n >= PATH_MAX) {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.100s...' has a path of %zu bytes", path,
                          n);
    }
    unsigned depth = 0;
    for (const char *part = path; n > 0;) {
        if (++depth > GT_LIMIT_UNPACKED_DEPTH) {
            return gt_err_set(err, GT_ERR_LIMIT, "entry '%.100s...' lies more than %d deep", path,
                              GT_LIMIT_UNPACKED_DEPTH);
        }
        size_t len = strcspn(part, "/");
        if (len == 2 && part[0] == '.' && part[1] == '.') {
            return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' climbs out by '..'", path);
        }
        if (len == 0 || (len == 1 && part[0] == '.')) {
            return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' has an empty part", path);
        }
        if (len > PART_MAX) {
            return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.100s...' has a part of %zu bytes",
                              path, len);
        }
        if (part[len] == '\0') {
            break;
        }
        part += len + 1;
    }
    return 0;
}

/* Bytes for libarchive, counted and hashed on their way. */
static ssize_t next_block(struct untar *u, const void **p, struct gt_err *err)
{
    ssize_t n = u->source(u->arg, p, err);
    if (n <= 0) {
        return n;
    }
    u->stream += (uint64_t)n;
    if (u->stream > u->limits.bytes) {
        return gt_err_set(err, GT_ERR_LIMIT, "layer has more than %llu bytes unpacked",
                          (unsigned long long)u->limits.bytes);
    }
    const uint64_t *packed = u->limits.packed;
    if (packed && u->stream > GT_LIMIT_UNPACK_RATIO_FROM &&
        u->stream / GT_LIMIT_UNPACK_RATIO > *packed) {
        return gt_err_set(err, GT_ERR_LIMIT, "layer unpacks to more than %d times its size",
                          GT_LIMIT_UNPACK_RATIO);
    }
    EVP_DigestUpdate(u->sha, *p, (size_t)n);
    return n;
}

static la_ssize_t on_read(struct archive *a, void *arg, const void **p)
{
    struct untar *u = arg;
    ssize_t n = next_block(u, p, u->err);
    if (n < 0) {
        u->failed = (int)n;
        archive_set_error(a, (int)-n, "source");
        return ARCHIVE_FATAL;
    }
    return n;
}

static int archive_trouble(struct untar *u, struct archive *a, struct gt_err *err)
{
    if (u->failed < 0) {
        return u->failed; /* err is filled */
    }
    const char *text = archive_error_string(a);
    return gt_err_set(err, GT_ERR_CORRUPT, "archive: %s", text ? text : "unreadable");
}

/* What of an entry's extended attributes is kept. Everything else (security.selinux, trusted.*,
 * and above all *.overlay.*, which would let a layer forge overlayfs's own marks) is left out. */
static bool xattr_kept(const char *name)
{
    if (strcmp(name, "security.capability") == 0) {
        return true;
    }
    return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0 &&
           strlen(name) <= PART_MAX;
}

static int collect_xattrs(struct archive_entry *ae, struct layer_xattr to[LAYER_XATTRS_MAX],
                          size_t *ret_n, struct gt_err *err)
{
    const char *name;
    const void *value;
    size_t n, count = 0, bytes = 0;
    archive_entry_xattr_reset(ae);
    while (archive_entry_xattr_next(ae, &name, &value, &n) == ARCHIVE_OK) {
        if (!name || !xattr_kept(name)) {
            continue;
        }
        bytes += n;
        if (count == LAYER_XATTRS_MAX || bytes > XATTR_BYTES_MAX) {
            return gt_err_set(err, GT_ERR_LIMIT, "entry has too many extended attributes");
        }
        to[count++] = (struct layer_xattr){name, value, n};
    }
    *ret_n = count;
    return 0;
}

static int fill_entry(struct archive_entry *ae, const char *path, struct layer_entry *e,
                      struct gt_err *err)
{
    la_int64_t uid = archive_entry_uid(ae), gid = archive_entry_gid(ae);
    /* (uid_t)-1 means "leave as it is" to chown. */
    if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX) {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' has owner %lld:%lld", path,
                          (long long)uid, (long long)gid);
    }
    *e = (struct layer_entry){
        .path = path,
        .mode = archive_entry_perm(ae) & 07777,
        .uid = (uid_t)uid,
        .gid = (gid_t)gid,
        .mtime = {.tv_sec = archive_entry_mtime(ae), .tv_nsec = archive_entry_mtime_nsec(ae)},
    };
    if (e->mtime.tv_nsec < 0 || e->mtime.tv_nsec > 999999999) {
        e->mtime.tv_nsec = 0;
    }
    return 0;
}

static int copy_data(struct untar *u, struct archive *a, const char *path, uint64_t size,
                     struct gt_err *err)
{
    const void *p;
    size_t n;
    la_int64_t offset;
    uint64_t end = 0;
    for (;;) {
        int r = archive_read_data_block(a, &p, &n, &offset);
        if (r == ARCHIVE_EOF) {
            break;
        }
        if (r != ARCHIVE_OK) {
            return archive_trouble(u, a, err);
        }
        if (offset < 0 || (uint64_t)offset < end || (uint64_t)offset > size ||
            n > size - (uint64_t)offset) {
            return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' has data beyond its size", path);
        }
        end = (uint64_t)offset + n;
        if (n == 0) {
            continue;
        }
        r = u->sink->ops->data(u->sink, (uint64_t)offset, p, n, err);
        if (r < 0) {
            return r;
        }
    }
    return u->sink->ops->file_end(u->sink, err);
}

static int put_file(struct untar *u, struct archive *a, struct archive_entry *ae,
                    const struct layer_entry *e, struct gt_err *err)
{
    la_int64_t size = archive_entry_size_is_set(ae) ? archive_entry_size(ae) : 0;
    if (size < 0) {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' has a negative size", e->path);
    }
    if ((uint64_t)size > u->limits.bytes - u->bytes) {
        return gt_err_set(err, GT_ERR_LIMIT, "layer has more than %llu bytes unpacked",
                          (unsigned long long)u->limits.bytes);
    }
    u->bytes += (uint64_t)size;
    int r = u->sink->ops->file(u->sink, e, (uint64_t)size, err);
    return r < 0 ? r : copy_data(u, a, e->path, (uint64_t)size, err);
}

/* The runtime mounts a /dev of its own over the image's: the handful of nodes that every
 * debootstrap leaves there are passed over, whoever brings another one means no good. */
static bool is_common_device(const char *path, mode_t type, dev_t dev)
{
    if (type != S_IFCHR || strncmp(path, "dev/", 4) != 0) {
        return false;
    }
    unsigned maj = major(dev), min = minor(dev);
    return (maj == 1 && (min == 3 || min == 5 || min == 7 || min == 8 || min == 9)) ||
           (maj == 5 && min <= 2);
}

/* ".wh.name" hides name, ".wh..wh..opq" all of its directory; other names that begin with
 * ".wh..wh." were aufs's own book-keeping and mean nothing. */
static int put_whiteout(struct untar *u, char *path, char *leaf, struct gt_err *err)
{
    const char *hidden = leaf + 4;
    if (strcmp(leaf, ".wh..wh..opq") == 0) {
        leaf[leaf == path ? 0 : -1] = '\0';
        return u->sink->ops->opaque(u->sink, path, err);
    }
    if (strncmp(leaf, ".wh..wh.", 8) == 0) {
        return 0;
    }
    if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0) {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' is no valid whiteout", path);
    }
    memmove(leaf, hidden, strlen(hidden) + 1);
    return u->sink->ops->whiteout(u->sink, path, err);
}

static int put_hardlink(struct untar *u, const char *path, const char *target, struct gt_err *err)
{
    gt_auto_free char *to = gt_strdup(target);
    int r = untar_check_path(to, err);
    if (r < 0) {
        return gt_err_wrap(err, "hard link '%.200s'", path);
    }
    if (!*to || !*path) {
        return gt_err_set(err, GT_ERR_CORRUPT, "hard link '%.200s' to a directory", path);
    }
    return u->sink->ops->hardlink(u->sink, path, to, err);
}

static int put_symlink(struct untar *u, const struct layer_entry *e, const char *target,
                       struct gt_err *err)
{
    /* The target is the container's business: it is resolved inside, at run time. */
    if (!target || !*target || strlen(target) >= PATH_MAX) {
        return gt_err_set(err, GT_ERR_CORRUPT, "symbolic link '%.200s' has no valid target",
                          e->path);
    }
    return u->sink->ops->symlink(u->sink, e, target, err);
}

static int put_node(struct untar *u, struct archive *a, struct archive_entry *ae,
                    const struct layer_entry *e, struct gt_err *err)
{
    mode_t type = archive_entry_filetype(ae);
    if (!*e->path && type != S_IFDIR) {
        return gt_err_set(err, GT_ERR_CORRUPT, "the root of the layer is no directory");
    }
    switch (type) {
    case S_IFDIR:
        return u->sink->ops->directory(u->sink, e, err);
    case S_IFREG:
        return put_file(u, a, ae, e, err);
    case S_IFLNK:
        return put_symlink(u, e, archive_entry_symlink(ae), err);
    case S_IFIFO:
        return u->sink->ops->fifo(u->sink, e, err);
    case S_IFSOCK:
        return 0; /* means nothing without the process that bound it; tar leaves them out too */
    case S_IFCHR:
    case S_IFBLK:
        if (is_common_device(e->path, type, archive_entry_rdev(ae))) {
            return 0;
        }
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' is a device node", e->path);
    default:
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' is of an unknown kind", e->path);
    }
}

static int put_entry(struct untar *u, struct archive *a, struct archive_entry *ae,
                     struct gt_err *err)
{
    const char *name = archive_entry_pathname(ae);
    if (!name || !*name) {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry without a readable name");
    }
    gt_auto_free char *path = gt_strdup(name);
    int r = untar_check_path(path, err);
    if (r < 0) {
        return r;
    }
    char *slash = strrchr(path, '/'), *leaf = slash ? slash + 1 : path;
    if (strncmp(path, ".wh.", 4) == 0 || strstr(path, "/.wh.")) {
        if (strncmp(leaf, ".wh.", 4) != 0) {
            /* Below a whiteout's name there is nothing; aufs kept its hard links in .wh..wh.plnk */
            return strncmp(path, ".wh..wh.", 8) == 0
                       ? 0
                       : gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' lies in a whiteout", path);
        }
        return put_whiteout(u, path, leaf, err);
    }
    const char *target = archive_entry_hardlink(ae);
    if (target) {
        return put_hardlink(u, path, target, err);
    }
    struct layer_entry e;
    struct layer_xattr xattrs[LAYER_XATTRS_MAX];
    r = fill_entry(ae, path, &e, err);
    if (r < 0) {
        return r;
    }
    r = collect_xattrs(ae, xattrs, &e.n_xattrs, err);
    if (r < 0) {
        return gt_err_wrap(err, "entry '%.200s'", path);
    }
    e.xattrs = xattrs;
    return put_node(u, a, ae, &e, err);
}

static int read_entries(struct untar *u, struct archive *a, struct gt_err *err)
{
    for (;;) {
        struct archive_entry *ae;
        int r = archive_read_next_header(a, &ae);
        if (r == ARCHIVE_EOF) {
            return 0;
        }
        /* WARN: something of the entry could not be understood. Only names matter, and an
         * unreadable one is refused. */
        if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
            return archive_trouble(u, a, err);
        }
        if (++u->files > u->limits.files) {
            return gt_err_set(err, GT_ERR_LIMIT, "layer has more than %llu files",
                              (unsigned long long)u->limits.files);
        }
        r = put_entry(u, a, ae, err);
        if (r < 0) {
            return r;
        }
    }
}

static int drain(struct untar *u, struct gt_err *err)
{
    const void *p;
    ssize_t n;
    do {
        n = next_block(u, &p, err);
    } while (n > 0);
    return (int)n;
}

static struct archive *new_reader(void)
{
    struct archive *a = archive_read_new();
    GT_ASSERT(a);
    archive_read_support_filter_none(a);
    archive_read_support_format_tar(a);
    archive_read_support_format_gnutar(a);
    archive_read_support_format_empty(a);
    return a;
}

static int run(struct untar *u, struct gt_err *err)
{
    struct archive *a = new_reader();
    u->err = err;
    int r = archive_read_open(a, u, NULL, on_read, NULL);
    r = r == ARCHIVE_OK ? read_entries(u, a, err) : archive_trouble(u, a, err);
    archive_read_free(a);
    if (r == 0) {
        r = drain(u, err);
    }
    return r < 0 ? r : u->sink->ops->finish(u->sink, err);
}

int untar(inflate_source_fn source, void *arg, const struct untar_limits *limits,
          struct layer_sink *sink, struct untar_result *ret, struct gt_err *err)
{
    untar_prepare();
    struct gt_err local = GT_ERR_INIT;
    struct untar u = {.source = source, .arg = arg, .limits = *limits, .sink = sink};
    u.sha = EVP_MD_CTX_new();
    EVP_DigestInit_ex2(u.sha, sha256, NULL);
    int r = run(&u, err ? err : &local);
    if (r == 0) {
        EVP_DigestFinal_ex(u.sha, ret->sha256, NULL);
        ret->bytes = u.bytes;
        ret->files = u.files;
    }
    EVP_MD_CTX_free(u.sha);
    return r;
}
