/* The ECS service: its operations (api/ecs.gantry.json) and controllers, for the server and the
 * simulator. */
#ifndef GT_CONTROL_ECS_ECS_H
#define GT_CONTROL_ECS_ECS_H

#include "control/core/service.h"

/* Always the same object; it lives as long as the program. */
const struct service *ecs_control(void);

#endif
