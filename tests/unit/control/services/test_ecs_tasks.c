#include "gt_test.h"
#include "world.h"

#include "control/services/ecs/task_state.h"
#include "lib/base/mem.h"

static const char web[] =
    "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'busybox', 'cpu': 100, "
    "'memory': 64}]}";

GT_TEST(states_are_all_decided)
{
    for (int s = 1; s < TASK_N_STATES; s++) {
        assert_int_equal(task_state_parse(gt_str(task_state_name(s))), s);
        /* every state reaches the end, and nothing leaves it */
        assert_int_equal(task_next((enum task_state)s, TASK_REPORT_STOPPED), TASK_STOPPED);
        assert_int_equal(task_next((enum task_state)s, TASK_NODE_LOST), TASK_STOPPED);
        for (int e = 1; e < TASK_N_EVENTS; e++) {
            int next = task_next((enum task_state)s, (enum task_event)e);
            assert_true(next == TASK_REFUSED || (next >= s && next <= TASK_STOPPED));
            assert_true(e < TASK_STOP ? next == (e >= s ? e : TASK_REFUSED) : next >= s);
        }
        assert_int_equal(task_next((enum task_state)s, TASK_NO_EVENT), TASK_REFUSED);
    }
    assert_int_equal(task_next(TASK_NO_STATE, TASK_STOP), TASK_REFUSED);
}

GT_TEST(run_describe_stop)
{
    struct world w;
    world_init(&w);
    world_has(world_call(&w, "RegisterTaskDefinition", "%s", web), "task-definition/web:1");
    world_has(world_call(&w, "RunTask", "{'taskDefinition': 'web'}"),
              "InvalidParameterException: No Container Instances");
    const char *session = world_node(&w, "n1", 2048, 1000);
    const char *ran = world_do(&w, "RunTask", "{'taskDefinition': 'web', 'count': 2}");
    world_has(ran, "\"lastStatus\":\"PENDING\"");
    const char *arn = world_get(&w, ran, "taskArn", 0);
    const char *id = strrchr(arn, '/') + 1;
    assert_int_equal(strlen(id), 32);

    const char *poll = world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", session);
    world_has(poll, "\"full\":true");
    world_has(poll, id);
    world_has(poll, "\\\"containerDefinitions\\\"");
    int revision = atoi(world_get(&w, poll, "revision", 0));
    world_call(&w, "Poll", "{'session': '%s', 'revision': %d, 'waitMs': 1000}", session, revision);
    assert_true(w.waits);

    world_has(world_report_task(&w, session, id, 1, "RUNNING",
                                ", 'containers': [{'name': 'c', 'lastStatus': 'RUNNING', "
                                "'runtimeId': 'r1'}]"),
              "\"refused\":[]");
    world_has(world_report_task(&w, session, id, 2, "PENDING", ""), "only moves forward");
    world_has(world_report_task(&w, session, id, 1, "RUNNING", ""), "\"refused\":[]");
    const char *d = world_call(&w, "DescribeTasks", "{'tasks': ['%s', 'nope']}", arn);
    world_has(d, "\"lastStatus\":\"RUNNING\"");
    world_has(d, "\"runtimeId\":\"r1\"");
    world_has(d, "task/default/nope\",\"reason\":\"MISSING\"");
    world_has(d, "\"startedAt\":");

    const char *stopped = world_do(&w, "StopTask", "{'task': '%s', 'reason': 'because'}", id);
    world_has(stopped, "\"desiredStatus\":\"STOPPED\"");
    world_has(stopped, "\"stopCode\":\"UserInitiated\"");
    poll = world_call(&w, "Poll", "{'session': '%s', 'revision': %d}", session, revision);
    world_has(poll, "\"desiredStatus\":\"STOPPED\"");
    world_has(poll, "\"stopReason\":\"because\"");
    assert_null(strstr(poll, "\"desiredStatus\":\"RUNNING\""));
    world_report_task(&w, session, id, 3, "STOPPED",
                      ", 'stopCode': 'EssentialContainerExited', 'containers': [{'name': 'c', "
                      "'lastStatus': 'STOPPED', 'exitCode': 137}]");
    d = world_call(&w, "DescribeTasks", "{'tasks': ['%s']}", arn);
    world_has(d, "\"exitCode\":137");
    world_has(d, "\"stoppedReason\":\"because\"");
    world_has(d, "\"stoppedAt\":");
    world_has(world_report_task(&w, session, id, 4, "RUNNING", ""), "not assigned");
    world_has(world_call(&w, "ListTasks", "{'desiredStatus': 'STOPPED'}"), id);
    world_run(&w, 3601 * 1000);
    world_has(world_call(&w, "DescribeTasks", "{'tasks': ['%s']}", arn), "MISSING");
    world_has(world_call(&w, "ListTasks", "{'desiredStatus': 'STOPPED'}"), "[]");
    world_fini(&w);
}

