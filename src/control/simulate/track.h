/*
 * The state of a world as numbers for each service and node, kept up to date with each write of a
 * task, a load, a service; nothing is scanned. Names of families are those of services and jobs: a
 * kind is the index of a service, or the number of services + the index of a job.
 */
#ifndef GT_CONTROL_SIMULATE_TRACK_H
#define GT_CONTROL_SIMULATE_TRACK_H

#include "control/sim/world.h"
#include "control/simulate/machines.h"
#include "lib/base/list.h"

#define SIM_CLUSTER "default"

struct track_kind {
    int64_t desired, revision; /* of a service */
    int64_t running;           /* run, are wanted, and their node is there */
    int64_t placed;            /* wanted, not stopped, and their node is there */
    int64_t old;               /* of those that live: of another revision */
    int64_t draining;          /* ... on nodes that are drained */
    int64_t started, ended;    /* tasks, so far */
    bool waits;                /* for room */
    bool touched;              /* since whoever looks at it set it to false */
};

struct track_node {
    struct gt_list tasks;
    bool up, draining;
    int64_t cpu, memory; /* reserved */
    int64_t live;        /* tasks */
};

struct track {
    struct sim_world *w;
    const struct machines *fleet;
    size_t n_services, n_kinds;
    struct track_kind *kinds;
    struct track_node *nodes;
    struct gt_table tasks;    /* id -> struct track_task */
    struct gt_table families; /* name -> index of a kind + 1 */
    char **written;           /* keys that are to be looked at */
    size_t n_written, cap_written;
};

/* Listens to the world. All must outlive it. */
void track_init(struct track *t, struct sim_world *w, const struct scenario *s,
                const struct machines *f);
void track_fini(struct track *t);

/* Takes what was written since the last time. */
void track_stepped(struct track *t);
/* A node goes or comes, whether the server knows or not; it is drained or not. */
void track_node_is(struct track *t, unsigned node, bool up, bool draining);

/* Tasks that live, by (kind, node): fn for each pair. In no order. */
void track_each(const struct track *t, void (*fn)(void *arg, unsigned kind, unsigned node),
                void *arg);

#endif
