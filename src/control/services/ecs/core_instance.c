/* DescribeContainerInstances, ListContainerInstances. */
#include "control/scheduler/query.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

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

static void show(struct tx *tx, const struct rec_ecs_node *n, const struct wire_str_list *include,
                 struct ecs_container_instance *out)
{
    struct rec_ecs_load *l = tx_get(tx, key_load(tx, n->cluster, n->id), &rec_ecs_load_desc);
    l = l ? l : gt_arena_new(tx_arena(tx), struct rec_ecs_load);
    *out = (struct ecs_container_instance){
        .container_instance_arn = arn_instance(tx, n->cluster, n->id),
        .status = n->status,
        .status_reason = n->status_reason.n ? n->status_reason : gt_str(NULL),
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

int ecs_describe_container_instances(struct tx *tx,
                                     const struct ecs_describe_container_instances_in *in,
                                     struct ecs_describe_container_instances_out *out,
                                     struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    if (in->container_instances.n == 0 || in->container_instances.n > 100) {
        return invalid(err, in->container_instances.n
                                ? "At most 100 container instances can be described at once."
                                : "Container instances cannot be empty.");
    }
    out->container_instances.has = out->failures.has = true;
    out->container_instances.v =
        gt_arena_array(tx_arena(tx), struct ecs_container_instance, in->container_instances.n);
    for (size_t i = 0; i < in->container_instances.n; i++) {
        struct gt_str id, said = in->container_instances.v[i];
        struct rec_ecs_node *n = NULL;
        if (name_in_cluster(name_of_arn(tx, said, "container-instance"), cluster->name, &id) &&
            name_valid(id, ".", 255)) {
            n = tx_get(tx, key_node(tx, cluster->name, id), &rec_ecs_node_desc);
        }
        if (n) {
            show(tx, n, &in->include, &out->container_instances.v[out->container_instances.n++]);
            continue;
        }
        bool arn = gt_str_starts(said, GT_STR_LIT("arn:"));
        failure_add(tx, &out->failures, arn ? said : arn_instance(tx, cluster->name, said),
                    "MISSING", NULL);
    }
    return 0;
}

static bool wanted(struct tx *tx, const struct rec_ecs_node *n, struct gt_str status,
                   const struct query *q)
{
    if (status.n && !gt_str_eq(status, n->status)) {
        return false;
    }
    if (!q) {
        return true;
    }
    struct rec_ecs_load *l = tx_get(tx, key_load(tx, n->cluster, n->id), &rec_ecs_load_desc);
    struct query_attr *attrs = gt_arena_array(tx_arena(tx), struct query_attr, n->attributes.n + 1);
    for (size_t i = 0; i < n->attributes.n; i++) {
        attrs[i] =
            (struct query_attr){.name = n->attributes.v[i].key, .value = n->attributes.v[i].value};
    }
    struct query_subject s = {.attrs = attrs,
                              .n_attrs = n->attributes.n,
                              .connected = !n->lost,
                              .running_tasks = l ? l->running : 0,
                              .agent_version = n->agent_version};
    return query_matches(q, &s);
}

int ecs_list_container_instances(struct tx *tx, const struct ecs_list_container_instances_in *in,
                                 struct ecs_list_container_instances_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    const struct query *q = in->filter.n ? query_parse(in->filter, tx_arena(tx), err) : NULL;
    if (in->filter.n && !q) {
        return -EINVAL;
    }
    struct page p;
    int r = page_open(tx, &p, in->next_token, in->has_max_results, in->max_results,
                      &out->container_instance_arns, err);
    if (r < 0) {
        return r;
    }
    char *prefix = tx_key(tx, "ecs/node/" GT_STR_FMT "/", GT_STR_ARG(cluster->name));
    char *after = p.after ? gt_arena_printf(tx_arena(tx), "%s%s", prefix, p.after) : NULL;
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        bool yes = wanted(tx, tx_get(tx, key, &rec_ecs_node_desc), in->status, q);
        gt_arena_release(tx_arena(tx), mark);
        struct gt_str id = key_tail(key);
        if (yes && !page_add(&p, id.p, arn_instance(tx, cluster->name, id))) {
            break;
        }
    }
    out->next_token = page_token(&p);
    return 0;
}
