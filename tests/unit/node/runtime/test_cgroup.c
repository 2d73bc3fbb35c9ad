/* The back ends against a tree of ordinary files: what is written where. */
#include "gt_test.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/runtime/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64];

static void file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", base, path);
    char *slash = strrchr(full, '/');
    *slash = '\0';
    assert_int_equal(gt_mkdirs(full, 0755, NULL), 0);
    *slash = '/';
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(gt_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static void expect(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", base, path);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(gt_file_read(AT_FDCWD, full, &b, &err), err);
    assert_string_equal(b.p, text);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(base, sizeof base, "/tmp/gt-cgroup-XXXXXX");
    return mkdtemp(base) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return gt_remove_tree(AT_FDCWD, base, NULL);
}

static const struct rt_limits limits = {
    .cpu_shares = 512,
    .cpu_quota_us = 50000,
    .memory = 64 << 20,
    .memory_reservation = 32 << 20,
    .memory_swap = 1 << 20,
    .pids = 100,
};

static void v2(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    struct cgroup_sys *sys;
    struct cgroup *cg;
    file("cgroup.controllers", "cpu memory pids");
    file("cgroup.subtree_control", "");
    gt_assert_ok(cgroup_sys_open(base, -1, &sys, &err), err);
    assert_int_equal(cgroup_sys_mode(sys), CGROUP_V2);
    gt_assert_ok(cgroup_create(sys, "/g/task/c0", &cg, &err), err);
    expect("cgroup.subtree_control", "+cpu+memory+pids+cpuset+io");
    assert_true(cgroup_fd(cg) >= 0);
    assert_true(cgroup_clone_suffices(cg));
    static const char *const names[] = {"cpu.weight",  "cpu.max",         "memory.max",
                                        "memory.low",  "memory.swap.max", "pids.max",
                                        "cgroup.kill", "cgroup.freeze",   "cgroup.procs"};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        char path[64];
        snprintf(path, sizeof path, "g/task/c0/%s", names[i]);
        file(path, "");
    }
    gt_assert_ok(cgroup_limit(cg, &limits, &err), err);
    expect("g/task/c0/cpu.weight", "20"); /* 1 + (512 - 2) * 9999 / 262142 */
    expect("g/task/c0/cpu.max", "50000 100000");
    expect("g/task/c0/memory.max", "67108864");
    expect("g/task/c0/memory.low", "33554432");
    expect("g/task/c0/memory.swap.max", "1048576");
    expect("g/task/c0/pids.max", "100");
    gt_assert_ok(cgroup_kill(cg, &err), err);
    expect("g/task/c0/cgroup.kill", "1");
    gt_assert_ok(cgroup_freeze(cg, true, &err), err);
    expect("g/task/c0/cgroup.freeze", "1");
    gt_assert_ok(cgroup_attach(cg, 4711, &err), err);
    expect("g/task/c0/cgroup.procs", "4711");

    uint64_t kills;
    file("g/task/c0/memory.events", "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n");
    gt_assert_ok(cgroup_oom_kills(cg, &kills, &err), err);
    assert_int_equal(kills, 1);
    bool populated;
    file("g/task/c0/cgroup.events", "populated 1\nfrozen 0\n");
    gt_assert_ok(cgroup_populated(cg, &populated, &err), err);
    assert_true(populated);
    struct cgroup_stats st;
    file("g/task/c0/cpu.stat", "usage_usec 1000\nuser_usec 600\nsystem_usec 400\n");
    file("g/task/c0/memory.current", "4096\n");
    file("g/task/c0/memory.max", "max\n");
    file("g/task/c0/pids.current", "3\n");
    gt_assert_ok(cgroup_stats(cg, &st, &err), err);
    assert_int_equal(st.cpu_ns, 1000000);
    assert_int_equal(st.memory_limit, 0);
    assert_int_equal(st.pids, 3);
    cgroup_close(cg);
    cgroup_sys_close(sys);
}

