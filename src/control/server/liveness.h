/*
 * Liveness of nodes: an actor. Heartbeats are heard here and nowhere written down. A node that was
 * not heard for a while is reported to the core (NodeLost), one that is heard again is NodeBack.
 * What the core does not take is said again. Deadlines start anew when the server does; a node that
 * was lost by then is so until it is heard.
 *
 * When more than half of at least four nodes would be lost within one look, nothing is reported: it
 * is then rather this server that is cut off. The log says so.
 */
#ifndef GT_CONTROL_SERVER_LIVENESS_H
#define GT_CONTROL_SERVER_LIVENESS_H

#include "lib/base/str.h"

#include <stdint.h>

struct server;
struct liveness;

struct liveness *liveness_start(struct server *s, int64_t lost_after_ms);
void liveness_stop(struct liveness *l); /* NULL is allowed */
/* From any thread: the node has been heard. */
void liveness_heard(struct liveness *l, struct gt_str node);

#endif
