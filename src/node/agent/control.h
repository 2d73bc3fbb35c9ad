/*
 * <run>/agent.sock: what the command line asks the agent of its own node (unix, SOCK_SEQPACKET,
 * mode 0600): `gantry exec`, `gantry images`, local logs.
 *
 * A request is one JSON message, with descriptors beside it where said so; answers are JSON
 * messages. {"error": "..."} says why something was not done.
 *
 *   {"op":"exec","task":id,"container":name or "","command":[...],"tty":bool,"rows":n,"cols":n}
 *       without tty: three descriptors, standard input, output and error
 *     -> {"pid":n}, with tty the terminal's master as a descriptor
 *     -> {"exitCode":n} when it ends. Closing the connection before sends SIGKILL.
 *   {"op":"images"}  -> {"images":[{"name","digest","size","pulledAt"}],"more":bool}, again while
 *       "more" is true
 *   {"op":"image-remove","image":name} and {"op":"image-prune"}  -> {"removed":n}
 *   {"op":"status"}  -> {"standing": see standing.h, "text","server","node"}
 *   {"op":"tasks"}   -> {"tasks":[{"id","status","containers":[{"name","status","spool"}]}]}
 */
#ifndef GT_NODE_AGENT_CONTROL_H
#define GT_NODE_AGENT_CONTROL_H

#include "lib/base/err.h"

#include <stdbool.h>

struct node;
struct control;
struct shim_reply;

int control_new(struct node *n, struct control **ret, struct gt_err *err);
void control_free(struct control *c); /* NULL is allowed */

/* From the state machine: an exec that one of the connections waits for? true: it was, and the
 * reply's descriptor was taken. NULL is allowed. */
bool control_exec_reply(struct control *c, const char *task_id, struct shim_reply *r);
void control_exec_exited(struct control *c, const char *task_id, const char *exec_id,
                         int exit_code);
/* Nothing more will be heard of the task's processes: whoever waits for one is told 137. */
void control_task_gone(struct control *c, const char *task_id);

#endif