static void v1_and_hybrid(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    struct cgroup_sys *sys;
    struct cgroup *cg;
    char both[128], link_to[128];
    file("cpu,cpuacct/cgroup.procs", "");
    snprintf(both, sizeof both, "%s/cpu", base);
    snprintf(link_to, sizeof link_to, "cpu,cpuacct");
    assert_int_equal(symlink(link_to, both), 0);
    snprintf(both, sizeof both, "%s/cpuacct", base);
    assert_int_equal(symlink(link_to, both), 0);
    file("memory/cgroup.procs", "");
    file("pids/cgroup.procs", "");
    file("freezer/cgroup.procs", "");
    gt_assert_ok(cgroup_sys_open(base, -1, &sys, &err), err);
    assert_int_equal(cgroup_sys_mode(sys), CGROUP_V1);
    cgroup_sys_close(sys);
    file("unified/cgroup.procs", "");
    gt_assert_ok(cgroup_sys_open(base, -1, &sys, &err), err);
    assert_int_equal(cgroup_sys_mode(sys), CGROUP_HYBRID);
    gt_assert_ok(cgroup_create(sys, "/g/c0", &cg, &err), err);
    assert_false(cgroup_clone_suffices(cg));
    static const char *const names[] = {"cpu,cpuacct/g/c0/cpu.shares",
                                        "cpu,cpuacct/g/c0/cpu.cfs_period_us",
                                        "cpu,cpuacct/g/c0/cpu.cfs_quota_us",
                                        "cpu,cpuacct/g/c0/cgroup.procs",
                                        "memory/g/c0/memory.limit_in_bytes",
                                        "memory/g/c0/memory.soft_limit_in_bytes",
                                        "memory/g/c0/memory.memsw.limit_in_bytes",
                                        "memory/g/c0/cgroup.procs",
                                        "pids/g/c0/pids.max",
                                        "pids/g/c0/cgroup.procs",
                                        "freezer/g/c0/freezer.state",
                                        "freezer/g/c0/cgroup.procs",
                                        "unified/g/c0/cgroup.kill",
                                        "unified/g/c0/cgroup.procs"};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        file(names[i], "");
    }
    gt_assert_ok(cgroup_limit(cg, &limits, &err), err);
    expect("cpu/g/c0/cpu.shares", "512");
    expect("cpu/g/c0/cpu.cfs_quota_us", "50000");
    expect("cpu/g/c0/cpu.cfs_period_us", "100000");
    expect("memory/g/c0/memory.limit_in_bytes", "67108864");
    expect("memory/g/c0/memory.memsw.limit_in_bytes", "68157440");
    expect("memory/g/c0/memory.soft_limit_in_bytes", "33554432");
    expect("pids/g/c0/pids.max", "100");
    gt_assert_ok(cgroup_attach(cg, 4711, &err), err);
    expect("cpu/g/c0/cgroup.procs", "4711"); /* once, though it has two names */
    expect("unified/g/c0/cgroup.procs", "4711");
    gt_assert_ok(cgroup_freeze(cg, true, &err), err);
    expect("freezer/g/c0/freezer.state", "FROZEN");
    gt_assert_ok(cgroup_kill(cg, &err), err);
    expect("unified/g/c0/cgroup.kill", "1");
    uint64_t kills;
    file("memory/g/c0/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    gt_assert_ok(cgroup_oom_kills(cg, &kills, &err), err);
    assert_int_equal(kills, 3);
    cgroup_close(cg);
    cgroup_sys_close(sys);
}

/* The cap on processes is for the node's good; a container's own limits are promises. */
static void a_missing_pids_controller_stops_nobody(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    struct cgroup_sys *sys;
    struct cgroup *cg;
    struct rt_limits some = {.memory = 64 << 20, .pids = 100};
    file("cgroup.controllers", "cpu memory");
    gt_assert_ok(cgroup_sys_open(base, -1, &sys, &err), err);
    gt_assert_ok(cgroup_create(sys, "/g/c0", &cg, &err), err);
    assert_int_equal(cgroup_limit(cg, &some, &err), -ENOENT);
    file("g/c0/memory.max", "");
    gt_assert_ok(cgroup_limit(cg, &some, &err), err);
    expect("g/c0/memory.max", "67108864");
    cgroup_close(cg);
    cgroup_sys_close(sys);
}

static void bad_paths(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    struct cgroup_sys *sys;
    struct cgroup *cg;
    static const char *const bad[] = {"", "/", "g", "/../x", "/a/./b", "/a//b", "/a/", "/a/../b"};
    file("cgroup.controllers", "");
    gt_assert_ok(cgroup_sys_open(base, -1, &sys, &err), err);
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        assert_int_equal(cgroup_create(sys, bad[i], &cg, &err), -EINVAL);
    }
    cgroup_sys_close(sys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(v2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(v1_and_hybrid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_pids_controller_stops_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_paths, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
