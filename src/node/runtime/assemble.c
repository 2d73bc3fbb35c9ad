/* The container's root: what the parent opened on the host and what the stage made are moved into
 * place by descriptor, each target resolved inside the root through lib/safepath after everything
 * before it is attached. No path of the container is ever a string to the kernel here. */
#include "node/runtime/child_priv.h"

#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"
#include "node/runtime/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* /proc, /sys and /dev must be ordinary folders of the image: a link there has served to make
 * runtimes write elsewhere (CVE-2019-19921, CVE-2023-27561, CVE-2026-41579). */
static int move_standard(int from, int root, const char *path, struct gt_err *err)
{
    gt_auto_close int at = safepath_mkdirs(root, path, 0755, SAFEPATH_NO_SYMLINKS, err);
    if (at < 0) {
        return at;
    }
    int r = k_move_mount(from, at, "");
    return r < 0 ? gt_err_errno(err, r, "mount '/%s'", path) : 0;
}

static int mount_sysfs(struct stage *st, int root, struct gt_err *err)
{
    gt_auto_close int fs = k_fsopen("sysfs");
    int r = fs < 0 ? fs : k_fsconfig_str(fs, "source", "sysfs");
    r = r < 0 ? r : k_fsconfig_create(fs);
    uint32_t attr = ATTR_SAFE | (st->world.privileged ? 0 : MOUNT_ATTR_RDONLY);
    gt_auto_close int sys = r < 0 ? r : k_fsmount(fs, attr);
    if (sys < 0) {
        return gt_err_errno(err, sys, "mount sysfs");
    }
    r = move_standard(sys, root, "sys", err);
    if (r == 0 && st->cgroups >= 0) {
        gt_auto_close int at =
            safepath_open(sys, "fs/cgroup", O_PATH | O_DIRECTORY, 0, SAFEPATH_NO_SYMLINKS, NULL);
        if (at >= 0) {
            r = k_move_mount(st->cgroups, at, "");
        }
        if (r < 0) {
            return gt_err_errno(err, r, "mount the view of the cgroup");
        }
    }
    if (r == 0 && st->world.default_masks) {
        r = stage_mask_defaults_sys(sys, st->dev, err);
    }
    return r;
}

static int set_propagation(int fd, uint32_t flags, const char *target, struct gt_err *err)
{
    struct mount_attr attr = {.propagation = flags & RT_MOUNT_PROP_SHARED  ? MS_SHARED_ATTR
                                             : flags & RT_MOUNT_PROP_SLAVE ? MS_SLAVE_ATTR
                                                                           : MS_PRIVATE_ATTR};
    int r = k_mount_setattr(fd, "", AT_RECURSIVE, &attr);
    return r < 0 ? gt_err_errno(err, r, "set the propagation of mount '%s'", target) : 0;
}

/* "name=value,name=value" */
static int fs_options(int fs, const char *options)
{
    int r = 0;
    for (const char *at = options; *at && r == 0;) {
        char name[32], value[64];
        size_t n = strcspn(at, ","), eq = strcspn(at, "=,");
        if (eq >= n || eq >= sizeof name || n - eq > sizeof value) {
            return -EINVAL;
        }
        snprintf(name, sizeof name, "%.*s", (int)eq, at);
        snprintf(value, sizeof value, "%.*s", (int)(n - eq - 1), at + eq + 1);
        r = k_fsconfig_str(fs, name, value);
        at += n + (at[n] == ',');
    }
    return r;
}

static int mount_tmpfs(const struct rt_mount *m, struct gt_err *err)
{
    char size[24], mode[16];
    snprintf(size, sizeof size, "%" PRIu64, m->size);
    snprintf(mode, sizeof mode, "%o", m->mode ? m->mode : 01777);
    gt_auto_close int fs = k_fsopen("tmpfs");
    int r = fs < 0 ? fs : k_fsconfig_str(fs, "source", "tmpfs");
    r = r < 0 ? r : k_fsconfig_str(fs, "mode", mode);
    if (r == 0 && m->size) {
        r = k_fsconfig_str(fs, "size", size);
    }
    r = r < 0 || !m->source ? r : fs_options(fs, m->source);
    r = r < 0 ? r : k_fsconfig_create(fs);
    r = r < 0 ? r : k_fsmount(fs, 0);
    return r < 0 ? gt_err_errno(err, r, "mount a tmpfs for '%s'", m->target) : r;
}

