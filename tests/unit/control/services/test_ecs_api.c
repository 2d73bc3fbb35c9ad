/* What ECS's documentation says of its operations beside the main road. */
#include "gt_test.h"
#include "world.h"

#include "lib/base/mem.h"

#define WEB                                                                                        \
    "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'busybox', 'cpu': 100, "    \
    "'memory': 64}]}"
#define NET "'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-%d']}}"

#define RUN "{'taskDefinition': 'web', '%s': '%s'}"
#define START "{'taskDefinition': 'web', 'containerInstances': ['n1'], '%s': '%s'}"
#define COMMAND                                                                                    \
    "{'taskDefinition': 'web', 'overrides': {'containerOverrides': [{'name': 'c', 'command': "     \
    "['%s']}]}}"
#define CLUSTER "arn:aws:ecs:us-east-1:000000000000:cluster/%s"

struct refusal {
    const char *op, *body, *want;
};

static void expect(struct world *w, const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = world_do(w, cases[i].op, "%s", cases[i].body);
        if (!strstr(got, cases[i].want)) {
            fail_msg("%s %s\n gave %s\n not  %s", cases[i].op, cases[i].body, got, cases[i].want);
        }
    }
}

static char *repeat(struct world *w, char c, int n)
{
    char *s = gt_arena_alloc(&w->arena, (size_t)n + 1);
    memset(s, c, (size_t)n);
    s[n] = '\0';
    return s;
}

GT_TEST(a_cluster_is_made_once)
{
    static const struct refusal cases[] = {
        {"CreateCluster",
         "{'clusterName': 'a', 'tags': [{'key': 'x', 'value': '1'}, "
         "{'key': 'y', 'value': '2'}]}",
         "\"status\":\"ACTIVE\""},
        {"CreateCluster",
         "{'clusterName': 'a', 'tags': [{'key': 'y', 'value': '2'}, "
         "{'key': 'x', 'value': '1'}]}",
         "\"status\":\"ACTIVE\""},
        {"CreateCluster", "{'clusterName': 'a'}", "\"key\":\"x\""},
        {"CreateCluster", "{'clusterName': 'a', 'tags': [{'key': 'x', 'value': '2'}]}",
         "InvalidParameterException: Arguments on this idempotent request are inconsistent with "
         "arguments used in previous request(s)."},
        {"CreateCluster", "{'clusterName': 'a', 'tags': []}", "inconsistent"},
        {"DeleteCluster", "{'cluster': 'a'}", "\"status\":\"INACTIVE\""},
        {"DeleteCluster", "{'cluster': 'a'}", "ClusterNotFoundException"},
        {"DescribeClusters", "{'clusters': ['a']}", "\"status\":\"INACTIVE\""},
        {"ListClusters", "{}", "{\"clusterArns\":[]}"},
        {"CreateCluster", "{'clusterName': 'a', 'tags': [{'key': 'x', 'value': '2'}]}",
         "\"value\":\"2\""},
    };
    struct world w;
    world_init(&w);
    expect(&w, cases, GT_ARRAY_LEN(cases));
    world_fini(&w);
}

GT_TEST(families_are_listed_whether_active_or_not)
{
    static const struct refusal cases[] = {
        {"RegisterTaskDefinition", WEB, "web:1"},
        {"DeregisterTaskDefinition", "{'taskDefinition': 'web:1'}", "\"status\":\"INACTIVE\""},
        {"ListTaskDefinitionFamilies", "{}", "[\"web\"]"},
        {"ListTaskDefinitionFamilies", "{'status': 'ALL', 'familyPrefix': 'we'}", "[\"web\"]"},
        {"ListTaskDefinitionFamilies", "{'status': 'ACTIVE'}", "[]"},
        {"ListTaskDefinitionFamilies", "{'status': 'INACTIVE'}", "[\"web\"]"},
        {"ListTaskDefinitions", "{}", "[]"},
        {"ListTaskDefinitions", "{'status': 'INACTIVE'}", "web:1"},
        {"DescribeTaskDefinition", "{'taskDefinition': 'web'}",
         "ClientException: Unable to describe task definition."},
        {"DescribeTaskDefinition", "{'taskDefinition': 'web:1'}", "\"deregisteredAt\""},
        {"RunTask", "{'taskDefinition': 'web:1'}", "ClientException: TaskDefinition is inactive"},
        {"RegisterTaskDefinition", WEB, "web:2"},
    };
    struct world w;
    world_init(&w);
    expect(&w, cases, GT_ARRAY_LEN(cases));
    world_fini(&w);
}

