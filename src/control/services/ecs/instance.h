/*
 * Container instances: the nodes of a cluster as the ECS API names and shows them.
 *
 * A node is ACTIVE, or DRAINING: nothing new is placed on it, and its services' tasks are replaced
 * elsewhere as their deployment configuration allows (service_plan); other tasks go on. One that
 * was deregistered is INACTIVE: its record lies under ecs/inactive/ then, is shown for an hour, and
 * keeps its id from registering again; what was placed on it is stopped as on a lost node
 * (agent-lost), but frees at once what it held.
 */
#ifndef GT_CONTROL_ECS_INSTANCE_H
#define GT_CONTROL_ECS_INSTANCE_H

#include "control/core/controller.h"
#include "lib/wire/gen/ecs.h"
#include "store/record/gen/rec_ecs.h"

#define NODE_ACTIVE "ACTIVE"
#define NODE_DRAINING "DRAINING"
#define NODE_INACTIVE "INACTIVE"
#define NODE_KEPT_MS (3600 * 1000LL) /* how long an inactive one is shown */

/* The node that a request means: an id or an ARN. NULL: there is none in this cluster. */
struct rec_ecs_node *instance_of(struct tx *tx, struct gt_str cluster, struct gt_str said);
/* Likewise, of those that are INACTIVE. */
struct rec_ecs_node *instance_inactive(struct tx *tx, struct gt_str cluster, struct gt_str said);
/* One more failure: what was named is not there. */
void instance_missing(struct tx *tx, struct gt_str cluster, struct gt_str said,
                      struct ecs_failure_list *to);

/* Names that ECS and the node itself give ("ecs.", "com.amazonaws.ecs."). */
bool attribute_reserved(struct gt_str name);
/* What may be in a name and in a value (empty: none). */
int attribute_check(struct gt_str name, struct gt_str value, struct gt_err *err);
/* Of those that are not reserved, a node has at most ten. */
int attributes_too_many(const struct rec_kv_list *attributes, struct gt_err *err);

void instance_show(struct tx *tx, const struct rec_ecs_node *n, const struct wire_str_list *include,
                   struct ecs_container_instance *out);

extern const struct controller instance_expiry_controller;

#endif
