/* CreateCluster, DescribeClusters, ListClusters, DeleteCluster. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

struct numbers {
    size_t nodes, services;
    int64_t running, pending;
};

static struct numbers count(struct tx *tx, struct gt_str cluster)
{
    struct numbers n = {0};
    struct tx_cursor c =
        tx_scan(tx, tx_key(tx, "ecs/load/" GT_STR_FMT "/", GT_STR_ARG(cluster)), NULL);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_load *l = tx_get(tx, key, &rec_ecs_load_desc);
        n.running += l->running;
        n.pending += l->pending;
        n.nodes++;
        gt_arena_release(tx_arena(tx), mark);
    }
    c = tx_scan(tx, tx_key(tx, "ecs/service/" GT_STR_FMT "/", GT_STR_ARG(cluster)), NULL);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_service *s = tx_get(tx, key, &rec_ecs_service_desc);
        n.services += gt_str_is(s->status, "ACTIVE");
        gt_arena_release(tx_arena(tx), mark);
    }
    return n;
}

static void show_statistics(struct tx *tx, struct numbers n, struct ecs_key_value_pair_list *out)
{
    const struct {
        const char *name;
        int64_t value;
    } all[] = {{"runningEC2TasksCount", n.running},
               {"pendingEC2TasksCount", n.pending},
               {"activeEC2ServiceCount", (int64_t)n.services}};
    out->v = gt_arena_array(tx_arena(tx), struct ecs_key_value_pair, GT_ARRAY_LEN(all));
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        out->v[out->n++] = (struct ecs_key_value_pair){
            .name = gt_str(all[i].name),
            .value = gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)all[i].value))};
    }
}

static void show(struct tx *tx, const struct rec_ecs_cluster *c,
                 const struct wire_str_list *include, struct ecs_cluster *out)
{
    struct numbers n = count(tx, c->name);
    *out = (struct ecs_cluster){
        .cluster_arn = arn_cluster(tx, c->name), .cluster_name = c->name, .status = c->status};
    WIRE_SET(out, registered_container_instances_count, (int64_t)n.nodes);
    WIRE_SET(out, running_tasks_count, n.running);
    WIRE_SET(out, pending_tasks_count, n.pending);
    WIRE_SET(out, active_services_count, (int64_t)n.services);
    out->statistics.has = out->settings.has = out->capacity_providers.has = true;
    out->default_capacity_provider_strategy.has = out->tags.has = true;
    if (!include || includes(include, "TAGS")) {
        tags_show(tx, &c->tags, &out->tags);
    }
    if (include && includes(include, "STATISTICS")) {
        show_statistics(tx, n, &out->statistics);
    }
    if (!include || includes(include, "SETTINGS")) {
        out->settings.v = gt_arena_array(tx_arena(tx), struct ecs_cluster_setting, 1);
        out->settings.v[out->settings.n++] = (struct ecs_cluster_setting){
            .name = GT_STR_LIT("containerInsights"), .value = GT_STR_LIT("disabled")};
    }
}

static int check_create(const struct ecs_create_cluster_in *in, struct gt_err *err)
{
    if (in->cluster_name.n && !name_valid(in->cluster_name, "", 255)) {
        return invalid(err, "Invalid cluster name: it must be 1 to 255 letters, digits, '-', '_'.");
    }
    if (in->configuration || in->capacity_providers.n || in->default_capacity_provider_strategy.n ||
        in->service_connect_defaults) {
        return invalid(err, "'%s' is not supported.",
                       in->configuration              ? "configuration"
                       : in->capacity_providers.n     ? "capacityProviders"
                       : in->service_connect_defaults ? "serviceConnectDefaults"
                                                      : "defaultCapacityProviderStrategy");
    }
    for (size_t i = 0; i < in->settings.n; i++) {
        if (!gt_str_is(in->settings.v[i].name, "containerInsights") ||
            !gt_str_is(in->settings.v[i].value, "disabled")) {
            return invalid(err, "'settings': containerInsights other than 'disabled' is not "
                                "supported.");
        }
    }
    return 0;
}

int ecs_create_cluster(struct tx *tx, const struct ecs_create_cluster_in *in,
                       struct ecs_create_cluster_out *out, struct gt_err *err)
{
    struct rec_kv_list tags;
    int r = check_create(in, err);
    r = r ? r : tags_check(tx, &in->tags, &tags, err);
    if (r < 0) {
        return r;
    }
    struct gt_str name = in->cluster_name.n ? in->cluster_name : GT_STR_LIT("default");
    char *key = key_cluster(tx, name);
    struct rec_ecs_cluster *c = tx_get(tx, key, &rec_ecs_cluster_desc);
    bool active = c && gt_str_is(c->status, CLUSTER_ACTIVE);
    if (active && in->tags.has && !tags_same(&tags, &c->tags)) {
        return invalid(err, "Arguments on this idempotent request are inconsistent with arguments "
                            "used in previous request(s).");
    }
    if (!active) {
        c = gt_arena_new(tx_arena(tx), struct rec_ecs_cluster);
        c->name = name;
        c->status = GT_STR_LIT(CLUSTER_ACTIVE);
        c->created_at = tx_now(tx);
        c->tags = tags;
        tx_put(tx, key, &rec_ecs_cluster_desc, c);
    }
    out->cluster = gt_arena_new(tx_arena(tx), struct ecs_cluster);
    show(tx, c, NULL, out->cluster);
    return 0;
}

static void describe_one(struct tx *tx, struct gt_str said, const struct wire_str_list *include,
                         struct ecs_describe_clusters_out *out)
{
    struct gt_str name = name_of_arn(tx, said, "cluster");
    struct rec_ecs_cluster *c = NULL;
    if (gt_str_is(name, "default")) {
        cluster_of(tx, name, NULL); /* comes into being */
    }
    if (name_valid(name, "", 255)) {
        c = tx_get(tx, key_cluster(tx, name), &rec_ecs_cluster_desc);
    }
    if (!c) {
        struct gt_str arn = name_valid(name, "", 255) ? arn_cluster(tx, name) : said;
        failure_add(tx, &out->failures, arn, "MISSING", NULL);
        return;
    }
    show(tx, c, include, &out->clusters.v[out->clusters.n++]);
}

