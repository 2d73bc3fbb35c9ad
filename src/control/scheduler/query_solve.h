/*
 * What would make an expression hold: the fewest edits of a node's attributes after which
 * query_matches() is true. For explanations; placement does not need it.
 */
#ifndef GT_CONTROL_SCHEDULER_QUERY_SOLVE_H
#define GT_CONTROL_SCHEDULER_QUERY_SOLVE_H

#include "control/scheduler/query.h"

struct query_edit {
    struct gt_str name, value;
    bool remove; /* the attribute goes; else it is set to `value` */
};

/* False when attributes alone can't do it: the expression is about something else, or a pattern
 * that no text is known to match. `*ret` is in the arena; its texts are those of the expression. */
bool query_solve(const struct query *q, const struct query_subject *s, struct gt_arena *a,
                 const struct query_edit **ret, size_t *ret_n);

#endif
