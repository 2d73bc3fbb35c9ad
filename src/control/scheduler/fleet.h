/*
 * A fleet: the nodes of a cluster with what is on them, in a form in which a place for a task is
 * found in O(log nodes). It is derived: the same nodes, loads and tasks give the same answers,
 * whatever came before. Nothing here depends on the rest of Gantry.
 *
 * For each kind of request that comes (constraints, sizes, strategies, group) the fleet keeps a
 * ranking of its nodes: what each of them answers to the request, and in which order the request
 * would take them. A ranking follows the fleet when it is used: it takes in the nodes that changed
 * since, each in O(log nodes), or all nodes when too many did. So a request that comes again and
 * again costs O(log nodes) for each task, and many kinds in turn cost at worst what looking at
 * every node would, with a small constant. The rankings that were not used for longest go first
 * when they take too much memory (FLEET_RANKED).
 *
 * First filters throw out nodes, each with its reason (sched_fits); then the strategies order those
 * that are left, the first one being the most important; of nodes that are equal in all of them one
 * is drawn, each with the same probability. The draw counts them in the order of their values of
 * the attributes that tasks are spread over, then of their ids.
 *
 * Not for two threads at once. What is returned is good until the fleet's next change.
 */
#ifndef GT_CONTROL_SCHEDULER_FLEET_H
#define GT_CONTROL_SCHEDULER_FLEET_H

#include "control/scheduler/scheduler.h"

/* How many nodes all rankings of a fleet have at most, but for the newest ranking; about 60 bytes
 * each. */
#define FLEET_RANKED (2UL << 20)

struct fleet;

struct fleet *fleet_new(void);
void fleet_free(struct fleet *f); /* NULL: nothing */

/* A node as it registered. */
struct fleet_member {
    bool active, external, connected;
    int64_t cpu, memory;
    size_t addresses;
    const int64_t *ports; /* SCHED_PORT values that no task may have */
    size_t n_ports;
    const struct query_attr *attrs;
    size_t n_attrs;
    int64_t registered_at;
    struct gt_str agent_version, ec2_instance_id;
};
/* What is reserved on it. */
struct fleet_load {
    int64_t cpu, memory;
    size_t addresses;
    const int64_t *ports;
    size_t n_ports;
    int64_t running; /* tasks */
};

/* Copies. The three come in any order: what has a load or tasks only is no member and gets no task.
 * NULL: no member any more; nothing reserved. */
void fleet_put_member(struct fleet *f, struct gt_str id, const struct fleet_member *m);
void fleet_put_load(struct fleet *f, struct gt_str id, const struct fleet_load *l);
/* `by` more tasks of a group on a node; less when negative. */
void fleet_count_tasks(struct fleet *f, struct gt_str id, struct gt_str group, int by);
/* No member, no load and no task. */
bool fleet_is_empty(const struct fleet *f);

/* The members in the order of their ids. */
size_t fleet_size(const struct fleet *f);
const struct sched_node *fleet_at(const struct fleet *f, size_t i);
const struct sched_node *fleet_find(const struct fleet *f, struct gt_str id); /* NULL: none */

/* The node to use, or NULL. The caller brings in what this changes before it places the next. */
const struct sched_node *fleet_place(struct fleet *f, const struct sched_request *rq,
                                     struct gt_prng *rng);
/* When none fits: the node that came nearest (whose refusal is the last of the checks; of several
 * the one with the first id), and why it does not fit. NULL: there are no nodes. */
const struct sched_node *fleet_closest(struct fleet *f, const struct sched_request *rq,
                                       enum sched_refusal *ret);

#endif
