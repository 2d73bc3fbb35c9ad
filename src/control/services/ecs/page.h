/*
 * A page of a list: where it starts, how many fit, where the next one starts. A position is the
 * last name that the page before showed, so that it stays right while the list changes. The frame
 * seals it into the token that a client sees (lib/wire/token.h) and opens it again.
 */
#ifndef GT_CONTROL_ECS_PAGE_H
#define GT_CONTROL_ECS_PAGE_H

#include "control/core/tx.h"
#include "lib/wire/wire.h"

struct page {
    struct tx *tx;
    struct wire_str_list *out;
    size_t max;
    char *after;      /* the position that the caller gave; NULL: from the start */
    const char *last; /* position of the last one added */
    bool more;
};

/* max: 0 for the default of 100. InvalidParameterException for a token that is none of ours. */
int page_open(struct tx *tx, struct page *p, struct gt_str token, bool has_max, int64_t max,
              struct wire_str_list *out, struct gt_err *err);
/* Adds an item; false when the page is full: the walk ends there. `at` is its position. */
bool page_add(struct page *p, const char *at, struct gt_str item);
struct gt_str page_token(const struct page *p); /* p NULL: that was all */

#endif
