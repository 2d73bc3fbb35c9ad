/*
 * Placement: which node gets a task. Pure: the answer depends on the arguments alone.
 *
 * First filters throw out nodes, each with its reason; then the strategies order those that are
 * left, the first one being the most important; what they leave equal is drawn from the generator.
 * Without a strategy tasks are spread over zones and then over nodes, as ECS does by default.
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
    struct query_subject is; /* as expressions see it */
    bool active;
    int64_t cpu_free;    /* units, 1024 a core */
    int64_t memory_free; /* MiB */
    size_t addresses_free;
    const int64_t *ports; /* SCHED_PORT values in use */
    size_t n_ports;
    int64_t group_tasks; /* on this node in the group of the task to be placed */
};

enum sched_strategy_type { SCHED_RANDOM, SCHED_SPREAD, SCHED_BINPACK };
enum sched_field { SCHED_BY_INSTANCE, SCHED_BY_ATTRIBUTE, SCHED_BY_CPU, SCHED_BY_MEMORY };
struct sched_strategy {
    enum sched_strategy_type type;
    enum sched_field field;
    struct gt_str attribute; /* with SCHED_BY_ATTRIBUTE */
};

struct sched_request {
    int64_t cpu, memory;
    const int64_t *ports; /* static host ports, SCHED_PORT values */
    size_t n_ports;
    bool needs_address;
    bool distinct_instance;
    const struct query_attr *requires; /* attributes that the node must have so */
    size_t n_requires;
    const struct query *const *member_of;
    size_t n_member_of;
    const struct sched_strategy *strategies;
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

enum sched_refusal sched_fits(const struct sched_node *node, const struct sched_request *rq);

/* The index of the node to use, or -1. refusals[i], when given, gets each node's verdict. The
 * caller updates the chosen node's numbers before it places the next task. */
int sched_place(const struct sched_node *nodes, size_t n, const struct sched_request *rq,
                struct gt_prng *rng, enum sched_refusal *refusals);

/* "attribute:ecs.availability-zone", "instanceId", "host", "cpu", "memory" into a strategy;
 * -EINVAL when type and field do not go together. */
int sched_strategy_parse(struct gt_str type, struct gt_str field, struct sched_strategy *ret);

#endif
