/* A task as the API shows it. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "lib/wire/json.h"

#define SHOW_TIME(out, t, member)                                                                  \
    do {                                                                                           \
        if ((t)->member) {                                                                         \
            WIRE_SET(out, member, (t)->member);                                                    \
        }                                                                                          \
    } while (0)

static struct gt_str number(struct tx *tx, int64_t v)
{
    return gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)v));
}

static void show_bindings(struct tx *tx, const struct rec_ecs_container *c,
                          struct ecs_container *out)
{
    size_t n = c->bindings.n;
    out->network_bindings.has = true;
    out->network_bindings.n = n;
    out->network_bindings.v = gt_arena_array(tx_arena(tx), struct ecs_network_binding, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct rec_ecs_binding *b = &c->bindings.v[i];
        struct ecs_network_binding *to = &out->network_bindings.v[i];
        *to = (struct ecs_network_binding){.bind_ip = b->bind_ip, .protocol = b->protocol};
        WIRE_SET(to, container_port, b->container_port);
        WIRE_SET(to, host_port, b->host_port);
    }
}

static void show_container(struct tx *tx, const struct rec_ecs_task *t,
                           const struct rec_ecs_container *c, struct ecs_container *out)
{
    *out = (struct ecs_container){
        .container_arn = arn_container(tx, t->cluster, t->id, c->id),
        .task_arn = arn_task(tx, t->cluster, t->id),
        .name = c->name,
        .image = c->image,
        .image_digest = c->image_digest,
        .runtime_id = c->runtime_id,
        .last_status = gt_str(task_state_name(c->last_status)),
        .exit_code = c->exit_code,
        .has_exit_code = c->has_exit_code,
        .reason = c->reason,
        .health_status = c->health,
        .cpu = c->cpu,
        .memory = c->memory,
        .memory_reservation = c->memory_reservation,
    };
    show_bindings(tx, c, out);
    out->network_interfaces.has = true;
    if (t->address.n) {
        out->network_interfaces.n = 1;
        out->network_interfaces.v = gt_arena_new(tx_arena(tx), struct ecs_network_interface);
        out->network_interfaces.v[0] =
            (struct ecs_network_interface){.attachment_id = t->attachment,
                                           .private_ipv4_address = t->address,
                                           .ipv6_address = t->ipv6.n ? t->ipv6 : gt_str(NULL)};
    }
}

static void show_attachment(struct tx *tx, const struct rec_ecs_task *t, struct ecs_task *out)
{
    struct ecs_attachment *a = gt_arena_new(tx_arena(tx), struct ecs_attachment);
    a->id = t->attachment;
    a->type = GT_STR_LIT("ElasticNetworkInterface");
    a->status = gt_str(t->last_status == TASK_STOPPED               ? "DELETED"
                       : t->mac.n || t->last_status >= TASK_RUNNING ? "ATTACHED"
                                                                    : "ATTACHING");
    const struct ecs_key_value_pair all[] = {
        {GT_STR_LIT("subnetId"), t->subnet},
        {GT_STR_LIT("macAddress"), t->mac},
        {GT_STR_LIT("privateIPv4Address"), t->address},
        {GT_STR_LIT("ipv6Address"), t->ipv6},
    };
    a->details.has = true;
    a->details.v = gt_arena_array(tx_arena(tx), struct ecs_key_value_pair, 4);
    for (size_t i = 0; i < 4; i++) {
        if (all[i].value.n) {
            a->details.v[a->details.n++] = all[i];
        }
    }
    out->attachments.v = a;
    out->attachments.n = 1;
}

/* Always there, with each container's name, as ECS has it. */
static struct ecs_task_override *show_overrides(struct tx *tx, const struct rec_ecs_task *t)
{
    struct ecs_task_override *o = gt_arena_new(tx_arena(tx), struct ecs_task_override);
    if (t->overrides.n) {
        wire_json_decode(&ecs_task_override_shape, t->overrides, tx_arena(tx), o, NULL);
    }
    struct ecs_container_override_list said = o->container_overrides, *l = &o->container_overrides;
    l->has = o->inference_accelerator_overrides.has = true;
    l->n = 0;
    l->v = gt_arena_array(tx_arena(tx), struct ecs_container_override, t->containers.n + 1);
    for (size_t i = 0; i < t->containers.n; i++) {
        struct ecs_container_override *c = &l->v[l->n++];
        c->name = t->containers.v[i].name;
        for (size_t k = 0; k < said.n; k++) {
            if (gt_str_eq(said.v[k].name, c->name)) {
                *c = said.v[k];
            }
        }
    }
    return o;
}

static void show_times(const struct rec_ecs_task *t, struct ecs_task *out)
{
    SHOW_TIME(out, t, created_at);
    SHOW_TIME(out, t, connectivity_at);
    SHOW_TIME(out, t, pull_started_at);
    SHOW_TIME(out, t, pull_stopped_at);
    SHOW_TIME(out, t, started_at);
    SHOW_TIME(out, t, stopping_at);
    SHOW_TIME(out, t, execution_stopped_at);
    SHOW_TIME(out, t, stopped_at);
}

void task_show(struct tx *tx, const struct rec_ecs_task *t, bool with_tags, struct ecs_task *out)
{
    *out = (struct ecs_task){
        .task_arn = arn_task(tx, t->cluster, t->id),
        .cluster_arn = arn_cluster(tx, t->cluster),
        .task_definition_arn = arn_taskdef(tx, t->family, t->revision),
        .availability_zone = t->zone,
        .cpu = number(tx, t->cpu),
        .memory = number(tx, t->memory),
        .desired_status = gt_str(task_state_name(t->desired_status)),
        .last_status = gt_str(task_state_name(t->last_status)),
        .group = t->group,
        .started_by = t->started_by.n ? t->started_by : gt_str(NULL),
        .health_status = t->health,
        .launch_type = t->launch_type,
        .platform_family = t->platform_family.n ? t->platform_family : gt_str(NULL),
        .stop_code = t->stop_code.n ? t->stop_code : gt_str(NULL),
        .stopped_reason = t->stopped_reason.n ? t->stopped_reason : gt_str(NULL),
        .overrides = show_overrides(tx, t),
    };
    if (!gt_str_is(t->launch_type, ECS_LAUNCH_TYPE_FARGATE)) {
        out->container_instance_arn = arn_instance(tx, t->cluster, t->node);
    }
    if (t->connectivity_at) {
        out->connectivity = gt_str(t->disconnected ? "DISCONNECTED" : "CONNECTED");
    }
    WIRE_SET(out, version, t->version);
    WIRE_SET(out, enable_execute_command, false);
    show_times(t, out);
    out->attachments.has = out->attributes.has = out->inference_accelerators.has = true;
    if (t->attachment.n) {
        show_attachment(tx, t, out);
    }
    out->containers.has = true;
    out->containers.n = t->containers.n;
    out->containers.v = gt_arena_array(tx_arena(tx), struct ecs_container, t->containers.n + 1);
    for (size_t i = 0; i < t->containers.n; i++) {
        show_container(tx, t, &t->containers.v[i], &out->containers.v[i]);
    }
    out->tags.has = true;
    if (with_tags) {
        tags_show(tx, &t->tags, &out->tags);
    }
}
