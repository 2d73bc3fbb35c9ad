#include "gt_test.h"

#include "lib/base/mem.h"
#include "node/agent/task.h"

/* b depends on a by the condition of each case. */
static struct ecs_container_dependency on_a = {.container_name = {"a", 1}};
static struct ecs_container_definition defs[2];
static struct container containers[2];
static struct task task = {.containers = containers, .n_containers = 2};

static void set_up(const char *condition)
{
    memset(containers, 0, sizeof containers);
    on_a.condition = gt_str(condition);
    defs[1].depends_on = (struct ecs_container_dependency_list){&on_a, 1, true};
    for (int i = 0; i < 2; i++) {
        containers[i].task = &task;
        containers[i].def = &defs[i];
        containers[i].name = i ? "b" : "a";
    }
}

GT_TEST(starts_follow_conditions)
{
    static const struct {
        const char *condition;
        enum container_state state;
        bool start_failed;
        int exit_code;
        enum health_state health;
        enum order_verdict want;
    } table[] = {
        {"START", CONTAINER_NONE, false, 0, HEALTH_NONE, ORDER_WAIT},
        {"START", CONTAINER_CREATING, false, 0, HEALTH_NONE, ORDER_WAIT},
        {"START", CONTAINER_RUNNING, false, 0, HEALTH_NONE, ORDER_GO},
        {"START", CONTAINER_STOPPED, false, 3, HEALTH_NONE, ORDER_GO},
        {"START", CONTAINER_STOPPED, true, 0, HEALTH_NONE, ORDER_NEVER},
        {"COMPLETE", CONTAINER_RUNNING, false, 0, HEALTH_NONE, ORDER_WAIT},
        {"COMPLETE", CONTAINER_STOPPED, false, 3, HEALTH_NONE, ORDER_GO},
        {"SUCCESS", CONTAINER_RUNNING, false, 0, HEALTH_NONE, ORDER_WAIT},
        {"SUCCESS", CONTAINER_STOPPED, false, 0, HEALTH_NONE, ORDER_GO},
        {"SUCCESS", CONTAINER_STOPPED, false, 3, HEALTH_NONE, ORDER_NEVER},
        {"HEALTHY", CONTAINER_RUNNING, false, 0, HEALTH_UNKNOWN, ORDER_WAIT},
        {"HEALTHY", CONTAINER_RUNNING, false, 0, HEALTH_HEALTHY, ORDER_GO},
        {"HEALTHY", CONTAINER_RUNNING, false, 0, HEALTH_UNHEALTHY, ORDER_WAIT},
        {"HEALTHY", CONTAINER_STOPPED, false, 0, HEALTH_HEALTHY, ORDER_NEVER},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(table); i++) {
        const struct container *why = NULL;
        set_up(table[i].condition);
        containers[0].state = table[i].state;
        containers[0].start_failed = table[i].start_failed;
        containers[0].exit_code = table[i].exit_code;
        containers[0].health.state = table[i].health;
        enum order_verdict got = order_start(&task, &containers[1], &why);
        if (got != table[i].want) {
            fail_msg("case %zu (%s): %d", i, table[i].condition, (int)got);
        }
        assert_ptr_equal(why, got == ORDER_NEVER ? &containers[0] : NULL);
        assert_int_equal(order_start(&task, &containers[0], &why), ORDER_GO);
    }
}

GT_TEST(stops_go_the_other_way)
{
    set_up("START");
    containers[0].state = containers[1].state = CONTAINER_RUNNING;
    assert_false(order_stop(&task, &containers[0]));
    assert_true(order_stop(&task, &containers[1]));
    containers[1].state = CONTAINER_STOPPED;
    assert_true(order_stop(&task, &containers[0]));
}

GT_RUN(GT_CASE(starts_follow_conditions), GT_CASE(stops_go_the_other_way))
