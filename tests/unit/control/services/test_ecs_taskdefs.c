#include "gt_test.h"
#include "world.h"

#include "control/services/ecs/taskdef.h"
#include "lib/base/mem.h"

GT_TEST(sizes)
{
    static const struct {
        const char *said;
        int64_t cpu, memory; /* -1: refused */
    } cases[] = {
        {"256", 256, 256},      {"1 vCPU", 1024, -1}, {".5 vcpu", 512, -1}, {"1vCPU", 1024, -1},
        {"0.25 vCPU", 256, -1}, {"1 GB", -1, 1024},   {"0.5GB", -1, 512},   {"1.5", -1, -1},
        {"", -1, -1},           {"x", -1, -1},        {"1 TB", -1, -1},     {"-1", -1, -1},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        int64_t v = -1;
        assert_int_equal(taskdef_cpu(gt_str(cases[i].said), &v) < 0 ? -1 : v, cases[i].cpu);
        assert_int_equal(taskdef_memory(gt_str(cases[i].said), &v) < 0 ? -1 : v, cases[i].memory);
    }
    assert_int_equal(taskdef_fargate_size(256, 512), 0);
    assert_int_equal(taskdef_fargate_size(256, 2048), 0);
    assert_int_equal(taskdef_fargate_size(256, 1536), 2);
    assert_int_equal(taskdef_fargate_size(300, 512), 1);
    assert_int_equal(taskdef_fargate_size(16384, 122880), 0);
}

#define ONE(more) "'family': 'f', 'containerDefinitions': [{'name': 'a', 'image': 'i', " more "}]"
#define LOG(more)                                                                                  \
    ONE("'memory': 64, 'logConfiguration': {'logDriver': 'awslogs', 'options': {"                  \
        "'awslogs-group': 'g'" more "}}")
#define TWO(a, b)                                                                                  \
    "'family': 'f', 'containerDefinitions': [{'name': 'a', 'image': 'i', 'memory': 64, " a         \
    "}, {'name': 'b', 'image': 'i', 'memory': 64, " b "}]"