GT_TEST(definitions_are_in_order_of_their_families)
{
    static const char *const order[] = {"web:1", "web:2", "web-a:1", "web-a:2", "web2:1", "web2:2"};
    enum { N = GT_ARRAY_LEN(order) };
    struct world w;
    world_init(&w);
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < N; k += 2) {
            world_call(&w, "RegisterTaskDefinition",
                       "{'family': '%.*s', 'containerDefinitions': [{'name': 'c', 'image': 'i', "
                       "'memory': 64}]}",
                       (int)strcspn(order[k], ":"), order[k]);
        }
    }
    for (int down = 0; down < 2; down++) {
        for (int size = 1; size <= N; size++) {
            const char *token = "";
            for (size_t seen = 0; seen < N;) {
                const char *page =
                    world_call(&w, "ListTaskDefinitions", "{'sort': '%s', 'maxResults': %d%s%s%s}",
                               down ? "DESC" : "ASC", size, *token ? ", 'nextToken': '" : "", token,
                               *token ? "'" : "");
                for (const char *at = page; (at = strstr(at, "task-definition/")); seen++) {
                    at += strlen("task-definition/");
                    const char *want = order[down ? N - 1 - seen : seen];
                    assert_memory_equal(at, want, strlen(want));
                }
                token = world_get(&w, page, "nextToken", 0);
                assert_int_equal(*token == '\0', seen == N);
            }
        }
    }
    world_fini(&w);
}

GT_TEST(placement_says_what_it_means)
{
    static const struct refusal cases[] = {
        {"RunTask",
         "{'taskDefinition': 'web', 'placementConstraints': [{'type': 'distinctInstance', "
         "'expression': 'agentConnected == true'}]}",
         "InvalidParameterException: distinctInstance takes no expression"},
        {"RunTask",
         "{'taskDefinition': 'web', 'placementConstraints': [{'expression': 'agentConnected == "
         "true'}]}",
         "InvalidParameterException: A placement constraint needs a type."},
        {"CreateService",
         "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1, 'placementConstraints': "
         "[{'type': 'distinctInstance', 'expression': 'x'}]}",
         "distinctInstance takes no expression"},
        /* ten of them, but the definition has one of its own */
        {"RunTask",
         "{'taskDefinition': 'pinned', 'placementConstraints': [{'type': 'distinctInstance'}, "
         "{'type': 'distinctInstance'}, {'type': 'distinctInstance'}, {'type': "
         "'distinctInstance'}, "
         "{'type': 'distinctInstance'}, {'type': 'distinctInstance'}, {'type': "
         "'distinctInstance'}, "
         "{'type': 'distinctInstance'}, {'type': 'distinctInstance'}, {'type': "
         "'distinctInstance'}]}",
         "At most 10 placement constraints"},
        {"RunTask",
         "{'taskDefinition': 'pinned', 'placementConstraints': [{'type': "
         "'distinctInstance'}]}",
         "\"failures\":[]"},
    };
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB);
    world_call(
        &w, "RegisterTaskDefinition",
        "{'family': 'pinned', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'memory': "
        "64}], 'placementConstraints': [{'type': 'memberOf', 'expression': 'agentConnected "
        "== true'}]}");
    world_node(&w, "n1", 1024, 1000);
    expect(&w, cases, GT_ARRAY_LEN(cases));
    world_fini(&w);
}

GT_TEST(texts_have_their_lengths)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB);
    world_node(&w, "n1", 1024, 1000);
    world_has(world_do(&w, "RunTask", RUN, "clientToken", repeat(&w, 'x', 65)),
              "InvalidParameterException: clientToken must have length less than or equal to 64.");
    world_has(world_do(&w, "RunTask", RUN, "clientToken", "a b"), "clientToken may only hold");
    world_has(world_do(&w, "RunTask", RUN, "clientToken", repeat(&w, 'x', 64)), "\"failures\":[]");
    world_has(world_do(&w, "RunTask", RUN, "referenceId", repeat(&w, 'x', 1025)), "referenceId");
    world_has(world_do(&w, "StartTask", START, "referenceId", repeat(&w, 'x', 1025)),
              "referenceId must have length");
    world_has(world_do(&w, "StartTask", START, "startedBy", repeat(&w, 'x', 129)), "startedBy");
    world_has(world_do(&w, "CreateService",
                       "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1, "
                       "'clientToken': '%s'}",
                       repeat(&w, 'x', 37)),
              "clientToken must have length less than or equal to 36.");
    world_has(world_do(&w, "RunTask", COMMAND, repeat(&w, 'x', 8192)),
              "InvalidParameterException: Container Overrides length must be at most 8192");
    world_has(world_do(&w, "RunTask", COMMAND, repeat(&w, 'x', 8000)), "\"failures\":[]");
    world_fini(&w);
}

