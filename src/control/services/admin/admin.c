#include "control/services/admin/admin.h"

#include "control/services/gen/admin_handlers.h"

const struct service *admin_control(void)
{
    static struct service s = {.name = "admin", .ops = admin_ops};
    s.n_ops = n_admin_ops;
    return &s;
}
