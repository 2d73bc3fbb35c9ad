#include "node/runtime/rootfs.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/runtime/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A layer by descriptor: fsconfig takes strings of at most 255 bytes, and a path that was opened
 * cannot be exchanged any more. */
#define FD_PATH_MAX 32
static void fd_path(int fd, char to[static FD_PATH_MAX])
{
    snprintf(to, FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

static int open_folder(const char *path, struct gt_err *err)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? gt_err_errno(err, errno, "open '%s'", path) : fd;
}

/* The root folder of an overlay is that of the upper layer: it gets the mode and owner of what it
 * covers. */
static int open_upper(const char *path, int lower, struct gt_err *err)
{
    struct stat st;
    if (mkdir(path, 0755) < 0) {
        return errno == EEXIST ? open_folder(path, err)
                               : gt_err_errno(err, errno, "create folder '%s'", path);
    }
    gt_auto_close int fd = open_folder(path, err);
    if (fd < 0) {
        return fd;
    }
    if (fstat(lower, &st) < 0 || fchmodat(AT_FDCWD, path, st.st_mode & 07777, 0) < 0 ||
        fchownat(fd, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0) {
        return gt_err_errno(err, errno, "set owner and mode of '%s'", path);
    }
    return gt_steal_fd(&fd);
}

/* "lowerdir+" came with Linux 6.7; before, one string has to hold all of them, and fsconfig cuts at
 * 255 bytes. 13 layers fit by descriptor's path; more need the work-around below. */
static int lower_one_by_one(int fs, const int *fd, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char path[FD_PATH_MAX];
        fd_path(fd[i], path);
        int r = k_fsconfig_str(fs, "lowerdir+", path);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int lower_in_one(int fs, const int *fd, uint32_t n)
{
    char all[RT_SPEC_MAX_LAYERS * FD_PATH_MAX] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        char path[FD_PATH_MAX];
        fd_path(fd[i], path);
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ":" : "", path);
    }
    if (at < 256) {
        return k_fsconfig_str(fs, "lowerdir", all);
    }
    /* Short names, relative to the folder that holds them all. */
    gt_auto_close int old = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    at = 0;
    for (uint32_t i = 0; i < n; i++) {
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%d", i ? ":" : "", fd[i]);
    }
    if (at >= 256 || old < 0 || chdir("/proc/self/fd") < 0) {
        return -E2BIG;
    }
    int r = k_fsconfig_str(fs, "lowerdir", all);
    r = r < 0 ? r : k_fsconfig_create(fs);
    if (fchdir(old) < 0) {
        return -errno;
    }
    return r < 0 ? r : 1;
}

static int make_overlay(const struct rt_rootfs *r, const int *lower, int upper, int work,
                        bool one_by_one, struct gt_err *err)
{
    char path[FD_PATH_MAX], why[256] = "";
    gt_auto_close int fs = k_fsopen("overlay");
    if (fs < 0) {
        return gt_err_errno(err, fs, "open file system 'overlay'");
    }
    int e = k_fsconfig_str(fs, "source", "overlay");
    if (e == 0 && upper >= 0) {
        fd_path(upper, path);
        e = k_fsconfig_str(fs, "upperdir", path);
        fd_path(work, path);
        e = e < 0 ? e : k_fsconfig_str(fs, "workdir", path);
        if (e == 0 && r->volatile_upper) {
            e = k_fsconfig_flag(fs, "volatile");
        }
    }
    int created = 0;
    if (e == 0) {
        e = one_by_one ? lower_one_by_one(fs, lower, r->lower.n)
                       : lower_in_one(fs, lower, r->lower.n);
        created = e > 0;
    }
    e = e < 0 || created ? e : k_fsconfig_create(fs);
    e = e < 0 ? e : k_fsmount(fs, 0);
    if (e < 0) {
        k_fs_message(fs, why, sizeof why);
        return gt_err_errno(err, e, "mount an overlay of %u layers%s%s", r->lower.n,
                            *why ? ": " : "", why);
    }
    return e;
}

static int mount_overlay(const struct rt_rootfs *r, struct gt_err *err)
{
    int lower[RT_SPEC_MAX_LAYERS];
    gt_auto_close int upper = -1, work = -1;
    uint32_t n = 0;
    int e = 0;
    for (; n < r->lower.n; n++) {
        lower[n] = open_folder(r->lower.v[n], err);
        if (lower[n] < 0) {
            e = lower[n];
            break;
        }
    }
    if (e == 0 && r->upper) {
        upper = open_upper(r->upper, lower[0], err);
        if (mkdir(r->work, 0700) < 0 && errno != EEXIST) {
            e = gt_err_errno(err, errno, "create folder '%s'", r->work);
        } else {
            work = open_folder(r->work, err);
            /* What an earlier try left behind: overlayfs refuses a volatile mount a second time,
             * lest somebody trust what was written. Nobody did: nothing ran there. */
            unlinkat(work, "work/incompat/volatile/dirty", 0);
            unlinkat(work, "work/incompat/volatile", AT_REMOVEDIR);
            e = upper < 0 ? upper : work < 0 ? work : 0;
        }
    }
    if (e == 0) {
        struct gt_err first = GT_ERR_INIT;
        e = make_overlay(r, lower, upper, work, true, &first);
        if (e == -EINVAL) {
            e = make_overlay(r, lower, upper, work, false, err);
        } else if (e < 0 && err) {
            *err = first;
        }
    }
    while (n > 0) {
        close(lower[--n]);
    }
    return e;
}

int rootfs_mount(const struct rt_rootfs *r, struct gt_err *err)
{
    if (r->kind == RT_ROOTFS_OVERLAY && (r->upper || r->lower.n > 1)) {
        return mount_overlay(r, err);
    }
    gt_auto_close int fd = open_folder(r->lower.v[0], err);
    if (fd < 0) {
        return fd;
    }
    int tree = k_open_tree_clone(fd, "", 1);
    return tree < 0 ? gt_err_errno(err, tree, "take '%s' as root", r->lower.v[0]) : tree;
}

int rootfs_bind(const struct rt_mount *m, struct gt_err *err)
{
    gt_auto_close int fd = open(m->source, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && m->flags & RT_MOUNT_CREATE_SRC) {
        if (gt_mkdirs(m->source, 0755, err) < 0) {
            return gt_err_code(err);
        }
        if (chmod(m->source, 0755) < 0) { /* whatever the umask is: users inside go there */
            return gt_err_errno(err, errno, "set the mode of mount source '%s'", m->source);
        }
        fd = open(m->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0) {
        return gt_err_errno(err, errno, "open mount source '%s'", m->source);
    }
    int tree = k_open_tree_clone(fd, "", m->flags & RT_MOUNT_REC ? 1 : 0);
    return tree < 0 ? gt_err_errno(err, tree, "take mount source '%s'", m->source) : tree;
}
