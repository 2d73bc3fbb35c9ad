/*
 * Every member that the model of RegisterTaskDefinition has is either carried out or refused by
 * name: one of the two lists below has it, and what is refused is tried. A member that a newer
 * model brings fails this test until somebody has decided.
 */
#include "gt_test.h"
#include "world.h"

#include "lib/base/mem.h"
#include "lib/wire/gen/ecs.h"

#include <stdio.h>
#include <string.h>

#define C "containerDefinitions."
#define V "volumes."

static const char *const done[] = {
    "family",
    "taskRoleArn",
    "executionRoleArn", /* shown; the node has that right: docs/adr/0020-ecs-without-a-vpc.md */
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "placementConstraints.type",
    "placementConstraints.expression",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "tags",
    "tags.key",
    "tags.value",
    "runtimePlatform",
    "runtimePlatform.cpuArchitecture",
    "runtimePlatform.operatingSystemFamily", /* LINUX */
    C "name",
    C "image",
    C "cpu",
    C "memory",
    C "memoryReservation",
    C "portMappings",
    C "portMappings.containerPort",
    C "portMappings.hostPort",
    C "portMappings.protocol",
    /* Words for Service Connect and nobody else, on ECS too; it is refused where it is asked for.
     */
    C "portMappings.name",
    C "portMappings.appProtocol",
    C "essential",
    C "entryPoint",
    C "command",
    C "environment",
    C "environment.name",
    C "environment.value",
    C "mountPoints",
    C "mountPoints.sourceVolume",
    C "mountPoints.containerPath",
    C "mountPoints.readOnly",
    C "linuxParameters",
    C "linuxParameters.capabilities",
    C "linuxParameters.capabilities.add",
    C "linuxParameters.capabilities.drop",
    C "linuxParameters.initProcessEnabled",
    C "linuxParameters.sharedMemorySize",
    C "linuxParameters.tmpfs",
    C "linuxParameters.tmpfs.containerPath",
    C "linuxParameters.tmpfs.size",
    C "linuxParameters.tmpfs.mountOptions", /* those that mean something */
    C "dependsOn",
    C "dependsOn.containerName",
    C "dependsOn.condition",
    C "startTimeout",
    C "stopTimeout",
    C "user",
    C "workingDirectory",
    C "privileged",
    C "readonlyRootFilesystem",
    C "dockerSecurityOptions", /* no-new-privileges */
    C "ulimits",
    C "ulimits.name",
    C "ulimits.softLimit",
    C "ulimits.hardLimit",
    C "logConfiguration",
    C "logConfiguration.logDriver", /* awslogs */
    C "logConfiguration.options",
    C "healthCheck",
    C "healthCheck.command",
    C "healthCheck.interval",
    C "healthCheck.timeout",
    C "healthCheck.retries",
    C "healthCheck.startPeriod",
    V "name",
    V "host",
    V "host.sourcePath",
};

/* The member, and how it is said within the request, the container definition or the volume. */
static const struct {
    const char *path, *said;
} refused[] = {
    {"pidMode", "'pidMode': 'task'"},
    {"ipcMode", "'ipcMode': 'task'"},
    {"proxyConfiguration", "'proxyConfiguration': {'containerName': 'a'}"},
    {"inferenceAccelerators",
     "'inferenceAccelerators': [{'deviceName': 'd', 'deviceType': 'eia2.medium'}]"},
    {"ephemeralStorage", "'ephemeralStorage': {'sizeInGiB': 30}"},
    {"enableFaultInjection", "'enableFaultInjection': true"},
    {C "repositoryCredentials", "'repositoryCredentials': {'credentialsParameter': 'p'}"},
    {C "links", "'links': ['b']"},
    {C "environmentFiles", "'environmentFiles': [{'value': 'arn:x', 'type': 's3'}]"},
    {C "volumesFrom", "'volumesFrom': [{'sourceContainer': 'b'}]"},
    {C "linuxParameters.devices", "'linuxParameters': {'devices': [{'hostPath': '/dev/null'}]}"},
    {C "linuxParameters.maxSwap", "'linuxParameters': {'maxSwap': 0}"},
    {C "linuxParameters.swappiness", "'linuxParameters': {'swappiness': 0}"},
    {C "secrets", "'secrets': [{'name': 'S', 'valueFrom': 'arn:x'}]"},
    {C "hostname", "'hostname': 'h'"},
    {C "disableNetworking", "'disableNetworking': true"},
    {C "dnsServers", "'dnsServers': ['192.0.2.1']"},
    {C "dnsSearchDomains", "'dnsSearchDomains': ['a.test']"},
    {C "extraHosts", "'extraHosts': [{'hostname': 'h', 'ipAddress': '192.0.2.1'}]"},
    {C "interactive", "'interactive': true"},
    {C "pseudoTerminal", "'pseudoTerminal': true"},
    {C "dockerLabels", "'dockerLabels': {'a': 'b'}"},
    {C "logConfiguration.secretOptions",
     "'logConfiguration': {'logDriver': 'awslogs', 'options': {'awslogs-group': 'g', "
     "'awslogs-region': 'us-east-1', 'awslogs-stream-prefix': 'p'}, "
     "'secretOptions': [{'name': 'S', 'valueFrom': 'arn:x'}]}"},
    {C "systemControls", "'systemControls': [{'namespace': 'net.core.somaxconn', 'value': '9'}]"},
    {C "resourceRequirements", "'resourceRequirements': [{'value': '1', 'type': 'GPU'}]"},
    {C "firelensConfiguration", "'firelensConfiguration': {'type': 'fluentbit'}"},
    {C "portMappings.containerPortRange", "'portMappings': [{'containerPortRange': '80-90'}]"},
    {C "restartPolicy", "'restartPolicy': {'enabled': true}"},
    {C "versionConsistency", "'versionConsistency': 'enabled'"},
    {C "credentialSpecs", "'credentialSpecs': ['credentialspec:x']"},
    {V "dockerVolumeConfiguration", "'dockerVolumeConfiguration': {'scope': 'task'}"},
    {V "s3filesVolumeConfiguration", "'s3filesVolumeConfiguration': {'fileSystemArn': 'arn:x'}"},
    {V "configuredAtLaunch", "'configuredAtLaunch': true"},
    {V "efsVolumeConfiguration", "'efsVolumeConfiguration': {'fileSystemId': 'fs-1'}"},
    {V "fsxWindowsFileServerVolumeConfiguration",
     "'fsxWindowsFileServerVolumeConfiguration': {'fileSystemId': 'fs-1', 'rootDirectory': '/', "
     "'authorizationConfig': {'credentialsParameter': 'p', 'domain': 'd'}}"},
};