/* Checks look at each against each: what is large is not looked at. */
GT_TEST(a_definition_has_its_size)
{
    struct world w;
    world_init(&w);
    gt_auto_buf struct gt_buf mounts = GT_BUF_INIT(8 << 20), volumes = GT_BUF_INIT(8 << 20);
    for (int i = 0; i < 50000; i++) {
        gt_buf_printf(&mounts, "%s{'sourceVolume': 'v%d', 'containerPath': '/%d'}", i ? "," : "", i,
                      i);
        gt_buf_printf(&volumes, "%s{'name': 'v%d'}", i ? "," : "", i);
    }
    world_has(world_do(&w, "RegisterTaskDefinition",
                       "{'family': 'f', 'containerDefinitions': [{'name': 'c', 'image': 'i', "
                       "'memory': 64, 'mountPoints': [%s]}], 'volumes': [%s]}",
                       mounts.p, volumes.p),
              "Max allowed length is '65536' bytes.");
    const char *with = "{'family': 'f', 'containerDefinitions': [{'name': 'c', 'image': 'i', "
                       "'memory': 64, 'command': ['";
    char *text = repeat(&w, 'x', 65400);
    world_has(world_do(&w, "RegisterTaskDefinition", "%s%s']}]}", with, text), "f:1");
    text = repeat(&w, 'x', 65536);
    world_has(world_do(&w, "RegisterTaskDefinition", "%s%s']}]}", with, text),
              "ClientException: Actual length: '65");
    world_fini(&w);
}

GT_TEST(a_task_can_have_another_size)
{
    static const struct refusal cases[] = {
        {"RunTask", "{'taskDefinition': 'web', 'overrides': {'cpu': '.25 vCPU', 'memory': '512'}}",
         "\"cpu\":\"256\""},
        {"RunTask", "{'taskDefinition': 'web', 'overrides': {'cpu': 'much'}}",
         "InvalidParameterException: Invalid 'cpu' override for task."},
        {"RunTask", "{'taskDefinition': 'web', 'overrides': {'memory': '2'}}",
         "InvalidParameterException: Invalid 'memory' override for task."},
        {"RunTask", "{'taskDefinition': 'web', 'overrides': {'memory': '32'}}",
         "must not be greater than the task's"},
        {"RunTask", "{'taskDefinition': 'web', 'overrides': {'memory': '8 GB'}}",
         "RESOURCE:MEMORY"},
        {"RunTask", "{'taskDefinition': 'web', 'overrides': {'cpu': '4 vcpu'}}", "RESOURCE:CPU"},
        {"RunTask",
         "{'taskDefinition': 'fg', 'launchType': 'FARGATE', 'overrides': {'cpu': '512', "
         "'memory': '512'}, 'networkConfiguration': {'awsvpcConfiguration': {'subnets': "
         "['subnet-1']}}}",
         "No Fargate configuration exists for given values."},
        {"RunTask",
         "{'taskDefinition': 'fg', 'launchType': 'FARGATE', 'overrides': {'memory': "
         "'1GB'}, 'networkConfiguration': {'awsvpcConfiguration': {'subnets': "
         "['subnet-1']}}}",
         "\"memory\":\"1024\""},
    };
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB);
    world_call(&w, "RegisterTaskDefinition",
               "{'family': 'fg', 'networkMode': 'awsvpc', 'cpu': '256', 'memory': '512', "
               "'requiresCompatibilities': ['FARGATE'], 'containerDefinitions': [{'name': 'c', "
               "'image': 'i'}]}");
    world_call(&w, "RegisterNode",
               "{'name': 'n1', 'nodeId': 'n1', 'cpu': 2048, 'memory': 4000, "
               "'subnet': '10.200.0.0/24'}");
    const char *session = world_node(&w, "n1", 2048, 4000);
    expect(&w, cases, GT_ARRAY_LEN(cases));
    /* what the node is told is in units, whatever the caller wrote */
    const char *poll = world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", session);
    world_has(poll, "\\\"cpu\\\":\\\"256\\\",\\\"memory\\\":\\\"512\\\"");
    world_fini(&w);
}