/* Nobody mounts over a part of procfs: programs, and runtimes, believe what is there
 * (CVE-2019-16884). Asked of the resolved place, whatever links led to it; by its name, too,
 * because a masked part is on another file system. */
static bool in_proc(const struct stage *st, int at)
{
    char link[32], path[4096];
    if (safepath_check_fs(at, PROC_SUPER_MAGIC, "the target", NULL) == 0) {
        return true;
    }
    snprintf(link, sizeof link, "self/fd/%d", at);
    ssize_t n = readlinkat(st->proc, link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return n <= 0 || strcmp(path, "/proc") == 0 || strncmp(path, "/proc/", 6) == 0;
}

static struct mount_attr mount_attributes(uint32_t flags)
{
    static const struct {
        uint32_t flag, attr;
    } table[] = {
        {RT_MOUNT_RDONLY, MOUNT_ATTR_RDONLY},
        {RT_MOUNT_NOSUID, MOUNT_ATTR_NOSUID},
        {RT_MOUNT_NODEV, MOUNT_ATTR_NODEV},
        {RT_MOUNT_NOEXEC, MOUNT_ATTR_NOEXEC},
        {RT_MOUNT_NOATIME, MOUNT_ATTR_NOATIME},
        {RT_MOUNT_STRICTATIME, MOUNT_ATTR_STRICTATIME},
        {RT_MOUNT_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    };
    struct mount_attr attr = {0};
    for (size_t i = 0; i < GT_ARRAY_LEN(table); i++) {
        attr.attr_set |= flags & table[i].flag ? table[i].attr : 0;
    }
    /* The three ways to keep times are one field, which is cleared to be set. */
    if (flags & (RT_MOUNT_NOATIME | RT_MOUNT_STRICTATIME)) {
        attr.attr_clr = MOUNT_ATTR__ATIME;
    }
    return attr;
}

static int mount_one(struct stage *st, const struct rt_mount *m, int tree, int root,
                     struct gt_err *err)
{
    struct stat info;
    if (fstat(tree, &info) < 0) {
        return gt_err_errno(err, errno, "stat the source of mount '%s'", m->target);
    }
    gt_auto_close int at = safepath_mount_target(root, m->target, S_ISDIR(info.st_mode), 0, err);
    if (at < 0) {
        return at;
    }
    if (in_proc(st, at)) {
        return gt_err_set(err, GT_ERR_INVALID, "mount target '%s' is inside of proc", m->target);
    }
    int r = m->flags & RT_MOUNT_COPY_UP && S_ISDIR(info.st_mode) ? copy_up(at, tree, err) : 0;
    if (r < 0) {
        return r;
    }
    struct mount_attr attr = mount_attributes(m->flags);
    r = k_mount_setattr(tree, "", m->flags & RT_MOUNT_REC ? AT_RECURSIVE : 0, &attr);
    if (r < 0) {
        return gt_err_errno(err, r, "set the options of mount '%s'", m->target);
    }
    r = k_move_mount(tree, at, "");
    if (r < 0) {
        return gt_err_errno(err, r, "mount on '%s'", m->target);
    }
    return m->kind == RT_MOUNT_BIND ? set_propagation(tree, m->flags, m->target, err) : 0;
}

static int mount_all(struct stage *st, const struct rt_spec *spec, int root, const int *binds,
                     uint32_t n_binds, struct gt_err *err)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < spec->mounts.n; i++) {
        const struct rt_mount *m = &spec->mounts.v[i];
        gt_auto_close int tmpfs = -1;
        int tree = -1;
        if (m->kind == RT_MOUNT_TMPFS) {
            tree = tmpfs = mount_tmpfs(m, err);
        } else if (next < n_binds) {
            tree = binds[next++];
        }
        int r = tree < 0 ? (tree == -1 ? -EBADF : tree) : mount_one(st, m, tree, root, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int resize_shm(struct stage *st, uint64_t bytes, struct gt_err *err)
{
    if (bytes == 0) {
        return 0;
    }
    char size[24];
    snprintf(size, sizeof size, "%" PRIu64, bytes);
    gt_auto_close int fs = k_fspick(st->shm);
    int r = fs < 0 ? fs : k_fsconfig_str(fs, "size", size);
    r = r < 0 ? r : k_fsconfig_reconfigure(fs);
    return r < 0 ? gt_err_errno(err, r, "set the size of /dev/shm to %s", size) : 0;
}

static int add_device(struct stage *st, const char *host_path, const char *path, struct gt_err *err)
{
    struct stat info;
    if (stat(host_path, &info) < 0) {
        return gt_err_errno(err, errno, "look at device '%s'", host_path);
    }
    if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no device", host_path);
    }
    if (strncmp(path, "/dev/", 5) != 0) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED, "device '%s' is not below /dev", path);
    }
    char parent[256];
    const char *name = path + 5, *slash = strrchr(name, '/');
    if (slash) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name);
        gt_auto_close int dir = safepath_mkdirs(st->dev, parent, 0755, 0, err);
        if (dir < 0) {
            return dir;
        }
    }
    int r = safepath_mknod(st->dev, name, (info.st_mode & S_IFMT) | 0666, info.st_rdev, err);
    return r == -EEXIST ? 0 : r;
}

