#include "lib/safepath/safepath.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A rename elsewhere in the system makes openat2 give up on a path with "..": it is not sure any
 * more. An attacker can provoke that at will, so the number of attempts is bounded. */
enum { ATTEMPTS = 128 };

static int open_how(int root, const char *path, struct open_how *how)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        long fd = syscall(SYS_openat2, root, path, how, sizeof *how);
        if (fd >= 0) {
            return (int)fd;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
    }
    return -EAGAIN;
}

static uint64_t resolve_flags(unsigned flags)
{
    uint64_t resolve = RESOLVE_NO_MAGICLINKS;
    resolve |= flags & SAFEPATH_BENEATH ? RESOLVE_BENEATH : RESOLVE_IN_ROOT;
    resolve |= flags & SAFEPATH_NO_SYMLINKS ? RESOLVE_NO_SYMLINKS : 0;
    resolve |= flags & SAFEPATH_NO_XDEV ? RESOLVE_NO_XDEV : 0;
    return resolve;
}

static int open_quiet(int root, const char *path, int oflags, mode_t mode, unsigned flags)
{
    if (strlen(path) >= SAFEPATH_MAX) {
        return -ENAMETOOLONG;
    }
    oflags |= O_CLOEXEC;
    if (!(oflags & O_PATH)) {
        oflags |= O_NONBLOCK | O_NOCTTY;
    }
    struct open_how how = {
        .flags = (uint64_t)(unsigned)oflags,
        .mode = oflags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY ? mode : 0,
        .resolve = resolve_flags(flags),
    };
    return open_how(root, path, &how);
}

int safepath_open(int root, const char *path, int oflags, mode_t mode, unsigned flags,
                  struct gt_err *err)
{
    int fd = open_quiet(root, path, oflags, mode, flags);
    return fd < 0 ? gt_err_errno(err, fd, "open '%s' in the root file system", path) : fd;
}

/* The folder of the last component, and that component's name (at most NAME_MAX bytes). "." and
 * ".." are no names of something to be made. */
static int open_parent(int root, const char *path, unsigned flags, char name[static 256],
                       struct gt_err *err)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/') {
        n--;
    }
    size_t start = n;
    while (start > 0 && path[start - 1] != '/') {
        start--;
    }
    if (n == start || n - start > 255 || start >= SAFEPATH_MAX) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' has no usable last component", path);
    }
    memcpy(name, path + start, n - start);
    name[n - start] = '\0';
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' ends in '%s'", path, name);
    }
    char parent[SAFEPATH_MAX];
    memcpy(parent, path, start);
    parent[start] = '\0';
    int fd = open_quiet(root, start ? parent : ".", O_PATH | O_DIRECTORY, 0, flags);
    return fd < 0 ? gt_err_errno(err, fd, "open the folder of '%s' in the root file system", path)
                  : fd;
}

/* One more component of a path of folders. A dangling symbolic link stays one (ENOENT): making what
 * it points to would be a mkdir that follows links. */
static int mkdir_step(int root, const char *path, mode_t mode, unsigned flags, struct gt_err *err)
{
    int fd = open_quiet(root, path, O_PATH | O_DIRECTORY, 0, flags);
    if (fd != -ENOENT) {
        return fd < 0 ? gt_err_errno(err, fd, "open folder '%s' in the root file system", path)
                      : fd;
    }
    char name[256];
    gt_auto_close int parent = open_parent(root, path, flags, name, err);
    if (parent < 0) {
        return parent;
    }
    if (mkdirat(parent, name, mode) < 0 && errno != EEXIST) {
        return gt_err_errno(err, errno, "create folder '%s' in the root file system", path);
    }
    return safepath_open(root, path, O_PATH | O_DIRECTORY, 0, flags, err);
}

int safepath_mkdirs(int root, const char *path, mode_t mode, unsigned flags, struct gt_err *err)
{
    char at[SAFEPATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof at) {
        return gt_err_errno(err, ENAMETOOLONG, "a path of %zu bytes", n);
    }
    /* Usually it is there, or all but the last. */
    int fd = open_quiet(root, n ? path : ".", O_PATH | O_DIRECTORY, 0, flags);
    if (fd != -ENOENT) {
        return fd < 0 ? gt_err_errno(err, fd, "open folder '%s' in the root file system", path)
                      : fd;
    }
    for (size_t i = 0; i < n;) {
        while (i < n && path[i] == '/') {
            i++;
        }
        while (i < n && path[i] != '/') {
            i++;
        }
        memcpy(at, path, i);
        at[i] = '\0';
        if (fd >= 0) {
            close(fd);
        }
        fd = mkdir_step(root, at, mode, flags, err);
        if (fd < 0) {
            return fd;
        }
    }
    return fd;
}

