/* TaskCredentials: to the node that the task is on, while it is, for a role that trusts tasks. */
#include "gt_test.h"
#include "world.h"

#include "control/services/iam/iam.h"

#define DOC(principal)                                                                             \
    "{\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Action\\\":\\\"sts:AssumeRole\\\","      \
    "\\\"Principal\\\":{" principal "}}}"
#define TASKS "\\\"Service\\\":\\\"ecs-tasks.amazonaws.com\\\""
#define PEOPLE "\\\"AWS\\\":\\\"000000000000\\\""

struct fixture {
    struct world w;
    const char *mine, *other; /* sessions of nodes */
    const char *task;
};

static void start(struct fixture *f, const char *role)
{
    world_third = iam_control();
    world_init(&f->w);
    world_do(&f->w, "CreateCluster", "{}");
    f->mine = world_node(&f->w, "mine", 1024, 1024);
    world_do(&f->w, "CreateRole",
             "{'RoleName': 'Good', 'Path': '/p/', 'AssumeRolePolicyDocument': '" DOC(TASKS) "'}");
    world_do(&f->w, "CreateRole",
             "{'RoleName': 'people', 'AssumeRolePolicyDocument': '" DOC(PEOPLE) "'}");
    world_has(world_do(&f->w, "RegisterTaskDefinition",
                       "{'family': 'f', 'taskRoleArn': '%s', 'containerDefinitions': [{'name': "
                       "'a', 'image': 'i', 'memory': 64}]}",
                       role),
              "f:1");
    const char *run = world_do(&f->w, "RunTask", "{'taskDefinition': 'f'}");
    const char *arn = world_get(&f->w, run, "taskArn", 0);
    f->task = strrchr(arn, '/') + 1;
    f->other = world_node(&f->w, "other", 1024, 1024);
}

static const char *ask(struct fixture *f, const char *session, const char *task)
{
    return world_do(&f->w, "TaskCredentials", "{'session': '%s', 'taskId': '%s'}", session, task);
}

static void end(struct fixture *f)
{
    world_fini(&f->w);
    world_third = NULL;
}

GT_TEST(for_the_node_that_has_the_task)
{
    struct fixture f;
    start(&f, "arn:aws:iam::000000000000:role/p/Good");
    uint64_t before = core_revision(f.w.core);
    const char *a = ask(&f, f.mine, f.task);
    world_has(a, "\"roleArn\":\"arn:aws:iam::000000000000:role/p/Good\"");
    world_has(a, "\"roleName\":\"Good\"");
    assert_string_equal(world_get(&f.w, a, "sessionName", 0), f.task);
    assert_int_equal(core_revision(f.w.core), before); /* nothing is written down */
    world_has(ask(&f, f.other, f.task), "AccessDeniedException");
    world_has(ask(&f, f.mine, "0123"), "AccessDeniedException");
    world_has(ask(&f, f.mine, "../x"), "AccessDeniedException");
    world_has(ask(&f, "mine/old", f.task), "Exception");
    end(&f);
}

GT_TEST(not_when_it_has_stopped)
{
    struct fixture f;
    start(&f, "Good"); /* by its name */
    world_has(ask(&f, f.mine, f.task), "\"roleId\":\"AROA");
    world_report(&f.w, f.mine, "RUNNING");
    world_do(&f.w, "StopTask", "{'task': '%s'}", f.task);
    world_has(ask(&f, f.mine, f.task), "\"roleId\":\"AROA"); /* it winds up */
    world_report(&f.w, f.mine, "STOPPED");
    world_has(ask(&f, f.mine, f.task), "AccessDeniedException");
    end(&f);
}

GT_TEST(not_for_a_role_that_tasks_may_not_have)
{
    static const char *const roles[] = {"people", "nobody",
                                        "arn:aws:iam::000000000000:role/Good" /* not its path */};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        start(&f, roles[i]);
        world_has(ask(&f, f.mine, f.task),
                  "InvalidRoleException: ECS was unable to assume the role");
        end(&f);
    }
}

GT_RUN(GT_CASE(for_the_node_that_has_the_task), GT_CASE(not_when_it_has_stopped),
       GT_CASE(not_for_a_role_that_tasks_may_not_have))
