#include "node/image/unpack/sink_dir.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "lib/safepath/safepath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PARENTS_KEPT 16
#define HOLE_FROM (32 << 10)

struct dir_time {
    struct timespec mtime;
    char *path;
};

struct sink_dir {
    struct layer_sink base;
    int root;
    bool chown;
    /* Parents opened last. Emptied when a directory disappears. */
    struct {
        char *path;
        int fd;
    } parents[PARENTS_KEPT];
    unsigned next_parent;
    /* Directories get their times at the end, when nothing is made in them any more. */
    struct dir_time *times;
    size_t n_times, cap_times;
    struct gt_table opaque; /* path -> anything */
    char **opaque_paths;
    size_t n_opaque;
    /* the file being written */
    int file;
    uint64_t file_at, file_size;
    struct layer_entry file_entry;
    char file_path[PATH_MAX];
};

static struct sink_dir *self(struct layer_sink *s)
{
    return GT_CONTAINER_OF(s, struct sink_dir, base);
}

static int open_beneath(int root, const char *path, int flags)
{
    return safepath_open(root, *path ? path : ".", flags | O_NOFOLLOW, 0,
                         SAFEPATH_BENEATH | SAFEPATH_NO_SYMLINKS | SAFEPATH_NO_XDEV, NULL);
}

static int trouble(struct gt_err *err, int errnum, const char *what, const char *path)
{
    if (errnum < 0) {
        errnum = -errnum;
    }
    if (errnum == ELOOP || errnum == ENOTDIR) {
        return gt_err_set(err, GT_ERR_CORRUPT, "entry '%.200s' passes through what is no directory",
                          path);
    }
    if (errnum == ENAMETOOLONG || errnum == EMLINK || errnum == EISDIR || errnum == ENOTEMPTY) {
        gt_err_errno(err, errnum, "%s '%.200s'", what, path);
        if (err) {
            err->kind = GT_ERR_CORRUPT;
        }
        return -errnum;
    }
    return gt_err_errno(err, errnum, "%s '%.200s'", what, path);
}

/* ---- parents ---- */

static void forget_parents(struct sink_dir *d)
{
    for (size_t i = 0; i < PARENTS_KEPT; i++) {
        if (d->parents[i].path) {
            close(d->parents[i].fd);
            free(gt_steal_ptr(d->parents[i].path));
        }
    }
}

static int keep_parent(struct sink_dir *d, const char *path, size_t n, int fd)
{
    unsigned i = d->next_parent++ % PARENTS_KEPT;
    if (d->parents[i].path) {
        close(d->parents[i].fd);
        free(d->parents[i].path);
    }
    d->parents[i].path = gt_strndup(path, n);
    d->parents[i].fd = fd;
    return fd;
}

