/* <state>/server.json: where the verbs of `gantry` find the server, and what proves it. */
#ifndef GT_CMD_SERVER_PLACE_H
#define GT_CMD_SERVER_PLACE_H

#include "control/server/server.h"

int server_place_save(const struct server_options *o, const struct server *s, struct gt_err *err);

#endif
