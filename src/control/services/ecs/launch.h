/* What RunTask, StartTask and services say alike about how tasks are to be started. */
#ifndef GT_CONTROL_ECS_LAUNCH_H
#define GT_CONTROL_ECS_LAUNCH_H

#include "control/services/ecs/task.h"

/* The active definition that a request means. ClientException when there is none. */
struct rec_ecs_taskdef *launch_taskdef(struct tx *tx, struct gt_str said, struct gt_err *err);

/* EC2 unless said; checked against what the definition can. */
int launch_type_check(const struct rec_ecs_taskdef *def, struct gt_str said, struct gt_str *ret,
                      struct gt_err *err);
/* platformVersion: only LATEST, and only with Fargate. */
int launch_platform_check(struct gt_str said, struct gt_str launch_type, struct gt_err *err);

/* awsvpc needs a network configuration and nothing else may have one. Gantry has one network:
 * a subnet's name is a label; security groups and public addresses are refused. */
int launch_network_check(const struct rec_ecs_taskdef *def,
                         const struct ecs_network_configuration *in, struct rec_str_list *ret,
                         struct gt_err *err);

/* Checks overrides against ask's definition and launch type, and puts them into it: as they are, as
 * a JSON document for the node, and the task's size in units. */
int launch_overrides(struct tx *tx, const struct ecs_task_override *in, struct task_ask *ask,
                     struct gt_err *err);

/* Constraints and strategies of a request or a service into those of the scheduler. */
int launch_placement(struct tx *tx, const struct rec_ecs_expression_list *constraints,
                     const struct rec_ecs_strategy_list *strategies, struct sched_request *rq,
                     struct gt_err *err);
void launch_keep_placement(struct tx *tx, const struct ecs_placement_constraint_list *constraints,
                           const struct ecs_placement_strategy_list *strategies,
                           struct rec_ecs_expression_list *ret_constraints,
                           struct rec_ecs_strategy_list *ret_strategies);

/* What a task asked of a node when it was placed; by its service's constraints and strategies as
 * they are now. False: its definition is gone. */
bool launch_again(struct tx *tx, const struct rec_ecs_task *t, struct sched_request *rq);

/* enableECSManagedTags: aws:ecs:clusterName, and aws:ecs:serviceName when there is one. */
void launch_managed_tags(struct tx *tx, struct gt_str cluster, struct gt_str service,
                         struct rec_kv_list *tags);

#endif
