#include "control/services/ecs/launch.h"

#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/role.h"
#include "control/services/ecs/taskdef.h"
#include "lib/base/mem.h"
#include "lib/wire/json.h"
#include "lib/wire/utf8.h"

#include <errno.h>

struct rec_ecs_taskdef *launch_taskdef(struct tx *tx, struct gt_str said, struct gt_err *err)
{
    struct rec_ecs_taskdef *d = taskdef_find(tx, said);
    if (!d) {
        refused(err, "TaskDefinition not found.");
        return NULL;
    }
    if (!gt_str_is(d->status, "ACTIVE")) {
        refused(err, "TaskDefinition is inactive");
        return NULL;
    }
    return d;
}

int launch_type_check(const struct rec_ecs_taskdef *def, struct gt_str said, struct gt_str *ret,
                      struct gt_err *err)
{
    *ret = said.n ? said : GT_STR_LIT(ECS_LAUNCH_TYPE_EC2);
    bool can = gt_str_is(*ret, ECS_LAUNCH_TYPE_FARGATE)    ? def->compatible_fargate
               : gt_str_is(*ret, ECS_LAUNCH_TYPE_EXTERNAL) ? def->compatible_external
                                                           : def->compatible_ec2;
    if (!can) {
        return invalid(err, "Task definition does not support launch_type " GT_STR_FMT ".",
                       GT_STR_ARG(*ret));
    }
    return 0;
}

int launch_platform_check(struct gt_str said, struct gt_str launch_type, struct gt_err *err)
{
    if (!said.n) {
        return 0;
    }
    if (!gt_str_is(launch_type, ECS_LAUNCH_TYPE_FARGATE)) {
        return invalid(
            err, "The platform version must be null when specifying an " GT_STR_FMT " launch type.",
            GT_STR_ARG(launch_type));
    }
    if (!gt_str_is(said, "LATEST")) {
        return gt_err_aws(err, GT_ERR_INVALID, "PlatformUnknownException",
                          "The specified platform does not exist.");
    }
    return 0;
}

int launch_network_check(const struct rec_ecs_taskdef *def,
                         const struct ecs_network_configuration *in, struct rec_str_list *ret,
                         struct gt_err *err)
{
    const struct ecs_aws_vpc_configuration *v = in ? in->awsvpc_configuration : NULL;
    if (!gt_str_is(def->network_mode, ECS_NETWORK_MODE_AWSVPC)) {
        return v ? invalid(err, "Network Configuration is not valid for the given networkMode of "
                                "this task definition.")
                 : 0;
    }
    if (!v) {
        return invalid(err, "Network Configuration must be provided when networkMode 'awsvpc' is "
                            "specified.");
    }
    if (v->subnets.n == 0 || v->subnets.n > 16) {
        return invalid(err, v->subnets.n ? "subnets can have at most 16 items."
                                         : "subnets can not be empty.");
    }
    for (size_t i = 0; i < v->subnets.n; i++) {
        if (!name_valid(v->subnets.v[i], "", 255) ||
            !gt_str_starts(v->subnets.v[i], GT_STR_LIT("subnet-"))) {
            return invalid(err, "The subnet ID '" GT_STR_FMT "' is not valid.",
                           GT_STR_ARG(v->subnets.v[i]));
        }
    }
    if (v->security_groups.n) {
        return invalid(err, "'securityGroups' is not supported.");
    }
    if (gt_str_is(v->assign_public_ip, "ENABLED")) {
        return invalid(err, "Assign public IP is not supported for this launch type.");
    }
    *ret = (struct rec_str_list){.v = v->subnets.v, .n = v->subnets.n};
    return 0;
}

static int check_override(const struct rec_ecs_taskdef *def, const struct ecs_container_override *o,
                          struct gt_err *err)
{
    size_t i = 0;
    while (i < def->containers.n && !gt_str_eq(def->containers.v[i].name, o->name)) {
        i++;
    }
    if (i == def->containers.n) {
        return invalid(err,
                       "Override for container named " GT_STR_FMT " is not a container in the "
                       "TaskDefinition.",
                       GT_STR_ARG(o->name));
    }
    if (o->environment_files.n || o->resource_requirements.n) {
        return invalid(err, "'%s' is not supported in containerOverrides.",
                       o->environment_files.n ? "environmentFiles" : "resourceRequirements");
    }
    if ((o->has_cpu && o->cpu < 0) || (o->has_memory && o->memory < TASK_MEMORY_MIN) ||
        (o->has_memory_reservation && o->memory_reservation < TASK_MEMORY_MIN)) {
        return invalid(err, "Invalid %s override for container '" GT_STR_FMT "'.",
                       o->has_cpu && o->cpu < 0 ? "cpu" : "memory", GT_STR_ARG(o->name));
    }
    for (size_t k = 0; k < o->environment.n; k++) {
        struct gt_str name = o->environment.v[k].name;
        if (!name.n || memchr(name.p, '=', name.n)) {
            return invalid(err, "Invalid environment override for container '" GT_STR_FMT "'.",
                           GT_STR_ARG(o->name));
        }
    }
    return 0;
}

