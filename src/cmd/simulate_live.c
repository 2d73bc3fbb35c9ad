#include "cmd/simulate_live.h"

#include "control/scheduler/scheduler.h"
#include "control/services/ecs/taskdef.h"
#include "lib/base/table.h"

#include <stdio.h>

enum { LIVE_MS = 3600 * 1000, PAGE = 100, SERVICES_A_PAGE = 10, START_MS_MAX = 3600 * 1000 };

struct live {
    struct cli *c;
    struct gt_str cluster;
    struct scenario *s;
    struct gt_table spans; /* service -> struct span: how long starts took */
    struct gt_err err;
};

/* Room for n more of `size` bytes behind those that are there. */
static void *more(struct live *l, void *v, size_t there, size_t n, size_t size)
{
    char *to = gt_arena_alloc(&l->c->arena, (there + n) * size + 1);
    if (there) {
        memcpy(to, v, there * size);
    }
    return to;
}

/* ---- nodes ---- */

static int64_t integer(const struct ecs_container_instance *n, const char *name)
{
    for (size_t i = 0; i < n->registered_resources.n; i++) {
        if (gt_str_is(n->registered_resources.v[i].name, name)) {
            return n->registered_resources.v[i].integer_value;
        }
    }
    return 0;
}

static void take_ports(struct live *l, const struct ecs_container_instance *n, const char *name,
                       struct ports *to)
{
    for (size_t i = 0; i < n->registered_resources.n; i++) {
        const struct ecs_resource *r = &n->registered_resources.v[i];
        if (!gt_str_is(r->name, name)) {
            continue;
        }
        to->v = more(l, to->v, to->n, r->string_set_value.n, sizeof *to->v);
        for (size_t k = 0; k < r->string_set_value.n; k++) {
            const char *text = gt_arena_str(&l->c->arena, r->string_set_value.v[k]);
            int64_t port = (int64_t)strtol(text, NULL, 10);
            to->v[to->n++] = SCHED_PORT(port, gt_streq(name, "PORTS_UDP"));
        }
    }
}

static void take_attributes(struct live *l, const struct ecs_container_instance *n,
                            struct node_group *to)
{
    to->attributes = gt_arena_array(&l->c->arena, struct attribute, n->attributes.n + 1);
    for (size_t i = 0; i < n->attributes.n; i++) {
        const struct ecs_attribute *a = &n->attributes.v[i];
        if (gt_str_is(a->name, "ecs.availability-zone")) {
            to->zones.v = gt_arena_new(&l->c->arena, struct gt_str);
            to->zones.v[0] = a->value;
            to->zones.n = 1;
        } else {
            to->attributes[to->n_attributes++] =
                (struct attribute){.name = a->name, .value = a->value.p ? a->value : gt_str("")};
        }
    }
}

static struct gt_str tail(struct gt_str arn)
{
    const char *slash = arn.n ? memrchr(arn.p, '/', arn.n) : NULL;
    return slash ? gt_str_n(slash + 1, (size_t)(arn.p + arn.n - slash - 1)) : arn;
}

static void take_node(struct live *l, const struct ecs_container_instance *n)
{
    struct gt_str name = tail(n->container_instance_arn);
    if (!gt_str_is(n->status, "ACTIVE") || !n->agent_connected) {
        fprintf(stderr, "gantry simulate: node " GT_STR_FMT " is left out: it is %s\n",
                GT_STR_ARG(name),
                n->agent_connected ? gt_arena_str(&l->c->arena, n->status) : "not connected");
        return;
    }
    struct node_group *to = &l->s->nodes[l->s->n_nodes++];
    *to = (struct node_group){
        .name = name, .count = 1, .cpu = integer(n, "CPU"), .memory = integer(n, "MEMORY")};
    take_attributes(l, n, to);
    take_ports(l, n, "PORTS", &to->reserved_ports);
    take_ports(l, n, "PORTS_UDP", &to->reserved_ports);
}

