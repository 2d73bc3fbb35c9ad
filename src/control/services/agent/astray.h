/*
 * Nodes that come from another history: their server was restored from a backup, or its state
 * folder is an older one that was copied back. docs/adr/0053-astray-nodes.md tells the protocol.
 *
 * A node remembers the epoch and the revision that it was last told of, and says so when it
 * registers and with every Poll. Where that is not part of this server's history the node is
 * astray: nothing is placed on it and it is told nothing, so that everything on it goes on as it
 * is; it reports what it runs (ecs/astray/<node>/<task>). After Adopt it registers once more, has
 * its session marked `adopted`, and walks over all that is assigned to it: what it has and the
 * server knows goes on, what the server does not know ends, what the node does not have counts as
 * stopped and is never started a second time. When it comes with its first Poll after that walk it
 * is a node like any other.
 */
#ifndef GT_CONTROL_AGENT_ASTRAY_H
#define GT_CONTROL_AGENT_ASTRAY_H

#include "control/services/agent/agent.h"
#include "lib/wire/gen/agent.h"

/* What the node remembers is not part of this history. */
bool astray_stranger(const struct tx *tx, const struct agent_register_node_in *in);
/* At registration: decides what n is; the caller puts it. True: astray. */
bool astray_check(struct tx *tx, const struct agent_register_node_in *in, struct rec_ecs_node *n);
/* A report of an astray node, known or not. */
void astray_note(struct tx *tx, struct gt_str node, const struct agent_task_report *in, bool known);
/* The node is none of ours any more: nothing of what it reported is kept. */
void astray_forget(struct tx *tx, struct gt_str node);
/* The walk after an adoption is over. */
void astray_over(struct tx *tx, struct rec_ecs_session *s);

/* Of an operator: an astray node may come back; see above. False: it is not astray. */
bool astray_adopt(struct tx *tx, struct rec_ecs_node *n);

#endif