/* A privileged container gets what the host has. Nodes that cannot be made are left out: which they
 * are depends on the host. */
static void add_host_devices(struct stage *st, const char *dir, int depth)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[300];
        if (e->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path) {
            continue;
        }
        if (e->d_type == DT_CHR || e->d_type == DT_BLK) {
            add_device(st, path, path, NULL);
        } else if (e->d_type == DT_DIR && depth < 3 && strcmp(path, "/dev/pts") != 0 &&
                   strcmp(path, "/dev/shm") != 0 && strcmp(path, "/dev/mqueue") != 0) {
            add_host_devices(st, path, depth + 1);
        }
    }
    if (d) {
        closedir(d);
    }
}

static int add_devices(struct stage *st, const struct rt_spec *spec, struct gt_err *err)
{
    mode_t old = umask(0);
    int r = 0;
    if (spec->privileged) {
        add_host_devices(st, "/dev", 0);
    }
    for (uint32_t i = 0; i < spec->devices.n && r == 0; i++) {
        const struct rt_device *d = &spec->devices.v[i];
        r = add_device(st, d->host_path, d->path ? d->path : d->host_path, err);
    }
    umask(old);
    return r;
}

/* Only what a namespace of the container's own holds: anything else would be the host's. */
static bool sysctl_namespaced(const struct rt_spec *spec, const char *key)
{
    static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                      "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                      "kernel.shmmni", "kernel.shm_rmid_forced"};
    if (strncmp(key, "net.", 4) == 0) {
        return spec->net.kind != RT_NS_HOST;
    }
    if (strncmp(key, "fs.mqueue.", 10) == 0) {
        return spec->ipc.kind != RT_NS_HOST;
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(ipc); i++) {
        if (strcmp(key, ipc[i]) == 0) {
            return spec->ipc.kind != RT_NS_HOST;
        }
    }
    return strcmp(key, "kernel.domainname") == 0 && spec->uts.kind != RT_NS_HOST;
}

