#include "gt_test.h"
#include "world.h"

#include "control/services/admin/admin.h"

static void begin(struct world *w)
{
    world_third = admin_control();
    world_init(w);
    world_call(w, "RegisterTaskDefinition",
               "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'busybox', "
               "'cpu': 512, 'memory': 256, 'portMappings': [{'containerPort': 80, 'hostPort': "
               "8080}]}]}");
}

GT_TEST(a_task_is_where_the_strategies_say)
{
    struct world w;
    begin(&w);
    world_node(&w, "n1", 1024, 1000);
    world_node(&w, "n2", 2048, 1000);
    const char *t = world_do(&w, "RunTask",
                             "{'taskDefinition': 'web', 'placementStrategy': [{'type': 'binpack', "
                             "'field': 'cpu'}], 'placementConstraints': [{'type': 'memberOf', "
                             "'expression': 'attribute:ecs.cpu-architecture == x86_64'}]}");
    const char *arn = world_get(&w, t, "taskArn", 0);
    const char *said = world_call(&w, "Explain", "{'task': '%s'}", arn);
    world_has(said, "\"placedOn\":\"n1\"");
    world_has(said, "\"considered\":2");
    world_has(said, "\"fitting\":2");
    world_has(said, "\"strategies\":[\"binpack(cpu)\"]");
    world_has(said, "\"memberOf\":[\"attribute:ecs.cpu-architecture == x86_64\"]");
    world_has(said, "\"hostPorts\":[\"8080/tcp\"]");
    assert_string_equal(world_get(&w, said, "node", 0), "n1"); /* the chosen one first */
    world_has(said, "\"scores\":[1024]"); /* what the task holds counts as free */
    world_has(said, "\"scores\":[2048]");
    assert_null(strstr(said, "\"fix\""));
    world_fini(&w);
}

GT_TEST(a_service_that_does_not_fit)
{
    struct world w;
    begin(&w);
    world_node(&w, "n1", 1024, 1000);
    world_node(&w, "n2", 2048, 200);
    world_do(&w, "CreateService",
             "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 2}");
    const char *said = world_call(&w, "Explain", "{'service': 's'}");
    world_has(said, "\"fitting\":0");
    world_has(said, "8080/tcp in use");
    world_has(said, "memory: 200 of 200 MiB free, 256 asked");
    world_has(said, "free port 8080/tcp on it");
    world_has(said, "\"reason\":\"RESOURCE:MEMORY\"");
    /* The smallest change of all: the first "fix" is of the first node shown. */
    world_has(strstr(said, "\"fix\""), "\"node\":\"n1\"");
    said = world_call(&w, "Explain", "{'service': 's', 'node': 'n2'}");
    world_has(said, "ask for at most 200 MiB of memory");
    assert_null(strstr(said, "\"name\":\"n1\""));
    /* Done as it says. */
    world_node(&w, "n2", 2048, 1000);
    said = world_call(&w, "Explain", "{'service': 's'}");
    world_has(said, "\"fitting\":0"); /* the controller has placed the second one there */
    world_has(world_call(&w, "ListTasks", "{}"), "task/default/");
    world_fini(&w);
}

GT_TEST(no_nodes_at_all)
{
    struct world w;
    begin(&w);
    world_call(&w, "CreateCluster", "{}");
    world_do(&w, "CreateService",
             "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1}");
    const char *said = world_call(&w, "Explain", "{'service': 's'}");
    world_has(said, "\"considered\":0");
    world_has(said, "add a node with 512 CPU units and 256 MiB of memory free");
    world_fini(&w);
}

GT_TEST(wrong_names)
{
    struct world w;
    begin(&w);
    world_node(&w, "n1", 1024, 1000);
    world_do(&w, "CreateService",
             "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1}");
    world_has(world_call(&w, "Explain", "{'task': 'nope'}"), "ResourceNotFoundException");
    world_has(world_call(&w, "Explain", "{'service': 'nope'}"), "ResourceNotFoundException");
    world_has(world_call(&w, "Explain", "{'service': 's', 'node': 'nope'}"),
              "NodeNotFoundException");
    world_has(world_call(&w, "Explain", "{'service': 's', 'cluster': 'nope'}"),
              "ClusterNotFoundException");
    world_has(world_call(&w, "Explain", "{}"), "InvalidParameterException");
    world_has(world_call(&w, "Explain", "{'service': 's', 'task': 't'}"),
              "InvalidParameterException");
    world_fini(&w);
}

GT_RUN(GT_CASE(a_task_is_where_the_strategies_say), GT_CASE(a_service_that_does_not_fit),
       GT_CASE(no_nodes_at_all), GT_CASE(wrong_names))
