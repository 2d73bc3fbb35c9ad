#include "gt_test.h"
#include "lib/base/mem.h"
#include "node/runtime/user.h"

static const char passwd[] = "# a comment\n"
                             "root:x:0:0:root:/root:/bin/sh\n"
                             "broken line\n"
                             ":x:5:5::/:/bin/sh\n"
                             "evil:x:4294967296:0::/:/bin/sh\n"
                             "minus:x:-1:0::/:/bin/sh\n"
                             "app:x:1000:1001::/home/app:/bin/sh\n"
                             "app:x:0:0::/root:/bin/sh\n"  /* the first match counts */
                             "1000:x:0:0::/root:/bin/sh\n" /* a name of digits is a number */
                             "short:x:7:8";
static const char group[] = "root:x:0:\n"
                            "wheel:x:10:root,app\n"
                            "audio:x:29:other,app\n"
                            "appended:x:30:apple\n"
                            "app:x:1001:app\n"
                            "bad:x:99999999999:app\n"
                            "nomembers:x:50";

struct parse_case {
    const char *spec;
    int want; /* 0 or an errno */
    unsigned uid, gid, n_groups, groups[4];
    const char *home;
};

GT_TEST(parses_user_strings)
{
    static const struct parse_case cases[] = {
        {NULL, 0, 0, 0, 1, {0}, "/root"},
        {"", 0, 0, 0, 1, {0}, "/root"},
        {"root", 0, 0, 0, 2, {0, 10}, "/root"},
        {"0", 0, 0, 0, 2, {0, 10}, "/root"},
        {"app", 0, 1000, 1001, 3, {1001, 10, 29}, "/home/app"},
        {"1000", 0, 1000, 1001, 3, {1001, 10, 29}, "/home/app"},
        {"app:audio", 0, 1000, 29, 1, {29}, "/home/app"},
        {"app:77", 0, 1000, 77, 1, {77}, "/home/app"},
        {"4711", 0, 4711, 0, 1, {0}, "/"},
        {"4711:nomembers", 0, 4711, 50, 1, {50}, "/"},
        {"short", 0, 7, 8, 1, {8}, "/"},
        {"2147483647", 0, 2147483647, 0, 1, {0}, "/"},
        {"2147483648", EINVAL, 0},
        {"4294967296", EINVAL, 0},
        {"99999999999999999999999999", EINVAL, 0},
        {"-1", EINVAL, 0},
        {"+1", EINVAL, 0},
        {" 1", EINVAL, 0},
        {"1:", EINVAL, 0},
        {":1", EINVAL, 0},
        {":", EINVAL, 0},
        {"1:2:3", EINVAL, 0},
        {"evil", EINVAL, 0},
        {"minus", EINVAL, 0},
        {"app:bad", EINVAL, 0},
        {"app:4294967296", EINVAL, 0},
        {"app:-1", EINVAL, 0},
        {"nobody", EINVAL, 0},
        {"0x0", EINVAL, 0},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct gt_arena a;
        struct user u;
        struct gt_err err = GT_ERR_INIT;
        gt_arena_init(&a, 4096);
        int r =
            user_parse(cases[i].spec, GT_STR_LIT(passwd), GT_STR_LIT(group), NULL, &a, &u, &err);
        if (r != -cases[i].want) {
            fail_msg("'%s': %d (%s)", cases[i].spec, r, err.msg);
        }
        if (r == 0) {
            assert_int_equal(u.uid, cases[i].uid);
            assert_int_equal(u.gid, cases[i].gid);
            assert_string_equal(u.home, cases[i].home);
            if (cases[i].spec && *cases[i].spec) {
                assert_int_equal(u.n_groups, cases[i].n_groups);
                for (unsigned g = 0; g < u.n_groups; g++) {
                    assert_int_equal(u.groups[g], cases[i].groups[g]);
                }
            }
        }
        gt_arena_fini(&a);
    }
}

GT_TEST(adds_extra_groups)
{
    struct gt_arena a;
    struct user u;
    struct gt_err err = GT_ERR_INIT;
    const char *extra[] = {"5", "1001", "6"};
    struct rt_strs good = {extra, 3};
    gt_arena_init(&a, 4096);
    gt_assert_ok(user_parse("app:app", GT_STR_LIT(passwd), GT_STR_LIT(group), &good, &a, &u, &err),
                 err);
    assert_int_equal(u.n_groups, 3); /* 1001 only once */
    const char *names[] = {"audio"};
    struct rt_strs bad = {names, 1};
    assert_int_equal(user_parse("app", GT_STR_LIT(passwd), GT_STR_LIT(group), &bad, &a, &u, &err),
                     -EINVAL);
    gt_arena_fini(&a);
}

GT_RUN(GT_CASE(parses_user_strings), GT_CASE(adds_extra_groups))
