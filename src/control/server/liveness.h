/*
 * Liveness of nodes: an actor around the failure detector (services/agent/detector.h). Heartbeats
 * are heard here and nowhere written down. What the detector says of a node is reported to the core
 * (NodeLost, NodeBack), and said again until it is taken. Deadlines start anew when the server
 * does; a node that was lost or held by then is so until it is heard.
 */
#ifndef GT_CONTROL_SERVER_LIVENESS_H
#define GT_CONTROL_SERVER_LIVENESS_H

#include "control/services/agent/detector.h"

struct server;
struct liveness;

struct liveness *liveness_start(struct server *s, const struct detector_options *o);
void liveness_stop(struct liveness *l); /* NULL is allowed */

/* From any thread: the node has been heard. */
void liveness_heard(struct liveness *l, struct gt_str node);
struct detector *liveness_detector(struct liveness *l);

#endif
