/* A fleet's inside: fleet.c has the nodes, ranking.c what kinds of requests think of them. */
#ifndef GT_CONTROL_SCHEDULER_FLEET_PRIV_H
#define GT_CONTROL_SCHEDULER_FLEET_PRIV_H

#include "control/scheduler/fleet.h"
#include "control/scheduler/tournament.h"
#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "lib/base/table.h"

/* A group's name, once for all who mention it: equal names have equal pointers. */
struct fleet_group {
    struct gt_str name;
    size_t refs;
    struct gt_list rankings; /* ranking.of_group: those of requests for this group */
};

struct fleet_node {
    uint32_t version; /* of the member: another one whenever it changed */
    bool listed, loaded;
    struct sched_node node; /* ports: the member's own, then the load's */
    struct fleet_member member;
    struct fleet_load load; /* its ports are in node.ports */
    void *texts;            /* the member's attributes and texts: one piece */
    int64_t *ports;
    struct query_group *groups; /* their names are those of a fleet_group, by address */
    size_t n_groups, groups_cap;
};

struct fleet {
    struct fleet_node **nodes; /* by index; NULL: free */
    size_t n_nodes, nodes_cap; /* indexes in use or free; room */
    struct gt_table by_id;     /* id -> index + 1 */
    struct gt_table groups;    /* name -> struct fleet_group */
    uint32_t *order;           /* indexes of members by id */
    size_t n_order, order_cap;
    uint32_t versions; /* given out */
    uint64_t shape;    /* counts up when a member comes, goes or has other attributes */

    /* The indexes of nodes that changed, in a ring. */
    uint32_t *log;
    size_t log_cap; /* a power of two */
    uint64_t logged, synced;

    struct gt_table rankings; /* the request as bytes -> struct ranking */
    struct gt_list by_use;    /* ranking.by_use; the one used last is last */
    size_t ranked;
    struct gt_buf key; /* of the request at hand */
};

struct fleet_group *fleet_group_ref(struct fleet *f, struct gt_str name);
void fleet_group_unref(struct fleet *f, struct fleet_group *g);
int64_t fleet_group_tasks(const struct fleet_node *n, const struct fleet_group *g);

struct ranking;
/* The ranking of this kind of request, up to date. */
struct ranking *ranking_of(struct fleet *f, const struct sched_request *rq);
/* A node has `by` more tasks of the rankings' group. */
void rankings_count(struct fleet *f, struct fleet_group *g, uint32_t index, int by);
void rankings_free(struct fleet *f);
/* The index of the node to use; -1: none fits. */
int64_t ranking_pick(const struct ranking *r, struct gt_prng *rng);
/* The index of the node that came nearest; -1: there are none. */
int64_t ranking_closest(const struct fleet *f, const struct ranking *r, enum sched_refusal *ret);

#endif
