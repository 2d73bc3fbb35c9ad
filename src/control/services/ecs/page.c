#include "control/services/ecs/page.h"

#include <errno.h>

int page_open(struct tx *tx, struct page *p, struct gt_str token, bool has_max, int64_t max,
              struct wire_str_list *out, struct gt_err *err)
{
    if (has_max && (max < 1 || max > 100)) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                          "maxResults must be between 1 and 100.");
    }
    *p = (struct page){.tx = tx, .out = out, .max = has_max ? (size_t)max : 100};
    out->v = gt_arena_array(tx_arena(tx), struct gt_str, p->max);
    out->has = true;
    if (!token.p) {
        return 0;
    }
    if (token.n > 1024 || memchr(token.p, 0, token.n)) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException", "Invalid token.");
    }
    p->after = gt_arena_str(tx_arena(tx), token);
    return 0;
}

bool page_add(struct page *p, const char *at, struct gt_str item)
{
    if (p->out->n == p->max) {
        p->more = true;
        return false;
    }
    p->out->v[p->out->n++] = item;
    p->last = at;
    return true;
}

struct gt_str page_token(const struct page *p)
{
    if (!p->more || !p->last) {
        return (struct gt_str){NULL, 0};
    }
    return gt_str(p->last);
}