GT_TEST(what_is_refused_and_what_is_not)
{
    static const char *const cases[][2] = {
        {ONE("'memory': 6"), "task-definition/f:1"},
        {ONE("'memoryReservation': 6"), "\"networkMode\":\"bridge\""},
        {ONE("'memory': 5"), "ClientException: Invalid setting for container 'a'. 'memory'"},
        {ONE("'cpu': 1"), "At least one of 'memory' or 'memoryReservation'"},
        {ONE("'cpu': 1") ", 'memory': '0.5 GB', 'cpu': '1 vCPU'",
         "\"cpu\":\"1024\",\"memory\":\"512\""},
        {ONE("'memory': 64") ", 'cpu': '12'", "Invalid 'cpu' setting for task."},
        {ONE("'memory': 64") ", 'memory': '5'", "Invalid 'memory' setting for task."},
        {ONE("'memory': 64, 'memoryReservation': 65"), "memoryReservation"},
        {ONE("'memory': 64, 'essential': false"), "at least one essential"},
        {"'family': 'f', 'containerDefinitions': []", "Container list cannot be empty."},
        {"'family': 'f x', 'containerDefinitions': [{}]", "Family contains invalid"},
        {"'family': 'f', 'containerDefinitions': [{'image': 'i'}]", "Container.name"},
        {"'family': 'f', 'containerDefinitions': [{'name': 'i'}]", "Container.image"},
        {TWO("'dependsOn': [{'containerName': 'b', 'condition': 'START'}]",
             "'dependsOn': [{'containerName': 'a', 'condition': 'START'}]"),
         "cycle"},
        {TWO("'dependsOn': [{'containerName': 'c', 'condition': 'START'}]", "'cpu': 1"),
         "not in the task definition"},
        {TWO("'dependsOn': [{'containerName': 'b', 'condition': 'SUCCESS'}]", "'cpu': 1"),
         "essential container"},
        {TWO("'dependsOn': [{'containerName': 'b', 'condition': 'SUCCESS'}]", "'essential': false"),
         "\"condition\":\"SUCCESS\""},
        {TWO("'dependsOn': [{'containerName': 'b', 'condition': 'HEALTHY'}]", "'cpu': 1"),
         "no health check"},
        {TWO("'portMappings': [{'containerPort': 80, 'hostPort': 80}]",
             "'portMappings': [{'containerPort': 81, 'hostPort': 80}]"),
         "more than once"},
        {TWO("'portMappings': [{'containerPort': 80, 'hostPort': 80}]",
             "'portMappings': [{'containerPort': 81, 'hostPort': 80, 'protocol': 'udp'}]"),
         "\"protocol\":\"udp\""},
        {TWO("'portMappings': [{'containerPort': 80}]",
             "'portMappings': [{'containerPort': 80}]") ", 'networkMode': 'awsvpc'",
         "more than once"},
        {ONE("'memory': 64, 'portMappings': [{'containerPort': 80}]") ", 'networkMode': 'awsvpc'",
         "\"hostPort\":80"},
        {ONE("'memory': 64, 'portMappings': [{'containerPort': 80, 'hostPort': 81}]") ", "
                                                                                      "'networkMode"
                                                                                      "': 'host'",
         "must match"},
        {ONE("'memory': 64, 'portMappings': [{'containerPort': 80}]") ", 'networkMode': 'none'",
         "not allowed"},
        {ONE("'memory': 64, 'portMappings': [{'containerPort': 0}]"), "containerPort"},
        {ONE("'memory': 64, 'mountPoints': [{'sourceVolume': 'v', 'containerPath': '/x'}]"),
         "Unknown volume 'v'"},
        {ONE("'memory': 64, 'mountPoints': [{'sourceVolume': 'v', 'containerPath': '/x'}]") ", "
                                                                                            "'volum"
                                                                                            "es': "
                                                                                            "[{'"
                                                                                            "name':"
                                                                                            " 'v', "
                                                                                            "'host'"
                                                                                            ": "
                                                                                            "{'"
                                                                                            "source"
                                                                                            "Path':"
                                                                                            " '/"
                                                                                            "tmp'}}"
                                                                                            "]",
         "\"sourcePath\":\"/tmp\""},
        {ONE("'memory': 64") ", 'volumes': [{'name': 'v', 'efsVolumeConfiguration': "
                             "{'fileSystemId': 'x'}}]",
         "efsVolumeConfiguration"},
        {ONE("'memory': 64, 'secrets': [{'name': 'a', 'valueFrom': 'b'}]"), "'secrets'"},
        {ONE("'memory': 64, 'firelensConfiguration': {'type': 'fluentbit'}"), "firelens"},
        {ONE("'memory': 64, 'resourceRequirements': [{'type': 'GPU', 'value': '1'}]"),
         "resourceRequirements"},
        {ONE("'memory': 64, 'logConfiguration': {'logDriver': 'splunk'}"), "Log driver 'splunk'"},
        {ONE("'memory': 64, 'logConfiguration': {'logDriver': 'awslogs'}"), "awslogs-group"},
        {ONE("'memory': 64, 'logConfiguration': {'logDriver': 'awslogs', 'options': "
             "{'awslogs-group': 'g', 'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': "
             "'p'}}"),
         "logging-driver.awslogs"},
        {LOG(", 'mode': 'blocking'"), "\"mode\":\"blocking\""},
        {LOG(", 'max-buffer-size': '25m'"), "\"max-buffer-size\":\"25m\""},
        {LOG(", 'awslogs-create-group': 'true'"), "\"awslogs-create-group\":\"true\""},
        {LOG(", 'mode': 'sometimes'"), "blocking or non-blocking"},
        {LOG(", 'max-buffer-size': '1k'"), "a size from 4k to 1t"},
        {LOG(", 'max-buffer-size': 'much'"), "'max-buffer-size'"},
        {LOG(", 'mode': 'blocking', 'max-buffer-size': '25m'"), "only supported with mode"},
        {LOG(", 'awslogs-create-group': 'yes'"), "true or false"},
        {LOG(", 'awslogs-region': 'The Moon'"), "'awslogs-region'"},
        {LOG(", 'awslogs-stream-prefix': 'a:b'"), "'awslogs-stream-prefix'"},
        {LOG(", 'awslogs-datetime-format': '%Y'"),
         "option 'awslogs-datetime-format' is not supported"},
        {LOG(", 'awslogs-multiline-pattern': '^a'"),
         "option 'awslogs-multiline-pattern' is not supported"},
        {LOG(", 'awslogs-endpoint': 'http://x'"), "option 'awslogs-endpoint' is not supported"},
        {ONE("'memory': 64, 'logConfiguration': {'logDriver': 'awslogs', 'options': "
             "{'awslogs-group': 'a b'}}"),
         "the name of a log group"},
        {ONE("'memory': 64, 'healthCheck': {'command': ['true']}"), "healthCheck.command"},
        {ONE("'memory': 64, 'healthCheck': {'command': ['CMD']}"), "a command must follow"},
        {ONE("'memory': 64, 'healthCheck': {'command': ['CMD-SHELL']}"), "a command must follow"},
        {ONE("'memory': 64, 'healthCheck': {'command': ['NONE', 'x']}"), "healthCheck.command"},
        {ONE("'memory': 64, 'healthCheck': {'command': ['NONE']}"), "[\"NONE\"]"},
        {TWO("'dependsOn': [{'containerName': 'b', 'condition': 'HEALTHY'}]",
             "'healthCheck': {'command': ['NONE']}"),
         "no health check"},
        {ONE("'memory': 64, 'healthCheck': {'command': ['CMD', 'true'], 'interval': 1}"),
         "healthCheck.interval"},
        {ONE("'memory': 64, 'linuxParameters': {'capabilities': {'add': ['NOPE']}}"),
         "Unknown capability 'NOPE'"},
        {ONE("'memory': 64, 'linuxParameters': {'devices': [{'hostPath': '/dev/x'}]}"), "devices"},
        {ONE("'memory': 64") ", 'pidMode': 'host'", "'pidMode' is not supported"},
        {ONE("'memory': 64") ", 'taskRoleArn': 'arn:x'", "ClientException: Role is not valid"},
        {ONE("'memory': 64") ", 'taskRoleArn': 'arn:aws:ecs:r:0:role/x'", "Role is not valid"},
        {ONE("'memory': 64") ", 'taskRoleArn': 'a b'", "Role is not valid"},
        {ONE("'memory': 64") ", 'taskRoleArn': 'arn:aws:iam::000000000000:role/p/x'",
         "\"taskRoleArn\":\"arn:aws:iam::000000000000:role/p/x\""},
        {ONE("'memory': 64") ", 'requiresCompatibilities': ['FARGATE']",
         "Fargate only supports network mode"},
        {ONE("'memory': 64") ", 'requiresCompatibilities': ['FARGATE'], 'networkMode': 'awsvpc', "
                             "'cpu': '256', 'memory': '600'",
         "No Fargate configuration exists for given values."},
        {ONE("'memory': 64") ", 'requiresCompatibilities': ['FARGATE'], 'networkMode': 'awsvpc', "
                             "'cpu': '300', 'memory': '512'",
         "Invalid 'cpu' setting for task."},
        {ONE("'privileged': true") ", 'requiresCompatibilities': ['FARGATE'], 'networkMode': "
                                   "'awsvpc', 'cpu': '256', 'memory': '512'",
         "privileged"},
        {ONE("'cpu': 1") ", 'requiresCompatibilities': ['FARGATE'], 'networkMode': 'awsvpc', "
                         "'cpu': '256', 'memory': '512'",
         "[\"EC2\",\"FARGATE\"]"},
        {ONE("'memory': 64") ", 'runtimePlatform': {'operatingSystemFamily': "
                             "'WINDOWS_SERVER_2019_CORE'}",
         "operatingSystemFamily"},
        {ONE("'memory': 64") ", 'placementConstraints': [{'type': 'memberOf', 'expression': "
                             "'attribute:x =~ (y'}]",
         "InvalidParameterException: Invalid expression"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct world w;
        world_init(&w);
        world_has(world_do(&w, "RegisterTaskDefinition", "{%s}", cases[i][0]), cases[i][1]);
        world_fini(&w);
    }
}

GT_TEST(revisions_and_lists)
{
    struct world w;
    world_init(&w);
#define DEF                                                                                        \
    "{'family': '%s', 'containerDefinitions': [{'name': 'a', 'image': 'i', "                       \
    "'memory': 64}], 'tags': [{'key': 'k', 'value': 'v'}]}"
    for (int i = 0; i < 12; i++) {
        world_call(&w, "RegisterTaskDefinition", DEF, "web");
    }
    world_call(&w, "RegisterTaskDefinition", DEF, "other");
    world_has(world_call(&w, "DescribeTaskDefinition", "{'taskDefinition': 'web'}"), "web:12");
    world_has(world_call(&w, "DescribeTaskDefinition",
                         "{'taskDefinition': 'web:3', 'include': ['TAGS']}"),
              "\"tags\":[{\"key\":\"k\"");
    world_has(world_call(&w, "DescribeTaskDefinition", "{'taskDefinition': 'web:13'}"),
              "ClientException: Unable to describe task definition.");
    world_has(world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition': 'web'}"), "revision");
    world_has(world_call(&w, "DeregisterTaskDefinition", "{'taskDefinition': 'web:12'}"),
              "INACTIVE");
    world_has(world_call(&w, "DescribeTaskDefinition", "{'taskDefinition': 'web'}"), "web:11");
    world_has(world_call(&w, "DescribeTaskDefinition", "{'taskDefinition': 'web:12'}"),
              "\"status\":\"INACTIVE\"");
    const char *page = world_call(&w, "ListTaskDefinitions",
                                  "{'familyPrefix': 'web', 'sort': 'DESC', 'maxResults': 2}");
    world_has(page, "web:11\",\"arn:aws:ecs:us-east-1:000000000000:task-definition/web:10\"]");
    page = world_call(&w, "ListTaskDefinitions",
                      "{'familyPrefix': 'web', 'sort': 'DESC', 'maxResults': 2, 'nextToken': '%s'}",
                      world_get(&w, page, "nextToken", 0));
    world_has(page, "web:9\",\"arn:aws:ecs:us-east-1:000000000000:task-definition/web:8\"]");
    world_has(world_call(&w, "ListTaskDefinitions", "{'status': 'INACTIVE'}"), "web:12\"]}");
    world_has(world_call(&w, "ListTaskDefinitionFamilies", "{}"), "[\"other\",\"web\"]");
    world_node(&w, "n1", 1024, 1024);
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'web:12'}"),
              "TaskDefinition is inactive");
    world_fini(&w);
}

