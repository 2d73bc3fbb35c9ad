/* A volume of the task's own is not empty where the image has something: it begins as what the
 * image has at its place, as with docker, once. Both sides are hostile: the image, and other
 * containers of the task that have the volume already. So everything goes by descriptor and single
 * names, links are copied and never followed, and what is new is made and not opened. */
#include "node/runtime/child_priv.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 64 };

#define STAY (SAFEPATH_NO_SYMLINKS | SAFEPATH_NO_XDEV)

/* Owner before mode: a change of owner takes set-user-id bits away. */
static int take_over(int to, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0 ||
        futimens(to, times) < 0) {
        return -errno;
    }
    return 0;
}

static int copy_bytes(int from, int to)
{
    char block[65536];
    ssize_t n;
    while ((n = read(from, block, sizeof block)) > 0) {
        int r = gt_write_full(to, block, (size_t)n);
        if (r < 0) {
            return r;
        }
    }
    return n < 0 ? -errno : 0;
}

static int copy_file(int from, int to, const char *name, struct gt_err *err)
{
    gt_auto_close int in = safepath_open(from, name, O_RDONLY | O_NOFOLLOW, 0, STAY, err);
    gt_auto_close int out =
        in < 0 ? in : safepath_open(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600, STAY, err);
    struct stat st;
    if (out < 0) {
        return out;
    }
    if (fstat(in, &st) < 0 || !S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    int r = copy_bytes(in, out);
    return r < 0 ? r : take_over(out, &st);
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
    char target[4096];
    ssize_t n = readlinkat(from, name, target, sizeof target - 1);
    if (n < 0) {
        return -errno;
    }
    target[n] = '\0';
    if (symlinkat(target, to, name) < 0 ||
        fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0) {
        return -errno;
    }
    return 0;
}

static int copy_below(int from, int to, int depth, struct gt_err *err);

static int copy_folder(int from, int to, const char *name, int depth, struct gt_err *err)
{
    const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    gt_auto_close int in = safepath_open(from, name, how, 0, STAY, err);
    if (in < 0) {
        return in;
    }
    if (mkdirat(to, name, 0700) < 0) {
        return -errno;
    }
    gt_auto_close int out = safepath_open(to, name, how, 0, STAY, err);
    struct stat st;
    if (out < 0 || fstat(in, &st) < 0) {
        return out < 0 ? out : -errno;
    }
    int r = depth < MAX_DEPTH ? copy_below(in, out, depth + 1, err) : -ELOOP;
    return r < 0 ? r : take_over(out, &st);
}

/* Devices, pipes and sockets stay where they are, and what is mounted there: it is not the image's.
 */
static int copy_entry(int from, int to, const char *name, int depth, struct gt_err *err)
{
    struct stat st;
    gt_auto_close int at = safepath_open(from, name, O_PATH | O_NOFOLLOW, 0, SAFEPATH_NO_XDEV, err);
    if (at == -EXDEV) {
        return 0;
    }
    if (at < 0 || fstat(at, &st) < 0) {
        return at < 0 ? at : -errno;
    }
    return S_ISDIR(st.st_mode)   ? copy_folder(from, to, name, depth, err)
           : S_ISREG(st.st_mode) ? copy_file(from, to, name, err)
           : S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st)
                                 : 0;
}

static int copy_below(int from, int to, int depth, struct gt_err *err)
{
    int fd = safepath_open(from, ".", O_RDONLY | O_DIRECTORY, 0, STAY, err);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int r = fd < 0 ? fd : d ? 0 : -errno;
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            r = copy_entry(from, to, e->d_name, depth, err);
            if (r < 0) {
                gt_err_errno(err, r, "copy '%s' of the image into a volume", e->d_name);
            }
        }
    }
    if (d) {
        closedir(d);
    }
    return r;
}

static bool is_empty(int fd)
{
    int dir = safepath_open(fd, ".", O_RDONLY | O_DIRECTORY, 0, STAY, NULL);
    DIR *d = dir < 0 ? NULL : fdopendir(dir);
    bool empty = d != NULL;
    for (struct dirent *e; d && (e = readdir(d));) {
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    }
    if (d) {
        closedir(d);
    }
    return empty;
}

int copy_up(int from, int to, struct gt_err *err)
{
    struct stat st;
    if (!is_empty(to)) {
        return 0;
    }
    gt_auto_close int top = safepath_open(to, ".", O_RDONLY | O_DIRECTORY, 0, STAY, err);
    if (top < 0 || fstat(from, &st) < 0) {
        return top < 0 ? top : gt_err_errno(err, errno, "look at the image's part of a volume");
    }
    int r = copy_below(from, top, 0, err);
    if (r == 0) {
        r = take_over(top, &st);
        if (r < 0) {
            gt_err_errno(err, r, "set the owner of a volume");
        }
    }
    return r;
}
