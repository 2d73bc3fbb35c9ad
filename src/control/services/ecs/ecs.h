/* The ECS service: its operations (api/ecs.gantry.json) and controllers, for the server and the
 * simulator. */
#ifndef GT_CONTROL_ECS_ECS_H
#define GT_CONTROL_ECS_ECS_H

#include "control/core/service.h"

/* Always the same object; it lives as long as the program. */
const struct service *ecs_control(void);

/* The tags of a resource of ECS's; false: there is none of this ARN. */
struct rec_kv_list;
bool ecs_tags_of(struct tx *tx, struct gt_str arn, struct rec_kv_list *ret);

#endif
