/* RegisterTaskDefinition's checks, from the outside in, and the defaults that ECS shows. */
#include "control/scheduler/query.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/role.h"
#include "control/services/ecs/taskdef.h"
#include "lib/base/mem.h"

#include <errno.h>

static int check_unsupported(const struct ecs_register_task_definition_in *in, struct gt_err *err)
{
    const struct {
        bool said;
        const char *field;
    } fields[] = {
        {in->pid_mode.n > 0, "pidMode"},
        {in->ipc_mode.n > 0, "ipcMode"},
        {in->proxy_configuration != NULL, "proxyConfiguration"},
        {in->inference_accelerators.n > 0, "inferenceAccelerators"},
        {in->ephemeral_storage != NULL, "ephemeralStorage"},
        {in->enable_fault_injection, "enableFaultInjection"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(fields); i++) {
        if (fields[i].said) {
            return refused(err, "'%s' is not supported.", fields[i].field);
        }
    }
    const struct ecs_runtime_platform *p = in->runtime_platform;
    if (p && p->operating_system_family.n && !gt_str_is(p->operating_system_family, "LINUX")) {
        return refused(err,
                       "'runtimePlatform.operatingSystemFamily' " GT_STR_FMT " is not supported.",
                       GT_STR_ARG(p->operating_system_family));
    }
    return 0;
}

static int check_size(const struct ecs_register_task_definition_in *in, struct taskdef_size *ret,
                      struct gt_err *err)
{
    if (in->cpu.n && (taskdef_cpu(in->cpu, &ret->cpu) < 0 || ret->cpu < 128 || ret->cpu > 196608)) {
        return refused(err, "Invalid 'cpu' setting for task.");
    }
    if (in->memory.n &&
        (taskdef_memory(in->memory, &ret->memory) < 0 || ret->memory < TASK_MEMORY_MIN)) {
        return refused(err, "Invalid 'memory' setting for task. It must be at least %d MiB.",
                       TASK_MEMORY_MIN);
    }
    int64_t memory = 0;
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        if (!c->has_memory && !c->has_memory_reservation && !ret->memory) {
            return refused(err,
                           "Invalid setting for container '" GT_STR_FMT
                           "'. At least one of 'memory' or 'memoryReservation' must be "
                           "specified.",
                           GT_STR_ARG(c->name));
        }
        if (ret->memory && c->has_memory && c->memory > ret->memory) {
            return refused(err,
                           "Invalid setting for container '" GT_STR_FMT
                           "'. 'memory' must not be greater than the task's.",
                           GT_STR_ARG(c->name));
        }
        memory += c->has_memory_reservation ? c->memory_reservation : 0;
    }
    if (ret->memory && memory > ret->memory) {
        return refused(err, "The sum of 'memoryReservation' of all containers must not be greater "
                            "than the task's memory.");
    }
    return 0;
}

const char *taskdef_not_fargate(const struct ecs_register_task_definition_in *in,
                                struct taskdef_size size)
{
    if (!gt_str_is(in->network_mode, "awsvpc")) {
        return "Fargate only supports network mode 'awsvpc'.";
    }
    if (!size.cpu || !size.memory) {
        return "Fargate requires that 'cpu' be defined at the task level.";
    }
    int r = taskdef_fargate_size(size.cpu, size.memory);
    if (r) {
        return r == 1 ? "Invalid 'cpu' setting for task."
                      : "No Fargate configuration exists for given values.";
    }
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        if (c->privileged) {
            return "Fargate does not support privileged containers.";
        }
        if (c->linux_parameters &&
            (c->linux_parameters->tmpfs.n || c->linux_parameters->has_shared_memory_size)) {
            return "Fargate does not support 'tmpfs' or 'sharedMemorySize'.";
        }
        if (c->docker_security_options.n) {
            return "Fargate does not support 'dockerSecurityOptions'.";
        }
        if (c->has_stop_timeout && c->stop_timeout > 120) {
            return "Fargate does not support a 'stopTimeout' above 120.";
        }
    }
    for (size_t i = 0; i < in->volumes.n; i++) {
        if (in->volumes.v[i].host && in->volumes.v[i].host->source_path.n) {
            return "Fargate does not support host volumes with a 'sourcePath'.";
        }
    }
    return NULL;
}

