/*
 * Task definitions. What was registered is kept as the JSON document of the API's TaskDefinition
 * shape, which the node gets as it is, and beside it as columns what placement needs.
 */
#ifndef GT_CONTROL_ECS_TASKDEF_H
#define GT_CONTROL_ECS_TASKDEF_H

#include "control/core/tx.h"
#include "lib/wire/gen/ecs.h"
#include "store/record/gen/rec_ecs.h"

#define TASK_MEMORY_MIN 6 /* MiB */

/* "family", "family:revision" or an ARN. Without a revision: the newest active one. NULL: there is
 * none. */
struct rec_ecs_taskdef *taskdef_find(struct tx *tx, struct gt_str said);
bool taskdef_has_active(struct tx *tx, struct gt_str family);

/* "1024", "1 vCPU", ".5 vcpu" into units; "512", "0.5 GB", "1gb" into MiB. -EINVAL: neither. */
int taskdef_cpu(struct gt_str said, int64_t *ret);
int taskdef_memory(struct gt_str said, int64_t *ret);
/* Whether Fargate has this combination: 0, 1 (no such CPU), 2 (not with this memory). */
int taskdef_fargate_size(int64_t cpu, int64_t memory);

/*
 * Everything that ECS checks and everything that Gantry has not, each refused with the field's
 * name. Fills defaults into `in` as ECS shows them (essential, protocol, hostPort under awsvpc and
 * host, networkMode) and the task's size.
 */
struct taskdef_size {
    int64_t cpu, memory; /* of the task; 0: not said */
};
int taskdef_check(struct tx *tx, struct ecs_register_task_definition_in *in,
                  struct taskdef_size *ret, struct gt_err *err);
/* Its parts */
int taskdef_check_container(struct tx *tx, struct ecs_container_definition *c, struct gt_err *err);
int taskdef_check_relations(struct tx *tx, const struct ecs_register_task_definition_in *in,
                            struct gt_err *err);
int taskdef_check_log(const struct ecs_container_definition *c, struct gt_err *err);
int taskdef_check_unsupported(const struct ecs_container_definition *c, struct gt_err *err);
/* Why the definition cannot run on Fargate; NULL: it can. */
const char *taskdef_not_fargate(const struct ecs_register_task_definition_in *in,
                                struct taskdef_size size);

#endif
