/* Nodes that are not heard: held, lost, back. */
#include "gt_test.h"
#include "world.h"

#include "control/services/agent/agent.h"
#include "lib/base/mem.h"

static const char web[] = "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': "
                          "'busybox', 'cpu': 100, 'memory': 64}]}";

/* Two tasks of a service on n1; n2 is there, too. */
static const char *begin(struct world *w)
{
    world_init(w);
    world_call(w, "RegisterTaskDefinition", web);
    const char *a = world_node(w, "n1", 1024, 1000);
    world_do(w, "CreateService",
             "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 2}");
    world_report(w, a, "RUNNING");
    world_node(w, "n2", 1024, 1000);
    return a;
}

static const char *tell(struct world *w, const char *op, const char *more)
{
    w->as = PRINCIPAL_INTERNAL;
    const char *answer = world_do(w, op, "{'nodeId': 'n1'%s}", more);
    w->as = PRINCIPAL_ROOT;
    return answer;
}

static const char *instance(struct world *w, const char *node)
{
    return world_call(w, "DescribeContainerInstances", "{'containerInstances': ['%s']}", node);
}

static int running(struct world *w, const char *node)
{
    const char *d = instance(w, node);
    return atoi(world_get(w, d, "runningTasksCount", 0)) +
           atoi(world_get(w, d, "pendingTasksCount", 0));
}

static const char *service(struct world *w)
{
    return world_call(w, "DescribeServices", "{'services': ['s']}");
}

GT_TEST(held_tasks_are_left_alone)
{
    struct world w;
    const char *a = begin(&w);
    world_has(tell(&w, "NodeLost", ", 'held': true"), "{}");
    world_run(&w, 600000);
    assert_int_equal(running(&w, "n1"), 2);
    assert_int_equal(running(&w, "n2"), 0);
    world_has(instance(&w, "n1"), "\"agentConnected\":false");
    world_has(instance(&w, "n1"), "\"statusReason\":\"Not heard, like too many others at once");
    world_has(service(&w), "(service s) has 2 tasks on container instances that are not heard.");
    /* Nothing is placed there. */
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'web'}"),
              "container-instance/default/n2");
    world_has(tell(&w, "NodeLost", ", 'held': true"), "{}"); /* once more changes nothing */
    world_has(tell(&w, "NodeBack", ""), "{}");
    world_has(instance(&w, "n1"), "\"agentConnected\":true");
    world_has(service(&w), "(service s) has no tasks on silent container instances any more.");
    world_report(&w, a, "RUNNING");
    assert_int_equal(running(&w, "n1"), 2);
    world_check(&w);
    world_fini(&w);
}

GT_TEST(held_then_lost)
{
    struct world w;
    begin(&w);
    tell(&w, "NodeLost", ", 'held': true");
    world_has(tell(&w, "NodeLost", ""), "{}");
    assert_int_equal(running(&w, "n1"), 0);
    assert_int_equal(running(&w, "n2"), 2);
    world_has(tell(&w, "NodeLost", ", 'held': true"), "{}"); /* too late */
    assert_null(strstr(instance(&w, "n1"), "statusReason"));
    world_check(&w);
    world_fini(&w);
}

GT_TEST(held_then_registered)
{
    struct world w;
    begin(&w);
    tell(&w, "NodeLost", ", 'held': true");
    const char *a = world_node(&w, "n1", 1024, 1000);
    world_has(instance(&w, "n1"), "\"agentConnected\":true");
    world_report(&w, a, "RUNNING");
    world_has(service(&w), "any more.");
    assert_int_equal(running(&w, "n1"), 2);
    world_fini(&w);
}

GT_TEST(is_for_the_server_alone)
{
    struct world w;
    begin(&w);
    world_has(world_call(&w, "NodeLost", "{'nodeId': 'n1'}"), "AccessDeniedException");
    world_has(world_call(&w, "NodeBack", "{'nodeId': 'n1'}"), "AccessDeniedException");
    w.as = PRINCIPAL_INTERNAL;
    world_has(world_call(&w, "NodeLost", "{'nodeId': 'n9'}"), "UnknownNodeException");
    world_fini(&w);
}

/* "", or the exception. */
static const char *fence(struct world *w, const char *node, bool undo)
{
    struct rec_ecs_fence f = {.node = gt_str(node), .undo = undo};
    struct core_call c = {
        .change = &node_fence,
        .in = &f,
        .principal = {.kind = PRINCIPAL_ROOT, .account = GT_STR_LIT("000000000000")},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &w->arena};
    core_apply(w->core, &c, w->now);
    world_run(w, 1);
    return c.result < 0 ? gt_arena_strdup(&w->arena, gt_err_aws_name(&c.err)) : "";
}

GT_TEST(a_fenced_node_frees_what_it_held)
{
    struct world w;
    const char *a = begin(&w);
    tell(&w, "NodeLost", "");
    world_report(&w, world_node(&w, "n2", 1024, 1000), "RUNNING");
    world_has(instance(&w, "n1"), "\"integerValue\":824}");           /* ghosts */
    assert_string_equal(fence(&w, "n2", false), "ConflictException"); /* it is heard */
    assert_string_equal(fence(&w, "n9", false), "NodeNotFoundException");
    assert_string_equal(fence(&w, "n1", true), "ConflictException"); /* is not fenced */
    assert_string_equal(fence(&w, "n1", false), "");
    assert_null(strstr(instance(&w, "n1"), "\"integerValue\":824}"));
    world_check(&w);
    /* It is refused, whatever it says. */
    world_has(world_call(&w, "Heartbeat", "{'session': '%s'}", a), "StaleSessionException");
    world_has(
        world_call(&w, "RegisterNode", "{'name': 'x', 'nodeId': 'n1', 'cpu': 1, 'memory': 1}"),
        "NodeFencedException");
    world_has(tell(&w, "NodeBack", ""), "NodeFencedException");
    assert_string_equal(fence(&w, "n1", false), "ConflictException");
    assert_string_equal(fence(&w, "n1", true), "");
    a = world_node(&w, "n1", 1024, 1000);
    world_has(world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", a), "\"tasks\":[]");
    world_has(instance(&w, "n1"), "\"agentConnected\":true");
    assert_int_equal(running(&w, "n2"), 2);
    world_fini(&w);
}

GT_TEST(a_held_node_is_fenced)
{
    struct world w;
    begin(&w);
    tell(&w, "NodeLost", ", 'held': true");
    assert_string_equal(fence(&w, "n1", false), "");
    assert_int_equal(running(&w, "n1"), 0);
    assert_int_equal(running(&w, "n2"), 2);
    world_has(tell(&w, "NodeLost", ""), "{}");
    world_check(&w);
    world_fini(&w);
}

GT_RUN(GT_CASE(held_tasks_are_left_alone), GT_CASE(held_then_lost), GT_CASE(held_then_registered),
       GT_CASE(is_for_the_server_alone), GT_CASE(a_fenced_node_frees_what_it_held),
       GT_CASE(a_held_node_is_fenced))
