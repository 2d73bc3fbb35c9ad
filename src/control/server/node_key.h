/* The route by which a node gets its key; see node_key.c. */
#ifndef GT_CONTROL_SERVER_NODE_KEY_H
#define GT_CONTROL_SERVER_NODE_KEY_H

#include "control/server/route.h"

extern const struct server_route node_key_routes[];
extern const size_t n_node_key_routes;

#endif