GT_TEST(tags_are_kept_apart_from_managed_ones)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB);
    world_node(&w, "n1", 1024, 1000);
    world_has(world_do(&w, "CreateCluster", "{'clusterName': 'c', 'tags': [{'key': 'AWS:x'}]}"),
              "Tag keys must not begin with 'aws:'");
    const char *ran = world_do(&w, "RunTask",
                               "{'taskDefinition': 'web', 'enableECSManagedTags': true, 'tags': "
                               "[{'key': 'a'}]}");
    world_has(ran, "{\"key\":\"aws:ecs:clusterName\",\"value\":\"default\"}");
    const char *arn = world_get(&w, ran, "taskArn", 0);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(10000);
    for (int i = 0; i < 49; i++) {
        gt_buf_printf(&b, "%s{'key': 'k%d'}", i ? ", " : "", i);
    }
    /* 50 of one's own, and the managed one beside them */
    world_has(world_do(&w, "TagResource", "{'resourceArn': '%s', 'tags': [%s]}", arn, b.p), "{}");
    world_has(world_do(&w, "TagResource", "{'resourceArn': '%s', 'tags': [{'key': 'z'}]}", arn),
              "The maximum number of tags");
    world_has(world_do(&w, "UntagResource", "{'resourceArn': '%s', 'tagKeys': ['Aws:ecs:x']}", arn),
              "Tag keys must not begin with 'aws:'");
    world_do(&w, "CreateCluster", "{'clusterName': 'gone'}");
    world_do(&w, "DeleteCluster", "{'cluster': 'gone'}");
    char *of = gt_arena_printf(&w.arena, CLUSTER, "gone");
    world_has(world_do(&w, "ListTagsForResource", "{'resourceArn': '%s'}", of),
              "InvalidParameterException: The specified cluster is inactive. Specify an active "
              "cluster and try again.");
    of = gt_arena_printf(&w.arena, CLUSTER, "nope");
    world_has(world_do(&w, "ListTagsForResource", "{'resourceArn': '%s'}", of),
              "ClusterNotFoundException: Cluster not found.");
    world_has(world_do(&w, "TagResource",
                       "{'resourceArn': 'arn:aws:ecs:us-east-1:000000000000:task/nope/1', 'tags': "
                       "[]}"),
              "ClusterNotFoundException");
    world_has(world_do(&w, "TagResource",
                       "{'resourceArn': 'arn:aws:ecs:us-east-1:000000000000:task/default/1', "
                       "'tags': []}"),
              "InvalidParameterException: The specified resource was not found");
    world_fini(&w);
}

GT_TEST(services_say_what_they_want)
{
    static const struct refusal cases[] = {
        {"CreateService", "{'serviceName': 's', 'taskDefinition': 'web'}",
         "InvalidParameterException: desiredCount is required"},
        {"CreateService",
         "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1, "
         "'deploymentConfiguration': {'minimumHealthyPercent': 100, 'maximumPercent': 100}}",
         "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block "
         "deployments."},
        {"CreateService",
         "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1, "
         "'healthCheckGracePeriodSeconds': 5}",
         "Health check grace period is only valid for services configured to use load balancers"},
        {"CreateService",
         "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1, "
         "'deploymentConfiguration': {'deploymentCircuitBreaker': {'enable': false, 'rollback': "
         "true}}}",
         "deploymentCircuitBreaker"},
        {"CreateService", "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 0}",
         "\"desiredCount\":0"},
        {"UpdateService", "{'service': 's', 'deploymentConfiguration': {'maximumPercent': 100}}",
         "cannot be 100"},
        {"UpdateService",
         "{'service': 's', 'deploymentConfiguration': {'maximumPercent': 100, "
         "'minimumHealthyPercent': 0}}",
         "\"minimumHealthyPercent\":0"},
    };
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB);
    expect(&w, cases, GT_ARRAY_LEN(cases));
    world_fini(&w);
}

GT_TEST(the_same_network_is_no_new_deployment)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition",
               "{'family': 'v', 'networkMode': 'awsvpc', 'containerDefinitions': [{'name': 'c', "
               "'image': 'i', 'memory': 64}]}");
    const char *s =
        world_do(&w, "CreateService",
                 "{'serviceName': 's', 'taskDefinition': 'v', 'desiredCount': 0, " NET "}", 1);
    const char *id = world_get(&w, s, "id", 0);
    s = world_do(&w, "UpdateService", "{'service': 's', " NET "}", 1);
    assert_string_equal(world_get(&w, s, "id", 0), id);
    s = world_do(&w, "UpdateService", "{'service': 's', " NET "}", 2);
    assert_string_not_equal(world_get(&w, s, "id", 0), id);
    world_fini(&w);
}

