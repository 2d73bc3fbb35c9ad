/* CreateService, UpdateService, DescribeServices, ListServices, DeleteService. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/idempotency.h"
#include "control/services/ecs/launch.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/ecs/service.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

struct unsupported {
    bool said;
    const char *field;
};

static int refuse_unsupported(const struct unsupported *fields, size_t n, struct gt_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (fields[i].said) {
            return invalid(err, "'%s' is not supported.", fields[i].field);
        }
    }
    return 0;
}

static int check_grace(bool has, int64_t seconds, struct gt_err *err)
{
    return has && seconds ? invalid(err, "Health check grace period is only valid for services "
                                         "configured to use load balancers")
                          : 0;
}

static int service_missing(struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_NOT_FOUND, "ServiceNotFoundException", "Service not found.");
}

static int take_configuration(const struct ecs_deployment_configuration *c,
                              struct rec_ecs_service *s, struct gt_err *err)
{
    if (!c) {
        return 0;
    }
    const struct ecs_deployment_circuit_breaker *breaker = c->deployment_circuit_breaker;
    if (breaker && (breaker->enable || breaker->rollback)) {
        return invalid(err, "'deploymentCircuitBreaker' is not supported.");
    }
    int64_t min = c->has_minimum_healthy_percent ? c->minimum_healthy_percent : s->min_percent;
    int64_t max = c->has_maximum_percent ? c->maximum_percent : s->max_percent;
    if (min < 0 || min > 100) {
        return invalid(err, "minimumHealthyPercent must be between 0 and 100.");
    }
    if (max < 100 || max > 200) {
        return invalid(err, "maximumPercent must be between 100 and 200.");
    }
    if (min == 100 && max == 100) {
        return invalid(err, "Both maximumPercent and minimumHealthyPercent cannot be 100 as this "
                            "will block deployments.");
    }
    s->min_percent = min;
    s->max_percent = max;
    return 0;
}

static int check_create(const struct ecs_create_service_in *in, struct gt_err *err)
{
    const struct unsupported fields[] = {
        {in->load_balancers.n > 0, "loadBalancers"},
        {in->service_registries.n > 0, "serviceRegistries"},
        {in->capacity_provider_strategy.n > 0, "capacityProviderStrategy"},
        {in->role.n > 0, "role"},
        {in->scheduling_strategy.n && !gt_str_is(in->scheduling_strategy, "REPLICA"),
         "schedulingStrategy DAEMON"},
        {in->deployment_controller && !gt_str_is(in->deployment_controller->type, "ECS"),
         "deploymentController"},
        {in->enable_execute_command, "enableExecuteCommand"},
        {in->service_connect_configuration && in->service_connect_configuration->enabled,
         "serviceConnectConfiguration"},
    };
    if (!name_valid(in->service_name, "", 255)) {
        return invalid(err, "Invalid service name: it must be 1 to 255 letters, digits, '-', '_'.");
    }
    if (!in->task_definition.n) {
        return invalid(err, "TaskDefinition can not be blank.");
    }
    if (in->desired_count < 0 || in->desired_count > 5000) {
        return invalid(err, "desiredCount must be between 0 and 5000.");
    }
    int r = refuse_unsupported(fields, GT_ARRAY_LEN(fields), err);
    r = r ? r
          : check_grace(in->has_health_check_grace_period_seconds,
                        in->health_check_grace_period_seconds, err);
    r = r ? r : idempotency_check(in->client_token, 36, err);
    if (r == 0 && !in->has_desired_count) {
        return invalid(err, "desiredCount is required with the scheduling strategy REPLICA.");
    }
    return r;
}

static int fill_launch(struct tx *tx, const struct ecs_create_service_in *in,
                       struct rec_ecs_service *s, struct gt_err *err)
{
    const struct rec_ecs_taskdef *def = launch_taskdef(tx, in->task_definition, err);
    if (!def) {
        return -EINVAL;
    }
    s->family = def->family;
    s->revision = def->revision;
    int r = launch_type_check(def, in->launch_type, &s->launch_type, err);
    r = r ? r : launch_platform_check(in->platform_version, s->launch_type, err);
    r = r ? r : launch_network_check(def, in->network_configuration, &s->subnets, err);
    if (gt_str_is(s->launch_type, ECS_LAUNCH_TYPE_FARGATE)) {
        s->platform_family = GT_STR_LIT("Linux");
    }
    return r;
}

static int check_placement(struct tx *tx, const struct rec_ecs_service *s, struct gt_err *err)
{
    const struct rec_ecs_taskdef *def =
        tx_get(tx, key_taskdef(tx, s->family, s->revision), &rec_ecs_taskdef_desc);
    struct sched_request rq = {0};
    if (def) {
        rq = task_request(tx, &(struct task_ask){.def = def});
    }
    return launch_placement(tx, &s->placement_constraints, &s->placement_strategy, &rq, err);
}

static int make(struct tx *tx, const struct ecs_create_service_in *in, struct rec_ecs_service *s,
                struct gt_err *err)
{
    s->name = in->service_name;
    s->status = GT_STR_LIT(SERVICE_ACTIVE);
    s->desired = in->desired_count;
    s->min_percent = 100;
    s->max_percent = 200;
    s->created_at = tx_now(tx);
    s->created_by = tx_principal(tx)->arn;
    s->propagate_tags = in->propagate_tags;
    s->managed_tags = in->enable_ecs_managed_tags;
    launch_keep_placement(tx, &in->placement_constraints, &in->placement_strategy,
                          &s->placement_constraints, &s->placement_strategy);
    int r = take_configuration(in->deployment_configuration, s, err);
    r = r ? r : fill_launch(tx, in, s, err);
    r = r ? r : check_placement(tx, s, err);
    return r ? r : tags_check(tx, &in->tags, &s->tags, err);
}

/* The service that is already there under this name, if any, and whether that is an answer. */
static int check_existing(struct tx *tx, struct gt_str cluster,
                          const struct ecs_create_service_in *in, const struct idempotency *idem,
                          struct rec_ecs_service **ret_same, struct gt_err *err)
{
    struct rec_ecs_service *old =
        tx_get(tx, key_service(tx, cluster, in->service_name), &rec_ecs_service_desc);
    bool active = old && gt_str_is(old->status, SERVICE_ACTIVE);
    *ret_same = active && idem->found && !idem->other ? old : NULL;
    if (idem->other || (active && !*ret_same)) {
        return invalid(err, "Creation of service was not idempotent.");
    }
    if (old && gt_str_is(old->status, SERVICE_DRAINING)) {
        return invalid(err, "Unable to Start a service that is still Draining.");
    }
    return 0;
}

