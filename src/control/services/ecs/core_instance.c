/* DescribeContainerInstances, ListContainerInstances. */
#include "control/scheduler/query.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/ecs/place.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

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
        struct gt_str said = in->container_instances.v[i];
        struct rec_ecs_node *n = instance_of(tx, cluster->name, said);
        n = n ? n : instance_inactive(tx, cluster->name, said);
        if (n) {
            instance_show(tx, n, &in->include,
                          &out->container_instances.v[out->container_instances.n++]);
        } else {
            instance_missing(tx, cluster->name, said, &out->failures);
        }
    }
    return 0;
}

static bool has_status(struct tx *tx, const char *key, struct gt_str status)
{
    const struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
    return gt_str_eq(status, n->status);
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
    const struct fleet *fleet = place_fleet(tx, cluster->name);
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        bool yes = !in->status.n || has_status(tx, key, in->status);
        gt_arena_release(tx_arena(tx), mark);
        struct gt_str id = key_tail(key);
        yes = yes && (!q || query_matches(q, &fleet_find(fleet, id)->is));
        if (yes && !page_add(&p, id.p, arn_instance(tx, cluster->name, id))) {
            break;
        }
    }
    out->next_token = page_token(&p);
    return 0;
}
