/*
 * Where tasks are placed: a cluster's nodes as the scheduler wants them, and what tasks hold there.
 */
#ifndef GT_CONTROL_ECS_PLACE_H
#define GT_CONTROL_ECS_PLACE_H

#include "control/core/tx.h"
#include "control/scheduler/fleet.h"
#include "store/record/gen/rec_ecs.h"

/* The nodes of a cluster with all that this transaction has changed on them; a view (view.h), made
 * of the records under ecs/node, ecs/load and ecs/group. Never NULL. */
struct fleet *place_fleet(struct tx *tx, struct gt_str cluster);

/* Of a node's /24: .1 is the gateway, .2 gantry-link, .3 kept, as in a subnet of AWS (net.h). */
enum { PLACE_FIRST_ADDRESS = 4, PLACE_LAST_ADDRESS = 254 };
/* How many of them are taken. */
size_t place_addresses(const struct rec_ecs_load *l);

/* Takes what the task needs of its node, and gives it an address when it wants one. The scheduler
 * has said that there is room. */
void place_reserve(struct tx *tx, struct rec_ecs_task *t);
void place_release(struct tx *tx, const struct rec_ecs_task *t);
/* So many more tasks of this node are running and pending. */
void place_count(struct tx *tx, const struct rec_ecs_task *t, int running, int pending);

#endif
