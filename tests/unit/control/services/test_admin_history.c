/* Which keys a name means. */
#include "gt_test.h"

#include "control/services/admin/history.h"

static struct gt_arena arena;

static const char *pattern(const char *said)
{
    struct gt_err err;
    return history_pattern(gt_str(said), GT_STR_LIT("000000000000"), GT_STR_LIT("r"), &arena, &err);
}

static bool matches(const char *said, const char *key)
{
    const char *p = pattern(said);
    assert_non_null(p);
    return history_match(p, gt_str(key));
}

GT_TEST(names_mean_keys)
{
    gt_arena_init(&arena, 1 << 20);
    assert_true(matches("task/abc", "000000000000/r/ecs/task/c/abc"));
    assert_false(matches("task/abc", "000000000000/r/ecs/task/c/abcd"));
    assert_false(matches("task/abc", "000000000000/r/ecs/task/c/d/abc"));
    assert_true(matches("task/ab*", "000000000000/r/ecs/task/c/abcd"));
    assert_true(matches("task/c/abc", "000000000000/r/ecs/task/c/abc"));
    assert_false(matches("task/d/abc", "000000000000/r/ecs/task/c/abc"));
    assert_true(matches("service/c/web", "000000000000/r/ecs/service/c/web"));
    assert_true(matches("node/n1", "000000000000/r/ecs/node/c/n1"));
    assert_true(matches("cluster/c", "000000000000/r/ecs/cluster/c"));
    assert_true(matches("taskdef/f:12", "000000000000/r/ecs/taskdef/f/0000000012"));
    assert_true(matches("logs/group/g", "000000000000/r/logs/group/g"));
    assert_true(matches("111111111111/q/x", "111111111111/q/x"));
    assert_true(matches("~/epochs", "~/epochs"));
    assert_null(pattern("web"));
    assert_null(pattern("service/web"));
    assert_null(pattern("taskdef"));
    gt_arena_fini(&arena);
}

GT_RUN(GT_CASE(names_mean_keys))
