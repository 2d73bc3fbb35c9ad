/*
 * How this agent stands with the server: said in the log once for each change, and by `gantry
 * doctor` at any time. While it is not GOOD nothing is reported and nothing changed; containers go
 * on.
 */
#ifndef GT_NODE_AGENT_STANDING_H
#define GT_NODE_AGENT_STANDING_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum standing_kind {
    STANDING_NEW,        /* not yet heard of */
    STANDING_GOOD,       /* it has the newest session */
    STANDING_AWAY,       /* nobody answers, or not as wanted: that may pass */
    STANDING_REFUSED,    /* the server does not take this node's key */
    STANDING_SUPERSEDED, /* another agent is this node now: the machine, or its state, was copied */
    STANDING_REMOVED,    /* the node was deregistered */
};

struct standing {
    enum standing_kind kind;
    char text[1024]; /* what happened, and what to do; "" when GOOD */
};

/* "refused" ... */
const char *standing_name(enum standing_kind kind);

/* After a call was refused: `exception` as the service named it, "" when nobody answered.
 * `registering`: it was RegisterNode that was refused. `state_dir` is for the advice. */
void standing_judge(const char *exception, const struct gt_err *err, bool registering,
                    const char *state_dir, struct standing *ret);

/* How long to wait before the next try, after `last_ms`; 0 the first time. Longer where a change is
 * for people to make. */
int64_t standing_pause(enum standing_kind kind, int64_t last_ms);

#endif
