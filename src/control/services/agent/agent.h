/*
 * The server's side of the agent protocol (api/agent.json): nodes register, ask what they should
 * run, and report what became of it.
 *
 * - RegisterNode opens a session; whoever comes with an older one gets StaleSessionException. It
 *   also brings a lost node back.
 * - Poll gives what changed in a node's assignments since a revision, and waits (tx_wait) when
 *   nothing did; everything when it comes with revision 0 or from before its session. It walks over
 *   them in the order of task ids. An answer is bounded (GT_LIMIT_POLL_PAGE): where one is cut, it
 *   has `more`, which the node sends with its next Poll, at the revision that it came with. Each
 *   answer shows the state as it is then; the last one gives the revision of the state at the
 * first. So nothing is skipped: what was written before that the walk comes by, as a key's revision
 * only grows; what is written while it goes on is newer, and comes with the next walk (some of it a
 *   second time, which changes nothing). `full` is in the last answer of a walk over everything:
 *   what a node has and was not told of in that walk is not its any more. A task that is assigned
 *   meanwhile, behind the walk, the node does not have yet.
 * - Peers gives the other nodes' addresses and subnets, so that tasks reach each other: the whole
 *   table whenever it has changed since a revision (in pieces, as Poll), and waits when it has not.
 * - Report moves tasks forward, each by its own sequence number; what was reported before is
 *   accepted and changes nothing. A task that counts as stopped because its node was lost (a
 *   ghost) frees what it held when its node reports it STOPPED; so must a node that comes back and
 *   no longer knows the task.
 * - TaskCredentials says as whom a task calls: a session of its role. For the node that it runs on.
 * - NodeLost and NodeBack are for the liveness actor inside the server alone. NodeLost only says
 *   that the node is lost; the controller "agent-lost" then stops its tasks, some in each step.
 * When the node is back before it is through (NodeBack, RegisterNode), it ends: tasks that it came
 * to stay stopped, and their node is told to stop them; the others go on as if nothing had been.
 *   With `held` its tasks are left alone, and services say so (detector.h).
 * - A node that is fenced (an operator says that it is gone for good) is refused until that is
 *   undone; what its tasks held is free.
 */
#ifndef GT_CONTROL_AGENT_AGENT_H
#define GT_CONTROL_AGENT_AGENT_H

#include "control/core/controller.h"
#include "control/core/service.h"
#include "store/record/gen/rec_ecs.h"

#define AGENT_HEARTBEAT_MS 3000

/* Always the same object; it lives as long as the program. */
const struct service *agent_control(void);

extern const struct controller agent_lost_controller, agent_removed_controller;

/* fence.c. An operator says that a node which is not heard is gone for good: its tasks are stopped,
 * what they hold is freed, and it is refused. undo: it may come back, and clears what it has. */
extern const struct service_change node_fence; /* struct rec_ecs_fence */

/* --- lost.c: each puts all but the node's record, which the caller puts */

/* The node answers (again). */
void node_found(struct tx *tx, struct rec_ecs_node *n);
/* It does not, but its tasks are not to be replaced yet. */
void node_hold(struct tx *tx, struct rec_ecs_node *n);
/* Its tasks are stopped, from the next step on. gone: for good, what they hold is freed. */
void node_lose(struct tx *tx, struct rec_ecs_node *n, struct gt_str reason, bool gone);

/* The session's record when the token is that of the newest session of a node that the caller may
 * speak for; NULL with err. */
struct rec_ecs_session *agent_session(struct tx *tx, struct gt_str token, struct gt_err *err);
/* NodeFencedException */
int agent_fenced(const struct rec_ecs_node *n, struct gt_err *err);

/* Where a walk that is answered in pieces goes on: "<until>/<after>", made by
 * agent_position_text(). `said` without text: at the start. False: it is not from an answer of this
 * server. */
struct agent_position {
    int64_t until;       /* the state at the walk's first answer */
    struct gt_str after; /* the id that the last answer ended with; n 0: the first */
};
bool agent_position(struct tx *tx, struct gt_str said, struct agent_position *ret);
struct gt_str agent_position_text(struct tx *tx, const struct agent_position *at,
                                  struct gt_str after);

/* The node says where its peers reach it (RegisterNode); without an address nobody does. */
struct agent_register_node_in;
int agent_peer_tell(struct tx *tx, const struct agent_register_node_in *in,
                    const struct rec_ecs_node *n, struct gt_err *err);

/* The node id inside a session token, for liveness; p NULL: none. */
struct gt_str agent_session_node(struct gt_str token);

#endif
