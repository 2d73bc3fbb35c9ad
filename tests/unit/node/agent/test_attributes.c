#include "gt_test.h"

#include "lib/base/mem.h"
#include "node/agent/attributes.h"

static int check(const char *attribute, struct gt_err *err)
{
    const struct agent_options o = {.attributes = &attribute, .n_attributes = 1};
    return attributes_check(&o, err);
}

GT_TEST(checks)
{
    struct gt_err err = GT_ERR_INIT;
    static const char *const good[] = {"a=b", "ssd", "rack=1/2", "a=b=c"};
    for (size_t i = 0; i < GT_ARRAY_LEN(good); i++) {
        gt_assert_ok(check(good[i], &err), err);
    }
    static const char *const bad[] = {"", "=b", "a=", "ecs.os-type=x", "com.amazonaws.ecs.x"};
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        assert_int_equal(check(bad[i], &err), -EINVAL);
    }
    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_true(check(longer, &err) < 0);
    const char *eleven[11];
    for (size_t i = 0; i < GT_ARRAY_LEN(eleven); i++) {
        eleven[i] = "a=b";
    }
    struct agent_options o = {.attributes = eleven, .n_attributes = 11};
    assert_true(attributes_check(&o, &err) < 0);
    assert_true(attributes_check(&(struct agent_options){.zone = ""}, &err) < 0);
}

GT_TEST(lists)
{
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    static const char *const said[] = {"rack=a=1", "ssd"};
    const struct agent_options o = {.zone = "z", .attributes = said, .n_attributes = 2};
    struct agent_attribute_list l = {0};
    attributes_list(&o, &a, &l);
    assert_true(gt_str_is(l.v[0].name, "ecs.os-type") && gt_str_is(l.v[0].value, "linux"));
    assert_true(gt_str_is(l.v[2].name, "ecs.availability-zone") && gt_str_is(l.v[2].value, "z"));
    assert_true(gt_str_is(l.v[l.n - 2].name, "rack") && gt_str_is(l.v[l.n - 2].value, "a=1"));
    assert_true(gt_str_is(l.v[l.n - 1].name, "ssd") && !l.v[l.n - 1].value.p);
    gt_arena_fini(&a);
}

GT_RUN(GT_CASE(checks), GT_CASE(lists))
