/* Where tasks are placed, through the operations. */
#include "gt_test.h"
#include "world.h"

#include <stdio.h>

#define RUN(more) "{'taskDefinition': 'web' " more "}"
#define MEMBER_OF(expression)                                                                      \
    ", 'placementConstraints': [{'type': 'memberOf', 'expression': '" expression "'}]"

static void open_world(struct world *w, int nodes)
{
    world_init(w);
    world_call(w, "RegisterTaskDefinition",
               "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'cpu': 64, "
               "'memory': 64}]}");
    for (int i = 0; i < nodes; i++) {
        char id[8];
        snprintf(id, sizeof id, "n%d", i);
        world_node(w, id, 1024, 1000);
    }
}

GT_TEST(tasks_attract_and_repel)
{
    struct world w;
    open_world(&w, 3);
    const char *db = world_do(&w, "RunTask", RUN(", 'group': 'db'"));
    const char *home = world_get(&w, db, "containerInstanceArn", 0);
    assert_true(strlen(home) > 0);
    for (int i = 0; i < 5; i++) {
        const char *near = world_do(&w, "RunTask", RUN(MEMBER_OF("task:group == db")));
        assert_string_equal(world_get(&w, near, "containerInstanceArn", 0), home);
        const char *far = world_do(&w, "RunTask", RUN(MEMBER_OF("not(task:group =~ d.*)")));
        assert_string_not_equal(world_get(&w, far, "containerInstanceArn", 0), home);
    }
    const char *list = world_call(&w, "ListContainerInstances", "{'filter': 'task:group == db'}");
    world_has(list, home);
    assert_null(strchr(list, ',')); /* no other */
    world_has(world_do(&w, "RunTask", RUN(MEMBER_OF("task:group == none"))),
              "\"reason\":\"MemberOf placement constraint unsatisfied.\"");
    world_fini(&w);
}

GT_TEST(expressions_see_running_tasks)
{
    struct world w;
    open_world(&w, 2);
    const char *session = world_node(&w, "n2", 1024, 1000);
    world_do(&w, "StartTask", "{'taskDefinition': 'web', 'containerInstances': ['n2']}");
    assert_int_equal(world_report(&w, session, "RUNNING"), 1);
    const char *busy = world_do(&w, "RunTask", RUN(MEMBER_OF("runningTasksCount > 0")));
    world_has(world_get(&w, busy, "containerInstanceArn", 0), "/n2");
    world_has(world_call(&w, "ListContainerInstances", "{'filter': 'runningTasksCount == 1'}"),
              "/n2\"]");
    world_fini(&w);
}

GT_RUN(GT_CASE(tasks_attract_and_repel), GT_CASE(expressions_see_running_tasks))