int ecs_create_service(struct tx *tx, const struct ecs_create_service_in *in,
                       struct ecs_create_service_out *out, struct gt_err *err)
{
    int r = check_create(in, err);
    struct rec_ecs_cluster *cluster = r ? NULL : cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return r ? r : -ENOENT;
    }
    struct idempotency idem = idempotency_find(tx, "CreateService", cluster->name, in->client_token,
                                               &ecs_create_service_in_shape, in);
    struct rec_ecs_service *s;
    r = check_existing(tx, cluster->name, in, &idem, &s, err);
    if (r < 0) {
        return r;
    }
    if (!s) {
        s = gt_arena_new(tx_arena(tx), struct rec_ecs_service);
        s->cluster = cluster->name;
        r = make(tx, in, s, err);
        if (r < 0) {
            return r;
        }
        service_deploy(tx, s);
        service_put(tx, s);
        tx_delete(tx, key_events(tx, s->cluster, s->name)); /* of an inactive one of this name */
        idempotency_keep(tx, &idem, &(struct rec_ecs_idempotency){.service = s->name});
    }
    out->service = gt_arena_new(tx_arena(tx), struct ecs_service);
    service_show(tx, s, /* with_tags= */ true, out->service);
    return 0;
}

static int check_update(const struct ecs_update_service_in *in, struct gt_err *err)
{
    const struct unsupported fields[] = {
        {in->load_balancers.n > 0, "loadBalancers"},
        {in->service_registries.n > 0, "serviceRegistries"},
        {in->capacity_provider_strategy.n > 0, "capacityProviderStrategy"},
        {in->enable_execute_command, "enableExecuteCommand"},
        {in->service_connect_configuration && in->service_connect_configuration->enabled,
         "serviceConnectConfiguration"},
    };
    if (in->has_desired_count && (in->desired_count < 0 || in->desired_count > 5000)) {
        return invalid(err, "desiredCount must be between 0 and 5000.");
    }
    int r = refuse_unsupported(fields, GT_ARRAY_LEN(fields), err);
    return r ? r
             : check_grace(in->has_health_check_grace_period_seconds,
                           in->health_check_grace_period_seconds, err);
}

