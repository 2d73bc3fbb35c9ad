/*
 * Filter patterns for unstructured log events, as CloudWatch Logs has them: terms that must all be
 * there, "quoted phrases", ?terms of which one must be there, -terms that must not. Matching is by
 * exact case. Beside other terms, ?terms are ignored, as AWS does. Patterns for JSON events
 * ({ $.x = 1 }), for space-delimited events ([a, b]) and regular expressions (%...%) are refused.
 *
 * Source: "Filter pattern syntax", CloudWatch Logs user guide.
 */
#ifndef GT_CONTROL_SERVICES_LOGS_PATTERN_H
#define GT_CONTROL_SERVICES_LOGS_PATTERN_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#include <stdbool.h>

enum term_kind { TERM_ALL, TERM_ANY, TERM_NOT };

struct log_pattern {
    struct {
        enum term_kind kind;
        struct gt_str text;
    } * terms;
    size_t n;
    bool only_any; /* nothing but ?terms */
};

/* Texts lie in the arena or point into `text`. GT_ERR_INVALID: InvalidParameterException. */
int log_pattern_parse(struct gt_str text, struct gt_arena *arena, struct log_pattern *ret,
                      struct gt_err *err);
bool log_pattern_match(const struct log_pattern *p, struct gt_str event);

#endif
