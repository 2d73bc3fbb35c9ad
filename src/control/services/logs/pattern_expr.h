/*
 * Conditions of filter patterns for events with structure, as CloudWatch Logs has them:
 *
 *   { ($.user.id = 1 || $.tags[*] = "web-*") && $.error NOT EXISTS }     JSON
 *   [ip, ..., status = 4* && status != 404, bytes > 1000]                fields between blanks
 *
 * Comparisons are = != < <= > >= with numbers, = and != with texts, in which * stands for anything;
 * JSON has IS TRUE, IS FALSE, IS NULL and NOT EXISTS besides. What a JSON path leads to must be
 * there and be no object and no list, else no comparison holds. A field in "..." or [...] is one,
 * without them. Regular expressions (%...%) are refused.
 *
 * Source: "Filter pattern syntax", CloudWatch Logs user guide.
 */
#ifndef GT_CONTROL_SERVICES_LOGS_PATTERN_EXPR_H
#define GT_CONTROL_SERVICES_LOGS_PATTERN_EXPR_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#include <stdbool.h>

struct pattern_expr;

struct pattern_fields {
    const struct pattern_expr **v; /* NULL: any text */
    size_t n;
    bool any_number; /* there is a "..." behind the first `before` of them */
    size_t before;
};

/* The pattern with its braces or brackets; what is returned lies in the arena. */
int pattern_json_parse(struct gt_str text, struct gt_arena *arena, const struct pattern_expr **ret,
                       struct gt_err *err);
bool pattern_json_match(const struct pattern_expr *e, struct gt_str event);

int pattern_fields_parse(struct gt_str text, struct gt_arena *arena, struct pattern_fields *ret,
                         struct gt_err *err);
bool pattern_fields_match(const struct pattern_fields *f, struct gt_str event);

#endif
