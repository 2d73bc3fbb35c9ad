/* The mounts that do not depend on the specification, made while the child waits for one. They are
 * attached over the host's /proc, in the child's own copy of the tree, because only an attached
 * mount can carry others; from there they move into the container's root by descriptor. */
#include "node/runtime/child_priv.h"

#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"
#include "node/runtime/cgroup_priv.h"
#include "node/runtime/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const char *const masked_proc[] = {
    "asound",        "acpi",       "interrupts",  "kcore",       "keys",
    "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi"};
static const char *const readonly_proc[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
static const char *const masked_sys[] = {"firmware", "devices/virtual/powercap"};

struct option {
    const char *key, *value;
};

static int make_fs(const char *type, const struct option *options, uint32_t attr,
                   struct gt_err *err)
{
    gt_auto_close int fs = k_fsopen(type);
    if (fs < 0) {
        return gt_err_errno(err, fs, "open file system '%s'", type);
    }
    int r = k_fsconfig_str(fs, "source", type);
    for (; options && options->key && r == 0; options++) {
        r = options->value ? k_fsconfig_str(fs, options->key, options->value)
                           : k_fsconfig_flag(fs, options->key);
    }
    r = r < 0 ? r : k_fsconfig_create(fs);
    r = r < 0 ? r : k_fsmount(fs, attr);
    return r < 0 ? gt_err_errno(err, r, "mount a '%s'", type) : r;
}

/* A folder is covered by an empty read-only tmpfs, anything else by /dev/null: that of our own
 * tmpfs, whose numbers are checked (CVE-2025-31133 took an image's). What is missing needs none. */
int stage_mask(int root, const char *path, int dev, int *empty, struct gt_err *err)
{
    struct gt_err why = GT_ERR_INIT;
    gt_auto_close int at = safepath_open(root, path, O_PATH, 0, 0, &why);
    if (at == -ENOENT || at == -ENOTDIR) {
        return 0;
    }
    struct stat st;
    if (at < 0 || fstat(at, &st) < 0) {
        return gt_err_errno(err, at < 0 ? at : errno, "look at '%s' to mask it", path);
    }
    gt_auto_close int cover = -1;
    if (!S_ISDIR(st.st_mode)) {
        cover = k_open_tree_clone(dev, "null", 0);
        if (cover >= 0 && safepath_check_cdev(cover, 1, 3, "/dev/null", err) < 0) {
            return gt_err_code(err);
        }
    } else if (*empty < 0) {
        static const struct option options[] = {{"mode", "0755"}, {"nr_inodes", "1"}, {0}};
        cover = make_fs("tmpfs", options, ATTR_SAFE | MOUNT_ATTR_RDONLY, err);
    } else {
        cover = k_open_tree_clone(*empty, "", 0);
    }
    int r = cover < 0 ? cover : k_move_mount(cover, at, "");
    if (r < 0) {
        return gt_err_errno(err, r, "mask '%s'", path);
    }
    if (S_ISDIR(st.st_mode) && *empty < 0) {
        *empty = gt_steal_fd(&cover); /* attached now, so that it can be cloned */
    }
    return 0;
}

int stage_readonly(int root, const char *path, struct gt_err *err)
{
    struct gt_err why = GT_ERR_INIT;
    gt_auto_close int at = safepath_open(root, path, O_PATH, 0, 0, &why);
    if (at == -ENOENT || at == -ENOTDIR) {
        return 0;
    }
    gt_auto_close int tree = at < 0 ? at : k_open_tree_clone(at, "", 1);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    int r = tree < 0 ? tree : k_mount_setattr(tree, "", AT_RECURSIVE, &attr);
    r = r < 0 ? r : k_move_mount(tree, at, "");
    return r < 0 ? gt_err_errno(err, r, "make '%s' read-only", path) : 0;
}

int stage_mask_defaults_sys(int sys, int dev, struct gt_err *err)
{
    int empty = -1, r = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(masked_sys) && r == 0; i++) {
        r = stage_mask(sys, masked_sys[i], dev, &empty, err);
    }
    gt_closep(&empty);
    return r;
}

static int build_proc(struct stage *st, struct gt_err *err)
{
    st->proc = make_fs("proc", NULL, ATTR_SAFE, err);
    if (st->proc < 0) {
        return st->proc;
    }
    int r = k_move_mount(st->proc, AT_FDCWD, "/proc");
    return r < 0 ? gt_err_errno(err, r, "attach proc") : 0;
}

static int mask_proc(struct stage *st, struct gt_err *err)
{
    int empty = -1, r = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(masked_proc) && r == 0; i++) {
        r = stage_mask(st->proc, masked_proc[i], st->dev, &empty, err);
    }
    gt_closep(&empty);
    for (size_t i = 0; i < GT_ARRAY_LEN(readonly_proc) && r == 0; i++) {
        r = stage_readonly(st->proc, readonly_proc[i], err);
    }
    return r;
}

