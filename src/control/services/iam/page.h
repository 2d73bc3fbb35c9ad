/* For services/iam alone: a page of a listing. The frame seals the markers. */
#ifndef GT_CONTROL_SERVICES_IAM_PAGE_H
#define GT_CONTROL_SERVICES_IAM_PAGE_H

#include "control/core/tx.h"

struct iam_page {
    struct tx *tx;
    size_t max, n;
    char *after;      /* the key that the page before ended with; NULL: from the start */
    const char *last; /* of this page */
    bool more;
};

/* 100 items unless the caller says how many. InvalidInput for a marker that is none of ours. */
int iam_page_open(struct tx *tx, struct iam_page *p, const char *prefix, struct gt_str marker,
                  bool has_max, int64_t max, struct gt_err *err);
/* Whether there is room for what lies under `key`. False: the page is full and the walk ends. */
bool iam_page_add(struct iam_page *p, const char *key);
/* What `Marker` is; p NULL: that was all. */
struct gt_str iam_page_marker(const struct iam_page *p, const char *prefix);

#endif
