#include "gt_test.h"

#include "lib/base/file.h"
#include "node/link/link_state.h"

#include <fcntl.h>
#include <unistd.h>

static struct link_task sample(void)
{
    return (struct link_task){
        .id = GT_STR_LIT("0123abcd"),
        .address = GT_STR_LIT("10.200.1.7"),
        .veth = GT_STR_LIT("gv0000"),
        .json_v4 = GT_STR_LIT("{\"a\":1}"),
        .containers = {{.endpoint = GT_STR_LIT("e1"),
                        .runtime_id = GT_STR_LIT("r1"),
                        .name = GT_STR_LIT("web"),
                        .json_v4 = GT_STR_LIT("{}"),
                        .cgroups = {GT_STR_LIT("/sys/fs/cgroup/x"), GT_STR_LIT("/y")},
                        .n_cgroups = 2},
                       {.endpoint = GT_STR_LIT("e2")}},
        .n_containers = 2,
        .credentials = {{GT_STR_LIT("uuid"), GT_STR_LIT("{}")}},
        .n_credentials = 1,
    };
}

GT_TEST(round_trip)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536);
    struct link_task t = sample(), back;
    link_state_encode(&t, &b);
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(link_state_decode(gt_buf_view(&b), &back, &err), err);
    assert_true(gt_str_is(back.id, "0123abcd"));
    assert_true(gt_str_is(back.address, "10.200.1.7"));
    assert_true(gt_str_is(back.json_v4, "{\"a\":1}"));
    assert_int_equal(back.json_v2.n, 0);
    assert_int_equal(back.n_containers, 2);
    assert_true(gt_str_is(back.containers[0].name, "web"));
    assert_int_equal(back.containers[0].n_cgroups, 2);
    assert_true(gt_str_is(back.containers[0].cgroups[1], "/y"));
    assert_true(gt_str_is(back.containers[1].endpoint, "e2"));
    assert_int_equal(back.n_credentials, 1);
    assert_true(gt_str_is(back.credentials[0].json, "{}"));
}

GT_TEST(every_truncation_is_refused)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536);
    struct link_task t = sample(), back;
    link_state_encode(&t, &b);
    for (size_t n = 0; n < b.n; n++) {
        assert_true(link_state_decode(gt_str_n(b.p, n), &back, NULL) < 0);
    }
}

GT_TEST(writes_replaces_removes)
{
    char dir[] = "/tmp/link_state.XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct link_task t = sample(), back;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(link_state_write(dir, &t, &err), err);
    t.address = GT_STR_LIT("10.200.1.8");
    gt_assert_ok(link_state_write(dir, &t, &err), err);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536);
    char path[128];
    snprintf(path, sizeof path, "%s/link/tasks/0123abcd", dir);
    gt_assert_ok(gt_file_read(AT_FDCWD, path, &b, &err), err);
    gt_assert_ok(link_state_decode(gt_buf_view(&b), &back, &err), err);
    assert_true(gt_str_is(back.address, "10.200.1.8"));
    gt_assert_ok(link_state_remove(dir, "0123abcd", &err), err);
    gt_assert_ok(link_state_remove(dir, "0123abcd", &err), err);
    assert_int_equal(access(path, F_OK), -1);
    t.id = GT_STR_LIT("../x");
    assert_true(link_state_write(dir, &t, &err) < 0);
    assert_true(link_state_remove(dir, "a/b", &err) < 0);
    gt_assert_ok(gt_remove_tree(AT_FDCWD, dir, &err), err);
}

GT_TEST(endpoint_ids)
{
    char a[LINK_ENDPOINT_LEN + 1], b[LINK_ENDPOINT_LEN + 1];
    link_endpoint_id(a);
    link_endpoint_id(b);
    assert_int_equal(strlen(a), LINK_ENDPOINT_LEN);
    assert_int_equal(a[32], '-');
    assert_string_not_equal(a, b);
}

GT_RUN(GT_CASE(round_trip), GT_CASE(every_truncation_is_refused), GT_CASE(writes_replaces_removes),
       GT_CASE(endpoint_ids))
