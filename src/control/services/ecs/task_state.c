#include "control/services/ecs/task_state.h"

#define __ TASK_REFUSED
static const signed char table[TASK_N_STATES][TASK_N_EVENTS] = {
    /* event:            -  PRO PEN ACT RUN DEA STI DEP STD STOP LOST */
    [TASK_NO_STATE] = {__, __, __, __, __, __, __, __, __, __, __},
    [TASK_PROVISIONING] = {__, 1, 2, 3, 4, 5, 6, 7, 8, 1, 8},
    [TASK_PENDING] = {__, __, 2, 3, 4, 5, 6, 7, 8, 2, 8},
    [TASK_ACTIVATING] = {__, __, __, 3, 4, 5, 6, 7, 8, 3, 8},
    [TASK_RUNNING] = {__, __, __, __, 4, 5, 6, 7, 8, 4, 8},
    [TASK_DEACTIVATING] = {__, __, __, __, __, 5, 6, 7, 8, 5, 8},
    [TASK_STOPPING] = {__, __, __, __, __, __, 6, 7, 8, 6, 8},
    [TASK_DEPROVISIONING] = {__, __, __, __, __, __, __, 7, 8, 7, 8},
    [TASK_STOPPED] = {__, __, __, __, __, __, __, __, 8, 8, 8},
};
#undef __

static const char *const names[] = {"",
#define X(name, n) #name,
                                    TASK_STATES(X)
#undef X
};

int task_next(enum task_state state, enum task_event event)
{
    if ((unsigned)state >= TASK_N_STATES || (unsigned)event >= TASK_N_EVENTS) {
        return TASK_REFUSED;
    }
    return table[state][event];
}

const char *task_state_name(int64_t state)
{
    return state > 0 && state < TASK_N_STATES ? names[state] : "";
}

enum task_state task_state_parse(struct gt_str name)
{
    for (int i = 1; i < TASK_N_STATES; i++) {
        if (gt_str_is(name, names[i])) {
            return (enum task_state)i;
        }
    }
    return TASK_NO_STATE;
}
