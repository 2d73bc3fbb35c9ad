/*
 * Where the nodes' tasks are reached by those of other nodes: a record for each node that said so,
 * and one that is written whenever any of them changes, comes or goes (key_peers): whoever wants to
 * know waits for that one.
 */
#ifndef GT_CONTROL_ECS_PEERS_H
#define GT_CONTROL_ECS_PEERS_H

#include "control/core/tx.h"
#include "store/record/gen/rec_ecs.h"

void peers_put(struct tx *tx, const struct rec_ecs_peer *peer); /* the same again is no change */
void peers_forget(struct tx *tx, struct gt_str node);           /* nor is one that is not there */

#endif
