#include "control/services/sts/sts.h"

#include "control/services/gen/sts_handlers.h"
#include "lib/wire/wire.h"

int sts_get_caller_identity(struct tx *tx, const struct sts_get_caller_identity_in *in,
                            struct sts_get_caller_identity_out *out, struct gt_err *err)
{
    const struct principal *p = tx_principal(tx);
    out->account = p->account;
    out->arn = p->arn;
    out->user_id = p->kind == PRINCIPAL_ROOT ? p->account : p->key_id;
    if (p->session) {
        out->user_id =
            gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT ":" GT_STR_FMT,
                                   GT_STR_ARG(p->session->role_id), GT_STR_ARG(p->session->name)));
    }
    return 0;
}

const struct service *sts_control(void)
{
    static struct service s = {.name = "sts", .ops = sts_ops};
    s.n_ops = n_sts_ops;
    return &s;
}
