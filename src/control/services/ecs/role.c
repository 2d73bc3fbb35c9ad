#include "control/services/ecs/role.h"

#include "control/services/ecs/cluster.h"
#include "control/services/iam/grants.h"
#include "control/services/iam/role.h"
#include "lib/wire/arn.h"

#include <ctype.h>

struct gt_str ecs_role_arn(struct tx *tx, struct gt_str said)
{
    if (!said.n || arn_is(said)) {
        return said;
    }
    const struct rec_iam_role *role = role_find(tx, said);
    return role ? role_arn(tx, role)
                : gt_str(gt_arena_printf(tx_arena(tx),
                                         "arn:aws:iam::" GT_STR_FMT ":role/" GT_STR_FMT,
                                         GT_STR_ARG(tx_account(tx)), GT_STR_ARG(said)));
}

static bool is_name(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isalnum((unsigned char)s.p[i]) && (!s.p[i] || !strchr("+=,.@-_", s.p[i]))) {
            return false;
        }
    }
    return s.n <= 64;
}

int ecs_role_check(struct gt_str said, struct gt_err *err)
{
    struct arn arn;
    bool is_role = arn_parse(said, &arn) && gt_str_is(arn.service, "iam") &&
                   gt_str_is(arn.type, "role") && arn.id.n > 0 && said.n <= 2048;
    return !said.n || is_role || (!arn_is(said) && is_name(said))
               ? 0
               : refused(err, "Role is not valid");
}

int ecs_role_may_pass(struct tx *tx, struct gt_str said, struct gt_err *err)
{
    return iam_may_pass(tx, ecs_role_arn(tx, said), ECS_TASKS_SERVICE, err);
}
