/* What cgroup.c and its two back ends share. For this folder alone. */
#ifndef GT_NODE_RUNTIME_CGROUP_PRIV_H
#define GT_NODE_RUNTIME_CGROUP_PRIV_H

#include "node/runtime/cgroup.h"

#include <stddef.h>

#define CGROUP_MAX_HIERARCHIES 10

struct cgroup_backend {
    int (*limit)(struct cgroup *cg, const struct rt_limits *l, struct gt_err *err);
    int (*freeze)(struct cgroup *cg, bool frozen, struct gt_err *err);
    int (*oom_fd)(struct cgroup *cg, struct gt_err *err);
    int (*oom_kills)(struct cgroup *cg, uint64_t *ret, struct gt_err *err);
    int (*stats)(struct cgroup *cg, struct cgroup_stats *ret, struct gt_err *err);
};
extern const struct cgroup_backend cgroup_backend_v1, cgroup_backend_v2;

struct cgroup_sys {
    int root; /* /sys/fs/cgroup */
    char path[256];
    enum cgroup_mode mode;
    const struct cgroup_backend *ops;
    /* Folders below the root in which a process of ours is placed: "cpu", "memory" ... for v1;
     * "unified" too when hybrid; "." for v2. */
    const char *hier[CGROUP_MAX_HIERARCHIES];
    unsigned n_hier;
    const char *core;  /* the hierarchy that has cgroup.kill; NULL: none */
    const char *procs; /* the hierarchy whose cgroup.procs we read */
};

struct cgroup {
    struct cgroup_sys *sys;
    int core_fd; /* the folder in sys->core; -1 */
    int oom_fd;
    char path[256];
};

/* "<hierarchy><path>/<file>" and the write or read of it. */
int cgroup_poke(struct cgroup *cg, const char *hier, const char *file, const char *text,
                struct gt_err *err);
int cgroup_poke_u64(struct cgroup *cg, const char *hier, const char *file, uint64_t v,
                    struct gt_err *err);
int cgroup_file(struct cgroup *cg, const char *hier, const char *file, int oflags,
                struct gt_err *err);
/* At most n - 1 bytes, NUL-terminated. */
int cgroup_read(struct cgroup *cg, const char *hier, const char *file, char *to, size_t n,
                struct gt_err *err);
int cgroup_read_u64(struct cgroup *cg, const char *hier, const char *file, uint64_t *ret,
                    struct gt_err *err);
/* The number behind "<key> " at the start of a line; false when there is none. */
bool cgroup_keyed(const char *text, const char *key, uint64_t *ret);
/* After entering another mount namespace: the root as it is there. */
int cgroup_sys_reopen(struct cgroup_sys *sys, struct gt_err *err);
bool cgroup_has_hier(const struct cgroup_sys *sys, const char *hier);

/* Device rules: of a cgroup v1 line and of a BPF program. */
struct cgroup_device_rule {
    char type;              /* 'c' or 'b' */
    int major_nr, minor_nr; /* -1: any */
    const char *access;     /* of "rwm" */
};
int cgroup_devices_v1(struct cgroup *cg, const struct cgroup_device_rule *rules, unsigned n,
                      bool all, struct gt_err *err);
int cgroup_devices_bpf(struct cgroup *cg, const struct cgroup_device_rule *rules, unsigned n,
                       bool all, struct gt_err *err);

#endif
