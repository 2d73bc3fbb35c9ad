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

struct gt_str sched_attribute(const struct sched_node *node, struct gt_str name)
{
    for (size_t i = 0; i < node->is.n_attrs; i++) {
        if (gt_str_eq(node->is.attrs[i].name, name)) {
            return node->is.attrs[i].value;
        }
    }
    return (struct gt_str){NULL, 0};
}

int64_t sched_group_tasks(const struct sched_node *node, struct gt_str group)
{
    for (size_t i = 0; i < node->is.n_groups; i++) {
        if (gt_str_eq(node->is.groups[i].name, group)) {
            return node->is.groups[i].tasks;
        }
    }
    return 0;
}

static bool has_required(const struct sched_node *node, const struct sched_request *rq)
{
    for (size_t i = 0; i < rq->n_requires; i++) {
        if (!gt_str_eq(sched_attribute(node, rq->requires[i].name), rq->requires[i].value)) {
            return false;
        }
    }
    return true;
}

/* Of the expressions, those that look at tasks, or those that do not. */
static bool is_member(const struct sched_node *node, const struct sched_request *rq, bool of_tasks)
{
    for (size_t i = 0; i < rq->n_member_of; i++) {
        if (query_asks_tasks(rq->member_of[i]) == of_tasks &&
            !query_matches(rq->member_of[i], &node->is)) {
            return false;
        }
    }
    return true;
}

enum sched_refusal sched_fits_kind(const struct sched_node *node, const struct sched_request *rq)
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
    return is_member(node, rq, /* of_tasks= */ false) ? SCHED_FITS : SCHED_MEMBER_OF;
}

enum sched_refusal sched_fits_load(const struct sched_node *node, const struct sched_request *rq,
                                   int64_t group_tasks)
{
    if (!is_member(node, rq, /* of_tasks= */ true)) {
        return SCHED_MEMBER_OF;
    }
    if (rq->distinct_instance && group_tasks > 0) {
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

enum sched_refusal sched_fits(const struct sched_node *node, const struct sched_request *rq)
{
    enum sched_refusal why = sched_fits_kind(node, rq);
    return why != SCHED_FITS ? why : sched_fits_load(node, rq, sched_group_tasks(node, rq->group));
}

const struct sched_strategy *sched_strategies(const struct sched_request *rq, size_t *ret_n)
{
    static const struct sched_strategy by_default[] = {
        {SCHED_SPREAD, SCHED_BY_ATTRIBUTE, {"ecs.availability-zone", 21}},
        {SCHED_SPREAD, SCHED_BY_INSTANCE, {NULL, 0}},
    };
    if (!rq->n_strategies) {
        *ret_n = GT_ARRAY_LEN(by_default);
        return by_default;
    }
    *ret_n = 0;
    while (*ret_n < rq->n_strategies && rq->strategies[*ret_n].type != SCHED_RANDOM) {
        ++*ret_n;
    }
    return rq->strategies;
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