static int list_nodes(struct live *l)
{
    struct ecs_list_container_instances_in in = {.cluster = l->cluster};
    struct ecs_list_container_instances_out out = {0};
    WIRE_SET(&in, max_results, PAGE);
    do {
        int r = api_call(l->c->client, &ecs_op_list_container_instances, &in, &l->c->arena, &out,
                         &l->err);
        struct ecs_describe_container_instances_in which = {
            .cluster = l->cluster, .container_instances = out.container_instance_arns};
        struct ecs_describe_container_instances_out shown = {0};
        if (r == 0 && out.container_instance_arns.n) {
            r = api_call(l->c->client, &ecs_op_describe_container_instances, &which, &l->c->arena,
                         &shown, &l->err);
        }
        if (r < 0) {
            return r;
        }
        l->s->nodes =
            more(l, l->s->nodes, l->s->n_nodes, shown.container_instances.n, sizeof *l->s->nodes);
        for (size_t i = 0; i < shown.container_instances.n; i++) {
            take_node(l, &shown.container_instances.v[i]);
        }
        in.next_token = out.next_token;
    } while (out.next_token.n);
    return 0;
}

/* ---- how long starts take ---- */

static bool take_start(void *arg, struct ecs_task *t)
{
    struct live *l = arg;
    static const struct gt_str prefix = {"service:", 8};
    int64_t ms = t->started_at - t->created_at;
    if (!gt_str_starts(t->group, prefix) || !t->has_started_at || ms < 1 || ms > START_MS_MAX) {
        return true;
    }
    struct gt_str service = gt_str_n(t->group.p + prefix.n, t->group.n - prefix.n);
    struct span *s = gt_table_get(&l->spans, service);
    if (!s) {
        s = gt_arena_new(&l->c->arena, struct span);
        *s = (struct span){ms, ms};
        gt_table_put(&l->spans, service, s);
    }
    *s = (struct span){GT_MIN(s->low, ms), GT_MAX(s->high, ms)};
    return true;
}

/* ---- services ---- */

static void take_size(const struct ecs_task_definition *d, struct task_kind *to)
{
    for (size_t i = 0; i < d->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &d->container_definitions.v[i];
        to->cpu += c->cpu;
        to->memory += c->has_memory_reservation ? c->memory_reservation : c->memory;
    }
    int64_t whole;
    to->cpu = d->cpu.n && taskdef_cpu(d->cpu, &whole) == 0 ? whole : to->cpu;
    to->memory = d->memory.n && taskdef_memory(d->memory, &whole) == 0 ? whole : to->memory;
    to->cpu = GT_MAX(to->cpu, (int64_t)1);
    to->memory = GT_MAX(to->memory, (int64_t)TASK_MEMORY_MIN);
}

static void take_host_ports(struct live *l, const struct ecs_task_definition *d,
                            struct task_kind *to)
{
    if (gt_str_is(d->network_mode, "awsvpc")) {
        return; /* of the task's own address */
    }
    for (size_t i = 0; i < d->container_definitions.n; i++) {
        const struct ecs_port_mapping_list *m = &d->container_definitions.v[i].port_mappings;
        to->host_ports.v =
            more(l, to->host_ports.v, to->host_ports.n, m->n, sizeof *to->host_ports.v);
        for (size_t k = 0; k < m->n; k++) {
            if (m->v[k].host_port) {
                to->host_ports.v[to->host_ports.n++] =
                    SCHED_PORT(m->v[k].host_port, gt_str_is(m->v[k].protocol, "udp"));
            }
        }
    }
}

static void take_placement(struct live *l, const struct ecs_service *v,
                           const struct ecs_task_definition *d, struct task_kind *to)
{
    struct gt_arena *a = &l->c->arena;
    to->strategies = gt_arena_array(a, struct strategy, v->placement_strategy.n + 1);
    for (size_t i = 0; i < v->placement_strategy.n; i++) {
        to->strategies[to->n_strategies++] = (struct strategy){
            .type = v->placement_strategy.v[i].type, .field = v->placement_strategy.v[i].field};
    }
    to->constraints = gt_arena_array(a, struct constraint,
                                     v->placement_constraints.n + d->placement_constraints.n + 1);
    for (size_t i = 0; i < v->placement_constraints.n; i++) {
        to->constraints[to->n_constraints++] =
            (struct constraint){.type = v->placement_constraints.v[i].type,
                                .expression = v->placement_constraints.v[i].expression};
    }
    for (size_t i = 0; i < d->placement_constraints.n; i++) {
        to->constraints[to->n_constraints++] =
            (struct constraint){.type = d->placement_constraints.v[i].type,
                                .expression = d->placement_constraints.v[i].expression};
    }
}