static int refuse_override(const struct ecs_task_override *in, struct gt_err *err)
{
    const struct {
        bool said;
        const char *field;
    } fields[] = {
        {in->ephemeral_storage != NULL, "ephemeralStorage"},
        {in->inference_accelerator_overrides.n > 0, "inferenceAcceleratorOverrides"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(fields); i++) {
        if (fields[i].said) {
            return invalid(err, "'%s' is not supported in overrides.", fields[i].field);
        }
    }
    return 0;
}

static int check_roles(struct tx *tx, const struct ecs_task_override *in, struct gt_err *err)
{
    int r = ecs_role_check(in->task_role_arn, err);
    r = r ? r : ecs_role_may_pass(tx, in->task_role_arn, err);
    return r ? r : ecs_role_may_pass(tx, in->execution_role_arn, err);
}

/* A container's hard limit with the overrides over it; 0: none. */
static int64_t hard_limit(const struct rec_ecs_container_def *c, const struct ecs_task_override *in)
{
    for (size_t i = 0; i < in->container_overrides.n; i++) {
        const struct ecs_container_override *o = &in->container_overrides.v[i];
        if (gt_str_eq(o->name, c->name) && o->has_memory) {
            return o->memory;
        }
    }
    return c->memory;
}

/* cpu and memory of the task as a whole. */
static int take_size(const struct ecs_task_override *in, struct task_ask *ask, struct gt_err *err)
{
    const struct rec_ecs_taskdef *def = ask->def;
    if (in->cpu.n && (taskdef_cpu(in->cpu, &ask->cpu) < 0 || ask->cpu < 128 || ask->cpu > 196608)) {
        return invalid(err, "Invalid 'cpu' override for task.");
    }
    if (in->memory.n &&
        (taskdef_memory(in->memory, &ask->memory) < 0 || ask->memory < TASK_MEMORY_MIN)) {
        return invalid(err, "Invalid 'memory' override for task.");
    }
    int64_t cpu = ask->cpu ? ask->cpu : def->cpu, memory = ask->memory ? ask->memory : def->memory;
    for (size_t i = 0; memory && i < def->containers.n; i++) {
        if (hard_limit(&def->containers.v[i], in) > memory) {
            return invalid(err,
                           "Invalid setting for container '" GT_STR_FMT
                           "'. 'memory' must not be greater than the task's.",
                           GT_STR_ARG(def->containers.v[i].name));
        }
    }
    if (gt_str_is(ask->launch_type, ECS_LAUNCH_TYPE_FARGATE) && taskdef_fargate_size(cpu, memory)) {
        return invalid(err, "No Fargate configuration exists for given values.");
    }
    return 0;
}

static struct gt_str number(struct tx *tx, int64_t v)
{
    return v ? gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)v)) : gt_str(NULL);
}

int launch_overrides(struct tx *tx, const struct ecs_task_override *in, struct task_ask *ask,
                     struct gt_err *err)
{
    int r = in ? refuse_override(in, err) : 0;
    if (in && r == 0) {
        r = check_roles(tx, in, err);
    }
    for (size_t i = 0; in && r == 0 && i < in->container_overrides.n; i++) {
        r = check_override(ask->def, &in->container_overrides.v[i], err);
    }
    r = in && r == 0 ? take_size(in, ask, err) : r;
    if (!in || r < 0) {
        return r;
    }
    struct ecs_task_override *o = gt_arena_new(tx_arena(tx), struct ecs_task_override);
    *o = *in;
    o->cpu = number(tx, ask->cpu);
    o->memory = number(tx, ask->memory);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536);
    wire_json_encode(&ecs_task_override_shape, o, &b);
    if (!gt_buf_ok(&b) || wire_utf8_count(gt_buf_view(&b)) > 8192) {
        return invalid(err, "Container Overrides length must be at most 8192");
    }
    ask->override = o;
    ask->override_document = name_dup(tx, gt_buf_view(&b));
    return 0;
}

