#include "control/services/ecs/ecs.h"

#include "control/services/ecs/idempotency.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/service.h"
#include "control/services/ecs/task.h"
#include "control/services/ecs/taskdef.h"
#include "control/services/gen/ecs_handlers.h"

#include <inttypes.h>

/* A task definition's is with its revision: a family stands for its newest. */
static struct gt_str full_arn(struct tx *tx, struct gt_str arn)
{
    struct gt_str prefix = gt_str(tx_arn(tx, "ecs", "task-definition/"));
    const struct rec_ecs_taskdef *d =
        gt_str_starts(arn, prefix) && !memchr(arn.p + prefix.n, ':', arn.n - prefix.n)
            ? taskdef_find(tx, arn)
            : NULL;
    return d ? gt_str(tx_arn(tx, "ecs", "task-definition/" GT_STR_FMT ":%" PRId64,
                             GT_STR_ARG(d->family), d->revision))
             : arn;
}

const struct service *ecs_control(void)
{
    static const struct service_key keys[] = {{"ecs:cluster", "cluster/{cluster=default}"}};
    static const struct service_policy policy = {
        .full_arn = full_arn, .tags = ecs_tags_of, .keys = keys, .n_keys = 1};
    static const struct controller *const controllers[] = {
        &service_controller, &task_expiry_controller, &instance_expiry_controller,
        &idempotency_controller, NULL};
    static struct service s = {
        .name = "ecs", .ops = ecs_ops, .controllers = controllers, .policy = &policy};
    s.n_ops = n_ecs_ops;
    return &s;
}