int safepath_mount_target(int root, const char *path, int is_dir, unsigned flags,
                          struct gt_err *err)
{
    if (is_dir) {
        return safepath_mkdirs(root, path, 0755, flags, err);
    }
    int fd = open_quiet(root, path, O_PATH, 0, flags);
    if (fd == -ENOENT) {
        char parent[SAFEPATH_MAX];
        size_t n = strlen(path);
        while (n > 0 && path[n - 1] != '/') {
            n--;
        }
        memcpy(parent, path, GT_MIN(n, sizeof parent - 1));
        parent[GT_MIN(n, sizeof parent - 1)] = '\0';
        gt_auto_close int dir = safepath_mkdirs(root, parent, 0755, flags, err);
        if (dir < 0) {
            return dir;
        }
        /* O_EXCL: a symbolic link that appeared there is not followed. */
        int made =
            openat(dir, path + n, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (made < 0 && errno != EEXIST) {
            return gt_err_errno(err, errno, "create '%s' in the root file system", path);
        }
        if (made >= 0) {
            close(made);
        }
        fd = open_quiet(root, path, O_PATH, 0, flags);
    }
    if (fd < 0) {
        return gt_err_errno(err, fd, "open '%s' in the root file system", path);
    }
    struct stat st;
    if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
        close(fd);
        return gt_err_errno(err, EISDIR, "mount a file on '%s'", path);
    }
    return fd;
}

int safepath_mknod(int root, const char *path, mode_t mode, dev_t dev, struct gt_err *err)
{
    char name[256];
    gt_auto_close int parent = open_parent(root, path, 0, name, err);
    if (parent < 0) {
        return parent;
    }
    if (mknodat(parent, name, mode, dev) < 0) {
        return gt_err_errno(err, errno, "create device '%s' in the root file system", path);
    }
    return 0;
}

int safepath_symlink(int root, const char *path, const char *target, struct gt_err *err)
{
    char name[256];
    gt_auto_close int parent = open_parent(root, path, 0, name, err);
    if (parent < 0) {
        return parent;
    }
    if (symlinkat(target, parent, name) < 0) {
        return gt_err_errno(err, errno, "create link '%s' in the root file system", path);
    }
    return 0;
}

int safepath_read(int root, const char *path, struct gt_buf *to, struct gt_err *err)
{
    gt_auto_close int fd = safepath_open(root, path, O_RDONLY, 0, 0, err);
    if (fd < 0) {
        return fd;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return gt_err_errno(err, errno, "stat '%s' in the root file system", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' in the root file system is no regular file",
                          path);
    }
    for (;;) {
        size_t room = GT_MIN(to->max - to->n, (size_t)16384);
        char extra;
        char *at = room ? gt_buf_reserve(to, room) : &extra;
        ssize_t r = gt_read_full(fd, at, room ? room : 1);
        if (r < 0) {
            return gt_err_errno(err, (int)r, "read '%s' in the root file system", path);
        }
        if (r == 0) {
            break;
        }
        if (!room) {
            return gt_err_set(err, GT_ERR_TOO_LARGE,
                              "'%s' in the root file system is larger than %zu bytes", path,
                              to->max);
        }
        to->n += (size_t)r;
    }
    gt_buf_puts(to, "");
    return 0;
}

int safepath_check_fs(int fd, uint64_t magic, const char *what, struct gt_err *err)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0) {
        return gt_err_errno(err, errno, "statfs of %s", what);
    }
    if ((uint64_t)fs.f_type != magic) {
        return gt_err_errno(err, EXDEV, "%s is on a file system of type %#lx, not %#lx", what,
                            (unsigned long)fs.f_type, (unsigned long)magic);
    }
    return 0;
}

int safepath_check_cdev(int fd, unsigned major_nr, unsigned minor_nr, const char *what,
                        struct gt_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return gt_err_errno(err, errno, "stat %s", what);
    }
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(major_nr, minor_nr)) {
        return gt_err_errno(err, ENODEV, "%s is not the device %u:%u", what, major_nr, minor_nr);
    }
    return 0;
}

int safepath_proc_write(int proc, const char *path, const char *text, struct gt_err *err)
{
    static const uint64_t proc_super_magic = 0x9fa0;
    int r = safepath_check_fs(proc, proc_super_magic, "the root of proc", err);
    if (r < 0) {
        return r;
    }
    /* BENEATH and NO_XDEV: something mounted over a part of procfs is not what we write to. The one
     * symbolic link that is welcome is "self". */
    int fd = open_quiet(proc, path, O_WRONLY, 0, SAFEPATH_BENEATH | SAFEPATH_NO_XDEV);
    if (fd < 0) {
        return gt_err_errno(err, fd, "open '/proc/%s'", path);
    }
    r = safepath_check_fs(fd, proc_super_magic, path, err);
    if (r == 0 && write(fd, text, strlen(text)) < 0) {
        r = gt_err_errno(err, errno, "write '%s' into '/proc/%s'", text, path);
    }
    close(fd);
    return r;
}
