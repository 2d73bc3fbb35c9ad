/*
 * A scenario: a fleet, services, how much of them is asked for over time, and what happens. What
 * `gantry simulate` plays; docs/simulate.md describes the file.
 *
 * Times are ms since the scenario's beginning, CPU is in units (1024 a core), memory in MiB. Texts,
 * lists and the scenario itself live in the arena that it was made in. What is in a struct has been
 * checked: by scenario_read() for a file, by whoever makes it otherwise.
 */
#ifndef GT_CONTROL_SIMULATE_SCENARIO_H
#define GT_CONTROL_SIMULATE_SCENARIO_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SCENARIO_NODES_MAX = 10000,       /* in all */
    SCENARIO_SERVICES_MAX = 500,      /* and jobs; each */
    SCENARIO_DESIRED_MAX = 5000,      /* of one service, as ECS has it */
    SCENARIO_TASKS_MAX = 100000,      /* wanted at once, in all */
    SCENARIO_EVENTS_MAX = 1000,       /* in the file */
    SCENARIO_HAPPENINGS_MAX = 100000, /* with those that come again */
    SCENARIO_REPEAT_MAX = 100,
    SCENARIO_SAMPLES_MAX = 100000,
    SCENARIO_NAME_MAX = 280, /* of a node, with its number and NUL */
};

#define SCENARIO_ZONE "a" /* of nodes without one */

/* Where it was said, for what shows only when it is played. Line 0: in no file. */
struct place_said {
    unsigned line, column;
};

struct texts {
    struct gt_str *v;
    size_t n;
};

/* SCHED_PORT values. */
struct ports {
    int64_t *v;
    size_t n;
};

/* Drawn evenly, both ends included. */
struct span {
    int64_t low, high;
};

struct attribute {
    struct gt_str name, value;
};

/* Nodes that are alike. */
struct node_group {
    struct gt_str name; /* "web": web-1, web-2 ...; or, without a count, web */
    int64_t count;
    bool numbered;
    struct texts zones; /* in turn; none: the region's first */
    int64_t cpu, memory;
    struct attribute *attributes;
    size_t n_attributes;
    struct ports reserved_ports; /* that no task may have */
    struct place_said said;
};

struct strategy {
    struct gt_str type, field;
};
struct constraint {
    struct gt_str type, expression;
};

/* What a task is: its definition, how it is placed, and how it behaves on its node. */
struct task_kind {
    struct gt_str name;
    int64_t cpu, memory;
    struct ports host_ports;    /* static ones */
    struct gt_str network_mode; /* "bridge", "host", "awsvpc" */
    struct strategy *strategies;
    size_t n_strategies;
    struct constraint *constraints;
    size_t n_constraints;
    struct span start_time; /* from being placed to RUNNING */
    struct span stop_time;  /* from being told to stop to STOPPED */
    struct span run_time;   /* how long it runs until it ends by itself; 0: for ever */
    struct place_said said;
};

struct service_kind {
    struct task_kind task;
    int64_t desired, min_percent, max_percent;
};

/* Of a time, linear in between. */
struct load_point {
    int64_t at;
    double value;
};

/* How many tasks of a service are asked for, or how many requests/s it gets. */
struct load {
    unsigned service;          /* index */
    struct load_point *points; /* in order */
    size_t n_points;
    bool steps; /* a point's value holds until the next */
    bool daily; /* a sine over 24 h instead */
    double low, high;
    int64_t high_at;
    double requests_per_task; /* 0: the values are tasks */
    int64_t every;            /* how often desiredCount follows */
    int64_t minimum, maximum; /* of desiredCount */
    struct place_said said;
};

#define SCENARIO_ACTIONS(X)                                                                        \
    X(LOSE, "lose")     /* nodes go silent, their tasks with them */                               \
    X(RETURN, "return") /* and come back, empty */                                                 \
    X(DRAIN, "drain")                                                                              \
    X(ACTIVATE, "activate") /* the end of draining */                                              \
    X(DEPLOY, "deploy")     /* a service gets another revision of its definition */                \
    X(SCALE, "scale")                                                                              \
    X(RUN, "run") /* a job: tasks by RunTask */

enum scenario_action {
#define X(name, word) SCENARIO_##name,
    SCENARIO_ACTIONS(X)
#undef X
        SCENARIO_N_ACTIONS
};
const char *scenario_action_word(enum scenario_action action);

/* One of these says which nodes are meant. */
struct target {
    struct gt_str zone;
    struct gt_str group;
    int64_t count; /* of the group: the first so many; 0: all */
    struct texts nodes;
};

struct happening {
    enum scenario_action action;
    int64_t at;
    int64_t lasts;         /* LOSE, DRAIN: then the reverse happens; 0: never */
    int64_t every;         /* it comes again; 0: once */
    struct target target;  /* LOSE to ACTIVATE */
    unsigned service;      /* DEPLOY, SCALE: index */
    struct task_kind task; /* DEPLOY: the new revision. RUN: the job */
    int64_t desired;       /* SCALE; RUN: how many tasks */
    int64_t retry;         /* RUN: those that did not fit are tried again after so long; 0: never */
    struct place_said said;
};

struct scenario {
    const char *name; /* the file's, for messages */
    int64_t duration;
    uint64_t seed;
    int64_t repeat;                                  /* with seed, seed + 1 ... */
    int64_t lost_after, brake_percent, brake_window; /* options of the server */
    int64_t sample_every;
    struct node_group *nodes;
    size_t n_nodes;
    struct service_kind *services;
    size_t n_services;
    struct load *loads;
    size_t n_loads;
    struct happening *events; /* as they are in the file */
    size_t n_events;
};

/* What is so where nothing is said. */
void scenario_init(struct scenario *s, const char *name);
/* Reads and checks a file's text. NULL with err filled: "<name>:<line>:<column>: ...". `start` (may
 * be NULL) has nodes and services that are there beside those of the file. */
struct scenario *scenario_read(const char *name, struct gt_str text, const struct scenario *start,
                               struct gt_arena *a, struct gt_err *err);
/* Its nodes and services as a file. */
void scenario_write(const struct scenario *s, struct gt_buf *to);
/* What only the whole can say: names are there once, targets exist, sums are in bounds. Part of
 * scenario_read(). */
int scenario_check(const struct scenario *s, struct gt_err *err);
/* What is wrong at a place of the file. Returns -EINVAL. */
int scenario_wrong(const struct scenario *s, struct place_said at, struct gt_err *err,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* How often it comes. */
int64_t happening_times(const struct scenario *s, const struct happening *h);

/* NULL: there is none. */
const struct load *load_of(const struct scenario *s, size_t service);
/* The load's value at a time, and what desiredCount follows from it. */
double load_value(const struct load *l, int64_t at);
int64_t load_desired(const struct load *l, int64_t at);

/* Of a group's i-th node, from 0. */
struct gt_str node_group_zone(const struct node_group *g, int64_t i);
void node_group_name(const struct node_group *g, int64_t i, char to[static SCENARIO_NAME_MAX]);
bool target_has(const struct target *t, const struct node_group *g, int64_t i);

#endif
