#include "brute.h"

#include "lib/base/mem.h"

static bool asked(const struct sched_node *node, const struct sched_request *rq)
{
    return node->external == rq->external;
}

static int64_t spread_count(const struct sched_node *nodes, size_t n, const struct sched_node *of,
                            const struct sched_request *rq, struct gt_str attribute)
{
    struct gt_str mine = sched_attribute(of, attribute);
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (asked(&nodes[i], rq) && gt_str_eq(sched_attribute(&nodes[i], attribute), mine)) {
            sum += sched_group_tasks(&nodes[i], rq->group);
        }
    }
    return sum;
}

static int64_t score(const struct sched_node *nodes, size_t n, const struct sched_node *node,
                     const struct sched_request *rq, const struct sched_strategy *by)
{
    switch (by->field) {
    case SCHED_BY_ATTRIBUTE:
        return spread_count(nodes, n, node, rq, by->attribute);
    case SCHED_BY_INSTANCE:
        return sched_group_tasks(node, rq->group);
    case SCHED_BY_CPU:
        return node->cpu_free;
    case SCHED_BY_MEMORY:
        return node->memory_free;
    }
    return 0;
}

static int compare(const struct sched_node *nodes, size_t n, size_t a, size_t b,
                   const struct sched_request *rq)
{
    size_t n_by;
    const struct sched_strategy *by = sched_strategies(rq, &n_by);
    for (size_t k = 0; k < n_by; k++) {
        int64_t x = score(nodes, n, &nodes[a], rq, &by[k]);
        int64_t y = score(nodes, n, &nodes[b], rq, &by[k]);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return 0;
}

/* Among those that are equal: by the values that tasks are spread over, then as they come. */
static bool is_before(const struct sched_node *nodes, size_t a, size_t b,
                      const struct sched_request *rq)
{
    size_t n_by;
    const struct sched_strategy *by = sched_strategies(rq, &n_by);
    for (size_t k = 0; k < n_by; k++) {
        if (by[k].field == SCHED_BY_ATTRIBUTE) {
            int c = gt_str_cmp(sched_attribute(&nodes[a], by[k].attribute),
                               sched_attribute(&nodes[b], by[k].attribute));
            if (c) {
                return c < 0;
            }
        }
    }
    return a < b;
}

int brute_place(const struct sched_node *nodes, size_t n, const struct sched_request *rq,
                struct gt_prng *rng)
{
    size_t equal[64], n_equal = 0;
    GT_ASSERT(n <= GT_ARRAY_LEN(equal));
    for (size_t i = 0; i < n; i++) {
        if (!asked(&nodes[i], rq) || sched_fits(&nodes[i], rq) != SCHED_FITS) {
            continue;
        }
        int c = n_equal ? compare(nodes, n, i, equal[0], rq) : -1;
        n_equal = c < 0 ? 0 : n_equal;
        if (c <= 0) {
            equal[n_equal++] = i;
        }
    }
    if (!n_equal) {
        return -1;
    }
    uint64_t rank = n_equal > 1 ? gt_prng_below(rng, n_equal) : 0;
    for (size_t i = 0; i < n_equal; i++) {
        uint64_t before = 0;
        for (size_t k = 0; k < n_equal; k++) {
            before += is_before(nodes, equal[k], equal[i], rq);
        }
        if (before == rank) {
            return (int)equal[i];
        }
    }
    return -1;
}

int brute_closest(const struct sched_node *nodes, size_t n, const struct sched_request *rq,
                  enum sched_refusal *ret)
{
    int best = -1;
    for (size_t i = 0; i < n; i++) {
        if (!asked(&nodes[i], rq)) {
            continue;
        }
        enum sched_refusal why = sched_fits(&nodes[i], rq);
        if (best < 0 || why > *ret) {
            best = (int)i;
            *ret = why;
        }
    }
    return best;
}
