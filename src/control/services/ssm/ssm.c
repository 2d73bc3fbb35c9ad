#include "control/services/ssm/ssm.h"

#include "control/services/gen/ssm_handlers.h"

const struct service *ssm_control(void)
{
    static struct service s = {.name = "ssm", .ops = ssm_ops};
    s.n_ops = n_ssm_ops;
    return &s;
}
