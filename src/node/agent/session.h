/*
 * The node's conversation with the server: registration, the long poll for what should run, and
 * reports of what does. Two threads with a connection each; results come to the loop.
 *
 * Every connection of an agent mints a session; a cloned or older agent is refused. A server that
 * is not there, or comes back with another epoch, changes nothing that runs.
 */
#ifndef GT_NODE_AGENT_SESSION_H
#define GT_NODE_AGENT_SESSION_H

#include "lib/base/err.h"

#include <stdbool.h>

struct node;
struct standing;
struct session;

#define SESSION_ID_MAX 256

struct session *session_new(struct node *n);
void session_free(struct session *s); /* stops the threads; NULL is allowed */
/* From any thread: how it stands with the server now. */
void session_standing(struct session *s, struct standing *ret);
/* From any thread: the session's token. False: there is none. */
bool session_current(struct session *s, char to[static SESSION_ID_MAX]);
/* From the loop: something is dirty. Reports go out at once, one call at a time. NULL is allowed.
 */
void session_report_soon(struct session *s);
/* Reports all tasks anew. A server that has started since may be back from a backup that was made
 * after what this node was told last, and before what it has reported since. */
void session_report_all(struct node *n);

#endif
