/* A service as the API shows it; its counts are those of its tasks now. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/service.h"

static struct ecs_network_configuration *show_network(struct tx *tx,
                                                      const struct rec_str_list *subnets)
{
    if (!subnets->n) {
        return NULL;
    }
    struct gt_arena *a = tx_arena(tx);
    struct ecs_network_configuration *n = gt_arena_new(a, struct ecs_network_configuration);
    n->awsvpc_configuration = gt_arena_new(a, struct ecs_aws_vpc_configuration);
    n->awsvpc_configuration->subnets =
        (struct wire_str_list){.v = subnets->v, .n = subnets->n, .has = true};
    n->awsvpc_configuration->security_groups.has = true;
    n->awsvpc_configuration->assign_public_ip = GT_STR_LIT("DISABLED");
    return n;
}

static void show_deployments(struct tx *tx, const struct rec_ecs_service *s,
                             const struct service_task *tasks, size_t n_tasks,
                             struct ecs_service *out)
{
    size_t n = s->deployments.n;
    out->deployments.has = true;
    out->deployments.n = n;
    out->deployments.v = gt_arena_array(tx_arena(tx), struct ecs_deployment, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct rec_ecs_deployment *d = &s->deployments.v[i];
        struct ecs_deployment *to = &out->deployments.v[i];
        int64_t running = 0, pending = 0;
        for (size_t k = 0; k < n_tasks; k++) {
            if (gt_str_eq(tasks[k].deployment, d->id)) {
                running += tasks[k].last_status == TASK_RUNNING;
                pending += tasks[k].last_status < TASK_RUNNING;
            }
        }
        *to = (struct ecs_deployment){
            .id = d->id,
            .status = gt_str(d->primary ? "PRIMARY" : "ACTIVE"),
            .task_definition = arn_taskdef(tx, d->family, d->revision),
            .launch_type = d->launch_type,
            .platform_family = d->platform_family.n ? d->platform_family : gt_str(NULL),
            .network_configuration = show_network(tx, &d->subnets),
            .rollout_state = d->rollout_state,
            .rollout_state_reason = d->rollout_reason,
        };
        WIRE_SET(to, desired_count, d->desired);
        WIRE_SET(to, running_count, running);
        WIRE_SET(to, pending_count, pending);
        WIRE_SET(to, failed_tasks, d->failed);
        WIRE_SET(to, created_at, d->created_at);
        WIRE_SET(to, updated_at, d->updated_at);
        WIRE_SET(out, running_count, out->running_count + running);
        WIRE_SET(out, pending_count, out->pending_count + pending);
    }
}

static void show_events(struct tx *tx, const struct rec_ecs_service *s, struct ecs_service *out)
{
    struct rec_ecs_events *e =
        tx_get(tx, key_events(tx, s->cluster, s->name), &rec_ecs_events_desc);
    size_t n = e ? e->events.n : 0;
    out->events.has = true;
    out->events.v = gt_arena_array(tx_arena(tx), struct ecs_service_event, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct ecs_service_event *to = &out->events.v[out->events.n++];
        to->id = e->events.v[i].id;
        to->message = e->events.v[i].message;
        WIRE_SET(to, created_at, e->events.v[i].created_at);
    }
}

static void show_placement(struct tx *tx, const struct rec_ecs_service *s, struct ecs_service *out)
{
    size_t n = s->placement_constraints.n;
    out->placement_constraints.has = out->placement_strategy.has = true;
    out->placement_constraints.n = n;
    out->placement_constraints.v =
        gt_arena_array(tx_arena(tx), struct ecs_placement_constraint, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct rec_ecs_expression *e = &s->placement_constraints.v[i];
        out->placement_constraints.v[i] = (struct ecs_placement_constraint){
            .type = e->type, .expression = e->expression.n ? e->expression : gt_str(NULL)};
    }
    n = s->placement_strategy.n;
    out->placement_strategy.n = n;
    out->placement_strategy.v = gt_arena_array(tx_arena(tx), struct ecs_placement_strategy, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct rec_ecs_strategy *e = &s->placement_strategy.v[i];
        out->placement_strategy.v[i] = (struct ecs_placement_strategy){
            .type = e->type, .field = e->field.n ? e->field : gt_str(NULL)};
    }
}

void service_show(struct tx *tx, struct rec_ecs_service *s, bool with_tags, struct ecs_service *out)
{
    struct gt_arena *a = tx_arena(tx);
    size_t n;
    struct service_task *tasks = service_tasks(tx, s, &n);
    *out = (struct ecs_service){
        .service_arn = arn_service(tx, s->cluster, s->name),
        .service_name = s->name,
        .cluster_arn = arn_cluster(tx, s->cluster),
        .status = s->status,
        .launch_type = s->launch_type,
        .platform_family = s->platform_family.n ? s->platform_family : gt_str(NULL),
        .task_definition = arn_taskdef(tx, s->family, s->revision),
        .network_configuration = show_network(tx, &s->subnets),
        .scheduling_strategy = GT_STR_LIT("REPLICA"),
        .created_by = s->created_by,
        .propagate_tags = s->propagate_tags.n ? s->propagate_tags : GT_STR_LIT("NONE"),
    };
    WIRE_SET(out, desired_count, s->desired);
    WIRE_SET(out, running_count, 0);
    WIRE_SET(out, pending_count, 0);
    WIRE_SET(out, created_at, s->created_at);
    WIRE_SET(out, enable_ecs_managed_tags, s->managed_tags);
    WIRE_SET(out, enable_execute_command, false);
    out->load_balancers.has = out->service_registries.has = true;
    out->deployment_controller = gt_arena_new(a, struct ecs_deployment_controller);
    out->deployment_controller->type = GT_STR_LIT("ECS");
    out->deployment_configuration = gt_arena_new(a, struct ecs_deployment_configuration);
    WIRE_SET(out->deployment_configuration, maximum_percent, s->max_percent);
    WIRE_SET(out->deployment_configuration, minimum_healthy_percent, s->min_percent);
    out->deployment_configuration->deployment_circuit_breaker =
        gt_arena_new(a, struct ecs_deployment_circuit_breaker);
    WIRE_SET(out->deployment_configuration->deployment_circuit_breaker, enable, false);
    WIRE_SET(out->deployment_configuration->deployment_circuit_breaker, rollback, false);
    show_deployments(tx, s, tasks, n, out);
    show_events(tx, s, out);
    show_placement(tx, s, out);
    out->tags.has = with_tags;
    if (with_tags) {
        tags_show(tx, &s->tags, &out->tags);
    }
}