GT_TEST(sessions_and_nodes)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", web);
    const char *old = world_node(&w, "n1", 1024, 1000);
    const char *session = world_node(&w, "n1", 1024, 1000);
    world_has(world_call(&w, "Poll", "{'session': '%s'}", old), "StaleSessionException");
    world_has(world_call(&w, "Heartbeat", "{'session': '%s'}", session), "{}");
    world_has(world_call(&w, "Heartbeat", "{'session': 'n9.1'}"), "UnknownNodeException");
    w.as = PRINCIPAL_NODE;
    w.as_name = "n2";
    world_has(world_call(&w, "Heartbeat", "{'session': '%s'}", session), "AccessDenied");
    world_has(world_call(&w, "NodeLost", "{'nodeId': 'n1'}"), "AccessDenied");
    world_has(
        world_call(&w, "RegisterNode", "{'name': 'x', 'nodeId': 'n1', 'cpu': 1, 'memory': 1}"),
        "AccessDenied");
    w.as = PRINCIPAL_ROOT;
    world_has(world_call(&w, "RegisterNode",
                         "{'name': 'x', 'nodeId': 'n3', 'cpu': 1, 'memory': 1, 'clusterId': "
                         "'other'}"),
              "another installation");
    world_has(
        world_call(&w, "RegisterNode", "{'name': 'x', 'cpu': 1, 'memory': 1, 'cluster': 'nope'}"),
        "ClusterNotFound");
    world_has(world_call(&w, "RegisterNode",
                         "{'name': 'x', 'nodeId': 'n4', 'cpu': 1, 'memory': 1, 'subnet': "
                         "'10.9.8.0/24'}"),
              "\"subnet\":\"10.9.8.0/24\"");
    world_has(world_call(&w, "RegisterNode",
                         "{'name': 'x', 'nodeId': 'n5', 'cpu': 1, 'memory': 1, 'subnet': "
                         "'10.9.8.0/24'}"),
              "belongs to another node");
    world_has(world_call(&w, "RegisterNode",
                         "{'name': 'x', 'nodeId': 'n4', 'cpu': 1, 'memory': 1, 'subnet': "
                         "'10.9.7.0/24'}"),
              "\"subnet\":\"10.9.7.0/24\"");
    world_has(world_call(&w, "RegisterNode",
                         "{'name': 'x', 'nodeId': 'n5', 'cpu': 1, 'memory': 1, 'subnet': "
                         "'10.9.8.0/24'}"),
              "\"subnet\":\"10.9.8.0/24\""); /* which n4 has left */
    struct gt_buf all = GT_BUF_INIT(4096);
    for (int i = 0; i < 256; i++) {
        if (i != 77) {
            gt_buf_printf(&all, "%s%d", all.n ? ", " : "", i);
        }
    }
    const char *const answers[] = {"\"subnet\":\"10.200.77.0/24\"", "LimitExceeded"};
    for (int i = 0; i < 2; i++) {
        world_has(world_call(&w, "RegisterNode",
                             "{'name': 'x', 'nodeId': 'n%d', 'cpu': 1, 'memory': 1, "
                             "'subnetsInUse': [%s]}",
                             i + 6, all.p),
                  answers[i]);
    }
    gt_buf_fini(&all);
    world_fini(&w);
}

