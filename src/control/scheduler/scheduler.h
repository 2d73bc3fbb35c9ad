/*
 * Placement: what a task asks, what a node has, and whether they go together. Pure: an answer
 * depends on the arguments alone. Which of the nodes is taken: fleet.h.
 */
#ifndef GT_CONTROL_SCHEDULER_SCHEDULER_H
#define GT_CONTROL_SCHEDULER_SCHEDULER_H

#include "control/scheduler/query.h"
#include "lib/base/rand.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reserved host port: its number with the protocol above it, so that tcp and udp do not meet. */
#define SCHED_PORT(port, udp) ((int64_t)(port) | ((udp) ? 1 << 16 : 0))

struct sched_node {
    int64_t cpu_free;    /* units, 1024 a core */
    int64_t memory_free; /* MiB */
    size_t addresses_free;
    const int64_t *ports; /* SCHED_PORT values in use */
    size_t n_ports;
    bool active;
    bool external; /* only for requests that ask for such, and these only for it */
    struct gt_str id;
    struct query_subject is; /* as expressions see it */
};

enum sched_strategy_type { SCHED_RANDOM, SCHED_SPREAD, SCHED_BINPACK };
enum sched_field { SCHED_BY_INSTANCE, SCHED_BY_ATTRIBUTE, SCHED_BY_CPU, SCHED_BY_MEMORY };
struct sched_strategy {
    enum sched_strategy_type type;
    enum sched_field field;
    struct gt_str attribute; /* with SCHED_BY_ATTRIBUTE */
};

struct sched_request {
    struct gt_str group; /* that the task will be in */
    bool external;
    int64_t cpu, memory;
    const int64_t *ports; /* static host ports, SCHED_PORT values */
    size_t n_ports;
    bool needs_address;
    bool distinct_instance;
    const struct query_attr *requires; /* attributes that the node must have so */
    size_t n_requires;
    const struct query *const *member_of;
    size_t n_member_of;
    const struct sched_strategy *strategies; /* none: see sched_strategies() */
    size_t n_strategies;
};

enum sched_refusal {
    SCHED_FITS,
    SCHED_INACTIVE,
    SCHED_AGENT,
    SCHED_ATTRIBUTE,
    SCHED_MEMBER_OF,
    SCHED_DISTINCT,
    SCHED_CPU,
    SCHED_MEMORY,
    SCHED_PORTS,
    SCHED_ADDRESS,
};

/* "RESOURCE:CPU" and so on, as in failures[].reason. */
const char *sched_refusal_reason(enum sched_refusal why);
/* "has insufficient CPU units available." and so on, as service events say it. */
const char *sched_refusal_text(enum sched_refusal why);

/* How many tasks of the group are on it. */
int64_t sched_group_tasks(const struct sched_node *node, struct gt_str group);
/* The attribute's value; empty when it has none. */
struct gt_str sched_attribute(const struct sched_node *node, struct gt_str name);

enum sched_refusal sched_fits(const struct sched_node *node, const struct sched_request *rq);
/* The same in two parts, the first of which only changes with the node itself, the second with what
 * is on it: sched_fits() is the first one that is not SCHED_FITS. `group_tasks` are those of the
 * request's group. */
enum sched_refusal sched_fits_kind(const struct sched_node *node, const struct sched_request *rq);
enum sched_refusal sched_fits_load(const struct sched_node *node, const struct sched_request *rq,
                                   int64_t group_tasks);

/* The request's own strategies or, when it has none, those of ECS: tasks are spread over zones and
 * then over nodes. What stands behind `random` does not count and is left out. */
const struct sched_strategy *sched_strategies(const struct sched_request *rq, size_t *ret_n);

/* "attribute:ecs.availability-zone", "instanceId", "host", "cpu", "memory" into a strategy;
 * -EINVAL when type and field do not go together. */
int sched_strategy_parse(struct gt_str type, struct gt_str field, struct sched_strategy *ret);

#endif
