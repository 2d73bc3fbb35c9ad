#include "control/server/resource.h"
#include "gt_test.h"

#include "control/services/ecr/ecr.h"
#include "control/services/ecs/ecs.h"
#include "control/services/iam/iam.h"
#include "control/services/logs/logs.h"
#include "control/services/sts/sts.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/logs.h"

static const struct resource_scope ecs = {"ecs", {"us-east-1", 9}, {"000000000000", 12}};
#define ARN "arn:aws:ecs:us-east-1:000000000000:"

static const struct service_op *op_of(const struct service *s, const char *name)
{
    for (size_t i = 0; i < s->n_ops; i++) {
        if (gt_streq(s->ops[i].op->name, name)) {
            return &s->ops[i];
        }
    }
    fail_msg("no %s", name);
    return NULL;
}

/* All that are implemented: their templates name members that there are (resources_of() asserts
 * it), of an input that is empty. */
GT_TEST(templates_fit_their_operations)
{
    const struct service *const all[] = {ecs_control(), ecr_control(), logs_control(),
                                         iam_control(), sts_control()};
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        for (size_t k = 0; k < all[i]->n_ops; k++) {
            const struct service_op *op = &all[i]->ops[k];
            struct gt_arena a;
            struct gt_str *v;
            size_t n;
            gt_arena_init(&a, 1024 * 1024);
            void *in = gt_arena_alloc(&a, op->op->in->size + 1);
            assert_int_equal(resources_of(&ecs, op->resource, op->op->in, in, &a, &v, &n, NULL), 0);
            assert_int_equal(n, 1);
            assert_true(v[0].n > 0);
            gt_arena_fini(&a);
        }
    }
}

GT_TEST(every_spelling_is_one_resource)
{
    static const struct {
        const char *cluster, *task, *want;
    } cases[] = {
        {NULL, "0123", ARN "task/default/0123"},
        {"web", "0123", ARN "task/web/0123"},
        {ARN "cluster/web", "0123", ARN "task/web/0123"},
        {"web", "db/0123", ARN "task/db/0123"},
        {"web", ARN "task/db/0123", ARN "task/db/0123"},
        {"web", ARN "task/0123", ARN "task/web/0123"}, /* the old form */
        {NULL, "*", ARN "task/default/*"},
        {NULL, ARN "service/web/s", ARN "service/web/s"},
        {NULL, "arn:aws:ecs:eu-west-1:000000000000:task/a/b",
         "arn:aws:ecs:eu-west-1:000000000000:task/a/b"},
    };
    const struct service_op *op = op_of(ecs_control(), "StopTask");
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct ecs_stop_task_in in = {.cluster = gt_str(cases[i].cluster),
                                      .task = gt_str(cases[i].task)};
        struct gt_arena a;
        struct gt_str *v;
        size_t n;
        gt_arena_init(&a, 1024 * 1024);
        assert_int_equal(resources_of(&ecs, op->resource, op->op->in, &in, &a, &v, &n, NULL), 0);
        if (n != 1 || !gt_str_is(v[0], cases[i].want)) {
            fail_msg("%s, %s: '%.*s'", cases[i].cluster, cases[i].task, GT_STR_ARG(v[0]));
        }
        gt_arena_fini(&a);
    }
}

GT_TEST(a_list_is_a_resource_each)
{
    struct gt_str tasks[] = {GT_STR_LIT("1"), GT_STR_LIT(ARN "task/web/2")}, *v;
    struct ecs_describe_tasks_in in = {.tasks = {.v = tasks, .n = 2}};
    const struct service_op *op = op_of(ecs_control(), "DescribeTasks");
    struct gt_arena a;
    size_t n;
    gt_arena_init(&a, 1024 * 1024);
    assert_int_equal(resources_of(&ecs, op->resource, op->op->in, &in, &a, &v, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_true(gt_str_is(v[0], ARN "task/default/1"));
    assert_true(gt_str_is(v[1], ARN "task/web/2"));
    gt_arena_fini(&a);
}

/* They are all copied into an arena that would not hold them. */
GT_TEST(more_than_there_can_be)
{
    static struct gt_str many[GT_LIMIT_CALL_RESOURCES + 1];
    static char text[GT_LIMIT_CALL_TEXT + 1];
    memset(text, 'x', sizeof(text));
    struct gt_str one[] = {GT_STR_LIT("1")}, huge[] = {gt_str_n(text, sizeof(text))}, *v;
    const struct ecs_describe_tasks_in cases[] = {
        {.tasks = {.v = many, .n = GT_ARRAY_LEN(many)}},
        {.tasks = {.v = huge, .n = 1}},
        {.cluster = huge[0], .tasks = {.v = one, .n = 1}},
    };
    const struct service_op *op = op_of(ecs_control(), "DescribeTasks");
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct gt_arena a;
        struct gt_err err = GT_ERR_INIT;
        size_t n;
        gt_arena_init(&a, 1024 * 1024);
        assert_true(resources_of(&ecs, op->resource, op->op->in, &cases[i], &a, &v, &n, &err) < 0);
        assert_int_equal(err.kind, GT_ERR_INVALID);
        gt_arena_fini(&a);
    }
}

#define GROUPS "arn:aws:logs:us-east-1:000000000000:log-group:"

GT_TEST(groups_by_name_or_identifier)
{
    static const struct {
        const char *op, *name, *identifier, *stream, *want;
    } cases[] = {
        {"GetLogEvents", "/g/h", NULL, "s", GROUPS "/g/h:log-stream:s"},
        {"GetLogEvents", "/g/h", NULL, "a/b/c", GROUPS "/g/h:log-stream:a/b/c"},
        {"GetLogEvents", "g", NULL, "arn:aws:s3:::b", GROUPS "g:log-stream:arn:aws:s3:::b"},
        {"GetLogEvents", NULL, GROUPS "/g/h:*", "s", GROUPS "/g/h:log-stream:s"},
        {"GetLogEvents", NULL, GROUPS "/g/h", "s", GROUPS "/g/h:log-stream:s"},
        {"GetLogEvents", NULL, "/g/h", "s", GROUPS "/g/h:log-stream:s"},
    };
    const struct resource_scope logs = {"logs", ecs.region, ecs.account};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        const struct service_op *op = op_of(logs_control(), cases[i].op);
        struct logs_get_log_events_in in = {.log_group_name = gt_str(cases[i].name),
                                            .log_group_identifier = gt_str(cases[i].identifier),
                                            .log_stream_name = gt_str(cases[i].stream)};
        struct gt_arena a;
        struct gt_str *v;
        size_t n;
        gt_arena_init(&a, 1024 * 1024);
        assert_int_equal(resources_of(&logs, op->resource, op->op->in, &in, &a, &v, &n, NULL), 0);
        if (n != 1 || !gt_str_is(v[0], cases[i].want)) {
            fail_msg("case %zu: '%.*s'", i, GT_STR_ARG(v[0]));
        }
        gt_arena_fini(&a);
    }
}

GT_RUN(GT_CASE(templates_fit_their_operations), GT_CASE(every_spelling_is_one_resource),
       GT_CASE(a_list_is_a_resource_each), GT_CASE(more_than_there_can_be),
       GT_CASE(groups_by_name_or_identifier))
