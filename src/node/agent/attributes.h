/*
 * A node's attributes: what it can do (ecs.os-type, ecs.cpu-architecture, ecs.capability.*), where
 * it is (ecs.availability-zone), and what its operator says of it. memberOf constraints ask for
 * them.
 */
#ifndef GT_NODE_AGENT_ATTRIBUTES_H
#define GT_NODE_AGENT_ATTRIBUTES_H

#include "lib/base/arena.h"
#include "lib/wire/gen/agent.h"
#include "node/agent/agent.h"

/* Whether the options' attributes and zone can be sent at all. */
int attributes_check(const struct agent_options *o, struct gt_err *err);
/* Texts live in the arena or the options. */
void attributes_list(const struct agent_options *o, struct gt_arena *a,
                     struct agent_attribute_list *out);

#endif