static int kept_parent(const struct sink_dir *d, const char *path, size_t n)
{
    for (unsigned k = 1; k <= PARENTS_KEPT; k++) {
        unsigned i = (d->next_parent - k) % PARENTS_KEPT;
        const char *p = d->parents[i].path;
        if (p && strncmp(p, path, n) == 0 && p[n] == '\0') {
            return d->parents[i].fd;
        }
    }
    return -1;
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static void add_opaque(struct sink_dir *d, const char *path)
{
    gt_table_put(&d->opaque, gt_str(path), d);
}

/* Makes sure that the directory `path` (not the root) exists in `at`, its open parent. A whiteout
 * that stands there gives way: what it hid stays hidden because the directory is opaque. */
static int make_dir(struct sink_dir *d, int at, const char *leaf, const char *path)
{
    if (mkdirat(at, leaf, 0755) == 0) {
        return 0;
    }
    struct stat st;
    if (errno != EEXIST || fstatat(at, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    if (S_ISDIR(st.st_mode)) {
        return 0;
    }
    if (!is_whiteout(&st)) {
        return -ENOTDIR;
    }
    if (unlinkat(at, leaf, 0) < 0 || mkdirat(at, leaf, 0755) < 0) {
        return -errno;
    }
    add_opaque(d, path);
    return 0;
}

/* Walks down part by part and makes what is missing. Rare: archives name their directories. */
static int make_parents(struct sink_dir *d, const char *path, size_t n)
{
    gt_auto_free char *p = gt_strndup(path, n);
    int at = open_beneath(d->root, "", O_RDONLY | O_DIRECTORY);
    for (char *part = p; at >= 0;) {
        char *slash = strchr(part, '/');
        if (slash) {
            *slash = '\0';
        }
        int r = make_dir(d, at, part, p);
        int next = r < 0 ? r : open_beneath(at, part, O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
        if (!slash) {
            break;
        }
        *slash = '/';
        part = slash + 1;
    }
    return at;
}

/* The descriptor (not the caller's) of the directory that `path` lies in, and its last part. */
static int parent_of(struct sink_dir *d, const char *path, const char **ret_leaf)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        *ret_leaf = path;
        return d->root;
    }
    *ret_leaf = slash + 1;
    size_t n = (size_t)(slash - path);
    int fd = kept_parent(d, path, n);
    if (fd >= 0) {
        return fd;
    }
    char parent[PATH_MAX];
    memcpy(parent, path, n);
    parent[n] = '\0';
    fd = open_beneath(d->root, parent, O_RDONLY | O_DIRECTORY);
    if (fd == -ENOENT || fd == -ENOTDIR) {
        fd = make_parents(d, path, n);
    }
    return fd < 0 ? fd : keep_parent(d, path, n, fd);
}

/* A later entry of the same path wins, as with every tar. */
static int clear_way(struct sink_dir *d, int at, const char *leaf)
{
    struct stat st;
    if (fstatat(at, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    if (S_ISDIR(st.st_mode)) {
        forget_parents(d);
        return unlinkat(at, leaf, AT_REMOVEDIR) < 0 ? -errno : 0;
    }
    return unlinkat(at, leaf, 0) < 0 ? -errno : 0;
}

/* Runs `make` in the parent of e->path, once more after clearing the way. */
typedef int (*make_fn)(int at, const char *leaf, const void *arg);

static int make_node(struct sink_dir *d, const char *path, make_fn make, const void *arg,
                     int *ret_at, const char **ret_leaf)
{
    for (int attempt = 0;; attempt++) {
        int at = parent_of(d, path, ret_leaf);
        if (at < 0) {
            return at;
        }
        *ret_at = at;
        int r = make(at, *ret_leaf, arg);
        if (r != -EEXIST || attempt > 0) {
            return r;
        }
        r = clear_way(d, at, *ret_leaf);
        if (r < 0) {
            return r;
        }
    }
}

/* ---- attributes ---- */

static int set_xattrs_fd(const struct sink_dir *d, int fd, const struct layer_entry *e)
{
    for (size_t i = 0; i < e->n_xattrs; i++) {
        const struct layer_xattr *x = &e->xattrs[i];
        if (!d->chown && strncmp(x->name, "security.", 9) == 0) {
            continue;
        }
        if (fsetxattr(fd, x->name, x->value, x->n, 0) < 0) {
            return -errno;
        }
    }
    return 0;
}

/* chown takes away set-id bits and capabilities: it comes first. */
static int set_attributes_fd(const struct sink_dir *d, int fd, const struct layer_entry *e,
                             mode_t more)
{
    if (d->chown && fchown(fd, e->uid, e->gid) < 0) {
        return -errno;
    }
    int r = set_xattrs_fd(d, fd, e);
    if (r < 0) {
        return r;
    }
    return fchmod(fd, e->mode | more) < 0 ? -errno : 0;
}

static int set_owner_time_at(const struct sink_dir *d, int at, const char *leaf,
                             const struct layer_entry *e)
{
    if (d->chown && fchownat(at, leaf, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    struct timespec ts[2] = {e->mtime, e->mtime};
    return utimensat(at, leaf, ts, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* ---- operations ---- */

static void remember_time(struct sink_dir *d, const struct layer_entry *e)
{
    if (d->n_times == d->cap_times) {
        d->cap_times = d->cap_times ? d->cap_times * 2 : 256;
        d->times = gt_realloc(d->times, d->cap_times * sizeof(*d->times));
    }
    d->times[d->n_times++] = (struct dir_time){e->mtime, gt_strdup(e->path)};
}

/* Opens a directory, made when missing, in place of something else only when `replace` says so. */
static int open_directory(struct sink_dir *d, const char *path, bool replace)
{
    if (!*path) {
        return open_beneath(d->root, "", O_RDONLY | O_DIRECTORY);
    }
    const char *leaf;
    for (int attempt = 0;; attempt++) {
        int at = parent_of(d, path, &leaf);
        if (at < 0) {
            return at;
        }
        int r = make_dir(d, at, leaf, path);
        if (r == 0) {
            return open_beneath(at, leaf, O_RDONLY | O_DIRECTORY);
        }
        if (r != -ENOTDIR || !replace || attempt > 0) {
            return r;
        }
        r = clear_way(d, at, leaf);
        if (r < 0) {
            return r;
        }
    }
}

static int sink_directory(struct layer_sink *s, const struct layer_entry *e, struct gt_err *err)
{
    struct sink_dir *d = self(s);
    gt_auto_close int fd = open_directory(d, e->path, /* replace= */ true);
    if (fd < 0) {
        return trouble(err, fd, "make directory", e->path);
    }
    int r = set_attributes_fd(d, fd, e, d->chown ? 0 : 0700);
    if (r < 0) {
        return trouble(err, r, "set attributes of", e->path);
    }
    remember_time(d, e);
    size_t n = strlen(e->path);
    if (n > 0 && kept_parent(d, e->path, n) < 0) {
        keep_parent(d, e->path, n, gt_steal_fd(&fd));
    }
    return 0;
}

static int make_file(int at, const char *leaf, const void *arg)
{
    int *fd = *(int *const *)arg;
    *fd = openat(at, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *fd < 0 ? -errno : 0;
}

static int sink_file(struct layer_sink *s, const struct layer_entry *e, uint64_t size,
                     struct gt_err *err)
{
    struct sink_dir *d = self(s);
    int fd = -1, *pfd = &fd, at;
    const char *leaf;
    int r = make_node(d, e->path, make_file, &pfd, &at, &leaf);
    if (r < 0) {
        return trouble(err, r, "make file", e->path);
    }
    d->file = fd;
    d->file_at = 0;
    d->file_size = size;
    d->file_entry = *e; /* its xattrs stay until file_end(): untar.c calls that before it goes on */
    snprintf(d->file_path, sizeof(d->file_path), "%s", e->path);
    return 0;
}

static bool all_zero(const char *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static int sink_data(struct layer_sink *s, uint64_t offset, const void *p, size_t n,
                     struct gt_err *err)
{
    struct sink_dir *d = self(s);
    const char *from = p;
    if (n >= HOLE_FROM && all_zero(from, n)) {
        return 0; /* zeros take no room, neither a database's nor a bomb's */
    }
    while (n > 0) {
        ssize_t w = pwrite(d->file, from, n, (off_t)offset);
        if (w < 0 && errno == EINTR) {
            continue;
        }
        if (w < 0) {
            return trouble(err, errno, "write", d->file_path);
        }
        from += w;
        n -= (size_t)w;
        offset += (uint64_t)w;
    }
    d->file_at = offset;
    return 0;
}

static int finish_file(struct sink_dir *d)
{
    if (d->file_at < d->file_size && ftruncate(d->file, (off_t)d->file_size) < 0) {
        return -errno;
    }
    int r = set_attributes_fd(d, d->file, &d->file_entry, 0);
    if (r < 0) {
        return r;
    }
    struct timespec ts[2] = {d->file_entry.mtime, d->file_entry.mtime};
    if (futimens(d->file, ts) < 0) {
        return -errno;
    }
    return 0;
}

static int sink_file_end(struct layer_sink *s, struct gt_err *err)
{
    struct sink_dir *d = self(s);
    int r = finish_file(d);
    if (close(gt_steal_fd(&d->file)) < 0 && r == 0) {
        r = -errno;
    }
    return r < 0 ? trouble(err, r, "finish", d->file_path) : 0;
}

static int make_symlink(int at, const char *leaf, const void *arg)
{
    return symlinkat(arg, at, leaf) < 0 ? -errno : 0;
}

static int sink_symlink(struct layer_sink *s, const struct layer_entry *e, const char *target,
                        struct gt_err *err)
{
    struct sink_dir *d = self(s);
    int at;
    const char *leaf;
    int r = make_node(d, e->path, make_symlink, target, &at, &leaf);
    if (r == 0) {
        r = set_owner_time_at(d, at, leaf, e);
    }
    return r < 0 ? trouble(err, r, "make symbolic link", e->path) : 0;
}

struct link_from {
    int at;
    const char *leaf;
};

static int make_link(int at, const char *leaf, const void *arg)
{
    const struct link_from *from = arg;
    return linkat(from->at, from->leaf, at, leaf, 0) < 0 ? -errno : 0;
}

static int sink_hardlink(struct layer_sink *s, const char *path, const char *target,
                         struct gt_err *err)
{
    struct sink_dir *d = self(s);
    if (strcmp(path, target) == 0) {
        return gt_err_set(err, GT_ERR_CORRUPT, "hard link '%.200s' to itself", path);
    }
    const char *slash = strrchr(target, '/');
    gt_auto_free char *dir = gt_strndup(target, slash ? (size_t)(slash - target) : 0);
    /* A descriptor of its own: making parents for `path` may push the kept one out. */
    gt_auto_close int from_at = open_beneath(d->root, dir, O_RDONLY | O_DIRECTORY);
    struct link_from from = {from_at, slash ? slash + 1 : target};
    struct stat st;
    if (from_at < 0 || fstatat(from_at, from.leaf, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        S_ISDIR(st.st_mode) || is_whiteout(&st)) {
        return gt_err_set(err, GT_ERR_CORRUPT,
                          "hard link '%.150s' to '%.150s', which is no file of this layer", path,
                          target);
    }
    int at;
    const char *leaf;
    int r = make_node(d, path, make_link, &from, &at, &leaf);
    return r < 0 ? trouble(err, r, "make hard link", path) : 0;
}

static int make_fifo(int at, const char *leaf, const void *arg)
{
    return mkfifoat(at, leaf, *(const mode_t *)arg & 0777) < 0 ? -errno : 0;
}

static int sink_fifo(struct layer_sink *s, const struct layer_entry *e, struct gt_err *err)
{
    struct sink_dir *d = self(s);
    int at;
    const char *leaf;
    int r = make_node(d, e->path, make_fifo, &e->mode, &at, &leaf);
    if (r == 0) {
        r = set_owner_time_at(d, at, leaf, e);
    }
    return r < 0 ? trouble(err, r, "make pipe", e->path) : 0;
}

static int sink_opaque(struct layer_sink *s, const char *path, struct gt_err *err)
{
    struct sink_dir *d = self(s);
    gt_auto_close int fd = open_directory(d, path, /* replace= */ false);
    if (fd < 0) {
        return trouble(err, fd, "make opaque", path);
    }
    add_opaque(d, path);
    return 0;
}

static int sink_whiteout(struct layer_sink *s, const char *path, struct gt_err *err)
{
    struct sink_dir *d = self(s);
    const char *leaf;
    int at = parent_of(d, path, &leaf);
    if (at < 0) {
        return trouble(err, at, "make whiteout", path);
    }
    if (mknodat(at, leaf, S_IFCHR, makedev(0, 0)) == 0) {
        return 0;
    }
    struct stat st;
    if (errno != EEXIST || fstatat(at, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return trouble(err, errno, "make whiteout", path);
    }
    /* Of this layer, so it stays; but what lower layers have under that name must not merge. */
    if (S_ISDIR(st.st_mode)) {
        add_opaque(d, path);
    }
    return 0;
}

static int set_times(struct sink_dir *d, struct gt_err *err)
{
    for (size_t i = 0; i < d->n_times; i++) {
        gt_auto_close int fd = open_beneath(d->root, d->times[i].path, O_RDONLY | O_DIRECTORY);
        if (fd < 0) {
            continue; /* replaced by a later entry */
        }
        struct timespec ts[2] = {d->times[i].mtime, d->times[i].mtime};
        if (futimens(fd, ts) < 0) {
            return trouble(err, errno, "set time of", d->times[i].path);
        }
    }
    return 0;
}

static int sink_finish(struct layer_sink *s, struct gt_err *err)
{
    struct sink_dir *d = self(s);
    forget_parents(d);
    d->opaque_paths = gt_new_array(char *, d->opaque.count + 1);
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&d->opaque, &it));) {
        gt_auto_close int fd = open_beneath(d->root, e->key, O_RDONLY | O_DIRECTORY);
        if (fd >= 0) {
            d->opaque_paths[d->n_opaque++] = e->key;
        }
    }
    return set_times(d, err);
}

static void sink_free(struct layer_sink *s)
{
    struct sink_dir *d = self(s);
    forget_parents(d);
    for (size_t i = 0; i < d->n_times; i++) {
        free(d->times[i].path);
    }
    free(d->times);
    free(d->opaque_paths);
    gt_table_fini(&d->opaque);
    gt_closep(&d->file);
    free(d);
}

static const struct layer_sink_ops dir_ops = {
    .directory = sink_directory,
    .file = sink_file,
    .data = sink_data,
    .file_end = sink_file_end,
    .symlink = sink_symlink,
    .hardlink = sink_hardlink,
    .fifo = sink_fifo,
    .whiteout = sink_whiteout,
    .opaque = sink_opaque,
    .finish = sink_finish,
    .free = sink_free,
};

struct layer_sink *sink_dir_new(const struct sink_dir_options *options)
{
    struct sink_dir *d = gt_new(struct sink_dir);
    d->base.ops = &dir_ops;
    d->root = options->root;
    d->chown = options->chown;
    d->file = -1;
    gt_table_init(&d->opaque);
    return &d->base;
}

const char *const *sink_dir_opaque(const struct layer_sink *s, size_t *ret_n)
{
    const struct sink_dir *d = GT_CONTAINER_OF(s, struct sink_dir, base);
    *ret_n = d->n_opaque;
    return (const char *const *)d->opaque_paths;
}

int sink_dir_mark_opaque(int root, const char *path, struct gt_err *err)
{
    gt_auto_close int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return trouble(err, fd, "mark opaque", path);
    }
    if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) == 0 ||
        (errno == EPERM && fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) == 0)) {
        return 0;
    }
    return trouble(err, errno, "mark opaque", path);
}