static int set_sysctls(const struct rt_spec *spec, struct gt_err *err)
{
    if (spec->sysctls.n == 0) {
        return 0;
    }
    /* An instance of procfs that nothing is mounted over and nobody else can see. */
    gt_auto_close int fs = k_fsopen("proc");
    int r = fs < 0 ? fs : k_fsconfig_create(fs);
    gt_auto_close int proc = r < 0 ? r : k_fsmount(fs, ATTR_SAFE);
    if (proc < 0) {
        return gt_err_errno(err, proc, "mount a private proc");
    }
    for (uint32_t i = 0; i < spec->sysctls.n; i++) {
        char key[256], path[300];
        const char *eq = strchr(spec->sysctls.v[i], '=');
        if (!eq || (size_t)(eq - spec->sysctls.v[i]) >= sizeof key) {
            return gt_err_set(err, GT_ERR_INVALID, "sysctl '%.100s' is not of the form name=value",
                              spec->sysctls.v[i]);
        }
        snprintf(key, sizeof key, "%.*s", (int)(eq - spec->sysctls.v[i]), spec->sysctls.v[i]);
        if (!sysctl_namespaced(spec, key) || strchr(key, '/')) {
            return gt_err_set(err, GT_ERR_INVALID, "sysctl '%s' is not the container's own", key);
        }
        for (char *p = key; *p; p++) {
            *p = *p == '.' ? '/' : *p;
        }
        snprintf(path, sizeof path, "sys/%s", key);
        r = safepath_proc_write(proc, path, eq + 1, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int loopback_up(void)
{
    gt_auto_close int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq req = {.ifr_name = "lo"};
    if (s < 0 || ioctl(s, SIOCGIFFLAGS, &req) < 0) {
        return -errno;
    }
    req.ifr_flags |= IFF_UP;
    return ioctl(s, SIOCSIFFLAGS, &req) < 0 ? -errno : 0;
}

static int join_namespaces(const struct rt_spec *spec, const int *fd, struct gt_err *err)
{
    int r = 0;
    if (spec->net.kind == RT_NS_PATH) {
        r = k_setns(fd[FD_NET], CLONE_NEWNET);
    } else if (spec->net.kind == RT_NS_NEW) {
        r = k_unshare(CLONE_NEWNET);
        r = r < 0 ? r : loopback_up();
    }
    if (r == 0 && spec->uts.kind == RT_NS_PATH) {
        r = k_setns(fd[FD_UTS], CLONE_NEWUTS);
    }
    if (r == 0 && spec->hostname) {
        r = k_sethostname(spec->hostname);
    }
    return r < 0 ? gt_err_errno(err, r, "enter the namespaces") : 0;
}

static int more_masks(struct stage *st, const struct rt_spec *spec, int root, struct gt_err *err)
{
    int empty = -1, r = 0;
    for (uint32_t i = 0; i < spec->masked.n && r == 0; i++) {
        r = stage_mask(root, spec->masked.v[i], st->dev, &empty, err);
    }
    gt_closep(&empty);
    for (uint32_t i = 0; i < spec->readonly_paths.n && r == 0; i++) {
        r = stage_readonly(root, spec->readonly_paths.v[i], err);
    }
    return r;
}

int assemble_root(struct stage *st, const struct rt_spec *spec, const int *fd, uint32_t n_binds,
                  struct gt_err *err)
{
    int root = fd[FD_ROOT];
    int r = join_namespaces(spec, fd, err);
    r = r < 0 ? r : add_devices(st, spec, err);
    if (r == 0) {
        r = k_move_mount(root, AT_FDCWD, "/");
        if (r < 0) {
            return gt_err_errno(err, r, "attach the root file system");
        }
    }
    r = r < 0 ? r : move_standard(st->dev, root, "dev", err);
    r = r < 0 ? r : move_standard(st->proc, root, "proc", err);
    r = r < 0 ? r : mount_sysfs(st, root, err);
    r = r < 0 ? r : resize_shm(st, spec->shm_size, err);
    r = r < 0 ? r : mount_all(st, spec, root, fd + FD_FIXED, n_binds, err);
    r = r < 0 ? r : more_masks(st, spec, root, err);
    r = r < 0 ? r : set_sysctls(spec, err);
    return r;
}

/* pivot_root(".", ".") stacks the old root on the new one, from where it is taken off. */
int assemble_enter(int root, struct gt_err *err)
{
    int r = fchdir(root) < 0 ? -errno : 0;
    r = r < 0 ? r : k_pivot_root(".", ".");
    r = r < 0 ? r : k_umount(".", MNT_DETACH);
    if (r == 0 && chdir("/") < 0) {
        r = -errno;
    }
    return r < 0 ? gt_err_errno(err, r, "change to the container's root") : 0;
}
