#include "control/services/ecr/ecr.h"
#include "control/services/ecr/repository.h"
#include "control/services/gen/ecr_handlers.h"
#include "store/record/gen/rec_ecr.h"

static bool tags(struct tx *tx, struct gt_str arn, struct rec_kv_list *ret)
{
    struct gt_str prefix = gt_str(tx_arn(tx, "ecr", "repository/"));
    const struct rec_ecr_repository *rec =
        gt_str_starts(arn, prefix) ? tx_get(tx,
                                            tx_key(tx, "ecr/repository/" GT_STR_FMT,
                                                   (int)(arn.n - prefix.n), arn.p + prefix.n),
                                            &rec_ecr_repository_desc)
                                   : NULL;
    *ret = rec ? rec->tags : (struct rec_kv_list){0};
    return rec != NULL;
}

const struct service *ecr_control(void)
{
    static const struct service_policy policy = {.tags = tags};
    static struct service s = {
        .name = "ecr", .ops = ecr_ops, .changes = ecr_changes, .policy = &policy};
    s.n_ops = n_ecr_ops;
    return &s;
}