static bool seen[GT_ARRAY_LEN(done)], tried[GT_ARRAY_LEN(refused)];
static unsigned undecided;

static bool is_done(const char *path)
{
    bool found = false;
    for (size_t i = 0; i < GT_ARRAY_LEN(done); i++) {
        if (strcmp(done[i], path) == 0) {
            found = seen[i] = true;
        }
    }
    return found;
}

static bool is_refused(const char *path)
{
    bool found = false;
    for (size_t i = 0; i < GT_ARRAY_LEN(refused); i++) {
        if (strcmp(refused[i].path, path) == 0) {
            found = tried[i] = true;
        }
    }
    return found;
}

/* Names in the model are those of the wire in ECS. What is refused is refused with all below it. */
static void walk(const struct wire_shape *s, const char *prefix)
{
    while (s->type == WIRE_LIST) {
        s = s->of;
    }
    for (uint32_t i = 0; s->type == WIRE_STRUCTURE && i < s->n_members; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s%s", prefix, s->members[i].wire);
        bool carried_out = is_done(path), not_had = is_refused(path);
        if (carried_out == not_had) {
            print_error("%s is %s\n", path,
                        carried_out ? "in both lists" : "new: carry it out or refuse it");
            undecided++;
        }
        if (carried_out) {
            strcat(path, ".");
            walk(s->members[i].shape, path);
        }
    }
}

GT_TEST(every_member_is_decided)
{
    walk(ecs_op_register_task_definition.in, "");
    for (size_t i = 0; i < GT_ARRAY_LEN(done); i++) {
        if (!seen[i]) {
            print_error("%s is not in the model\n", done[i]);
            undecided++;
        }
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(refused); i++) {
        if (!tried[i]) {
            print_error("%s is not in the model\n", refused[i].path);
            undecided++;
        }
    }
    assert_int_equal(undecided, 0);
}

static const char *attempt(struct world *w, const char *path, const char *said)
{
    bool container = strncmp(path, C, strlen(C)) == 0, volume = strncmp(path, V, strlen(V)) == 0;
    return world_do(w, "RegisterTaskDefinition",
                    "{'family': 'f', 'containerDefinitions': [{'name': 'a', 'image': 'i', "
                    "'memory': 64%s%s}, {'name': 'b', 'image': 'i', 'memory': 64}]%s%s%s}",
                    container ? ", " : "", container ? said : "",
                    volume ? ", 'volumes': [{'name': 'v', " : "", volume ? said : "",
                    volume ? "}]" : "");
}

GT_TEST(what_is_refused_is_refused_by_name)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(refused); i++) {
        struct world w;
        const char *path = refused[i].path, *dot = strrchr(path, '.');
        world_init(&w);
        const char *answer =
            strchr(path, '.')
                ? attempt(&w, path, refused[i].said)
                : world_do(&w, "RegisterTaskDefinition",
                           "{'family': 'f', 'containerDefinitions': [{'name': 'a', 'image': 'i', "
                           "'memory': 64}], %s}",
                           refused[i].said);
        world_has(answer, "ClientException: ");
        world_has(answer, dot ? dot + 1 : path);
        world_has(answer, "is not supported");
        world_fini(&w);
    }
}

GT_RUN(GT_CASE(every_member_is_decided), GT_CASE(what_is_refused_is_refused_by_name))
