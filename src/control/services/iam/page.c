#include "control/services/iam/page.h"

#include "lib/base/limits.h"

/* A page ends here, too: a thousand roles with large documents would fill the arena. */
#define PAGE_BYTES (8 * GT_MIB)

int iam_page_open(struct tx *tx, struct iam_page *p, const char *prefix, struct gt_str marker,
                  bool has_max, int64_t max, struct gt_err *err)
{
    *p = (struct iam_page){.tx = tx, .max = has_max ? (size_t)max : 100};
    if (!marker.p) {
        return 0;
    }
    if (marker.n > 256 || memchr(marker.p, 0, marker.n)) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidInputException", "Invalid marker");
    }
    p->after = gt_arena_printf(tx_arena(tx), "%s" GT_STR_FMT, prefix, GT_STR_ARG(marker));
    return 0;
}

bool iam_page_add(struct iam_page *p, const char *key)
{
    if (p->n == p->max || (p->n > 0 && tx_arena(p->tx)->used > PAGE_BYTES)) {
        p->more = true;
        return false;
    }
    p->n++;
    p->last = key;
    return true;
}

struct gt_str iam_page_marker(const struct iam_page *p, const char *prefix)
{
    return p->more ? gt_str(p->last + strlen(prefix)) : (struct gt_str){0};
}