static int check_constraint(const struct rec_ecs_expression *c, struct gt_err *err)
{
    if (!c->type.n) {
        return invalid(err, "A placement constraint needs a type.");
    }
    if (gt_str_is(c->type, "distinctInstance") && c->expression.n) {
        return invalid(err, "distinctInstance takes no expression.");
    }
    return 0;
}

int launch_placement(struct tx *tx, const struct rec_ecs_expression_list *constraints,
                     const struct rec_ecs_strategy_list *strategies, struct sched_request *rq,
                     struct gt_err *err)
{
    if (constraints->n + rq->n_member_of > 10 || strategies->n > 5) {
        return invalid(err, "At most 10 placement constraints and 5 strategies are allowed.");
    }
    const struct query **q =
        gt_arena_array(tx_arena(tx), const struct query *, rq->n_member_of + constraints->n + 1);
    for (size_t i = 0; i < rq->n_member_of; i++) {
        q[i] = rq->member_of[i];
    }
    rq->member_of = q;
    for (size_t i = 0; i < constraints->n; i++) {
        if (check_constraint(&constraints->v[i], err) < 0) {
            return -EINVAL;
        }
        if (gt_str_is(constraints->v[i].type, "distinctInstance")) {
            rq->distinct_instance = true;
            continue;
        }
        q[rq->n_member_of] = query_parse(constraints->v[i].expression, tx_arena(tx), err);
        if (!q[rq->n_member_of++]) {
            return -EINVAL;
        }
    }
    struct sched_strategy *s =
        gt_arena_array(tx_arena(tx), struct sched_strategy, strategies->n + 1);
    for (size_t i = 0; i < strategies->n; i++) {
        if (sched_strategy_parse(strategies->v[i].type, strategies->v[i].field, &s[i]) < 0) {
            return invalid(err,
                           "Invalid placement strategy: type '" GT_STR_FMT
                           "' with field '" GT_STR_FMT "'.",
                           GT_STR_ARG(strategies->v[i].type), GT_STR_ARG(strategies->v[i].field));
        }
    }
    rq->strategies = s;
    rq->n_strategies = strategies->n;
    return 0;
}

void launch_keep_placement(struct tx *tx, const struct ecs_placement_constraint_list *constraints,
                           const struct ecs_placement_strategy_list *strategies,
                           struct rec_ecs_expression_list *ret_constraints,
                           struct rec_ecs_strategy_list *ret_strategies)
{
    ret_constraints->n = constraints->n;
    ret_constraints->v =
        gt_arena_array(tx_arena(tx), struct rec_ecs_expression, constraints->n + 1);
    for (size_t i = 0; i < constraints->n; i++) {
        ret_constraints->v[i].type = constraints->v[i].type;
        ret_constraints->v[i].expression = constraints->v[i].expression;
    }
    ret_strategies->n = strategies->n;
    ret_strategies->v = gt_arena_array(tx_arena(tx), struct rec_ecs_strategy, strategies->n + 1);
    for (size_t i = 0; i < strategies->n; i++) {
        ret_strategies->v[i].type = strategies->v[i].type;
        ret_strategies->v[i].field = strategies->v[i].field;
    }
}

bool launch_again(struct tx *tx, const struct rec_ecs_task *t, struct sched_request *rq)
{
    struct task_ask ask = {
        .def = tx_get(tx, key_taskdef(tx, t->family, t->revision), &rec_ecs_taskdef_desc),
        .launch_type = t->launch_type,
        .group = t->group};
    if (!ask.def) {
        return false;
    }
    *rq = task_request(tx, &ask);
    rq->cpu = t->reserved_cpu;
    rq->memory = t->reserved_memory;
    const struct rec_ecs_service *s =
        t->service.n ? tx_get(tx, key_service(tx, t->cluster, t->service), &rec_ecs_service_desc)
                     : NULL;
    return launch_placement(tx, s ? &s->placement_constraints : &t->placement_constraints,
                            s ? &s->placement_strategy : &t->placement_strategy, rq, NULL) == 0;
}

void launch_managed_tags(struct tx *tx, struct gt_str cluster, struct gt_str service,
                         struct rec_kv_list *tags)
{
    struct rec_kv v[2] = {{.key = GT_STR_LIT("aws:ecs:clusterName"), .value = cluster},
                          {.key = GT_STR_LIT("aws:ecs:serviceName"), .value = service}};
    struct rec_kv_list more = {.v = v, .n = service.n ? 2 : 1};
    tags_merge(tx, tags, &more);
}
