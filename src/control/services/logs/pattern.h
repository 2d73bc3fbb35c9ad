/*
 * Filter patterns, as CloudWatch Logs has them. For unstructured log events: terms that must all be
 * there, "quoted phrases", ?terms of which one must be there, -terms that must not. Matching is by
 * exact case. Beside other terms, ?terms are ignored, as AWS does. For JSON events ({ $.x = 1 })
 * and events of fields between blanks ([a, b]): pattern_expr.h. Regular expressions (%...%) are
 * refused.
 *
 * Source: "Filter pattern syntax", CloudWatch Logs user guide.
 */
#ifndef GT_CONTROL_SERVICES_LOGS_PATTERN_H
#define GT_CONTROL_SERVICES_LOGS_PATTERN_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#include "control/services/logs/pattern_expr.h"

#include <stdbool.h>

enum term_kind { TERM_ALL, TERM_ANY, TERM_NOT };

enum pattern_kind { PATTERN_TERMS, PATTERN_JSON, PATTERN_FIELDS };

struct log_pattern {
    enum pattern_kind kind;
    const struct pattern_expr *json;
    struct pattern_fields fields;
    struct {
        enum term_kind kind;
        struct gt_str text;
    } * terms;
    size_t n;      /* of the terms */
    bool only_any; /* nothing but ?terms */
};

/* Texts lie in the arena or point into `text`. GT_ERR_INVALID: InvalidParameterException. */
int log_pattern_parse(struct gt_str text, struct gt_arena *arena, struct log_pattern *ret,
                      struct gt_err *err);
/* Whether it lets everything through. */
static inline bool log_pattern_is_empty(const struct log_pattern *p)
{
    return p->kind == PATTERN_TERMS && p->n == 0;
}
bool log_pattern_match(const struct log_pattern *p, struct gt_str event);

#endif