static bool same_subnets(const struct rec_str_list *a, const struct rec_str_list *b)
{
    size_t i = 0;
    while (i < a->n && i < b->n && gt_str_eq(a->v[i], b->v[i])) {
        i++;
    }
    return i == a->n && i == b->n;
}

/* What makes a new deployment: another definition, another network, or the wish for one. */
static int take_deployment(struct tx *tx, const struct ecs_update_service_in *in,
                           struct rec_ecs_service *s, bool *ret_deploy, struct gt_err *err)
{
    *ret_deploy = in->force_new_deployment;
    const struct rec_ecs_taskdef *def;
    struct gt_str type;
    if (in->task_definition.n) {
        def = launch_taskdef(tx, in->task_definition, err);
        if (!def || launch_type_check(def, s->launch_type, &type, err) < 0) {
            return -EINVAL;
        }
        *ret_deploy =
            *ret_deploy || !gt_str_eq(def->family, s->family) || def->revision != s->revision;
        s->family = def->family;
        s->revision = def->revision;
    } else {
        def = tx_get(tx, key_taskdef(tx, s->family, s->revision), &rec_ecs_taskdef_desc);
    }
    if (in->network_configuration) {
        struct rec_str_list subnets = {0};
        int r = launch_network_check(def, in->network_configuration, &subnets, err);
        if (r < 0) {
            return r;
        }
        *ret_deploy = *ret_deploy || !same_subnets(&subnets, &s->subnets);
        s->subnets = subnets;
    }
    bool awsvpc = gt_str_is(def->network_mode, ECS_NETWORK_MODE_AWSVPC);
    if (awsvpc && !s->subnets.n) {
        return launch_network_check(def, NULL, &s->subnets, err);
    }
    if (!awsvpc) {
        s->subnets = (struct rec_str_list){0};
    }
    return launch_platform_check(in->platform_version, s->launch_type, err);
}

static int take_update(struct tx *tx, const struct ecs_update_service_in *in,
                       struct rec_ecs_service *s, bool *ret_deploy, struct gt_err *err)
{
    int r = take_configuration(in->deployment_configuration, s, err);
    r = r ? r : take_deployment(tx, in, s, ret_deploy, err);
    if (in->has_desired_count) {
        s->steady = s->steady && s->desired == in->desired_count;
        s->desired = in->desired_count;
    }
    struct rec_ecs_expression_list constraints;
    struct rec_ecs_strategy_list strategies;
    launch_keep_placement(tx, &in->placement_constraints, &in->placement_strategy, &constraints,
                          &strategies);
    if (in->placement_constraints.has) {
        s->placement_constraints = constraints;
    }
    if (in->placement_strategy.has) {
        s->placement_strategy = strategies;
    }
    s->propagate_tags = in->propagate_tags.n ? in->propagate_tags : s->propagate_tags;
    if (in->has_enable_ecs_managed_tags) {
        s->managed_tags = in->enable_ecs_managed_tags;
    }
    return r ? r : check_placement(tx, s, err);
}

