/*
 * Control groups behind one face: v2, v1, and hybrid (v1 controllers beside a v2 tree without
 * them, whose core we still use for cgroup.kill). Which one is decided once, at start.
 *
 * A cgroup is named by a path below the root of the hierarchies, such as "/gantry/3f2a/task/c0".
 * Making one makes its parents; with v2 the controllers are switched on along the way.
 *
 * Attaching a running process costs up to 15 ms (an RCU grace period): never on the way of a
 * start. With v2 a child is cloned into cgroup_fd(); with v1 it is parked in a cgroup made ahead.
 *
 * Not for use by two threads on one object. No call blocks for longer than the kernel takes.
 */
#ifndef GT_NODE_RUNTIME_CGROUP_H
#define GT_NODE_RUNTIME_CGROUP_H

#include "lib/base/err.h"
#include "node/runtime/spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_mode { CGROUP_V1, CGROUP_HYBRID, CGROUP_V2 };

struct cgroup_sys; /* what was found; one a process */
struct cgroup;

/* `root` is where the hierarchies are: NULL for /sys/fs/cgroup. A test hands in a tree of its own,
 * with `mode` saying what it is; -1 finds out. */
int cgroup_sys_open(const char *root, int mode, struct cgroup_sys **ret, struct gt_err *err);
void cgroup_sys_close(struct cgroup_sys *sys);
enum cgroup_mode cgroup_sys_mode(const struct cgroup_sys *sys);
const char *cgroup_mode_name(enum cgroup_mode mode);

/* Makes it (existing is fine), or takes hold of it as it is. Frees with cgroup_close(), which
 * leaves the cgroup itself in place. */
int cgroup_create(struct cgroup_sys *sys, const char *path, struct cgroup **ret,
                  struct gt_err *err);
int cgroup_open(struct cgroup_sys *sys, const char *path, struct cgroup **ret, struct gt_err *err);
void cgroup_close(struct cgroup *cg);
const char *cgroup_path(const struct cgroup *cg);

/* Sets what is not 0. A memory limit is clamped up to the kernel's minimum by nobody: the caller
 * checks it. Values that the kernel has no controller for are an error. */
int cgroup_limit(struct cgroup *cg, const struct rt_limits *limits, struct gt_err *err);

/* Which devices may be used: the standard ones of a container, those of `spec`, or all. */
int cgroup_devices(struct cgroup *cg, const struct rt_spec *spec, struct gt_err *err);

/* For clone3(CLONE_INTO_CGROUP): borrowed; -1 when there is no v2 tree. */
int cgroup_fd(const struct cgroup *cg);
/* Whether cgroup_fd() alone puts a child where it belongs (v2); otherwise attach as well. */
bool cgroup_clone_suffices(const struct cgroup *cg);
/* Slow (see above). pid 0: the caller. */
int cgroup_attach(struct cgroup *cg, pid_t pid, struct gt_err *err);

/* SIGKILL to every process in it and below. Returns at once; they may take a moment to go. */
int cgroup_kill(struct cgroup *cg, struct gt_err *err);
int cgroup_freeze(struct cgroup *cg, bool frozen, struct gt_err *err);
/* Whether a process is left in it or below. */
int cgroup_populated(struct cgroup *cg, bool *ret, struct gt_err *err);
/* rmdir, with those below. -EBUSY while processes are left: kill, and try again later. Gone already
 * is success. */
int cgroup_remove(struct cgroup *cg, struct gt_err *err);

/* Out of memory. cgroup_oom_fd() becomes readable (v1: an eventfd) or EPOLLPRI (v2: memory.events)
 * when the count may have changed; borrowed, -1 when there is none. */
int cgroup_oom_fd(struct cgroup *cg, struct gt_err *err);
int cgroup_oom_kills(struct cgroup *cg, uint64_t *ret, struct gt_err *err);

struct cgroup_stats {
    uint64_t cpu_ns, cpu_user_ns, cpu_system_ns, throttled_ns, throttled_periods;
    uint64_t memory, memory_max, memory_cache, memory_limit; /* limit 0: none */
    uint64_t pids;
};
int cgroup_stats(struct cgroup *cg, struct cgroup_stats *ret, struct gt_err *err);

#endif
