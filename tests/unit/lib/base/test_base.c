#include "gt_test.h"

#include "lib/base/arena.h"
#include "lib/base/base64.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/descriptors.h"
#include "lib/base/err.h"
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/list.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/base/size.h"
#include "lib/base/table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

GT_TEST(err_says_what_and_why)
{
    struct gt_err err = GT_ERR_INIT;
    assert_int_equal(gt_err_errno(&err, ENOSPC, "write '%s'", "/x"), -ENOSPC);
    assert_string_equal(err.msg, "write '/x': No space left on device");
    assert_int_equal(gt_err_wrap(&err, "save task '%s'", "t1"), -ENOSPC);
    assert_string_equal(err.msg, "save task 't1': write '/x': No space left on device");
    assert_int_equal(gt_err_aws(&err, GT_ERR_NOT_FOUND, "ClusterNotFoundException", "no"), -ENOENT);
    assert_string_equal(gt_err_aws_name(&err), "ClusterNotFoundException");
    assert_int_equal(gt_err_set(&err, GT_ERR_INVALID, "again: %s", err.msg), -EINVAL);
    assert_string_equal(err.msg, "again: no");
    assert_int_equal(gt_err_set(NULL, GT_ERR_LIMIT, "x"), -EDQUOT);
}

GT_TEST(descriptors_are_raised_and_given_back)
{
    struct rlimit before, now;
    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, before.rlim_max});
    assert_int_equal(gt_descriptors_raise(), 100);
    getrlimit(RLIMIT_NOFILE, &now);
    assert_int_equal(now.rlim_cur, GT_MIN(before.rlim_max, (rlim_t)GT_DESCRIPTORS_MAX));
    assert_int_equal(now.rlim_max, before.rlim_max);
    gt_descriptors_set(100);
    getrlimit(RLIMIT_NOFILE, &now);
    assert_int_equal(now.rlim_cur, 100);
    gt_descriptors_set(UINT64_MAX); /* more than there may be */
    assert_int_equal(gt_descriptors_raise(), before.rlim_max);
    getrlimit(RLIMIT_NOFILE, &now);
    assert_int_equal(now.rlim_cur, before.rlim_max); /* never lowered */
    setrlimit(RLIMIT_NOFILE, &before);
}

GT_TEST(arena_keeps_its_cap)
{
    struct gt_arena a;
    gt_arena_init(&a, 10000);
    assert_non_null(gt_arena_try_alloc(&a, 9000));
    assert_null(gt_arena_try_alloc(&a, 2000));
    gt_arena_reset(&a);
    assert_string_equal(gt_arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    const char *wide = gt_arena_printf(&a, "%255d", 1), *wider = gt_arena_printf(&a, "%700d", 2);
    assert_int_equal(strlen(wide), 255);
    assert_int_equal(wide[254], '1');
    assert_int_equal(strlen(wider), 700);
    assert_int_equal(wider[699], '2');
    for (int i = 0; i < 50; i++) {
        char *p = gt_arena_alloc(&a, 100);
        assert_int_equal(p[99], 0);
        memset(p, 'x', 100);
    }
    gt_arena_fini(&a);
}

GT_TEST(arena_goes_back_to_a_mark)
{
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    struct gt_arena_mark empty = gt_arena_mark(&a);
    char *kept = gt_arena_strdup(&a, "kept");
    for (int i = 0; i < 1000; i++) { /* far more than its cap, through several chunks */
        struct gt_arena_mark m = gt_arena_mark(&a);
        for (int k = 0; k < 20; k++) {
            char *p = gt_arena_alloc(&a, 5000);
            assert_int_equal(p[0] | p[4999], 0);
            memset(p, 'x', 5000);
        }
        gt_arena_release(&a, m);
        assert_int_equal(a.used, 16);
    }
    assert_string_equal(kept, "kept");
    gt_arena_release(&a, empty);
    assert_null(a.chunk);
    gt_arena_fini(&a);
}

GT_TEST(buf_stops_at_its_maximum)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(8);
    gt_buf_puts(&b, "12345");
    gt_buf_printf(&b, "%s", "6789");
    assert_false(gt_buf_ok(&b));
    assert_string_equal(b.p, "12345");
    gt_buf_consume(&b, 2);
    assert_string_equal(b.p, "345");
}

