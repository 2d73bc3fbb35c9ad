/* What a node's key may touch: log groups, streams and repositories of its own tasks. */
#include "gt_test.h"
#include "world.h"

#include "control/services/agent/access.h"
#include "lib/base/mem.h"

#include <stdio.h>

struct question {
    const char *group, *stream, *repository;
    int answer;
};

static int ask(struct tx *tx, void *arg, struct gt_err *err)
{
    struct question *q = arg;
    q->answer = q->repository ? node_may_pull(tx, gt_str(q->repository))
                : q->stream   ? (int)node_may_log(tx, gt_str(q->group), gt_str(q->stream))
                              : node_may_name_group(tx, gt_str(q->group));
    return 0;
}

static int may(struct world *w, const char *node, struct question q, const char *region)
{
    struct core_call c = {.fn = ask,
                          .arg = &q,
                          .principal = {.kind = node ? PRINCIPAL_NODE : PRINCIPAL_ROOT,
                                        .account = GT_STR_LIT("000000000000"),
                                        .name = gt_str(node)},
                          .region = gt_str(region),
                          .arena = &w->arena};
    core_apply(w->core, &c, w->now);
    assert_int_equal(c.result, 0);
    return q.answer;
}

#define GROUP(w, node, g) may((w), (node), (struct question){.group = (g)}, "us-east-1")
#define LOG(w, node, g, s)                                                                         \
    may((w), (node), (struct question){.group = (g), .stream = (s)}, "us-east-1")
#define PULL(w, node, r) may((w), (node), (struct question){.repository = (r)}, "us-east-1")

/* One task on a, of group "mine"; b has none. */
static const char *begin(struct world *w)
{
    world_init(w);
    world_call(w, "RegisterTaskDefinition",
               "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': "
               "'127.0.0.1:4566/team/web:1', 'memory': 64, 'environment': [{'name': 'x', 'value': "
               "'\\u0022awslogs-group\\u0022:\\u0022theirs\\u0022'}], 'logConfiguration': "
               "{'logDriver': 'awslogs', 'options': {'awslogs-group': 'mine', 'awslogs-region': "
               "'us-east-1', 'awslogs-stream-prefix': 'p'}}}, {'name': 'd', 'image': 'busybox', "
               "'memory': 8}]}");
    world_node(w, "a", 1024, 1000);
    const char *t = world_do(w, "RunTask", "{'taskDefinition': 'web'}");
    world_node(w, "b", 1024, 1000);
    return gt_arena_str(&w->arena, gt_str_n(strstr(t, "task/default/") + 13, 32));
}

GT_TEST(of_its_own_tasks)
{
    struct world w;
    const char *id = begin(&w);
    char stream[100], plain[100], other[100];
    snprintf(stream, sizeof stream, "p/c/%s", id);
    snprintf(plain, sizeof plain, "%s-0123456789", id);
    snprintf(other, sizeof other, "p/c/%s", "0123456789abcdef0123456789abcdef");
    assert_true(GROUP(&w, "a", "mine"));
    assert_false(GROUP(&w, "a", "theirs")); /* only says so in an environment variable */
    assert_false(GROUP(&w, "a", "min"));
    assert_false(GROUP(&w, "b", "mine"));
    assert_false(GROUP(&w, "nobody", "mine"));
    assert_true(GROUP(&w, NULL, "theirs"));
    assert_int_equal(LOG(&w, "a", "mine", stream), NODE_LOG_OWN);
    assert_int_equal(LOG(&w, "a", "mine", plain), NODE_LOG_OWN);
    assert_int_equal(LOG(&w, "a", "theirs", stream), NODE_LOG_DENIED);
    assert_int_equal(LOG(&w, "b", "mine", stream), NODE_LOG_DENIED);
    assert_int_equal(LOG(&w, "a", "mine", "p/c/x"), NODE_LOG_DENIED);
    assert_int_equal(LOG(&w, "a", "mine", ""), NODE_LOG_DENIED);
    assert_int_equal(LOG(&w, "a", "mine", other), NODE_LOG_FORGOTTEN);
    assert_int_equal(LOG(&w, "nobody", "mine", other), NODE_LOG_DENIED);
    assert_int_equal(LOG(&w, NULL, "x", "y"), NODE_LOG_OWN);
    assert_true(PULL(&w, "a", "team/web"));
    assert_false(PULL(&w, "a", "team/we"));
    assert_false(PULL(&w, "a", "busybox")); /* docker.io's */
    assert_false(PULL(&w, "b", "team/web"));
    world_fini(&w);
}

GT_TEST(after_its_end)
{
    struct world w;
    const char *id = begin(&w);
    char stream[100];
    snprintf(stream, sizeof stream, "p/c/%s", id);
    world_report(&w, world_node(&w, "a", 1024, 1000), "STOPPED");
    assert_false(PULL(&w, "a", "team/web"));
    assert_int_equal(LOG(&w, "a", "mine", stream), NODE_LOG_OWN); /* what is left of it */
    assert_int_equal(LOG(&w, "b", "mine", stream), NODE_LOG_DENIED);
    world_run(&w, 3700000);
    assert_int_equal(LOG(&w, "a", "mine", stream), NODE_LOG_FORGOTTEN);
    world_fini(&w);
}

GT_RUN(GT_CASE(of_its_own_tasks), GT_CASE(after_its_end))
