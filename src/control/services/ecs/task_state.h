/*
 * The life of a task as a table. A task's last status only moves forward; STOPPED absorbs.
 *
 * Events are what the node reports (REPORT_<status>), NODE_LOST (its node is gone: the task counts
 * as stopped) and STOP (someone wants it stopped: the desired status changes, the last status
 * does not until the node says so, except before a node has it).
 */
#ifndef GT_CONTROL_ECS_TASK_STATE_H
#define GT_CONTROL_ECS_TASK_STATE_H

#include "lib/base/str.h"

#include <stdint.h>

/* The numbers are stored: never change or reuse one. */
#define TASK_STATES(X)                                                                             \
    X(PROVISIONING, 1)                                                                             \
    X(PENDING, 2)                                                                                  \
    X(ACTIVATING, 3)                                                                               \
    X(RUNNING, 4)                                                                                  \
    X(DEACTIVATING, 5)                                                                             \
    X(STOPPING, 6)                                                                                 \
    X(DEPROVISIONING, 7)                                                                           \
    X(STOPPED, 8)

enum task_state {
    TASK_NO_STATE,
#define X(name, n) TASK_##name = n,
    TASK_STATES(X)
#undef X
        TASK_N_STATES
};

enum task_event {
    TASK_NO_EVENT,
#define X(name, n) TASK_REPORT_##name = n,
    TASK_STATES(X)
#undef X
        TASK_STOP,
    TASK_NODE_LOST,
    TASK_N_EVENTS
};

enum { TASK_REFUSED = -1 };

/* The next state, the same one when the event changes nothing, or TASK_REFUSED when it cannot
 * happen in this state (a report that goes back). */
int task_next(enum task_state state, enum task_event event);

const char *task_state_name(int64_t state);           /* "RUNNING"; "" for no state */
enum task_state task_state_parse(struct gt_str name); /* TASK_NO_STATE: unknown */

#endif
