#include "control/services/ecs/instance.h"

#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "lib/base/mem.h"

static bool id_of(struct tx *tx, struct gt_str cluster, struct gt_str said, struct gt_str *ret)
{
    return name_in_cluster(name_of_arn(tx, said, "container-instance"), cluster, ret) &&
           name_valid(*ret, ".", 255);
}

#define ASTRAY_REASON "it comes from another history than the server's state: see gantry adopt"
#define HELD_REASON                                                                                \
    "Not heard, like too many others at once: its tasks are not replaced until some are heard "    \
    "again or an operator says so (gantry nodes --release)."

struct rec_ecs_node *instance_of(struct tx *tx, struct gt_str cluster, struct gt_str said)
{
    struct gt_str id;
    return id_of(tx, cluster, said, &id) ? tx_get(tx, key_node(tx, cluster, id), &rec_ecs_node_desc)
                                         : NULL;
}

struct rec_ecs_node *instance_inactive(struct tx *tx, struct gt_str cluster, struct gt_str said)
{
    struct gt_str id;
    struct rec_ecs_node *n =
        id_of(tx, cluster, said, &id) ? tx_get(tx, key_inactive(tx, id), &rec_ecs_node_desc) : NULL;
    return n && gt_str_eq(n->cluster, cluster) ? n : NULL;
}

void instance_missing(struct tx *tx, struct gt_str cluster, struct gt_str said,
                      struct ecs_failure_list *to)
{
    bool arn = gt_str_starts(said, GT_STR_LIT("arn:"));
    failure_add(tx, to, arn ? said : arn_instance(tx, cluster, said), "MISSING", NULL);
}

static void integer(struct ecs_resource_list *l, const char *name, int64_t v)
{
    struct ecs_resource *r = &l->v[l->n++];
    *r = (struct ecs_resource){.name = gt_str(name), .type = GT_STR_LIT("INTEGER")};
    WIRE_SET(r, integer_value, v);
    WIRE_SET(r, double_value, 0);
    WIRE_SET(r, long_value, 0);
}

static void port_set(struct tx *tx, struct ecs_resource_list *l, bool udp,
                     const struct rec_i64_list *own, const struct rec_i64_list *taken)
{
    struct ecs_resource *r = &l->v[l->n++];
    *r = (struct ecs_resource){.name = gt_str(udp ? "PORTS_UDP" : "PORTS"),
                               .type = GT_STR_LIT("STRINGSET")};
    WIRE_SET(r, integer_value, 0);
    WIRE_SET(r, double_value, 0);
    WIRE_SET(r, long_value, 0);
    struct wire_str_list *s = &r->string_set_value;
    s->has = true;
    s->v = gt_arena_array(tx_arena(tx), struct gt_str, own->n + (taken ? taken->n : 0) + 1);
    for (size_t i = 0; i < own->n + (taken ? taken->n : 0); i++) {
        int64_t p = i < own->n ? own->v[i] : taken->v[i - own->n];
        if ((p >> 16 & 1) == udp) {
            s->v[s->n++] = gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)(p & 0xffff)));
        }
    }
}

static void show_resources(struct tx *tx, const struct rec_ecs_node *n,
                           const struct rec_ecs_load *l, struct ecs_resource_list *out)
{
    out->v = gt_arena_array(tx_arena(tx), struct ecs_resource, 4);
    integer(out, "CPU", n->cpu - (l ? l->cpu : 0));
    integer(out, "MEMORY", n->memory - (l ? l->memory : 0));
    port_set(tx, out, /* udp= */ false, &n->ports, l ? &l->ports : NULL);
    port_set(tx, out, /* udp= */ true, &n->ports, l ? &l->ports : NULL);
}

/* No node reports on the health of its container runtime. */
static struct ecs_container_instance_health_status *show_health(struct tx *tx)
{
    struct ecs_container_instance_health_status *h =
        gt_arena_new(tx_arena(tx), struct ecs_container_instance_health_status);
    h->overall_status = GT_STR_LIT("INSUFFICIENT_DATA");
    h->details.has = true;
    return h;
}

void instance_show(struct tx *tx, const struct rec_ecs_node *n, const struct wire_str_list *include,
                   struct ecs_container_instance *out)
{
    struct rec_ecs_load *l = tx_get(tx, key_load(tx, n->cluster, n->id), &rec_ecs_load_desc);
    l = l ? l : gt_arena_new(tx_arena(tx), struct rec_ecs_load);
    *out = (struct ecs_container_instance){
        .container_instance_arn = arn_instance(tx, n->cluster, n->id),
        .ec2_instance_id = n->managed_id.n ? n->managed_id : gt_str(NULL),
        .status = n->status,
        .status_reason = n->astray            ? GT_STR_LIT(ASTRAY_REASON)
                         : n->held            ? GT_STR_LIT(HELD_REASON)
                         : n->status_reason.n ? n->status_reason
                                              : gt_str(NULL),
    };
    WIRE_SET(out, version, n->version);
    WIRE_SET(out, agent_connected, !n->lost);
    WIRE_SET(out, running_tasks_count, l->running);
    WIRE_SET(out, pending_tasks_count, l->pending);
    WIRE_SET(out, registered_at, n->registered_at);
    out->version_info = gt_arena_new(tx_arena(tx), struct ecs_version_info);
    out->version_info->agent_version = n->agent_version;
    show_resources(tx, n, NULL, &out->registered_resources);
    show_resources(tx, n, l, &out->remaining_resources);
    out->attachments.has = out->tags.has = out->attributes.has = true;
    out->attributes.v = gt_arena_array(tx_arena(tx), struct ecs_attribute, n->attributes.n + 1);
    for (size_t i = 0; i < n->attributes.n; i++) {
        const struct rec_kv *a = &n->attributes.v[i];
        out->attributes.v[out->attributes.n++] =
            (struct ecs_attribute){.name = a->key, .value = a->value.n ? a->value : gt_str(NULL)};
    }
    if (includes(include, "TAGS")) {
        tags_show(tx, &n->tags, &out->tags);
    }
    if (includes(include, "CONTAINER_INSTANCE_HEALTH")) {
        out->health_status = show_health(tx);
    }
}

static enum step_result expire(struct tx *tx, const char *key)
{
    struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
    if (n && tx_exists(tx, key_lost(tx, n->id))) { /* its tasks are still being stopped */
        tx_alarm_set(tx, instance_expiry_controller.name, key, tx_now(tx) + NODE_KEPT_MS);
    } else {
        tx_delete(tx, key);
    }
    return STEP_DONE;
}

const struct controller instance_expiry_controller = {.name = "ecs-instance-expiry",
                                                      .step = expire};
