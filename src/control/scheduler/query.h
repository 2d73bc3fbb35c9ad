/*
 * ECS's cluster query language, as memberOf constraints use it:
 *     attribute:ecs.availability-zone in [a, b] and not(attribute:gpu exists)
 *
 * Subjects: attribute:NAME, agentConnected, agentVersion, runningTasksCount. Operators: == equals,
 * != not_equals, < <= > >= and their names, exists, !exists not_exists, in, !in not_in. Patterns
 * (=~), registeredAt, ec2InstanceId and task:group are refused by name.
 */
#ifndef GT_CONTROL_SCHEDULER_QUERY_H
#define GT_CONTROL_SCHEDULER_QUERY_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#include <stdint.h>

struct query;

struct query_attr {
    struct gt_str name, value;
};

struct query_subject {
    const struct query_attr *attrs;
    size_t n_attrs;
    bool connected;
    int64_t running_tasks;
    struct gt_str agent_version;
};

/* In the arena; points into `text`. NULL with err filled when it is not an expression. */
const struct query *query_parse(struct gt_str text, struct gt_arena *a, struct gt_err *err);
bool query_matches(const struct query *q, const struct query_subject *s);

#endif