GT_TEST(clusters_and_tags)
{
    struct world w;
    world_init(&w);
    world_has(world_call(&w, "DescribeClusters", "{}"), "cluster/default");
    world_has(world_call(&w, "CreateCluster",
                         "{'clusterName': 'c', 'tags': [{'key': 'a', 'value': "
                         "'1'}]}"),
              "\"status\":\"ACTIVE\"");
    world_has(world_call(&w, "CreateCluster", "{'clusterName': 'a/b'}"), "Invalid cluster name");
    world_has(world_call(&w, "CreateCluster", "{'capacityProviders': ['x']}"), "capacityProviders");
    world_has(world_call(&w, "DescribeClusters", "{'clusters': ['c', 'x'], 'include': ['TAGS']}"),
              "\"failures\":[{\"arn\":\"arn:aws:ecs:us-east-1:000000000000:cluster/x\"");
    const char *arn = "arn:aws:ecs:us-east-1:000000000000:cluster/c";
    world_has(world_call(&w, "TagResource",
                         "{'resourceArn': '%s', 'tags': [{'key': 'b', 'value': '2'}]}", arn),
              "{}");
    world_has(world_call(&w, "UntagResource", "{'resourceArn': '%s', 'tagKeys': ['a']}", arn),
              "{}");
    world_has(world_call(&w, "ListTagsForResource", "{'resourceArn': '%s'}", arn),
              "{\"tags\":[{\"key\":\"b\",\"value\":\"2\"}]}");
    world_has(world_call(&w, "ListTagsForResource", "{'resourceArn': '%sx'}", arn), "not found");
    world_has(world_call(&w, "ListClusters", "{'maxResults': 1}"), "cluster/c");
    world_node(&w, "n1", 1024, 1024);
    world_has(world_call(&w, "DeleteCluster", "{'cluster': 'default'}"),
              "ClusterContainsContainerInstancesException");
    world_has(world_call(&w, "ListContainerInstances",
                         "{'filter': 'attribute:ecs.cpu-architecture == x86_64'}"),
              "container-instance/default/n1");
    world_has(world_call(&w, "ListContainerInstances", "{'filter': 'runningTasksCount > 0'}"),
              "[]");
    world_has(world_call(&w, "ListContainerInstances", "{'filter': 'registeredAt > tomorrow'}"),
              "InvalidParameterException: Invalid expression");
    world_has(world_call(&w, "ListContainerInstances", "{'status': 'DRAINING'}"), "[]");
    world_has(world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1', 'x']}"),
              "\"integerValue\":1024");
    world_call(&w, "RegisterTaskDefinition",
               "{'family': 'f', 'containerDefinitions': [{'name': 'a', 'image': 'i', 'memory': "
               "64}]}");
    world_do(&w, "CreateService",
             "{'cluster': 'c', 'serviceName': 's', 'taskDefinition': 'f', 'desiredCount': 0}");
    world_has(world_call(&w, "DeleteCluster", "{'cluster': 'c'}"),
              "ClusterContainsServicesException");
    world_do(&w, "DeleteService", "{'cluster': 'c', 'service': 's'}");
    world_has(world_call(&w, "DeleteCluster", "{'cluster': '%s'}", arn), "INACTIVE");
    world_has(world_call(&w, "ListTasks", "{'cluster': 'c'}"), "ClusterNotFoundException");
    world_fini(&w);
}

GT_RUN(GT_CASE(sizes), GT_CASE(what_is_refused_and_what_is_not), GT_CASE(revisions_and_lists),
       GT_CASE(clusters_and_tags))
