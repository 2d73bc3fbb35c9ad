/* Between the files of a task's life: reservations of place.c. */
#ifndef GT_CONTROL_ECS_TASK_PRIV_H
#define GT_CONTROL_ECS_TASK_PRIV_H

#include "control/services/ecs/task.h"

void place_reserve(struct place *p, int at, struct rec_ecs_task *t);
void place_release(struct tx *tx, const struct rec_ecs_task *t);
void place_count(struct tx *tx, const struct rec_ecs_task *t, int running, int pending);

#endif
