/*
 * What one container is to be: plain values that the agent fills from a task definition (or, later,
 * gantry-runtime from a config.json), and that travel to the shim as bytes.
 *
 * Zeroed memory is a valid start; rt_spec_defaults() puts in what a container gets unless somebody
 * says otherwise. Strings are NUL-terminated and borrowed: the caller keeps them alive until the
 * spec was encoded; after decoding they point into the bytes and the arena. NULL and "" are
 * different (absent and empty).
 *
 * Host paths are taken as the host's, opened by the shim without following the last component's
 * magic links. Container paths (targets, cwd, user files) are only ever resolved inside the root
 * file system, through lib/safepath.
 */
#ifndef GT_NODE_RUNTIME_SPEC_H
#define GT_NODE_RUNTIME_SPEC_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Caps on what comes in. */
#define RT_SPEC_MAX_BYTES (128 * 1024) /* encoded; also what one SEQPACKET message may hold */
#define RT_SPEC_MAX_STRINGS 8192
#define RT_SPEC_MAX_MOUNTS 200 /* their descriptors travel in one message */
#define RT_SPEC_MAX_LAYERS 128
#define RT_ID_MAX 127 /* container ids: 1-127 of [A-Za-z0-9_.-], not starting with '.' */

struct rt_strs {
    const char **v; /* v[n] == NULL once decoded; NULL when n == 0 is fine for encoding */
    uint32_t n;
};

enum rt_rootfs_kind {
    RT_ROOTFS_OVERLAY, /* lower[] (topmost first) below upper */
    RT_ROOTFS_DIR,     /* lower[0] is used as it is */
};

struct rt_rootfs {
    uint32_t kind;
    struct rt_strs lower;
    const char *upper, *work; /* same file system; made when missing. NULL: no upper, read-only */
    bool readonly;
    bool volatile_upper; /* overlay's "volatile": no sync; the upper is thrown away after a crash */
};

/* How a namespace comes to be. */
enum rt_ns_kind {
    RT_NS_NEW,
    RT_NS_HOST,
    RT_NS_PATH, /* a file of the namespace file system, such as /run/netns/x */
};

struct rt_ns {
    uint32_t kind;
    const char *path;
};

enum rt_mount_kind {
    RT_MOUNT_BIND,  /* source: a host path, folder or file */
    RT_MOUNT_TMPFS, /* size in bytes, mode, options */
};

#define RT_MOUNT_RDONLY (1U << 0)
#define RT_MOUNT_NOSUID (1U << 1)
#define RT_MOUNT_NODEV (1U << 2)
#define RT_MOUNT_NOEXEC (1U << 3)
#define RT_MOUNT_REC (1U << 4)         /* bind: with what is mounted below the source */
#define RT_MOUNT_CREATE_SRC (1U << 5)  /* bind: make the source folder (0755) when missing */
#define RT_MOUNT_COPY_UP (1U << 6)     /* bind: an empty source begins as what is at the target */
#define RT_MOUNT_PROP_SLAVE (1U << 7)  /* mounts made later on the host show up inside */
#define RT_MOUNT_PROP_SHARED (1U << 8) /* and the other way round: privileged things only */
#define RT_MOUNT_NOATIME (1U << 9)
#define RT_MOUNT_STRICTATIME (1U << 10)
#define RT_MOUNT_NODIRATIME (1U << 11)

struct rt_mount {
    uint32_t kind, flags;
    /* tmpfs: source is NULL or more options of the file system, "uid=33,nr_inodes=10" */
    const char *source, *target;
    uint64_t size; /* tmpfs, bytes; 0: half of memory */
    uint32_t mode; /* tmpfs; 0: 01777 */
};

struct rt_mounts {
    struct rt_mount *v;
    uint32_t n;
};

struct rt_rlimit {
    uint32_t resource; /* RLIMIT_... */
    uint64_t soft, hard;
};

struct rt_rlimits {
    struct rt_rlimit *v;
    uint32_t n;
};

struct rt_device {
    const char *host_path, *path; /* path NULL: the same */
    const char *access;           /* of "rwm"; NULL: all */
};

struct rt_devices {
    struct rt_device *v;
    uint32_t n;
};

/* Limits of a container, or of a task as a whole. 0: no limit of its own. */
struct rt_limits {
    uint64_t cpu_shares;         /* cgroup v1 scale, 2..262144; ECS "cpu" units as they are */
    uint64_t cpu_quota_us;       /* for each cpu_period_us */
    uint64_t cpu_period_us;      /* 0: 100000 */
    uint64_t memory;             /* bytes, hard; OOM kill above */
    uint64_t memory_reservation; /* bytes, soft */
    int64_t memory_swap;         /* bytes of swap beyond memory; -1 unlimited; 0 none */
    uint64_t pids;               /* left out where the kernel cannot count them */
    const char *cpuset_cpus;     /* "0-1,4"; NULL: all */
};

