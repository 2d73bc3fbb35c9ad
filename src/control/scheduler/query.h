/*
 * ECS's cluster query language, as memberOf constraints and ListContainerInstances use it:
 *     attribute:ecs.availability-zone in [a, b] and not(task:group == service:batch)
 *
 * Subjects and the operators that each of them takes:
 *     attribute:NAME, task:group                 all of them
 *     agentConnected, ec2InstanceId              ==  !=  in  !in  =~  !~
 *     agentVersion, registeredAt, runningTasksCount    ==  !=  <  <=  >  >=
 * Operators have names too: equals, not_equals, less_than, less_than_equal, greater_than,
 * greater_than_equal, exists, not_exists (!exists), in, not_in (!in), matches, not_matches. Tests
 * are joined by and (&&), or (||), not (!) and parentheses.
 *
 * A node without the subject meets only the negative operators. task:group is one value for each
 * group that has tasks there: it is met when one of them is, a negative one when none is.
 * =~ is for the whole value, in Perl's dialect, which has what Java's and Perl's share; a pattern
 * that would take too long is not met. < and > go by number when both sides are numbers, a version
 * part by part. registeredAt is compared with 2018-06-18, 2018-06-18T22:28:28, the same with Z or
 * with +01:00, to the second; UTC when it does not say. Text with other characters than a word
 * has is put in quotes.
 *
 * Source: Amazon ECS Developer Guide, "Cluster query language".
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

/* How many tasks of a group are on a node; more than none. */
struct query_group {
    struct gt_str name;
    int64_t tasks;
};

struct query_subject {
    const struct query_attr *attrs;
    size_t n_attrs;
    const struct query_group *groups;
    size_t n_groups;
    bool connected;
    int64_t running_tasks;
    int64_t registered_at; /* ms since 1970 */
    struct gt_str agent_version, ec2_instance_id;
};

/* In the arena with all that it needs; keeps nothing of `text`. NULL with err filled when it is not
 * an expression. */
const struct query *query_parse(struct gt_str text, struct gt_arena *a, struct gt_err *err);
bool query_matches(const struct query *q, const struct query_subject *s);

/* What was parsed. */
struct gt_str query_text(const struct query *q);
/* Whether the answer may change with the tasks on a node, and not only with the node itself. */
bool query_asks_tasks(const struct query *q);

#endif
