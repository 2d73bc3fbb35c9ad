#include "lib/base/file.h"

#include "lib/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t gt_read_full(int fd, void *p, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = read(fd, (char *)p + done, n - done);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return -errno;
        }
        if (r == 0) {
            break;
        }
        done += (size_t)r;
    }
    return (ssize_t)done;
}

int gt_write_full(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t w = write(fd, at, n);
        if (w < 0 && errno == EINTR) {
            continue;
        }
        if (w < 0) {
            return -errno;
        }
        at += w;
        n -= (size_t)w;
    }
    return 0;
}

int gt_file_read(int dirfd, const char *path, struct gt_buf *to, struct gt_err *err)
{
    gt_auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", path);
    }
    for (;;) {
        size_t room = GT_MIN(to->max - to->n, (size_t)65536);
        char extra;
        char *at = room ? gt_buf_reserve(to, room) : &extra;
        ssize_t r = gt_read_full(fd, at, room ? room : 1);
        if (r < 0) {
            return gt_err_errno(err, (int)r, "read '%s'", path);
        }
        if (r == 0) {
            break;
        }
        if (!room) {
            return gt_err_set(err, GT_ERR_TOO_LARGE, "'%s' is larger than %zu bytes", path,
                              to->max);
        }
        to->n += (size_t)r;
    }
    gt_buf_puts(to, "");
    return 0;
}

static int fsync_parent(int dirfd, const char *path)
{
    const char *slash = strrchr(path, '/');
    gt_auto_free char *dir =
        slash ? gt_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : gt_strdup(".");
    gt_auto_close int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        return -errno;
    }
    return 0;
}

int gt_file_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
                    struct gt_err *err)
{
    gt_auto_free char *tmp = gt_asprintf("%s.tmp%d", path, (int)getpid());
    unlinkat(dirfd, tmp, 0);
    gt_auto_close int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return gt_err_errno(err, errno, "create '%s'", tmp);
    }
    int r = gt_write_full(fd, p, n);
    if (r == 0 && fsync(fd) < 0) {
        r = -errno;
    }
    if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        unlinkat(dirfd, tmp, 0);
        return gt_err_errno(err, r, "write '%s'", path);
    }
    r = fsync_parent(dirfd, path);
    return r < 0 ? gt_err_errno(err, r, "sync the folder of '%s'", path) : 0;
}

int gt_file_poke(int dirfd, const char *path, const char *text, struct gt_err *err)
{
    gt_auto_close int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", path);
    }
    if (write(fd, text, strlen(text)) < 0) {
        return gt_err_errno(err, errno, "write '%s' into '%s'", text, path);
    }
    return 0;
}

int gt_mkdirs(const char *path, mode_t mode, struct gt_err *err)
{
    if (mkdir(path, mode) == 0 || errno == EEXIST) {
        return 0; /* as a rule only the last one is missing */
    }
    gt_auto_free char *p = gt_strdup(path);
    for (char *at = p + 1;; at++) {
        if (*at != '/' && *at != '\0') {
            continue;
        }
        char c = *at;
        *at = '\0';
        if (mkdir(p, mode) < 0 && errno != EEXIST) {
            return gt_err_errno(err, errno, "create folder '%s'", p);
        }
        *at = c;
        if (!c) {
            return 0;
        }
    }
}

/* A container may have nested its folders as deep as it liked: what lies deeper than this is first
 * moved to the top, so that descriptors and stack stay bounded. */
#define REMOVE_DEPTH 32

struct removal {
    int top;
    dev_t dev;
    unsigned moved, serial;
};

static int move_up(struct removal *k, int at, const char *name)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        char to[32];
        snprintf(to, sizeof(to), ".gone-%u", k->serial++);
        if (renameat(at, name, k->top, to) == 0) {
            k->moved++;
            return 0;
        }
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
            break;
        }
    }
    return -errno;
}

static int remove_below(struct removal *k, int fd, unsigned depth);

/* A folder in the folder `at`. */
static int remove_folder(struct removal *k, int at, const char *name, unsigned depth)
{
    int sub = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (sub < 0) {
        return -errno;
    }
    if (fstat(sub, &st) < 0 || st.st_dev != k->dev) {
        close(sub);
        return -EXDEV;
    }
    if (depth == REMOVE_DEPTH) {
        close(sub);
        return move_up(k, at, name);
    }
    int r = remove_below(k, sub, depth + 1);
    if (r == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        r = -errno;
    }
    return r;
}

/* Closes fd. */
static int remove_below(struct removal *k, int fd, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int r = -errno;
        close(fd);
        return r;
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            unlinkat(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT) {
            continue;
        }
        r = remove_folder(k, dirfd(dir), e->d_name, depth);
    }
    closedir(dir);
    return r;
}

int gt_remove_tree(int dirfd, const char *path, struct gt_err *err)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || (unlinkat(dirfd, path, 0) == 0)) {
            return 0;
        }
        return gt_err_errno(err, errno, "remove '%s'", path);
    }
    struct stat st;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    struct removal k = {.top = fd, .dev = st.st_dev};
    do {
        k.moved = 0;
        int again = r < 0 ? r : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = again < 0 && r == 0 ? -errno : r;
        r = r < 0 ? r : remove_below(&k, again, 0);
    } while (r == 0 && k.moved > 0);
    close(fd);
    if (r == 0 && unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        r = -errno;
    }
    return r < 0 ? gt_err_errno(err, r, "remove '%s'", path) : 0;
}
