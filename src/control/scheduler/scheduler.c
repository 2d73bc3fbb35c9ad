#include "control/scheduler/scheduler.h"

#include "lib/base/mem.h"

#include <errno.h>

static const struct {
    const char *reason, *text;
} refusals_said[] = {
    [SCHED_FITS] = {"", ""},
    [SCHED_INACTIVE] = {"INACTIVE", "is not active."},
    [SCHED_AGENT] = {"AGENT", "encountered error \"AGENT\"."},
    [SCHED_ATTRIBUTE] = {"ATTRIBUTE", "is missing an attribute required by your task."},
    [SCHED_MEMBER_OF] = {"MemberOf placement constraint unsatisfied.",
                         "encountered error \"MemberOf placement constraint unsatisfied.\"."},
    [SCHED_DISTINCT] =
        {"DistinctInstance placement constraint unsatisfied.",
         "encountered error \"DistinctInstance placement constraint unsatisfied.\"."},
    [SCHED_CPU] = {"RESOURCE:CPU", "has insufficient CPU units available."},
    [SCHED_MEMORY] = {"RESOURCE:MEMORY", "has insufficient memory available."},
    [SCHED_PORTS] = {"RESOURCE:PORTS", "is already using a port required by your task."},
    [SCHED_ADDRESS] = {"RESOURCE:ENI", "encountered error \"RESOURCE:ENI\"."},
};

const char *sched_refusal_reason(enum sched_refusal why)
{
    return refusals_said[why].reason;
}

const char *sched_refusal_text(enum sched_refusal why)
{
    return refusals_said[why].text;
}

static bool ports_meet(const struct sched_node *node, const struct sched_request *rq)
{
    for (size_t i = 0; i < rq->n_ports; i++) {
        for (size_t j = 0; j < node->n_ports; j++) {
            if (rq->ports[i] == node->ports[j]) {
                return true;
            }
        }
    }
    return false;
}

static bool is_member(const struct sched_node *node, const struct sched_request *rq)
{
    for (size_t i = 0; i < rq->n_member_of; i++) {
        if (!query_matches(rq->member_of[i], &node->is)) {
            return false;
        }
    }
    return true;
}

static struct gt_str attr_of(const struct sched_node *node, struct gt_str name)
{
    for (size_t i = 0; i < node->is.n_attrs; i++) {
        if (gt_str_eq(node->is.attrs[i].name, name)) {
            return node->is.attrs[i].value;
        }
    }
    return (struct gt_str){NULL, 0};
}

static bool has_required(const struct sched_node *node, const struct sched_request *rq)
{
    for (size_t i = 0; i < rq->n_requires; i++) {
        if (!gt_str_eq(attr_of(node, rq->requires[i].name), rq->requires[i].value)) {
            return false;
        }
    }
    return true;
}

enum sched_refusal sched_fits(const struct sched_node *node, const struct sched_request *rq)
{
    if (!node->active) {
        return SCHED_INACTIVE;
    }
    if (!node->is.connected) {
        return SCHED_AGENT;
    }
    if (!has_required(node, rq)) {
        return SCHED_ATTRIBUTE;
    }
    if (!is_member(node, rq)) {
        return SCHED_MEMBER_OF;
    }
    if (rq->distinct_instance && node->group_tasks > 0) {
        return SCHED_DISTINCT;
    }
    if (rq->cpu > node->cpu_free) {
        return SCHED_CPU;
    }
    if (rq->memory > node->memory_free) {
        return SCHED_MEMORY;
    }
    if (ports_meet(node, rq)) {
        return SCHED_PORTS;
    }
    if (rq->needs_address && node->addresses_free == 0) {
        return SCHED_ADDRESS;
    }
    return SCHED_FITS;
}

