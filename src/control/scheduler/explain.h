/*
 * Why a node takes a task or not, and what would have to be different. Pure, and computed only when
 * somebody asks: placement itself keeps nothing for it.
 *
 * The verdicts come from sched_fits() itself, filter by filter, so that an explanation cannot say
 * anything else than placement does.
 *
 * A change is one thing that an operator can do. A fix is a set of them after which the task fits
 * on a node; explain_fix() finds the one with the least weight over all nodes. Weights, the
 * lightest first: room on a node (by how much is missing), an attribute, a node's state, an agent
 * to be brought back, the task's own demands, a node more.
 */
#ifndef GT_CONTROL_SCHEDULER_EXPLAIN_H
#define GT_CONTROL_SCHEDULER_EXPLAIN_H

#include "control/scheduler/scheduler.h"
#include "lib/base/arena.h"

/* A node as it is, and how large it would be if it were empty. */
struct explain_node {
    struct sched_node now;
    int64_t cpu, memory;
};

#define EXPLAIN_BIT(refusal) (1u << (refusal))

/* Every filter that refuses, as EXPLAIN_BITs; 0: it fits. The lowest one is what sched_fits() says.
 */
unsigned explain_refusals(const struct sched_node *node, const struct sched_request *rq);

/* What the strategies make of the nodes: for each node the numbers that are compared, one for each
 * of sched_strategies(), lower is better: free units of a binpack; for a spread the tasks of the
 * group on the node, or on all nodes with its value of the attribute. In the arena, node after
 * node; what is said of a node that does not fit is what it would be. */
int64_t *explain_scores(const struct explain_node *nodes, size_t n, const struct sched_request *rq,
                        struct gt_arena *a);

enum explain_change_kind {
    EXPLAIN_FREE_CPU,         /* `amount` units on the node: other tasks end */
    EXPLAIN_FREE_MEMORY,      /* `amount` MiB on the node */
    EXPLAIN_FREE_PORT,        /* `amount` is a SCHED_PORT on the node */
    EXPLAIN_FREE_ADDRESS,     /* on the node */
    EXPLAIN_SET_ATTRIBUTE,    /* `name` = `value` on the node */
    EXPLAIN_REMOVE_ATTRIBUTE, /* `name` on the node */
    EXPLAIN_ACTIVATE,         /* the node: it is draining */
    EXPLAIN_CONNECT,          /* the node's agent must be heard */
    EXPLAIN_LOWER_CPU,        /* the task asks for `amount` units */
    EXPLAIN_LOWER_MEMORY,     /* the task asks for `amount` MiB */
    EXPLAIN_DROP_MEMBER_OF,   /* the task's constraint number `index` */
    EXPLAIN_DROP_DISTINCT,    /* the task's distinctInstance */
    EXPLAIN_ADD_NODE,         /* one that is empty, with what the request asks for */
};

struct explain_change {
    enum explain_change_kind kind;
    int64_t amount;
    size_t index;
    struct gt_str name, value;
};

/* The weight of a fix that nobody can carry out: another processor, say. */
#define EXPLAIN_IMPOSSIBLE (1 << 20)

struct explain_fix {
    int node; /* index; -1: that of EXPLAIN_ADD_NODE */
    const struct explain_change *changes;
    size_t n; /* 0: it fits as it is */
    int64_t weight;
};

/* What would have to change on nodes[at] or in the request for it to fit there. In the arena. */
struct explain_fix explain_fix_node(const struct explain_node *nodes, size_t at,
                                    const struct sched_request *rq, struct gt_arena *a);
/* The lightest fix over all nodes; of equals the first node's. */
struct explain_fix explain_fix(const struct explain_node *nodes, size_t n,
                               const struct sched_request *rq, struct gt_arena *a);

/* The world after a change: for tests, and for whoever wants to see what would come next. `nodes`
 * has room for one more than *n; `rq` and the nodes are changed in place, what they point to is
 * copied into the arena. */
void explain_apply(const struct explain_fix *fix, struct explain_node *nodes, size_t *n,
                   struct sched_request *rq, struct gt_arena *a);

#endif