GT_TEST(lost_nodes_leave_ghosts)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family': 'p', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'memory': 64, "
               "'portMappings': [{'containerPort': 80, 'hostPort': 8080}]}]}");
    world_node(&w, "n1", 1024, 1000);
    const char *ran = world_do(&w, "RunTask", "{'taskDefinition': 'p'}");
    const char *id = strrchr(world_get(&w, ran, "taskArn", 0), '/') + 1;
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'p'}"), "RESOURCE:PORTS");
    w.as = PRINCIPAL_INTERNAL;
    assert_string_equal(world_do(&w, "NodeLost", "{'nodeId': 'n1', 'reason': 'silence'}"), "{}");
    w.as = PRINCIPAL_ROOT;
    const char *d = world_call(&w, "DescribeTasks", "{'tasks': ['%s']}", id);
    world_has(d, "\"lastStatus\":\"STOPPED\"");
    world_has(d, "is lost: silence");
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'p'}"), "\"reason\":\"AGENT\"");
    world_has(world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1']}"),
              "\"agentConnected\":false");
    /* back: it must stop the task; until then the port is not free */
    const char *session = world_node(&w, "n1", 1024, 1000);
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'p'}"), "RESOURCE:PORTS");
    world_has(world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", session),
              "\"desiredStatus\":\"STOPPED\"");
    world_has(world_report_task(&w, session, id, 9, "STOPPED", ""), "\"refused\":[]");
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'p'}"), "\"failures\":[]");
    world_fini(&w);
}

GT_TEST(awsvpc_has_an_address)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family': 'v', 'networkMode': 'awsvpc', 'containerDefinitions': [{'name': 'c', "
               "'image': 'i', 'memory': 64}]}");
    world_call(&w, "RegisterNode",
               "{'name': 'n1', 'nodeId': 'n1', 'cpu': 1024, 'memory': 1000, "
               "'subnet': '10.200.0.0/24'}");
    const char *session = world_node(&w, "n1", 1024, 1000);
    world_has(world_call(&w, "RunTask", "{'taskDefinition': 'v'}"),
              "Network Configuration must be provided");
    const char *conf = "'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}";
    const char *ran = world_do(&w, "RunTask", "{'taskDefinition': 'v', 'count': 2, %s}", conf);
    world_has(ran, "\"lastStatus\":\"PROVISIONING\"");
    world_has(ran, "{\"name\":\"privateIPv4Address\",\"value\":\"10.200.0.4\"}");
    world_has(ran, "10.200.0.5");
    world_report(&w, session, "STOPPED");
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'v', %s}", conf), "10.200.0.6");
    world_fini(&w);
}

GT_TEST(client_tokens)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", web);
    world_node(&w, "n1", 2048, 1000);
    const char *a = world_do(&w, "RunTask", "{'taskDefinition': 'web', 'clientToken': 'abc'}");
    const char *b = world_do(&w, "RunTask", "{'taskDefinition': 'web', 'clientToken': 'abc'}");
    assert_string_equal(world_get(&w, a, "taskArn", 0), world_get(&w, b, "taskArn", 0));
    world_has(
        world_do(&w, "RunTask", "{'taskDefinition': 'web', 'clientToken': 'abc', 'count': 2}"),
        "ConflictException");
    world_run(&w, 25 * 3600 * 1000);
    b = world_do(&w, "RunTask", "{'taskDefinition': 'web', 'clientToken': 'abc'}");
    assert_string_not_equal(world_get(&w, a, "taskArn", 0), world_get(&w, b, "taskArn", 0));
    world_fini(&w);
}