static int check_compatibilities(const struct ecs_register_task_definition_in *in,
                                 struct taskdef_size size, struct gt_err *err)
{
    for (size_t i = 0; i < in->requires_compatibilities.n; i++) {
        struct gt_str c = in->requires_compatibilities.v[i];
        const char *why = NULL;
        if (gt_str_is(c, "FARGATE")) {
            why = taskdef_not_fargate(in, size);
        } else if (gt_str_is(c, "EXTERNAL") && gt_str_is(in->network_mode, "awsvpc")) {
            why = "External launch type does not support network mode 'awsvpc'.";
        }
        if (why) {
            return refused(err, "%s", why);
        }
    }
    return 0;
}

static int check_constraints(struct tx *tx, const struct ecs_register_task_definition_in *in,
                             struct gt_err *err)
{
    if (in->placement_constraints.n > 10) {
        return refused(err, "At most 10 placement constraints are allowed.");
    }
    for (size_t i = 0; i < in->placement_constraints.n; i++) {
        const struct ecs_task_definition_placement_constraint *c = &in->placement_constraints.v[i];
        if (!gt_str_is(c->type, "memberOf")) {
            return refused(err, "Invalid 'placementConstraints' type.");
        }
        if (!query_parse(c->expression, tx_arena(tx), err)) {
            return -EINVAL;
        }
    }
    return 0;
}

static void fill_ports(struct ecs_register_task_definition_in *in,
                       struct ecs_container_definition *c)
{
    bool shared = gt_str_is(in->network_mode, "awsvpc") || gt_str_is(in->network_mode, "host");
    for (size_t i = 0; i < c->port_mappings.n; i++) {
        struct ecs_port_mapping *p = &c->port_mappings.v[i];
        if (!p->protocol.n) {
            p->protocol = GT_STR_LIT("tcp");
        }
        if (shared && !p->host_port) {
            p->host_port = p->container_port;
        }
        p->has_host_port = true;
    }
}

static void fill_defaults(struct ecs_register_task_definition_in *in)
{
    if (!in->network_mode.n) {
        in->network_mode = GT_STR_LIT("bridge");
    }
    in->volumes.has = in->placement_constraints.has = true;
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        struct ecs_container_definition *c = &in->container_definitions.v[i];
        if (!c->has_essential) {
            WIRE_SET(c, essential, true);
        }
        c->has_cpu = true;
        c->port_mappings.has = c->environment.has = c->mount_points.has = true;
        c->volumes_from.has = true;
        fill_ports(in, c);
    }
}

int taskdef_check(struct tx *tx, struct ecs_register_task_definition_in *in,
                  struct taskdef_size *ret, struct gt_err *err)
{
    if (!in->family.n) {
        return refused(err, "Family should not be null or empty.");
    }
    if (!name_valid(in->family, "", 255)) {
        return refused(err, "Family contains invalid characters.");
    }
    if (in->container_definitions.n == 0) {
        return refused(err, "Container list cannot be empty.");
    }
    if (in->container_definitions.n > 10) {
        return refused(err, "At most 10 containers are allowed in a task definition.");
    }
    int r = check_unsupported(in, err);
    r = r ? r : ecs_role_check(in->task_role_arn, err);
    r = r ? r : ecs_role_may_pass(tx, in->task_role_arn, err);
    r = r ? r : ecs_role_may_pass(tx, in->execution_role_arn, err);
    for (size_t i = 0; r == 0 && i < in->container_definitions.n; i++) {
        r = taskdef_check_container(tx, &in->container_definitions.v[i], err);
    }
    if (r == 0) {
        fill_defaults(in);
        *ret = (struct taskdef_size){0};
    }
    r = r ? r : check_size(in, ret, err);
    r = r ? r : taskdef_check_relations(tx, in, err);
    r = r ? r : check_compatibilities(in, *ret, err);
    return r ? r : check_constraints(tx, in, err);
}