static int dev_nodes(int dev, struct gt_err *err)
{
    static const struct {
        const char *name;
        unsigned char major_nr, minor_nr;
    } nodes[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
                 {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
    static const struct {
        const char *name, *target;
    } links[] = {{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
                 {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
                 {"core", "/proc/kcore"},       {"ptmx", "pts/ptmx"}};
    for (size_t i = 0; i < GT_ARRAY_LEN(nodes); i++) {
        if (mknodat(dev, nodes[i].name, S_IFCHR | 0666,
                    makedev(nodes[i].major_nr, nodes[i].minor_nr)) < 0) {
            return gt_err_errno(err, errno, "create /dev/%s", nodes[i].name);
        }
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(links); i++) {
        if (symlinkat(links[i].target, dev, links[i].name) < 0) {
            return gt_err_errno(err, errno, "create /dev/%s", links[i].name);
        }
    }
    return 0;
}

/* A file system on a folder of /dev. Returns its descriptor. */
static int below_dev(struct stage *st, const char *name, const char *type,
                     const struct option *options, uint32_t attr, struct gt_err *err)
{
    if (mkdirat(st->dev, name, 0755) < 0) {
        return gt_err_errno(err, errno, "create /dev/%s", name);
    }
    int fd = make_fs(type, options, attr, err);
    int r = fd < 0 ? fd : k_move_mount(fd, st->dev, name);
    return r < 0 ? gt_err_errno(err, r, "mount /dev/%s", name) : fd;
}

static int build_dev(struct stage *st, struct gt_err *err)
{
    static const struct option dev_options[] = {{"mode", "0755"}, {"size", "65536k"}, {0}};
    static const struct option pts_options[] = {
        {"newinstance", NULL}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}, {0}};
    static const struct option shm_options[] = {{"mode", "1777"}, {"size", "65536k"}, {0}};
    mode_t old = umask(0);
    st->dev = make_fs("tmpfs", dev_options, MOUNT_ATTR_NOSUID, err);
    int r = st->dev < 0 ? st->dev : k_move_mount(st->dev, AT_FDCWD, "/proc");
    if (r < 0) {
        return gt_err_errno(err, r, "mount /dev");
    }
    r = dev_nodes(st->dev, err);
    if (r == 0) {
        st->pts = r =
            below_dev(st, "pts", "devpts", pts_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
    }
    if (r >= 0) {
        st->shm = r = below_dev(st, "shm", "tmpfs", shm_options, ATTR_SAFE, err);
    }
    if (r >= 0) {
        gt_auto_close int mqueue = below_dev(st, "mqueue", "mqueue", NULL, ATTR_SAFE, err);
        r = mqueue;
    }
    umask(old);
    return r < 0 ? r : 0;
}

/* With v1 the container sees its own folder of each hierarchy, as programs that ask for their
 * limits expect; with v2 the tree below its cgroup namespace's root. Read-only. */
static int build_cgroups_v1(struct stage *st, struct gt_err *err)
{
    static const struct option options[] = {{"mode", "0755"}, {"size", "64k"}, {0}};
    static const char *const shown[] = {"cpu",    "cpuacct", "memory", "pids",
                                        "cpuset", "freezer", "unified"};
    st->cgroups = make_fs("tmpfs", options, ATTR_SAFE, err);
    int r = st->cgroups < 0 ? st->cgroups : k_move_mount(st->cgroups, AT_FDCWD, "/proc");
    for (size_t i = 0; i < GT_ARRAY_LEN(shown) && r >= 0; i++) {
        struct gt_err why = GT_ERR_INIT;
        gt_auto_close int at = cgroup_file(st->cg, shown[i], ".", O_PATH | O_DIRECTORY, &why);
        if (at < 0) {
            continue;
        }
        gt_auto_close int tree = k_open_tree_clone(at, "", 0);
        struct mount_attr attr = {.attr_set = ATTR_SAFE | MOUNT_ATTR_RDONLY};
        r = tree < 0 ? tree : k_mount_setattr(tree, "", 0, &attr);
        if (r == 0 && mkdirat(st->cgroups, shown[i], 0755) < 0) {
            r = -errno;
        }
        r = r < 0 ? r : k_move_mount(tree, st->cgroups, shown[i]);
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    r = r < 0 ? r : k_mount_setattr(st->cgroups, "", 0, &attr);
    return r < 0 ? gt_err_errno(err, r, "mount the view of the cgroups") : 0;
}

static int build_cgroups(struct stage *st, struct gt_err *err)
{
    st->cgroups = -1;
    if (cgroup_sys_mode(st->sys) != CGROUP_V2) {
        return build_cgroups_v1(st, err);
    }
    st->cgroups =
        make_fs("cgroup2", NULL, ATTR_SAFE | (st->world.privileged ? 0 : MOUNT_ATTR_RDONLY), err);
    int r = st->cgroups < 0 ? st->cgroups : k_move_mount(st->cgroups, AT_FDCWD, "/proc");
    return r < 0 ? gt_err_errno(err, r, "mount the view of the cgroup") : 0;
}

int stage_build(struct stage *st, struct gt_err *err)
{
    struct mount_attr private = {.propagation = MS_PRIVATE_ATTR};
    int r = k_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &private);
    if (r < 0) {
        return gt_err_errno(err, r, "make the mounts private");
    }
    r = build_cgroups(st, err);
    r = r < 0 ? r : build_proc(st, err);
    r = r < 0 ? r : build_dev(st, err);
    if (r == 0 && st->world.default_masks) {
        r = mask_proc(st, err);
    }
    return r;
}
