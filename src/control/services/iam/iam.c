#include "control/services/iam/iam.h"

#include "control/services/gen/iam_handlers.h"
#include "control/services/iam/role.h"

/* Callers name a role without its path and in whatever case. */
static struct gt_str full_arn(struct tx *tx, struct gt_str arn)
{
    const char *slash = arn.n ? memrchr(arn.p, '/', arn.n) : NULL;
    const struct rec_iam_role *role =
        slash ? role_find(tx, gt_str_n(slash + 1, arn.n - (size_t)(slash + 1 - arn.p))) : NULL;
    return role ? role_arn(tx, role) : arn;
}

static bool tags(struct tx *tx, struct gt_str arn, struct rec_kv_list *ret)
{
    const struct rec_iam_role *role = role_of_arn(tx, arn);
    *ret = role ? role->tags : (struct rec_kv_list){0};
    return role != NULL;
}

const struct service *iam_control(void)
{
    static const struct service_policy policy = {.full_arn = full_arn, .tags = tags};
    static struct service s = {.name = "iam", .ops = iam_ops, .policy = &policy};
    s.n_ops = n_iam_ops;
    return &s;
}
