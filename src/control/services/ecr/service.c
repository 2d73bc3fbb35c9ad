#include "control/services/ecr/ecr.h"
#include "control/services/ecr/repository.h"
#include "control/services/gen/ecr_handlers.h"

const struct service *ecr_control(void)
{
    static struct service s = {.name = "ecr", .ops = ecr_ops, .changes = ecr_changes};
    s.n_ops = n_ecr_ops;
    return &s;
}
