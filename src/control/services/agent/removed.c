/* A node that was deregistered may not come back with any key that it had, nor be adopted. */
#include "control/services/agent/agent.h"
#include "control/services/agent/astray.h"
#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"

static enum step_result step(struct tx *tx, const char *key)
{
    if (tx_exists(tx, key)) {
        agent_key_revoke(tx, key_tail(key));
        astray_forget(tx, key_tail(key));
    }
    return STEP_DONE;
}

static void watch(struct tx *tx, const char *changed, void (*emit)(void *arg, const char *key),
                  void *arg)
{
    if (gt_str_starts(gt_str(key_rest(changed)), GT_STR_LIT("ecs/inactive/"))) {
        emit(arg, changed);
    }
}

const struct controller agent_removed_controller = {
    .name = "agent-removed", .watch = watch, .all = "ecs/inactive/", .step = step};
