#include "gt_test.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* <tmp>/outside/secret, and <tmp>/rootfs with links that try to reach it. */
struct tree {
    char base[64];
    int root;
};

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(gt_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static int set_up(void **state)
{
    struct tree *t = gt_new(struct tree);
    char path[128];
    snprintf(t->base, sizeof t->base, "/tmp/gt-safepath-XXXXXX");
    assert_non_null(mkdtemp(t->base));
    snprintf(path, sizeof path, "%s/rootfs", t->base);
    assert_int_equal(mkdir(path, 0755), 0);
    t->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/outside", t->base);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/outside/secret", t->base);
    write_file(path, "secret");
    snprintf(path, sizeof path, "%s/rootfs/etc", t->base);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/rootfs/etc/passwd", t->base);
    write_file(path, "root:x:0:0\n");
    char outside[128];
    snprintf(outside, sizeof outside, "%s/outside", t->base);
    assert_int_equal(symlinkat("/etc", t->root, "absolute"), 0);
    assert_int_equal(symlinkat(outside, t->root, "escape"), 0);
    assert_int_equal(symlinkat("../../../../../..", t->root, "up"), 0);
    assert_int_equal(symlinkat("/proc/self/root", t->root, "magic"), 0);
    assert_int_equal(symlinkat("loop", t->root, "loop"), 0);
    assert_int_equal(symlinkat("nowhere", t->root, "dangling"), 0);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct tree *t = *state;
    close(t->root);
    gt_remove_tree(AT_FDCWD, t->base, NULL);
    free(t);
    return 0;
}

static void stays_inside(void **state)
{
    struct tree *t = *state;
    static const struct {
        const char *path;
        unsigned flags;
        int want; /* 0: opens */
    } cases[] = {
        {"etc/passwd", 0, 0},
        {"/etc/passwd", 0, 0},
        {"../../etc/passwd", 0, 0}, /* ".." stops at the root */
        {"absolute/passwd", 0, 0},  /* an absolute link starts at the root */
        {"up/etc/passwd", 0, 0},
        {"escape/secret", 0, -ENOENT},
        {"magic/etc/passwd", 0, -ENOENT}, /* no proc in here */
        {"loop", 0, -ELOOP},
        {"dangling", 0, -ENOENT},
        {"absolute/passwd", SAFEPATH_NO_SYMLINKS, -ELOOP},
        {"absolute/passwd", SAFEPATH_BENEATH, -EXDEV},
        {"../etc/passwd", SAFEPATH_BENEATH, -EXDEV},
        {"etc/../etc/passwd", SAFEPATH_BENEATH, 0},
        {"", 0, -ENOENT},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct gt_err err = GT_ERR_INIT;
        int fd = safepath_open(t->root, cases[i].path, O_RDONLY, 0, cases[i].flags, &err);
        if ((fd < 0 ? fd : 0) != cases[i].want) {
            fail_msg("case %zu, '%s': %d, not %d: %s", i, cases[i].path, fd, cases[i].want,
                     err.msg);
        }
        gt_closep(&fd);
    }
}

static void magic_links_are_refused(void **state)
{
    (void)state;
    gt_auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct gt_err err = GT_ERR_INIT;
    for (int i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        assert_int_equal(safepath_open(root, path, O_PATH, 0, 0, &err), -ELOOP);
        assert_int_equal(safepath_mkdirs(root, path, 0755, 0, &err), -ELOOP);
    }
    assert_int_equal(safepath_open(root, "/proc/self/exe", O_RDONLY, 0, 0, &err), -ELOOP);
    assert_int_equal(safepath_open(root, "/proc/self/cwd/etc", O_PATH, 0, 0, &err), -ELOOP);
}

static void makes_folders(void **state)
{
    struct tree *t = *state;
    struct gt_err err = GT_ERR_INIT;
    int fd = safepath_mkdirs(t->root, "/a/b/../c/d", 0755, 0, &err);
    gt_assert_ok(fd, err);
    close(fd);
    assert_int_equal(faccessat(t->root, "a/c/d", F_OK, 0), 0);
    fd = safepath_mkdirs(t->root, "absolute/sub", 0755, 0, &err);
    gt_assert_ok(fd, err);
    close(fd);
    assert_int_equal(faccessat(t->root, "etc/sub", F_OK, 0), 0);
    assert_int_equal(safepath_mkdirs(t->root, "etc/passwd/x", 0755, 0, &err), -ENOTDIR);
    assert_int_equal(safepath_mkdirs(t->root, "dangling/x", 0755, 0, &err), -ENOENT);
    assert_int_equal(faccessat(t->root, "nowhere", F_OK, 0), -1);
    assert_true(safepath_mkdirs(t->root, "escape/made", 0755, 0, &err) < 0);
    char path[128];
    snprintf(path, sizeof path, "%s/outside/made", t->base);
    assert_int_equal(access(path, F_OK), -1);
}

static void makes_mount_targets(void **state)
{
    struct tree *t = *state;
    struct gt_err err = GT_ERR_INIT;
    struct stat st;
    int fd = safepath_mount_target(t->root, "/x/y/file", 0, 0, &err);
    gt_assert_ok(fd, err);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
    close(fd);
    fd = safepath_mount_target(t->root, "/x/y/file", 0, 0, &err); /* again */
    gt_assert_ok(fd, err);
    close(fd);
    assert_int_equal(safepath_mount_target(t->root, "/etc", 0, 0, &err), -EISDIR);
    assert_int_equal(safepath_mount_target(t->root, "/etc/passwd", 1, 0, &err), -ENOTDIR);
    /* A link that leads nowhere is not followed to make what it names. */
    assert_true(safepath_mount_target(t->root, "/dangling", 0, 0, &err) < 0);
    assert_int_equal(faccessat(t->root, "nowhere", F_OK, 0), -1);
}

static void reads_with_a_cap(void **state)
{
    struct tree *t = *state;
    struct gt_err err = GT_ERR_INIT;
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(11);
    gt_assert_ok(safepath_read(t->root, "etc/passwd", &b, &err), err);
    assert_string_equal(b.p, "root:x:0:0\n");
    gt_auto_buf struct gt_buf small = GT_BUF_INIT(10);
    assert_int_equal(safepath_read(t->root, "etc/passwd", &small, &err), -EMSGSIZE);
    assert_int_equal(mkfifoat(t->root, "fifo", 0644), 0);
    gt_auto_buf struct gt_buf none = GT_BUF_INIT(10);
    assert_int_equal(safepath_read(t->root, "fifo", &none, &err), -EINVAL); /* and does not hang */
    assert_int_equal(safepath_read(t->root, "etc", &none, &err), -EINVAL);
}

static void knows_procfs(void **state)
{
    struct tree *t = *state;
    struct gt_err err = GT_ERR_INIT;
    assert_int_equal(safepath_proc_write(t->root, "self/oom_score_adj", "0", &err), -EXDEV);
    gt_auto_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    gt_assert_ok(safepath_proc_write(proc, "self/comm", "safepath", &err), err);
    assert_true(safepath_proc_write(proc, "../etc/hostname", "x", &err) < 0);
    gt_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(safepath_check_cdev(null, 1, 3, "null", &err), 0);
    assert_int_equal(safepath_check_cdev(null, 1, 5, "null", &err), -ENODEV);
    assert_int_equal(safepath_check_cdev(t->root, 1, 3, "null", &err), -ENODEV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stays_inside, set_up, tear_down),
        cmocka_unit_test(magic_links_are_refused),
        cmocka_unit_test_setup_teardown(makes_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_mount_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_with_a_cap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knows_procfs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
