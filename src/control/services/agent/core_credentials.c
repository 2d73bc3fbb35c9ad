/*
 * TaskCredentials: a session of a task's role, for the node that the task is placed on and as long
 * as it is not stopped. The core says whose session and until when; the frame makes its keys
 * (server/issue.c), which the core never sees.
 */
#include "control/services/agent/agent.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/role.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/agent_handlers.h"
#include "control/services/iam/grants.h"
#include "control/services/iam/role.h"

#include <errno.h>

/* As on ECS. A node asks again when half of it is over: so with the server gone a task has keys for
 * three hours at least. */
enum { LIFE_MS = 6 * 3600 * 1000 };

static const struct rec_ecs_task *
find_task(struct tx *tx, const struct agent_task_credentials_in *in, struct gt_err *err)
{
    const struct rec_ecs_session *s = agent_session(tx, in->session, err);
    const struct rec_ecs_assignment *a =
        s && name_valid(in->task_id, "", 64)
            ? tx_get(tx, key_assign(tx, s->node, in->task_id), &rec_ecs_assignment_desc)
            : NULL;
    const struct rec_ecs_task *t = a ? task_get(tx, a->cluster, in->task_id) : NULL;
    if (s && (!t || t->ghost || t->last_status == TASK_STOPPED)) {
        (void)gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                         "task '" GT_STR_FMT "' does not run on this node",
                         GT_STR_ARG(in->task_id));
        return NULL;
    }
    return t;
}

int agent_task_credentials(struct tx *tx, const struct agent_task_credentials_in *in,
                           struct agent_task_credentials_out *out, struct gt_err *err)
{
    const struct rec_ecs_task *t = find_task(tx, in, err);
    if (!t) {
        return gt_err_code(err);
    }
    struct gt_str arn = ecs_role_arn(tx, t->task_role);
    const struct rec_iam_role *role = role_of_arn(tx, arn);
    if (!role || !iam_trusts_service(tx, role, ECS_TASKS_SERVICE, gt_str(tx_arn(tx, "ecs", "*")))) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidRoleException",
                          "ECS was unable to assume the role '" GT_STR_FMT "' that was provided "
                          "for this task. Please verify that the role being passed has the proper "
                          "trust relationship and permissions and that your IAM user has "
                          "permissions to pass this role.",
                          GT_STR_ARG(arn));
    }
    int64_t now = tx_now(tx) / 1000 * 1000; /* tokens and conditions have whole seconds */
    out->role_arn = arn;
    out->role_name = role->name;
    out->role_id = role->id;
    out->session_name = t->id;
    WIRE_SET(out, issued_at, now);
    WIRE_SET(out, expires_at, now + LIFE_MS);
    return 0;
}
