#include "gt_test.h"

#include "lib/base/file.h"
#include "node/volume/volume.h"

#include <fcntl.h>
#include <unistd.h>

GT_TEST(refused)
{
    static const struct gt_str bad[] = {
        GT_STR_LIT(""),    GT_STR_LIT("a/b"),   GT_STR_LIT("/a/../b"),
        GT_STR_LIT("/.."), GT_STR_LIT("/a\0b"),
    };
    struct volume_path v;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gt_err err = GT_ERR_INIT;
        assert_true(volume_host_path(bad[i], &v, &err) < 0);
        assert_int_equal(err.kind, GT_ERR_INVALID);
    }
    static char longer[VOLUME_PATH_MAX + 2];
    memset(longer, '/', sizeof longer);
    assert_true(volume_host_path(gt_str_n(longer, sizeof longer), &v, NULL) < 0);
}

GT_TEST(found_and_made)
{
    char dir[] = "/tmp/volume.XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    struct volume_path v;
    struct gt_err err = GT_ERR_INIT;
    snprintf(path, sizeof path, "%s//./new/x/", dir);
    gt_assert_ok(volume_host_path(gt_str(path), &v, &err), err);
    assert_true(v.made && v.is_folder);
    snprintf(path, sizeof path, "%s/new/x", dir);
    assert_string_equal(v.path, path);
    gt_assert_ok(volume_host_path(gt_str(path), &v, &err), err);
    assert_false(v.made);
    snprintf(path, sizeof path, "%s/file", dir);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    gt_assert_ok(volume_host_path(gt_str(path), &v, &err), err);
    assert_false(v.is_folder);
    snprintf(path, sizeof path, "%s/file/below", dir);
    assert_true(volume_host_path(gt_str(path), &v, &err) < 0);
    gt_assert_ok(volume_host_path(gt_str("/"), &v, &err), err);
    assert_string_equal(v.path, "/");
    gt_assert_ok(gt_remove_tree(AT_FDCWD, dir, &err), err);
}

GT_RUN(GT_CASE(refused), GT_CASE(found_and_made))