/* Capability sets as masks of 1 << CAP_x. */
struct rt_caps {
    uint64_t bounding, effective, permitted, inheritable, ambient;
};
#define RT_CAPS_DEFAULT 0xa80425fbULL /* the fourteen that docker gives */
#define RT_CAPS_ALL (~0ULL)           /* what the kernel knows and this process has */
/* "SYS_ADMIN", "CAP_SYS_ADMIN" in any case, or "ALL" -> mask; 0 when unknown. */
uint64_t rt_cap_mask(const char *name);

enum rt_seccomp_kind {
    RT_SECCOMP_DEFAULT,
    RT_SECCOMP_UNCONFINED,
};

struct rt_spec {
    struct rt_rootfs rootfs;

    /* the process */
    struct rt_strs argv;         /* argv[0] without '/' is looked up in PATH of env, inside */
    struct rt_strs env;          /* "NAME=value"; HOME is added from /etc/passwd when missing */
    const char *cwd;             /* NULL: "/"; made when missing, as docker does */
    const char *user;            /* "", "name", "uid", "name:group", "uid:gid" ...; NULL: root */
    struct rt_strs extra_groups; /* numbers, beyond those of /etc/group */
    uint32_t umask;              /* 0: 022 */
    bool tty;                    /* a terminal is standard input, output and error */
    uint32_t tty_rows, tty_cols;
    bool stdin_open; /* not tty: standard input is a pipe (see shim_proto.h), not /dev/null */
    bool init;       /* a reaper of ours is process 1 (initProcessEnabled) */
    int32_t oom_score_adj;
    struct rt_rlimits rlimits;

    /* privileges. With caps_by_user, a user other than root gets empty effective and permitted
     * sets (docker's behaviour), and root gets the bounding set. */
    struct rt_caps caps;
    bool caps_by_user;
    bool no_new_privs;
    bool privileged;  /* all capabilities and devices, no masks, no seccomp, sysfs writable */
    uint32_t seccomp; /* enum rt_seccomp_kind */

    /* the world it sees */
    const char *hostname; /* NULL: the host's */
    /* A joined ipc namespace shares queues and semaphores; for a shared /dev/shm bind one folder of
     * a tmpfs there in each. */
    struct rt_ns net, pid, ipc, uts, cgroup;
    struct rt_mounts mounts; /* in this order, after proc, sys, dev, pts, shm, mqueue */
    struct rt_devices devices;
    struct rt_strs masked, readonly_paths; /* n == 0: the defaults, unless privileged */
    struct rt_strs sysctls;                /* "net.ipv4.ip_forward=1", ... */
    uint64_t shm_size;                     /* bytes; 0: 64 MiB */

    struct rt_limits limits;

    /* logs */
    bool log_nonblocking;   /* a full spool drops (counted) instead of holding the container up */
    uint64_t log_spool_max; /* bytes not yet acknowledged; 0: GT_LIMIT_LOG_SPOOL */
    bool log_none;          /* output goes to /dev/null */
};

/* Zeroes the spec and sets: new namespaces, default capabilities by user, default seccomp. */
void rt_spec_defaults(struct rt_spec *s);

/* Says what is wrong with it as far as can be told without the machine. */
int rt_spec_check(const struct rt_spec *s, struct gt_err *err);

/* Appends the bytes. `to` needs a maximum of RT_SPEC_MAX_BYTES. */
int rt_spec_encode(const struct rt_spec *s, struct gt_buf *to, struct gt_err *err);

/* For bytes from anyone: every count and length is checked against the rest of the input before
 * memory is taken. The result points into `bytes` and the arena. */
int rt_spec_decode(const void *bytes, size_t n, struct gt_arena *a, struct rt_spec *ret,
                   struct gt_err *err);

/* Limits alone: the task's. */
int rt_limits_encode(const struct rt_limits *l, struct gt_buf *to, struct gt_err *err);
int rt_limits_decode(const void *bytes, size_t n, struct gt_arena *a, struct rt_limits *ret,
                     struct gt_err *err);

/* A process to run in a container that runs already. */
struct rt_exec {
    struct rt_strs argv;
    struct rt_strs env; /* all of it: nothing is taken over from the container */
    const char *cwd;    /* NULL: "/" */
    const char *user;   /* as above */
    struct rt_strs extra_groups;
    bool tty;
    uint32_t tty_rows, tty_cols;
    struct rt_caps caps;
    bool caps_by_user, no_new_privs, privileged;
    uint32_t seccomp;
    struct rt_rlimits rlimits;
    uint32_t umask;
    int32_t oom_score_adj;
};

/* Takes the privileges of the container over; argv, env, cwd and user are left for the caller. */
void rt_exec_from_spec(struct rt_exec *e, const struct rt_spec *s);
int rt_exec_encode(const struct rt_exec *e, struct gt_buf *to, struct gt_err *err);
int rt_exec_decode(const void *bytes, size_t n, struct gt_arena *a, struct rt_exec *ret,
                   struct gt_err *err);

#endif
