/* The roles that task definitions and overrides name: taskRoleArn and executionRoleArn. */
#ifndef GT_CONTROL_ECS_ROLE_H
#define GT_CONTROL_ECS_ROLE_H

#include "control/core/tx.h"

#define ECS_TASKS_SERVICE "ecs-tasks.amazonaws.com"

/* The ARN of a role that is said by its ARN or by its name; empty for nothing. */
struct gt_str ecs_role_arn(struct tx *tx, struct gt_str said);

/* ClientException for what cannot be a role. The role need not be there: ECS looks when a task
 * starts. */
int ecs_role_check(struct gt_str said, struct gt_err *err);

/* Whether the caller may give a role to tasks (iam:PassRole). */
int ecs_role_may_pass(struct tx *tx, struct gt_str said, struct gt_err *err);

#endif
