#include "control/services/ecs/ecs.h"

#include "control/services/ecs/idempotency.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/service.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/ecs_handlers.h"

const struct service *ecs_control(void)
{
    static const struct controller *const controllers[] = {
        &service_controller, &task_expiry_controller, &instance_expiry_controller,
        &idempotency_controller, NULL};
    static struct service s = {.name = "ecs", .ops = ecs_ops, .controllers = controllers};
    s.n_ops = n_ecs_ops;
    return &s;
}
