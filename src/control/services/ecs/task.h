/*
 * Tasks: how one comes into being, changes and ends. Whoever changes a task's record does it
 * through this header, so that marks, assignments, reservations and alarms always agree with it.
 */
#ifndef GT_CONTROL_ECS_TASK_H
#define GT_CONTROL_ECS_TASK_H

#include "control/core/controller.h"
#include "control/core/tx.h"
#include "control/scheduler/scheduler.h"
#include "control/services/ecs/task_state.h"
#include "lib/wire/gen/ecs.h"
#include "store/record/gen/rec_ecs.h"

#define TASK_KEPT_MS (3600 * 1000LL) /* how long a stopped task is shown */

/* What a task is to be. Texts need live only as long as the transaction. */
struct task_ask {
    const struct rec_ecs_taskdef *def;
    struct gt_str cluster, launch_type, group, started_by, service, deployment;
    const struct ecs_task_override *override; /* NULL: none */
    struct gt_str override_document;          /* the same as JSON; empty: none */
    int64_t cpu, memory;                      /* of the task as a whole; 0: as it is defined */
    struct gt_str subnet;                     /* awsvpc: as the caller called it */
    struct rec_kv_list tags;
    /* Of this task alone, beside its definition's and its service's. */
    struct rec_ecs_expression_list constraints;
    struct rec_ecs_strategy_list strategies;
    struct rec_kv_list pins; /* container name -> digest that its image was resolved to before */
};

/* What it needs of a node, and the static host ports that it takes. In the arena. */
struct sched_request task_request(struct tx *tx, const struct task_ask *ask);

/* Makes the task on a node of the cluster's fleet that has room for it (fleet_place), reserves what
 * it needs and writes everything. */
struct rec_ecs_task *task_start(struct tx *tx, const struct sched_node *node,
                                const struct task_ask *ask, const struct sched_request *rq);

struct rec_ecs_task *task_get(struct tx *tx, struct gt_str cluster, struct gt_str id);
/* The id or ARN of a request; NULL: no such task in this cluster. */
struct rec_ecs_task *task_of(struct tx *tx, struct gt_str cluster, struct gt_str said);

/* Desired status STOPPED; the first one to say so gives code and reason. */
void task_stop(struct tx *tx, struct rec_ecs_task *t, const char *code, struct gt_str reason);

/* A change that came from its node or about it. The caller has put what else changed into `t`;
 * this moves the last status, writes the record and all that follows. TASK_REFUSED: nothing was
 * written. */
int task_apply(struct tx *tx, struct rec_ecs_task *t, enum task_event event);

/* Its node has confirmed that a task which counted as stopped is gone: frees what it held. */
void task_lay_ghost(struct tx *tx, struct rec_ecs_task *t);

/* The task as the API shows it. */
void task_show(struct tx *tx, const struct rec_ecs_task *t, bool with_tags, struct ecs_task *out);

extern const struct controller task_expiry_controller;

#endif