GT_TEST(buf_takes_numbers_and_long_text)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(5000), small = GT_BUF_INIT(3);
    const int64_t all[] = {0, 7, -10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        gt_buf_int(&b, all[i]);
        gt_buf_putc(&b, ' ');
    }
    assert_string_equal(b.p, "0 7 -10 9223372036854775807 -9223372036854775808 ");
    for (int width = 254; width <= 258; width++) { /* around what is formatted on the stack */
        gt_buf_reset(&b);
        gt_buf_printf(&b, "%*d", width, 5);
        assert_int_equal(b.n, width);
        assert_int_equal(strlen(b.p), width);
        assert_int_equal(b.p[width - 1], '5');
    }
    gt_buf_add(&b, NULL, 0);
    assert_int_equal(b.n, 258);
    gt_buf_int(&small, 1000);
    assert_false(gt_buf_ok(&small));
    assert_int_equal(small.n, 0);
    gt_buf_reset(&small);
    gt_buf_int(&small, 100);
    assert_true(gt_buf_ok(&small)); /* the NUL does not count */
}

GT_TEST(str_concat_fits_or_says_so)
{
    char to[6];
    const struct gt_str parts[] = {GT_STR_LIT("ab"), {NULL, 0}, GT_STR_LIT("cdef")};
    assert_true(gt_str_is(gt_str_concat(parts, 3, to, sizeof to), "abcdef"));
    assert_null(gt_str_concat(parts, 3, to, sizeof to - 1).p);
    assert_int_equal(gt_str_concat(parts, 0, to, 0).n, 0);
}

GT_TEST(list_splice_moves_all_in_order)
{
    struct gt_list a, b, node[4];
    gt_list_init(&a);
    gt_list_init(&b);
    gt_list_splice(&a, &b);
    assert_true(gt_list_empty(&a));
    for (int i = 0; i < 4; i++) {
        gt_list_push_back(i < 2 ? &a : &b, &node[i]);
    }
    gt_list_splice(&a, &b);
    assert_true(gt_list_empty(&b));
    int i = 0;
    gt_list_for_each (it, next, &a) {
        assert_ptr_equal(it, &node[i++]);
    }
    assert_int_equal(i, 4);
    assert_ptr_equal(a.prev, &node[3]);
}

GT_TEST(table_finds_what_was_put)
{
    struct gt_table t;
    gt_table_init(&t);
    static int values[1000];
    char key[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_null(gt_table_put(&t, gt_str(key), &values[i]));
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof key, "k%d", i);
        assert_ptr_equal(gt_table_del(&t, gt_str(key)), &values[i]);
    }
    assert_int_equal(t.count, 500);
    struct gt_table_iter it = {0};
    int seen = 0;
    for (struct gt_table_entry *e; (e = gt_table_next(&t, &it));) {
        seen++;
        gt_table_del(&t, gt_str_n(e->key, e->key_len));
    }
    assert_int_equal(seen, 500);
    gt_table_fini(&t);
}

GT_TEST(text_codecs_round_trip)
{
    for (size_t n = 0; n < 40; n++) {
        unsigned char bytes[40], back[40];
        char hex[81];
        gt_rand_bytes(bytes, n);
        gt_hex_encode(bytes, n, hex);
        assert_int_equal(gt_hex_decode(hex, strlen(hex), back, n), 0);
        assert_memory_equal(bytes, back, n);
        gt_auto_buf struct gt_buf b64 = GT_BUF_INIT(100), plain = GT_BUF_INIT(100);
        gt_base64_encode(bytes, n, &b64);
        assert_int_equal(gt_base64_decode(gt_buf_view(&b64), &plain), 0);
        assert_int_equal(plain.n, n);
        assert_true(n == 0 || memcmp(plain.p, bytes, n) == 0);
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(100);
    assert_int_equal(gt_base64_decode(gt_str("a*bc"), &b), -EINVAL);
    assert_int_equal(gt_base64_decode(gt_str("QQ"), &b), 0);
    assert_int_equal(gt_base64_decode(gt_str("QR"), &b), -EINVAL);
    assert_int_equal(gt_base64_decode(gt_str("QUI="), &b), 0);
    assert_int_equal(gt_base64_decode(gt_str("QUJ="), &b), -EINVAL);
    assert_int_equal(gt_hex_decode("zz", 2, (char[1]){0}, 1), -EINVAL);
}

GT_TEST(sizes_as_people_write_them)
{
    static const struct {
        const char *text;
        uint64_t want; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"4096", 4096},
        {"1k", 1024},
        {"25m", 25 << 20},
        {"25M", 25 << 20},
        {"25MiB", 25 << 20},
        {"2gb", 2147483648},
        {"7B", 7},
        {"3t", 3ULL << 40},
        {"", 0},
        {"m", 0},
        {"1.5m", 0},
        {"-1", 0},
        {" 1", 0},
        {"1 m", 0},
        {"1x", 0},
        {"1ib", 0},
        {"1mm", 0},
        {"9999999999999999999999", 0},
        {"5000000t", 0},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        uint64_t v = 0;
        assert_int_equal(gt_size_parse(gt_str(cases[i].text), &v), cases[i].want != 0);
        assert_int_equal(v, cases[i].want);
    }
}