GT_TEST(a_deployment_keeps_the_count_that_it_was_given)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", "%s", WEB);
    const char *session = world_node(&w, "n1", 10240, 10000);
    world_do(&w, "CreateService",
             "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 1}");
    world_do(&w, "UpdateService", "{'service': 's', 'desiredCount': 2}");
    world_report(&w, session, "RUNNING");
    world_do(&w, "UpdateService",
             "{'service': 's', 'desiredCount': 3, 'forceNewDeployment': true}");
    const char *d = world_call(&w, "DescribeServices", "{'services': ['s']}");
    const char *old = strstr(d, "\"status\":\"ACTIVE\",\"taskDefinition\"");
    assert_non_null(old);
    assert_string_equal(world_get(&w, d, "desiredCount", 1), "3"); /* the new one's */
    assert_string_equal(world_get(&w, old, "desiredCount", 0), "2");
    assert_string_equal(world_get(&w, old, "runningCount", 0), "2");
    d = world_do(&w, "DeleteService", "{'service': 's', 'force': true}");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(world_get(&w, d, "desiredCount", i), "0");
    }
    world_fini(&w);
}

GT_TEST(instances_say_what_is_known_of_their_health)
{
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1024, 1000);
    const char *d = world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1']}");
    assert_null(strstr(d, "healthStatus"));
    d = world_call(&w, "DescribeContainerInstances",
                   "{'containerInstances': ['n1'], 'include': ['CONTAINER_INSTANCE_HEALTH']}");
    world_has(d, "\"healthStatus\":{\"overallStatus\":\"INSUFFICIENT_DATA\",\"details\":[]}");
    world_fini(&w);
}

/* What a listing only looks at, it lets go again: an arena that is full ends the server. */
GT_TEST(listings_keep_only_what_they_show)
{
    enum { MANY = 50, EACH = 500 };
    static const char *const lists[][2] = {
        {"ListTaskDefinitions", "{'maxResults': 1, 'status': 'INACTIVE'}"},
        {"ListTaskDefinitions", "{'maxResults': 1, 'sort': 'DESC', 'status': 'INACTIVE'}"},
        {"ListTaskDefinitionFamilies", "{'status': 'INACTIVE'}"},
        {"ListTasks", "{'family': 'none'}"},
        {"ListTasks", "{'startedBy': 'none', 'desiredStatus': 'STOPPED'}"},
        {"ListServices", "{'launchType': 'FARGATE'}"},
        {"DescribeClusters", "{}"},
    };
    struct world w;
    world_init(&w);
    const char *session = world_node(&w, "n1", 102400000, 100000000);
    char *big = repeat(&w, 'x', 3000);
    for (int i = 0; i < MANY; i++) {
        world_call(&w, "RegisterTaskDefinition",
                   "{'family': 'f', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'memory': "
                   "8, 'command': ['%s']}]}",
                   big);
        world_call(&w, "RunTask", "{'taskDefinition': 'f', 'group': '%.200s'}", big);
        world_call(&w, "CreateService",
                   "{'serviceName': 's%d', 'taskDefinition': 'f', 'desiredCount': 0, 'tags': "
                   "[{'key': 'k', 'value': '%.256s'}]}",
                   i, big);
    }
    world_report(&w, session, "STOPPED");
    for (int i = 0; i < MANY; i++) {
        world_call(&w, "RunTask", "{'taskDefinition': 'f', 'group': '%.200s'}", big);
    }
    w.as = PRINCIPAL_INTERNAL;
    size_t free_before = w.arena.used;
    assert_string_equal(world_do(&w, "NodeLost", "{'nodeId': 'n1'}"), "{}");
    assert_true(w.arena.used - free_before < MANY * EACH);
    w.as = PRINCIPAL_ROOT;
    for (size_t i = 0; i < GT_ARRAY_LEN(lists); i++) {
        size_t before = w.arena.used;
        const char *got = world_call(&w, lists[i][0], "%s", lists[i][1]);
        assert_non_null(strchr(got, '['));
        if (w.arena.used - before > MANY * EACH) {
            fail_msg("%s takes %zu bytes", lists[i][0], w.arena.used - before);
        }
    }
    world_fini(&w);
}

GT_RUN(GT_CASE(a_cluster_is_made_once), GT_CASE(families_are_listed_whether_active_or_not),
       GT_CASE(definitions_are_in_order_of_their_families), GT_CASE(placement_says_what_it_means),
       GT_CASE(texts_have_their_lengths), GT_CASE(a_definition_has_its_size),
       GT_CASE(a_task_can_have_another_size), GT_CASE(tags_are_kept_apart_from_managed_ones),
       GT_CASE(services_say_what_they_want), GT_CASE(the_same_network_is_no_new_deployment),
       GT_CASE(a_deployment_keeps_the_count_that_it_was_given),
       GT_CASE(instances_say_what_is_known_of_their_health),
       GT_CASE(listings_keep_only_what_they_show))
