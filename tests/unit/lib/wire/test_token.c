#include "gt_test.h"
#include "lib/base/mem.h"
#include "lib/wire/arn.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/token.h"

static const uint8_t key[WIRE_TOKEN_KEY_LEN] = "0123456789abcdef0123456789abcde";

GT_TEST(token_comes_back)
{
    struct gt_arena arena;
    struct gt_err err = GT_ERR_INIT;
    struct gt_str at;
    struct wire_token_scope scope = {.principal = GT_STR_LIT("arn:aws:iam::0:root"),
                                     .operation = "ListTasks"};
    gt_arena_init(&arena, 65536);
    struct gt_str token = wire_token_seal(key, &scope, GT_STR_LIT("000/us/ecs/task/a/1"), &arena);
    struct gt_str again = wire_token_seal(key, &scope, GT_STR_LIT("000/us/ecs/task/a/1"), &arena);
    assert_true(gt_str_eq(token, again));
    assert_null(memmem(token.p, token.n, "task", 4));
    gt_assert_ok(wire_token_open(key, &scope, token, &arena, &at, &err), err);
    assert_string_equal(at.p, "000/us/ecs/task/a/1");

    for (size_t i = 0; i < token.n; i++) {
        char *bad = gt_arena_str(&arena, token);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_true(wire_token_open(key, &scope, gt_str(bad), &arena, &at, &err) < 0);
    }
    struct wire_token_scope other = scope;
    other.operation = "ListServices";
    assert_true(wire_token_open(key, &other, token, &arena, &at, &err) < 0);
    other = scope;
    other.principal = GT_STR_LIT("x");
    assert_true(wire_token_open(key, &other, token, &arena, &at, &err) < 0);
    other = scope;
    other.params[0] ^= 1;
    assert_true(wire_token_open(key, &other, token, &arena, &at, &err) < 0);
    assert_int_equal(err.kind, GT_ERR_INVALID);
    static const char *const junk[] = {"", "x", "####", "AAAA",
                                       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < GT_ARRAY_LEN(junk); i++) {
        assert_true(wire_token_open(key, &scope, gt_str(junk[i]), &arena, &at, &err) < 0);
    }
    gt_arena_fini(&arena);
}

GT_TEST(params_leave_out_pagination)
{
    uint8_t a[32], b[32];
    struct ecs_list_tasks_in in = {.cluster = GT_STR_LIT("c")};
    wire_token_params(&ecs_op_list_tasks, &in, a);
    in.next_token = GT_STR_LIT("t");
    WIRE_SET(&in, max_results, 5);
    wire_token_params(&ecs_op_list_tasks, &in, b);
    assert_memory_equal(a, b, 32);
    in.family = GT_STR_LIT("f");
    wire_token_params(&ecs_op_list_tasks, &in, b);
    assert_memory_not_equal(a, b, 32);
}

GT_TEST(arns)
{
    struct arn a;
    assert_true(arn_parse(GT_STR_LIT("arn:aws:ecs:eu-west-1:000000000000:task/default/ab"), &a));
    assert_true(gt_str_is(a.service, "ecs") && gt_str_is(a.region, "eu-west-1"));
    assert_true(gt_str_is(a.account, "000000000000") && gt_str_is(a.type, "task"));
    assert_true(gt_str_is(a.id, "default/ab"));
    assert_true(arn_parse(GT_STR_LIT("arn:aws:logs:r:0:log-group:/a/b:*"), &a));
    assert_true(gt_str_is(a.type, "log-group") && gt_str_is(a.id, "/a/b:*"));
    assert_true(arn_parse(GT_STR_LIT("arn:aws:iam::0:root"), &a));
    assert_true(gt_str_is(a.id, "root") && a.type.n == 0 && a.region.n == 0);
    static const char *const bad[] = {"",
                                      "arn",
                                      "arn:aws",
                                      "arn:aws:ecs:r:0",
                                      "arn:aws:ecs:r:0:",
                                      "urn:aws:ecs:r:0:x",
                                      "arn::ecs:r:0:x",
                                      "arn:aws::r:0:x"};
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        assert_false(arn_parse(gt_str(bad[i]), &a));
    }
}

GT_TEST(references)
{
    static const struct {
        const char *text, *cluster, *id; /* id NULL: refused */
    } cases[] = {
        {"web", NULL, "web"},
        {"c/web", "c", "web"},
        {"arn:aws:ecs:r:0:service/c/web", "c", "web"},
        {"arn:aws:ecs:r:0:service/web", NULL, "web"},
        {"arn:aws:ecs:r:0:task/c/web", NULL, NULL},
        {"arn:aws:ecr:r:0:service/c/web", NULL, NULL},
        {"arn:aws:ecs:r:0:service", NULL, NULL},
        {"arn:aws:ecs:r:0:service/", NULL, NULL},
        {"/web", NULL, NULL},
        {"c/", NULL, NULL},
        {"a/b/c", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct arn_ref r;
        bool ok = arn_ref_parse(gt_str(cases[i].text), "ecs", "service", &r);
        assert_int_equal(ok, cases[i].id != NULL);
        if (ok) {
            assert_true(gt_str_is(r.id, cases[i].id));
            assert_true(cases[i].cluster ? gt_str_is(r.cluster, cases[i].cluster)
                                         : r.cluster.p == NULL);
        }
    }
}

GT_RUN(GT_CASE(token_comes_back), GT_CASE(params_leave_out_pagination), GT_CASE(arns),
       GT_CASE(references))
