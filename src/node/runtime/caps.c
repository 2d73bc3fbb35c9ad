#include "node/runtime/caps.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_RAISE 2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

uint64_t rt_cap_mask(const char *name)
{
    if (strcasecmp(name, "ALL") == 0 || strcasecmp(name, "CAP_ALL") == 0) {
        return RT_CAPS_ALL;
    }
    if (strncasecmp(name, "CAP_", 4) == 0) {
        name += 4;
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return 1ULL << i;
        }
    }
    return 0;
}

uint64_t caps_known(void)
{
    /* PR_CAPBSET_READ answers EINVAL for what the kernel has not. */
    static uint64_t known;
    for (int cap = 0; !known && cap < 64; cap++) {
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0) {
            known = (1ULL << cap) - 1;
        }
    }
    return known;
}

int caps_bound(uint64_t bounding, struct gt_err *err)
{
    for (int cap = 0; caps_known() >> cap; cap++) {
        if (bounding >> cap & 1 || prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 0) {
            continue;
        }
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            return gt_err_errno(err, errno, "drop capability %d from the bounding set", cap);
        }
    }
    return 0;
}

static int get(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &head, data) < 0 ? -errno : 0;
}

int caps_apply(const struct rt_caps *caps, struct gt_err *err)
{
    struct __user_cap_data_struct now[2];
    int r = get(now);
    if (r < 0) {
        return gt_err_errno(err, r, "read the capabilities");
    }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) {
        return gt_err_errno(err, errno, "clear the ambient capabilities");
    }
    uint64_t have = now[0].permitted | (uint64_t)now[1].permitted << 32;
    uint64_t permitted = caps->permitted & have;
    uint64_t effective = caps->effective & permitted;
    uint64_t inheritable = caps->inheritable & have;
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    if (syscall(SYS_capset, &head, data) < 0) {
        return gt_err_errno(err, errno, "set the capabilities");
    }
    uint64_t ambient = caps->ambient & permitted & inheritable;
    for (int cap = 0; ambient >> cap; cap++) {
        if (ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) {
            return gt_err_errno(err, errno, "raise ambient capability %d", cap);
        }
    }
    return 0;
}

struct rt_caps caps_for(const struct rt_caps *caps, int by_user, uint32_t uid)
{
    struct rt_caps sets = *caps;
    if (by_user) {
        /* No ambient or inheritable ones: a file with inheritable bits would gain them
         * (CVE-2022-24769). */
        uint64_t given = uid == 0 ? sets.bounding : 0;
        sets.effective = sets.permitted = given;
        sets.inheritable = sets.ambient = 0;
    }
    return sets;
}
