#include "node/image/unpack/sandbox.h"

#include "lib/base/limits.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534
#define MEMORY_MAX (1 * GT_GIB) /* a zstd window of 128 MiB, buffers, the list of directories */

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

static const unsigned kept_caps[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                     CAP_SETFCAP};

/* Makes the folder the root, as a mount of its own that hangs nowhere. */
static int change_root(int *layer, struct gt_err *err)
{
    gt_auto_close int tree =
        (int)syscall(SYS_open_tree, *layer, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0) {
        return gt_err_errno(err, errno, "sandbox: open_tree");
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                          MOUNT_ATTR_NOSYMFOLLOW};
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
        return gt_err_errno(err, errno, "sandbox: mount_setattr");
    }
    if (fchdir(tree) < 0 || chroot(".") < 0) {
        return gt_err_errno(err, errno, "sandbox: chroot");
    }
    /* The old descriptor belongs to the mount outside, where ".." leads up. And closing the one of
     * the tree would take the mount away: it becomes the layer's. */
    close(*layer);
    *layer = gt_steal_fd(&tree);
    return 0;
}

static int landlock(int layer, struct gt_err *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 2) {
        return 0; /* not in this kernel, or without REFER, which hard links need */
    }
    uint64_t made =
        LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
        LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
        LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
        LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) {
        made |= LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    struct landlock_ruleset_attr attr = {
        .handled_access_fs = made | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                             LANDLOCK_ACCESS_FS_MAKE_BLOCK,
    };
    gt_auto_close int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    struct landlock_path_beneath_attr beneath = {.allowed_access = made, .parent_fd = layer};
    if (rules < 0 ||
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) < 0) {
        return gt_err_errno(err, errno, "sandbox: landlock");
    }
    return 0;
}

static int capset_only(uint64_t caps)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
        {.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)},
    };
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int drop_privileges(struct gt_err *err)
{
    uint64_t kept = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(kept_caps); i++) {
        kept |= 1ULL << kept_caps[i];
    }
    for (int cap = 0; cap < 64; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            break; /* beyond the last one of this kernel */
        }
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0) {
        return gt_err_errno(err, errno, "sandbox: change user");
    }
    int r = capset_only(kept);
    return r < 0 ? gt_err_errno(err, r, "sandbox: capset") : 0;
}

static void limit_resources(void)
{
    /* 64 descriptors: input, result, layer, parents kept open, one file. */
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_MAX, MEMORY_MAX});
#endif
}

int sandbox_enter(int *layer, bool *ret_privileged, struct gt_err *err)
{
    bool root = geteuid() == 0;
    umask(0);
    limit_resources();
    int r = root ? change_root(layer, err) : 0;
    if (r < 0) {
        return r;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return gt_err_errno(err, errno, "sandbox: no_new_privs");
    }
    r = landlock(*layer, err);
    if (r == 0 && root) {
        r = drop_privileges(err);
    }
    if (r == 0) {
        /* Again: a change of user or capabilities takes it away (prctl(2)). */
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        r = sandbox_filter(err);
    }
    *ret_privileged = root;
    return r;
}
