/* A running cluster as the start of a scenario. */
#ifndef GT_CMD_SIMULATE_LIVE_H
#define GT_CMD_SIMULATE_LIVE_H

#include "cmd/gantry/cli.h"
#include "control/simulate/scenario.h"

/*
 * The nodes that take tasks and the services that are active, as the API shows them to everybody:
 * how long tasks took to start is seen from those that run. In the arena of `c`. What cannot be
 * played is left out and said on standard error. Returns an exit code; 0: *ret is there.
 */
int simulate_live(struct cli *c, const char *cluster, struct scenario **ret);

#endif