GT_TEST(time_is_written_as_rfc3339)
{
    char text[25];
    gt_time_rfc3339(1700000000123, text);
    assert_string_equal(text, "2023-11-14T22:13:20.123Z");
}

GT_TEST(files_are_replaced_whole)
{
    struct gt_err err = GT_ERR_INIT;
    char dir[] = "/tmp/gt-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    gt_auto_free char *deep = gt_asprintf("%s/a/b", dir);
    gt_assert_ok(gt_mkdirs(deep, 0700, &err), err);
    gt_auto_close int fd = open(deep, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    gt_assert_ok(gt_file_replace(fd, "f", "one", 3, 0600, &err), err);
    gt_assert_ok(gt_file_replace(fd, "f", "two!", 4, 0600, &err), err);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4), small = GT_BUF_INIT(3);
    gt_assert_ok(gt_file_read(fd, "f", &b, &err), err);
    assert_string_equal(b.p, "two!");
    assert_int_equal(gt_file_read(fd, "f", &small, &err), -EMSGSIZE);
    assert_int_equal(symlinkat("/etc", fd, "link"), 0);
    gt_assert_ok(gt_remove_tree(AT_FDCWD, dir, &err), err);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    gt_assert_ok(gt_remove_tree(AT_FDCWD, dir, &err), err);
}

GT_TEST(list_survives_removal_in_a_walk)
{
    struct item {
        int v;
        struct gt_list link;
    } items[3] = {{.v = 1}, {.v = 2}, {.v = 3}};
    struct gt_list head;
    gt_list_init(&head);
    for (int i = 0; i < 3; i++) {
        gt_list_push_back(&head, &items[i].link);
    }
    int sum = 0;
    gt_list_for_each (it, tmp, &head) {
        sum += gt_list_entry(it, struct item, link)->v;
        gt_list_remove(it);
    }
    assert_int_equal(sum, 6);
    assert_true(gt_list_empty(&head));
}

GT_TEST(fail_points_fire_once)
{
    gt_fail_nth(2);
    assert_false(GT_FAIL("a"));
    assert_true(GT_FAIL("b"));
    assert_false(GT_FAIL("c"));
    assert_true(gt_fail_fired());
}

/* As a container may leave it: deeper than there are descriptors, with names like our own. */
GT_TEST(deep_trees_are_removed)
{
    char dir[] = "/tmp/gt-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(at, "tree", 0700), 0);
    assert_int_equal(mkdirat(at, "tree/.gone-0", 0700), 0);
    assert_int_equal(mkdirat(at, "tree/.gone-0/x", 0700), 0);
    assert_int_equal(symlinkat("/etc", at, "tree/link"), 0);
    int deep = openat(at, "tree", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(deep, "d", 0700), 0);
        int next = openat(deep, "d", O_RDONLY | O_DIRECTORY);
        close(deep);
        deep = next;
    }
    close(deep);
    struct rlimit few = {100, old.rlim_max};
    struct gt_err err = GT_ERR_INIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int r = gt_remove_tree(at, "tree", &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    gt_assert_ok(r, err);
    assert_int_equal(faccessat(at, "tree", F_OK, 0), -1);
    assert_int_equal(gt_remove_tree(at, "tree", &err), 0);
    close(at);
    assert_int_equal(rmdir(dir), 0);
}

GT_RUN(GT_CASE(err_says_what_and_why), GT_CASE(descriptors_are_raised_and_given_back),
       GT_CASE(arena_keeps_its_cap), GT_CASE(arena_goes_back_to_a_mark),
       GT_CASE(buf_stops_at_its_maximum), GT_CASE(buf_takes_numbers_and_long_text),
       GT_CASE(str_concat_fits_or_says_so), GT_CASE(list_splice_moves_all_in_order),
       GT_CASE(table_finds_what_was_put), GT_CASE(text_codecs_round_trip),
       GT_CASE(time_is_written_as_rfc3339), GT_CASE(sizes_as_people_write_them),
       GT_CASE(files_are_replaced_whole), GT_CASE(list_survives_removal_in_a_walk),
       GT_CASE(fail_points_fire_once), GT_CASE(deep_trees_are_removed))
