/*
 * What came of a scenario with one seed: plain numbers, for the table, the JSON and the plot. Times
 * are ms from the scenario's beginning, when its services had come up; shares are of what the nodes
 * have that are there.
 *
 * A task counts as running while it runs, is wanted, and its node is there: from the moment in
 * which a node goes, not from when the server notices.
 */
#ifndef GT_CONTROL_SIMULATE_OUTCOME_H
#define GT_CONTROL_SIMULATE_OUTCOME_H

#include "control/scheduler/scheduler.h"
#include "control/simulate/machines.h"

enum { OUTCOME_REFUSALS = SCHED_ADDRESS + 1 };

/* Of reserved CPU or memory, 0 to 1. */
struct use {
    double min, mean, max;
};

/* Something that happened, in order of time. */
struct outcome_event {
    int64_t at;
    const struct happening *what; /* NULL: the server's brake */
    enum scenario_action action;  /* the end of what lasts is the reverse */
    const char *text;             /* "lose zone b (10 nodes)" */
};

/* What one event did to one service, until it was as it should be: all desired tasks running; after
 * a deploy, all of the new revision; after a drain, none on these nodes. */
struct outcome_recovery {
    unsigned event, service;
    bool touched;     /* fewer ran, or it had something to do */
    int64_t desired;  /* when it began */
    int64_t lowest;   /* the fewest that ran */
    int64_t floor;    /* what minimumHealthyPercent wants of desired */
    int64_t below_ms; /* how long fewer than that ran */
    int64_t ms;       /* how long it took; -1: it did not end */
};

/* Why tasks could not be placed, at the moment when most of them could not. */
struct outcome_unplaced {
    int64_t missing; /* tasks; 0: all could */
    int64_t at;
    int64_t ms;                     /* how long some could not, in all */
    size_t nodes[OUTCOME_REFUSALS]; /* how many nodes refused for which reason */
    const char *closest;            /* node; NULL: there is none */
    const char *lacks;              /* why it does not fit */
    const char *change;             /* ... and the least that would make one task fit there */
    const char *more;               /* nodes that would take them all; NULL: none of any group */
};

struct outcome_service {
    int64_t desired, running; /* at the end */
    int64_t lowest, highest;  /* that ran */
    int64_t short_ms;         /* how long fewer ran than desired */
    int64_t started;          /* tasks, from the beginning on */
    double busiest;           /* requests/s of a task at their highest */
    int64_t overloaded_ms;    /* how long there were more than requestsPerTask */
    int64_t unserved_ms;      /* ... and no task at all to take them */
    struct outcome_unplaced unplaced;
    size_t *in_zone; /* tasks at the end, for each zone */
    /* for each sample */
    int32_t *series_running, *series_desired;
};

struct outcome_job {
    const struct happening *what;
    int64_t asked, placed, ended; /* tasks */
    int64_t given_up;             /* did not fit, and were not tried again */
    int64_t longest_wait;         /* ms until the last one of a run was placed */
    struct outcome_unplaced unplaced;
};

struct outcome_zone {
    size_t nodes;
    struct use cpu, memory;
    /* for each sample; < 0: none of its nodes was there */
    float *series_cpu, *series_memory;
};

struct outcome_node {
    struct use cpu, memory;
    int64_t tasks, most_tasks; /* at the end, and at most */
};

struct outcome {
    const struct scenario *scenario;
    const struct machines *fleet;
    uint64_t seed;
    struct gt_arena *arena;
    int64_t settled_ms; /* how long the services took to come up, before the beginning */
    bool settled;       /* false: they did not all */
    int64_t sample_every;
    int64_t *sampled; /* when */
    size_t n_samples;
    struct outcome_event *events;
    size_t n_events;
    struct outcome_recovery *recoveries; /* by event, then service */
    size_t n_recoveries;
    struct outcome_service *services; /* as in the scenario */
    struct outcome_job *jobs;         /* one for each RUN in the scenario's events */
    size_t n_jobs;
    struct outcome_zone *zones; /* as in the fleet */
    struct outcome_zone all;    /* the whole fleet */
    struct outcome_node *nodes; /* as in the fleet */
    uint32_t *placed;           /* tasks at the end: [node][service] */
    uint64_t calls, revisions;  /* of the core */
};

#endif
