#include "node/runtime/cgroup_priv.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int limit_cpu(struct cgroup *cg, const struct rt_limits *l, struct gt_err *err)
{
    int r = 0;
    if (l->cpu_shares) {
        r = cgroup_poke_u64(cg, "cpu", "cpu.shares", l->cpu_shares, err);
    }
    if (r == 0 && l->cpu_quota_us) {
        uint64_t period = l->cpu_period_us ? l->cpu_period_us : 100000;
        r = cgroup_poke_u64(cg, "cpu", "cpu.cfs_period_us", period, err);
        r = r ? r : cgroup_poke_u64(cg, "cpu", "cpu.cfs_quota_us", l->cpu_quota_us, err);
    }
    if (r == 0 && l->cpuset_cpus) {
        r = cgroup_poke(cg, "cpuset", "cpuset.cpus", l->cpuset_cpus, err);
    }
    return r;
}

/* memory.memsw is the sum of both and exists only with swap accounting. It may never be below
 * memory.limit, so which of the two comes first depends on which way they move. */
static int limit_memory(struct cgroup *cg, const struct rt_limits *l, struct gt_err *err)
{
    static const char memsw[] = "memory.memsw.limit_in_bytes";
    uint64_t sum = l->memory + (l->memory_swap > 0 ? (uint64_t)l->memory_swap : 0);
    int r = cgroup_poke_u64(cg, "memory", "memory.limit_in_bytes", l->memory, NULL);
    if (r < 0) {
        cgroup_poke_u64(cg, "memory", memsw, sum, NULL);
        r = cgroup_poke_u64(cg, "memory", "memory.limit_in_bytes", l->memory, err);
    }
    if (r == 0 && l->memory_swap >= 0) {
        cgroup_poke_u64(cg, "memory", memsw, sum, NULL);
    }
    return r;
}

static int v1_limit(struct cgroup *cg, const struct rt_limits *l, struct gt_err *err)
{
    int r = limit_cpu(cg, l, err);
    if (r == 0 && l->memory) {
        r = limit_memory(cg, l, err);
    }
    if (r == 0 && l->memory_reservation) {
        r = cgroup_poke_u64(cg, "memory", "memory.soft_limit_in_bytes", l->memory_reservation, err);
    }
    if (r == 0 && l->pids) {
        r = cgroup_poke_u64(cg, "pids", "pids.max", l->pids, err);
        r = r == -ENOENT ? 0 : r; /* a cap for the node's good: not at the price of no start */
    }
    return r;
}

static int v1_freeze(struct cgroup *cg, bool frozen, struct gt_err *err)
{
    return cgroup_poke(cg, "freezer", "freezer.state", frozen ? "FROZEN" : "THAWED", err);
}

/* Documentation/admin-guide/cgroup-v1/memory.rst, section 10. */
static int v1_oom_fd(struct cgroup *cg, struct gt_err *err)
{
    gt_auto_close int control = cgroup_file(cg, "memory", "memory.oom_control", O_RDONLY, err);
    if (control < 0) {
        return control;
    }
    gt_auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return gt_err_errno(err, errno, "make an eventfd");
    }
    char text[64];
    snprintf(text, sizeof text, "%d %d", fd, control);
    int r = cgroup_poke(cg, "memory", "cgroup.event_control", text, err);
    if (r == 0) {
        cg->oom_fd = gt_steal_fd(&fd);
        r = cg->oom_fd;
    }
    return r;
}

static int v1_oom_kills(struct cgroup *cg, uint64_t *ret, struct gt_err *err)
{
    char text[256];
    int r = cgroup_read(cg, "memory", "memory.oom_control", text, sizeof text, err);
    if (r == 0 && !cgroup_keyed(text, "oom_kill", ret)) {
        *ret = 0;
    }
    return r;
}

static int v1_stats(struct cgroup *cg, struct cgroup_stats *s, struct gt_err *err)
{
    char text[4096];
    int r = cgroup_read_u64(cg, "cpuacct", "cpuacct.usage", &s->cpu_ns, err);
    r = r ? r : cgroup_read_u64(cg, "cpuacct", "cpuacct.usage_user", &s->cpu_user_ns, err);
    r = r ? r : cgroup_read_u64(cg, "cpuacct", "cpuacct.usage_sys", &s->cpu_system_ns, err);
    r = r ? r : cgroup_read_u64(cg, "memory", "memory.usage_in_bytes", &s->memory, err);
    r = r ? r : cgroup_read_u64(cg, "memory", "memory.max_usage_in_bytes", &s->memory_max, err);
    r = r ? r : cgroup_read_u64(cg, "memory", "memory.limit_in_bytes", &s->memory_limit, err);
    r = r ? r : cgroup_read_u64(cg, "pids", "pids.current", &s->pids, err);
    if (s->memory_limit >= INT64_MAX / 2) {
        s->memory_limit = 0;
    }
    if (r == 0 && cgroup_read(cg, "memory", "memory.stat", text, sizeof text, NULL) == 0) {
        cgroup_keyed(text, "total_cache", &s->memory_cache);
    }
    if (r == 0 && cgroup_read(cg, "cpu", "cpu.stat", text, sizeof text, NULL) == 0) {
        cgroup_keyed(text, "nr_throttled", &s->throttled_periods);
        cgroup_keyed(text, "throttled_time", &s->throttled_ns);
    }
    return r;
}

const struct cgroup_backend cgroup_backend_v1 = {
    .limit = v1_limit,
    .freeze = v1_freeze,
    .oom_fd = v1_oom_fd,
    .oom_kills = v1_oom_kills,
    .stats = v1_stats,
};