/* How many tasks of the group are on nodes that share the attribute's value with this one. */
static int64_t spread_count(const struct sched_node *nodes, size_t n, const struct sched_node *of,
                            const struct sched_strategy *by)
{
    if (by->field == SCHED_BY_INSTANCE) {
        return of->group_tasks;
    }
    struct gt_str mine = attr_of(of, by->attribute);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (gt_str_eq(attr_of(&nodes[i], by->attribute), mine)) {
            sum += nodes[i].group_tasks;
        }
    }
    return sum;
}

/* Lower is better. */
static int64_t score(const struct sched_node *nodes, size_t n, const struct sched_node *node,
                     const struct sched_strategy *by)
{
    switch (by->type) {
    case SCHED_RANDOM:
        return 0;
    case SCHED_BINPACK:
        return by->field == SCHED_BY_CPU ? node->cpu_free : node->memory_free;
    case SCHED_SPREAD:
        return spread_count(nodes, n, node, by);
    }
    return 0;
}

static int compare(const struct sched_node *nodes, size_t n, size_t a, size_t b,
                   const struct sched_strategy *strategies, size_t n_strategies)
{
    for (size_t i = 0; i < n_strategies; i++) {
        int64_t x = score(nodes, n, &nodes[a], &strategies[i]);
        int64_t y = score(nodes, n, &nodes[b], &strategies[i]);
        if (x != y) {
            return x < y ? -1 : 1;
        }
        if (strategies[i].type == SCHED_RANDOM) {
            return 0;
        }
    }
    return 0;
}

int sched_place(const struct sched_node *nodes, size_t n, const struct sched_request *rq,
                struct gt_prng *rng, enum sched_refusal *refusals)
{
    static const struct sched_strategy by_default[] = {
        {SCHED_SPREAD, SCHED_BY_ATTRIBUTE, {"ecs.availability-zone", 21}},
        {SCHED_SPREAD, SCHED_BY_INSTANCE, {NULL, 0}},
    };
    const struct sched_strategy *by = rq->n_strategies ? rq->strategies : by_default;
    size_t n_by = rq->n_strategies ? rq->n_strategies : GT_ARRAY_LEN(by_default);
    int best = -1;
    uint64_t equals = 0;
    for (size_t i = 0; i < n; i++) {
        enum sched_refusal why = sched_fits(&nodes[i], rq);
        if (refusals) {
            refusals[i] = why;
        }
        if (why != SCHED_FITS) {
            continue;
        }
        int c = best < 0 ? -1 : compare(nodes, n, i, (size_t)best, by, n_by);
        if (c < 0) {
            best = (int)i;
            equals = 1;
        } else if (c == 0 && gt_prng_below(rng, ++equals) == 0) {
            best = (int)i; /* each of k equals is left with probability 1/k */
        }
    }
    return best;
}

int sched_strategy_parse(struct gt_str type, struct gt_str field, struct sched_strategy *ret)
{
    struct sched_strategy s = {0};
    if (gt_str_is(type, "random")) {
        s.type = SCHED_RANDOM;
        *ret = s;
        return field.n ? -EINVAL : 0;
    }
    if (gt_str_is(type, "binpack")) {
        s.type = SCHED_BINPACK;
        bool cpu = gt_str_is(field, "cpu") || gt_str_is(field, "CPU");
        if (!cpu && !gt_str_is(field, "memory") && !gt_str_is(field, "MEMORY")) {
            return -EINVAL;
        }
        s.field = cpu ? SCHED_BY_CPU : SCHED_BY_MEMORY;
        *ret = s;
        return 0;
    }
    if (!gt_str_is(type, "spread")) {
        return -EINVAL;
    }
    s.type = SCHED_SPREAD;
    if (gt_str_is(field, "instanceId") || gt_str_is(field, "host")) {
        s.field = SCHED_BY_INSTANCE;
    } else if (gt_str_starts(field, GT_STR_LIT("attribute:")) && field.n > 10) {
        s.field = SCHED_BY_ATTRIBUTE;
        s.attribute = gt_str_n(field.p + 10, field.n - 10);
    } else {
        return -EINVAL;
    }
    *ret = s;
    return 0;
}