int ecs_update_service(struct tx *tx, const struct ecs_update_service_in *in,
                       struct ecs_update_service_out *out, struct gt_err *err)
{
    int r = check_update(in, err);
    struct rec_ecs_cluster *cluster = r ? NULL : cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return r ? r : -ENOENT;
    }
    struct rec_ecs_service *s = service_of(tx, cluster->name, in->service);
    if (!s) {
        return service_missing(err);
    }
    if (!gt_str_is(s->status, SERVICE_ACTIVE)) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ServiceNotActiveException",
                          "Service was not ACTIVE.");
    }
    bool deploy = false;
    r = take_update(tx, in, s, &deploy, err);
    if (r < 0) {
        return r;
    }
    if (deploy) {
        service_deploy(tx, s);
    } else {
        service_primary(s)->updated_at = tx_now(tx);
        service_primary(s)->desired = s->desired;
        s->failures = s->next_start_at = 0; /* an update starts anew */
        s->impaired = false;
    }
    service_put(tx, s);
    out->service = gt_arena_new(tx_arena(tx), struct ecs_service);
    service_show(tx, s, /* with_tags= */ false, out->service);
    return 0;
}

int ecs_describe_services(struct tx *tx, const struct ecs_describe_services_in *in,
                          struct ecs_describe_services_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    if (in->services.n == 0 || in->services.n > 10) {
        return invalid(err, in->services.n ? "At most 10 services can be described at once."
                                           : "Services cannot be empty.");
    }
    out->services.has = out->failures.has = true;
    out->services.v = gt_arena_array(tx_arena(tx), struct ecs_service, in->services.n);
    for (size_t i = 0; i < in->services.n; i++) {
        struct rec_ecs_service *s = service_of(tx, cluster->name, in->services.v[i]);
        if (s) {
            service_show(tx, s, includes(&in->include, "TAGS"),
                         &out->services.v[out->services.n++]);
            continue;
        }
        bool arn = gt_str_starts(in->services.v[i], GT_STR_LIT("arn:"));
        failure_add(tx, &out->failures,
                    arn ? in->services.v[i] : arn_service(tx, cluster->name, in->services.v[i]),
                    "MISSING", NULL);
    }
    return 0;
}

static bool listed(struct tx *tx, const char *key, const struct ecs_list_services_in *in)
{
    struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
    const struct rec_ecs_service *s = tx_get(tx, key, &rec_ecs_service_desc);
    bool yes = !gt_str_is(s->status, SERVICE_INACTIVE) &&
               (!in->launch_type.n || gt_str_eq(in->launch_type, s->launch_type)) &&
               !gt_str_is(in->scheduling_strategy, "DAEMON");
    gt_arena_release(tx_arena(tx), mark);
    return yes;
}

int ecs_list_services(struct tx *tx, const struct ecs_list_services_in *in,
                      struct ecs_list_services_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    struct page p;
    int r = page_open(tx, &p, in->next_token, in->has_max_results, in->max_results,
                      &out->service_arns, err);
    if (r < 0) {
        return r;
    }
    p.max = in->has_max_results ? p.max : 10; /* ECS's default here */
    char *prefix = tx_key(tx, "ecs/service/" GT_STR_FMT "/", GT_STR_ARG(cluster->name));
    char *after = p.after ? gt_arena_printf(tx_arena(tx), "%s%s", prefix, p.after) : NULL;
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_str name = key_tail(key);
        if (listed(tx, key, in) && !page_add(&p, name.p, arn_service(tx, cluster->name, name))) {
            break;
        }
    }
    out->next_token = page_token(&p);
    return 0;
}

int ecs_delete_service(struct tx *tx, const struct ecs_delete_service_in *in,
                       struct ecs_delete_service_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    struct rec_ecs_service *s = service_of(tx, cluster->name, in->service);
    if (!s || gt_str_is(s->status, SERVICE_INACTIVE)) {
        return service_missing(err);
    }
    if (s->desired > 0 && !in->force) {
        return invalid(err, "The service cannot be stopped while it is scaled above 0.");
    }
    s->desired = 0;
    for (size_t i = 0; i < s->deployments.n; i++) {
        s->deployments.v[i].desired = 0;
    }
    s->status = GT_STR_LIT(SERVICE_DRAINING);
    s->steady = false;
    service_put(tx, s);
    out->service = gt_arena_new(tx_arena(tx), struct ecs_service);
    service_show(tx, s, /* with_tags= */ false, out->service);
    return 0;
}
