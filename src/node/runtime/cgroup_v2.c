#include "node/runtime/cgroup_priv.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The scale of cpu.shares, 2 to 262144, onto that of cpu.weight, 1 to 10000: as the OCI runtimes
 * agree on. */
static uint64_t weight(uint64_t shares)
{
    shares = GT_MIN(GT_MAX(shares, 2UL), 262144UL);
    return 1 + (shares - 2) * 9999 / 262142;
}

static int limit_cpu(struct cgroup *cg, const struct rt_limits *l, struct gt_err *err)
{
    int r = 0;
    if (l->cpu_shares) {
        r = cgroup_poke_u64(cg, ".", "cpu.weight", weight(l->cpu_shares), err);
    }
    if (r == 0 && l->cpu_quota_us) {
        char text[64];
        snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64, l->cpu_quota_us,
                 l->cpu_period_us ? l->cpu_period_us : 100000);
        r = cgroup_poke(cg, ".", "cpu.max", text, err);
    }
    if (r == 0 && l->cpuset_cpus) {
        r = cgroup_poke(cg, ".", "cpuset.cpus", l->cpuset_cpus, err);
    }
    return r;
}

static int v2_limit(struct cgroup *cg, const struct rt_limits *l, struct gt_err *err)
{
    int r = limit_cpu(cg, l, err);
    if (r == 0 && l->memory) {
        r = cgroup_poke_u64(cg, ".", "memory.max", l->memory, err);
        if (r == 0 && l->memory_swap >= 0) {
            /* Not there without swap accounting. */
            cgroup_poke_u64(cg, ".", "memory.swap.max", (uint64_t)l->memory_swap, NULL);
        }
    }
    if (r == 0 && l->memory_reservation) {
        r = cgroup_poke_u64(cg, ".", "memory.low", l->memory_reservation, err);
    }
    if (r == 0 && l->pids) {
        r = cgroup_poke_u64(cg, ".", "pids.max", l->pids, err);
        r = r == -ENOENT ? 0 : r; /* a cap for the node's good: not at the price of no start */
    }
    return r;
}

static int v2_freeze(struct cgroup *cg, bool frozen, struct gt_err *err)
{
    return cgroup_poke(cg, ".", "cgroup.freeze", frozen ? "1" : "0", err);
}

static int v2_oom_fd(struct cgroup *cg, struct gt_err *err)
{
    cg->oom_fd = cgroup_file(cg, ".", "memory.events", O_RDONLY, err);
    return cg->oom_fd;
}

static int v2_oom_kills(struct cgroup *cg, uint64_t *ret, struct gt_err *err)
{
    char text[512];
    int r = cgroup_read(cg, ".", "memory.events", text, sizeof text, err);
    if (r == 0 && !cgroup_keyed(text, "oom_kill", ret)) {
        *ret = 0;
    }
    return r;
}

static int v2_stats(struct cgroup *cg, struct cgroup_stats *s, struct gt_err *err)
{
    char text[8192];
    int r = cgroup_read(cg, ".", "cpu.stat", text, sizeof text, err);
    if (r < 0) {
        return r;
    }
    cgroup_keyed(text, "usage_usec", &s->cpu_ns);
    cgroup_keyed(text, "user_usec", &s->cpu_user_ns);
    cgroup_keyed(text, "system_usec", &s->cpu_system_ns);
    cgroup_keyed(text, "throttled_usec", &s->throttled_ns);
    cgroup_keyed(text, "nr_throttled", &s->throttled_periods);
    s->cpu_ns *= 1000;
    s->cpu_user_ns *= 1000;
    s->cpu_system_ns *= 1000;
    s->throttled_ns *= 1000;
    r = cgroup_read_u64(cg, ".", "memory.current", &s->memory, err);
    r = r ? r : cgroup_read_u64(cg, ".", "memory.max", &s->memory_limit, err);
    r = r ? r : cgroup_read_u64(cg, ".", "pids.current", &s->pids, err);
    if (s->memory_limit == UINT64_MAX) {
        s->memory_limit = 0;
    }
    cgroup_read_u64(cg, ".", "memory.peak", &s->memory_max, NULL); /* Linux 5.19 */
    if (r == 0 && cgroup_read(cg, ".", "memory.stat", text, sizeof text, NULL) == 0) {
        cgroup_keyed(text, "file", &s->memory_cache);
    }
    return r;
}

const struct cgroup_backend cgroup_backend_v2 = {
    .limit = v2_limit,
    .freeze = v2_freeze,
    .oom_fd = v2_oom_fd,
    .oom_kills = v2_oom_kills,
    .stats = v2_stats,
};
