/* An expression as it was parsed: between query.c, query_match.c and query_pattern.c. */
#ifndef GT_CONTROL_SCHEDULER_QUERY_PRIV_H
#define GT_CONTROL_SCHEDULER_QUERY_PRIV_H

#include "control/scheduler/query.h"

enum query_kind { Q_AND, Q_OR, Q_NOT, Q_TEST };
enum query_op {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_EXISTS,
    OP_ABSENT,
    OP_IN,
    OP_NOT_IN,
    OP_MATCH,
    OP_NO_MATCH
};
enum query_subject_kind {
    SUBJECT_ATTRIBUTE,
    SUBJECT_GROUP,
    SUBJECT_CONNECTED,
    SUBJECT_INSTANCE,
    SUBJECT_VERSION,
    SUBJECT_REGISTERED,
    SUBJECT_RUNNING
};

struct query_pattern;

struct query {
    struct gt_str text; /* of the whole expression; only in its root */
    bool asks_tasks;    /* this or anything below it */
    enum query_kind kind;
    const struct query *left, *right;
    enum query_subject_kind subject;
    struct gt_str attribute;
    enum query_op op;
    const struct gt_str *values;
    size_t n_values;
    int64_t seconds;                     /* registeredAt: the value */
    const struct query_pattern *pattern; /* of =~ and !~ */
};

/* NULL: not a regular expression. */
const struct query_pattern *query_pattern_compile(struct gt_str text, struct gt_arena *a);
bool query_pattern_matches(const struct query_pattern *p, struct gt_str value);

/* Seconds since 1970; false: not a date. */
bool query_date(struct gt_str text, int64_t *ret);
bool query_number(struct gt_str text, double *ret);

#endif
