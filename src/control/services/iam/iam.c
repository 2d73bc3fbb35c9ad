#include "control/services/iam/iam.h"

#include "control/services/gen/iam_handlers.h"

const struct service *iam_control(void)
{
    static struct service s = {.name = "iam", .ops = iam_ops};
    s.n_ops = n_iam_ops;
    return &s;
}
