#include "gt_test.h"
#include "lib/base/mem.h"
#include "node/runtime/spec.h"

static const char *argv_[] = {"/bin/sh", "-c", ""}, *env_[] = {"PATH=/bin", "A="};
static const char *layers[] = {"/l/2", "/l/1"}, *paths[] = {"/proc/kcore"};
static struct rt_mount mounts[] = {
    {RT_MOUNT_BIND, RT_MOUNT_RDONLY | RT_MOUNT_REC, "/srv", "/data", 0, 0},
    {RT_MOUNT_TMPFS, RT_MOUNT_NOSUID, NULL, "/tmp", 1 << 20, 0700},
};
static struct rt_rlimit rlimits[] = {{7, 1024, 4096}};
static struct rt_device devices[] = {{"/dev/kvm", NULL, "rw"}};

static struct rt_spec full(void)
{
    struct rt_spec s;
    rt_spec_defaults(&s);
    s.rootfs.lower = (struct rt_strs){layers, 2};
    s.rootfs.upper = "/u";
    s.rootfs.work = "/w";
    s.argv = (struct rt_strs){argv_, 3};
    s.env = (struct rt_strs){env_, 2};
    s.cwd = "/work";
    s.user = "app:app";
    s.hostname = "h";
    s.init = true;
    s.oom_score_adj = -17;
    s.net = (struct rt_ns){RT_NS_PATH, "/run/netns/x"};
    s.mounts = (struct rt_mounts){mounts, 2};
    s.rlimits = (struct rt_rlimits){rlimits, 1};
    s.devices = (struct rt_devices){devices, 1};
    s.masked = (struct rt_strs){paths, 1};
    s.limits.memory = 1ULL << 40;
    s.limits.memory_swap = -1;
    return s;
}

GT_TEST(comes_back_as_it_was)
{
    struct rt_spec s = full(), back;
    struct gt_err err = GT_ERR_INIT;
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(RT_SPEC_MAX_BYTES), again = b;
    struct gt_arena a;
    gt_arena_init(&a, 65536);
    gt_assert_ok(rt_spec_encode(&s, &b, &err), err);
    gt_assert_ok(rt_spec_decode(b.p, b.n, &a, &back, &err), err);
    assert_int_equal(back.argv.n, 3);
    assert_string_equal(back.argv.v[2], "");
    assert_null(back.argv.v[3]);
    assert_string_equal(back.user, "app:app");
    assert_null(back.limits.cpuset_cpus);
    assert_string_equal(back.net.path, "/run/netns/x");
    assert_int_equal(back.mounts.v[1].size, 1 << 20);
    assert_null(back.mounts.v[1].source);
    assert_int_equal(back.oom_score_adj, -17);
    assert_int_equal(back.limits.memory_swap, -1);
    assert_int_equal(back.caps.bounding, RT_CAPS_DEFAULT);
    /* Encoding what was decoded gives the same bytes. */
    gt_assert_ok(rt_spec_encode(&back, &again, &err), err);
    assert_int_equal(again.n, b.n);
    assert_memory_equal(again.p, b.p, b.n);
    gt_arena_fini(&a);
}

GT_TEST(cut_or_changed_bytes_are_survived)
{
    struct rt_spec s = full(), back;
    struct gt_err err = GT_ERR_INIT;
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(RT_SPEC_MAX_BYTES);
    gt_assert_ok(rt_spec_encode(&s, &b, &err), err);
    for (size_t n = 0; n < b.n; n++) {
        struct gt_arena a;
        gt_arena_init(&a, 65536);
        char *copy = gt_memdup(b.p, n); /* its own allocation, for the sanitizer */
        assert_true(rt_spec_decode(copy, n, &a, &back, &err) < 0);
        free(copy);
        copy = gt_memdup(b.p, b.n);
        copy[n] = (char)0xff;
        rt_spec_decode(copy, b.n, &a, &back, &err);
        free(copy);
        gt_arena_fini(&a);
    }
    gt_buf_putc(&b, 'x');
    struct gt_arena a;
    gt_arena_init(&a, 65536);
    assert_int_equal(rt_spec_decode(b.p, b.n, &a, &back, &err), -EINVAL);
    gt_arena_fini(&a);
}

GT_TEST(a_counterfeit_count_takes_no_memory)
{
    /* magic, version, rootfs.kind, then a list of 8192 strings that is not there */
    const uint32_t words[] = {0x31535247, 1, 0, 8192};
    struct gt_arena a;
    struct rt_spec back;
    struct gt_err err = GT_ERR_INIT;
    gt_arena_init(&a, 1024);
    assert_int_equal(rt_spec_decode(words, sizeof words, &a, &back, &err), -EINVAL);
    assert_int_equal(a.used, 0);
    gt_arena_fini(&a);
}

GT_TEST(refuses_what_makes_no_sense)
{
    struct gt_err err = GT_ERR_INIT;
    struct rt_spec s = full();
    gt_assert_ok(rt_spec_check(&s, &err), err);
    s.argv.n = 0;
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    s = full();
    s.cwd = "relative";
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    s = full();
    s.rootfs.work = NULL;
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    s = full();
    s.rootfs.lower.n = 0;
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    s = full();
    s.uts.kind = RT_NS_HOST; /* with a hostname */
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    s = full();
    struct rt_mount bad[] = {{RT_MOUNT_BIND, 0, "/srv", "/", 0, 0}};
    s.mounts = (struct rt_mounts){bad, 1};
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    bad[0].target = "/..";
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
    bad[0].target = "data";
    assert_int_equal(rt_spec_check(&s, &err), -EINVAL);
}

GT_TEST(knows_capabilities)
{
    assert_int_equal(rt_cap_mask("CHOWN"), 1);
    assert_int_equal(rt_cap_mask("cap_sys_admin"), 1ULL << 21);
    assert_int_equal(rt_cap_mask("CHECKPOINT_RESTORE"), 1ULL << 40);
    assert_true(rt_cap_mask("ALL") == RT_CAPS_ALL);
    assert_int_equal(rt_cap_mask("CAP_NONE"), 0);
}

GT_RUN(GT_CASE(comes_back_as_it_was), GT_CASE(cut_or_changed_bytes_are_survived),
       GT_CASE(a_counterfeit_count_takes_no_memory), GT_CASE(refuses_what_makes_no_sense),
       GT_CASE(knows_capabilities))