int ecs_describe_clusters(struct tx *tx, const struct ecs_describe_clusters_in *in,
                          struct ecs_describe_clusters_out *out, struct gt_err *err)
{
    if (in->clusters.n > 100) {
        return invalid(err, "At most 100 clusters can be described at once.");
    }
    out->clusters.has = out->failures.has = true;
    out->clusters.v = gt_arena_array(tx_arena(tx), struct ecs_cluster, in->clusters.n + 1);
    if (in->clusters.n == 0) {
        describe_one(tx, GT_STR_LIT("default"), &in->include, out);
    }
    for (size_t i = 0; i < in->clusters.n; i++) {
        describe_one(tx, in->clusters.v[i], &in->include, out);
    }
    return 0;
}

int ecs_list_clusters(struct tx *tx, const struct ecs_list_clusters_in *in,
                      struct ecs_list_clusters_out *out, struct gt_err *err)
{
    struct page p;
    int r = page_open(tx, &p, in->next_token, in->has_max_results, in->max_results,
                      &out->cluster_arns, err);
    if (r < 0) {
        return r;
    }
    char *prefix = tx_key(tx, "ecs/cluster/");
    struct tx_cursor cur =
        tx_scan(tx, prefix, p.after ? tx_key(tx, "ecs/cluster/%s", p.after) : NULL);
    for (const char *key; (key = tx_next(&cur));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_cluster *c = tx_get(tx, key, &rec_ecs_cluster_desc);
        bool active = gt_str_is(c->status, CLUSTER_ACTIVE);
        gt_arena_release(tx_arena(tx), mark);
        if (active && !page_add(&p, key_tail(key).p, arn_cluster(tx, key_tail(key)))) {
            break;
        }
    }
    out->next_token = page_token(&p);
    return 0;
}

int ecs_delete_cluster(struct tx *tx, const struct ecs_delete_cluster_in *in,
                       struct ecs_delete_cluster_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *c = cluster_of(tx, in->cluster, err);
    if (!c) {
        return -ENOENT;
    }
    struct numbers n = count(tx, c->name);
    if (n.nodes) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ClusterContainsContainerInstancesException",
                          "The Cluster cannot be deleted while Container Instances are active or "
                          "draining.");
    }
    if (n.services) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ClusterContainsServicesException",
                          "The Cluster cannot be deleted while Services are active.");
    }
    if (tx_count(tx, tx_key(tx, "ecs/live/" GT_STR_FMT "/", GT_STR_ARG(c->name)))) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ClusterContainsTasksException",
                          "The Cluster cannot be deleted while Tasks are active.");
    }
    c->status = GT_STR_LIT(CLUSTER_INACTIVE);
    tx_put(tx, key_cluster(tx, c->name), &rec_ecs_cluster_desc, c);
    out->cluster = gt_arena_new(tx_arena(tx), struct ecs_cluster);
    show(tx, c, NULL, out->cluster);
    return 0;
}
