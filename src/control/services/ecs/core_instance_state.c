/* UpdateContainerInstancesState, DeregisterContainerInstance. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/peers.h"
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
        struct rec_ecs_node *gone = n ? NULL : instance_inactive(tx, cluster->name, said);
        if (gone) {
            failure_add(tx, &out->failures, arn_instance(tx, gone->cluster, gone->id),
                        NODE_INACTIVE, NULL);
            continue;
        }
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

/* From here on the node is not one of the cluster; its tasks are stopped in steps (agent-lost). */
static void deregister(struct tx *tx, struct rec_ecs_node *n)
{
    tx_delete(tx, key_node(tx, n->cluster, n->id));
    tx_delete(tx, key_load(tx, n->cluster, n->id));
    tx_delete(tx, key_drain(tx, n->cluster, n->id));
    tx_delete(tx, key_session(tx, n->id));
    peers_forget(tx, n->id);
    n->status = GT_STR_LIT(NODE_INACTIVE);
    n->lost = true;
    n->version++;
    char *key = key_inactive(tx, n->id);
    tx_put(tx, key, &rec_ecs_node_desc, n);
    tx_alarm_set(tx, instance_expiry_controller.name, key, tx_now(tx) + NODE_KEPT_MS);
    struct rec_ecs_lost l = {
        .cluster = n->cluster,
        .text = GT_STR_LIT("Container instance deregistration forced by user"),
        .gone = true,
    };
    tx_put(tx, key_lost(tx, n->id), &rec_ecs_lost_desc, &l);
}

int ecs_deregister_container_instance(struct tx *tx,
                                      const struct ecs_deregister_container_instance_in *in,
                                      struct ecs_deregister_container_instance_out *out,
                                      struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    struct rec_ecs_node *n = instance_of(tx, cluster->name, in->container_instance);
    if (!n) {
        bool gone = instance_inactive(tx, cluster->name, in->container_instance);
        return invalid(err, gone ? "The referenced container instance is inactive."
                                 : "The referenced container instance was not found.");
    }
    struct rec_ecs_load *l = tx_get(tx, key_load(tx, n->cluster, n->id), &rec_ecs_load_desc);
    if (!in->force && l && l->running + l->pending > 0) {
        return invalid(err, "Found running tasks on the instance.");
    }
    deregister(tx, n);
    out->container_instance = gt_arena_new(tx_arena(tx), struct ecs_container_instance);
    instance_show(tx, n, &(struct wire_str_list){0}, out->container_instance);
    return 0;
}