static int take_service(struct live *l, const struct ecs_service *v)
{
    if (!gt_str_is(v->status, "ACTIVE") || gt_str_is(v->launch_type, "EXTERNAL")) {
        fprintf(stderr,
                "gantry simulate: service " GT_STR_FMT " is left out: it is " GT_STR_FMT "\n",
                GT_STR_ARG(v->service_name),
                GT_STR_ARG(gt_str_is(v->status, "ACTIVE") ? v->launch_type : v->status));
        return 0;
    }
    struct ecs_task_definition *d = cli_task_definition(l->c, v->task_definition);
    if (!d) {
        return -1;
    }
    const struct ecs_deployment_configuration *c = v->deployment_configuration;
    struct service_kind *to = &l->s->services[l->s->n_services++];
    const struct span *start = gt_table_get(&l->spans, v->service_name);
    *to = (struct service_kind){
        .task = {.name = v->service_name,
                 .network_mode = d->network_mode.n ? d->network_mode : GT_STR_LIT("bridge"),
                 .start_time = start ? *start : (struct span){2000, 2000},
                 .stop_time = {1000, 1000}},
        .desired = v->desired_count,
        .min_percent = c && c->has_minimum_healthy_percent ? c->minimum_healthy_percent : 100,
        .max_percent = c && c->has_maximum_percent ? c->maximum_percent : 200,
    };
    take_size(d, &to->task);
    take_host_ports(l, d, &to->task);
    take_placement(l, v, d, &to->task);
    return 0;
}

static int list_services(struct live *l)
{
    struct ecs_list_services_in in = {.cluster = l->cluster};
    struct ecs_list_services_out out = {0};
    WIRE_SET(&in, max_results, SERVICES_A_PAGE);
    do {
        int r = api_call(l->c->client, &ecs_op_list_services, &in, &l->c->arena, &out, &l->err);
        struct ecs_describe_services_in which = {.cluster = l->cluster,
                                                 .services = out.service_arns};
        struct ecs_describe_services_out shown = {0};
        if (r == 0 && out.service_arns.n) {
            r = api_call(l->c->client, &ecs_op_describe_services, &which, &l->c->arena, &shown,
                         &l->err);
        }
        l->s->services =
            more(l, l->s->services, l->s->n_services, shown.services.n, sizeof *l->s->services);
        for (size_t i = 0; r == 0 && i < shown.services.n; i++) {
            r = take_service(l, &shown.services.v[i]);
        }
        if (r < 0) {
            return r;
        }
        in.next_token = out.next_token;
    } while (out.next_token.n);
    return 0;
}

int simulate_live(struct cli *c, const char *cluster, struct scenario **ret)
{
    struct live l = {.c = c, .cluster = gt_str(cluster), .err = GT_ERR_INIT};
    struct ecs_list_tasks_in running = {.cluster = l.cluster,
                                        .desired_status = GT_STR_LIT("RUNNING")};
    l.s = gt_arena_new(&c->arena, struct scenario);
    scenario_init(l.s, gt_arena_printf(&c->arena, "cluster %s", cluster));
    l.s->duration = LIVE_MS;
    gt_table_init(&l.spans);
    int r = list_nodes(&l);
    r = r < 0 ? r : cli_each_task(c, running, take_start, &l, &l.err);
    r = r < 0 ? r : list_services(&l);
    if (r == 0 && !l.s->n_nodes) {
        r = gt_err_set(&l.err, GT_ERR_NOT_FOUND, "cluster '%s' has no node that takes tasks",
                       cluster);
    }
    gt_table_fini(&l.spans);
    *ret = l.s;
    if (r < 0 && l.err.kind != GT_ERR_NONE) {
        (void)cli_fail(&l.err);
    }
    return r < 0 ? 1 : 0;
}