GT_TEST(what_run_task_refuses)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        {"{'taskDefinition': 'nope'}", "ClientException: TaskDefinition not found."},
        {"{'taskDefinition': 'web', 'cluster': 'nope'}", "ClusterNotFoundException"},
        {"{'taskDefinition': 'web', 'count': 11}", "Count must be between"},
        {"{'taskDefinition': 'web', 'count': 0}", "Count must be between"},
        {"{'taskDefinition': 'web', 'launchType': 'FARGATE'}", "does not support launch_type"},
        {"{'taskDefinition': 'web', 'launchType': 'EXTERNAL'}", "No Container Instances"},
        {"{'taskDefinition': 'web', 'capacityProviderStrategy': [{'capacityProvider': 'x'}]}",
         "capacityProviderStrategy"},
        {"{'taskDefinition': 'web', 'enableExecuteCommand': true}", "enableExecuteCommand"},
        {"{'taskDefinition': 'web', 'group': 'service:x'}", "Invalid namespace for group"},
        {"{'taskDefinition': 'web', 'overrides': {'containerOverrides': [{'name': 'x'}]}}",
         "not a container in the TaskDefinition"},
        {"{'taskDefinition': 'web', 'overrides': {'taskRoleArn': 'a b'}}", "Role is not valid"},
        {"{'taskDefinition': 'web', 'tags': [{'key': 'aws:x', 'value': 'y'}]}", "aws:"},
        {"{'taskDefinition': 'web', 'placementStrategy': [{'type': 'binpack', 'field': 'x'}]}",
         "Invalid placement strategy"},
        {"{'taskDefinition': 'web', 'placementConstraints': [{'type': 'memberOf', 'expression': "
         "'disk'}]}",
         "Invalid expression"},
        {"{'taskDefinition': 'web', 'networkConfiguration': {'awsvpcConfiguration': {'subnets': "
         "['subnet-1']}}}",
         "Network Configuration is not valid"},
        {"{'taskDefinition': 'web', 'overrides': {'containerOverrides': [{'name': 'c', 'memory': "
         "2000}]}}",
         "\"failures\":[{\"arn\":\"arn:aws:ecs:us-east-1:000000000000:container-instance/default/"
         "n1\",\"reason\":\"RESOURCE:MEMORY\"}]"},
        {"{'taskDefinition': 'web', 'overrides': {'containerOverrides': [{'name': 'c', 'cpu': "
         "4000}]}}",
         "RESOURCE:CPU"},
        {"{'taskDefinition': 'web', 'tags': [{'key': 'a', 'value': 'b'}], 'startedBy': 'me'}",
         "\"tags\":[{\"key\":\"a\",\"value\":\"b\"}]"},
    };
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", web);
    world_node(&w, "n1", 1024, 1000);
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        world_has(world_do(&w, "RunTask", "%s", cases[i].body), cases[i].want);
    }
    world_fini(&w);
}

GT_TEST(lists_filter_and_page)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", web);
    world_node(&w, "n1", 102400, 100000);
    for (int i = 0; i < 13; i++) {
        world_call(&w, "RunTask", "{'taskDefinition': 'web', 'count': 10, 'startedBy': 's%d'}", i);
    }
    int seen = 0, pages = 0;
    const char *token = "";
    do {
        const char *page =
            world_call(&w, "ListTasks", *token ? "{'nextToken': '%s'}" : "{}%s", token);
        for (int i = 0; *page && (page = strstr(page, "task/default/")); i++) {
            seen++;
            page++;
        }
        page = world_call(&w, "ListTasks", *token ? "{'nextToken': '%s'}" : "{}%s", token);
        token = world_get(&w, page, "nextToken", 0);
        pages++;
    } while (*token);
    assert_int_equal(seen, 130);
    assert_int_equal(pages, 2);
    const char *some = world_call(&w, "ListTasks", "{'startedBy': 's3', 'maxResults': 4}");
    assert_true(*world_get(&w, some, "nextToken", 0) != 0);
    world_has(world_call(&w, "ListTasks", "{'family': 'other'}"), "{\"taskArns\":[]}");
    world_has(world_call(&w, "ListTasks", "{'serviceName': 'x'}"), "ServiceNotFoundException");
    world_has(world_call(&w, "ListTasks", "{'containerInstance': 'x'}"), "not found");
    world_has(world_call(&w, "ListTasks", "{'maxResults': 101}"), "maxResults");
    world_has(world_call(&w, "DescribeClusters", "{'include': ['STATISTICS']}"),
              "\"pendingTasksCount\":130");
    world_fini(&w);
}

GT_RUN(GT_CASE(states_are_all_decided), GT_CASE(run_describe_stop), GT_CASE(sessions_and_nodes),
       GT_CASE(lost_nodes_leave_ghosts), GT_CASE(awsvpc_has_an_address), GT_CASE(client_tokens),
       GT_CASE(what_run_task_refuses), GT_CASE(lists_filter_and_page))
