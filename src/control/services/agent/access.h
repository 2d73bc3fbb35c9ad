/*
 * What a node's key may touch beside the agent protocol: only what tasks that were placed on the
 * node name. Asked in the transaction of the call, of tx_principal(). Each is true for who is no
 * node.
 */
#ifndef GT_CONTROL_AGENT_ACCESS_H
#define GT_CONTROL_AGENT_ACCESS_H

#include "control/core/tx.h"

/* A log group that one of its tasks has as awslogs-group. */
bool node_may_name_group(struct tx *tx, struct gt_str group);
/* A repository that the image of one of its tasks is in. */
bool node_may_pull(struct tx *tx, struct gt_str repository);

/*
 * The log stream of one of its containers: "<prefix>/<container>/<task>", or a container's runtime
 * id, which begins with the task's. FORGOTTEN: of a task that ended so long ago that the server
 * does not know it; the caller lets its node add to a stream that is there, so that what lay on the
 * node meanwhile is not lost.
 */
enum node_log { NODE_LOG_DENIED, NODE_LOG_OWN, NODE_LOG_FORGOTTEN };
enum node_log node_may_log(struct tx *tx, struct gt_str group, struct gt_str stream);

#endif
