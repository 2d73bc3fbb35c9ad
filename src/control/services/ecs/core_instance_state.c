/* UpdateContainerInstancesState. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

enum { INSTANCES_MAX = 10 };

static void set_status(struct tx *tx, struct rec_ecs_node *n, struct gt_str status)
{
    if (gt_str_eq(n->status, status)) {
        return;
    }
    n->status = status;
    n->version++;
    tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
    char *drain = key_drain(tx, n->cluster, n->id);
    if (gt_str_is(status, NODE_DRAINING)) {
        tx_mark(tx, drain);
    } else {
        tx_delete(tx, drain);
    }
}

int ecs_update_container_instances_state(struct tx *tx,
                                         const struct ecs_update_container_instances_state_in *in,
                                         struct ecs_update_container_instances_state_out *out,
                                         struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    if (!gt_str_is(in->status, NODE_ACTIVE) && !gt_str_is(in->status, NODE_DRAINING)) {
        return invalid(err, "Container instance status should be one of [ACTIVE, DRAINING].");
    }
    if (in->container_instances.n == 0 || in->container_instances.n > INSTANCES_MAX) {
        return invalid(err, in->container_instances.n ? "instanceIds can have at most 10 items."
                                                      : "instanceIds cannot be empty.");
    }
    out->container_instances.has = out->failures.has = true;
    out->container_instances.v =
        gt_arena_array(tx_arena(tx), struct ecs_container_instance, in->container_instances.n);
    for (size_t i = 0; i < in->container_instances.n; i++) {
        struct gt_str said = in->container_instances.v[i];
        struct rec_ecs_node *n = instance_of(tx, cluster->name, said);
        if (!n) {
            instance_missing(tx, cluster->name, said, &out->failures);
            continue;
        }
        set_status(tx, n, in->status);
        instance_show(tx, n, &(struct wire_str_list){0},
                      &out->container_instances.v[out->container_instances.n++]);
    }
    return 0;
}
