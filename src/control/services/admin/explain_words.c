#include "control/services/admin/explain_words.h"

#include "lib/base/buf.h"
#include "lib/base/mem.h"

#define SAY(a, ...) gt_str(gt_arena_printf(a, __VA_ARGS__))

struct gt_str words_port(int64_t port, struct gt_arena *a)
{
    return SAY(a, "%lld/%s", (long long)(port & 0xffff), port >> 16 ? "udp" : "tcp");
}

struct gt_str words_strategy(const struct sched_strategy *s, struct gt_arena *a)
{
    if (s->type == SCHED_RANDOM) {
        return GT_STR_LIT("random");
    }
    const char *type = s->type == SCHED_SPREAD ? "spread" : "binpack";
    switch (s->field) {
    case SCHED_BY_ATTRIBUTE:
        return SAY(a, "%s(attribute:" GT_STR_FMT ")", type, GT_STR_ARG(s->attribute));
    case SCHED_BY_CPU:
        return SAY(a, "%s(cpu)", type);
    case SCHED_BY_MEMORY:
        return SAY(a, "%s(memory)", type);
    case SCHED_BY_INSTANCE:
        break;
    }
    return SAY(a, "%s(instanceId)", type);
}

/* The first constraint that does not hold. */
static struct gt_str unmet(const struct sched_node *n, const struct sched_request *rq,
                           struct gt_arena *a)
{
    for (size_t i = 0; i < rq->n_member_of; i++) {
        if (!query_matches(rq->member_of[i], &n->is)) {
            return SAY(a, "it does not meet: " GT_STR_FMT,
                       GT_STR_ARG(query_text(rq->member_of[i])));
        }
    }
    return GT_STR_LIT("it meets every expression");
}

static struct gt_str lacking(const struct sched_node *n, const struct sched_request *rq,
                             struct gt_arena *a)
{
    for (size_t i = 0; i < rq->n_requires; i++) {
        const struct query_attr *want = &rq->requires[i];
        struct gt_str has = sched_attribute(n, want->name);
        if (!gt_str_eq(has, want->value)) {
            return SAY(a, GT_STR_FMT " is '" GT_STR_FMT "', not '" GT_STR_FMT "'",
                       GT_STR_ARG(want->name), GT_STR_ARG(has), GT_STR_ARG(want->value));
        }
    }
    return GT_STR_LIT("it has every attribute");
}

static struct gt_str ports_in_use(const struct sched_node *n, const struct sched_request *rq,
                                  struct gt_arena *a)
{
    gt_auto_buf struct gt_buf said = GT_BUF_INIT(1024);
    for (size_t i = 0; i < rq->n_ports; i++) {
        for (size_t k = 0; k < n->n_ports; k++) {
            if (n->ports[k] == rq->ports[i]) {
                gt_buf_printf(&said, "%s" GT_STR_FMT, said.n ? ", " : "",
                              GT_STR_ARG(words_port(rq->ports[i], a)));
                break;
            }
        }
    }
    return SAY(a, "%s in use", said.n ? said.p : "port");
}

struct gt_str words_refusal(enum sched_refusal why, const struct explain_node *node,
                            const struct sched_request *rq, struct gt_arena *a)
{
    const struct sched_node *n = &node->now;
    switch (why) {
    case SCHED_INACTIVE:
        return GT_STR_LIT("it is draining");
    case SCHED_AGENT:
        return GT_STR_LIT("it is lost: its agent is not heard");
    case SCHED_ATTRIBUTE:
        return lacking(n, rq, a);
    case SCHED_MEMBER_OF:
        return unmet(n, rq, a);
    case SCHED_DISTINCT:
        return SAY(a, "it has a task of group '" GT_STR_FMT "' (distinctInstance)",
                   GT_STR_ARG(rq->group));
    case SCHED_CPU:
        return SAY(a, "CPU units: %lld of %lld free, %lld asked", (long long)n->cpu_free,
                   (long long)node->cpu, (long long)rq->cpu);
    case SCHED_MEMORY:
        return SAY(a, "memory: %lld of %lld MiB free, %lld asked", (long long)n->memory_free,
                   (long long)node->memory, (long long)rq->memory);
    case SCHED_PORTS:
        return ports_in_use(n, rq, a);
    case SCHED_ADDRESS:
        return GT_STR_LIT("all its addresses are in use");
    case SCHED_FITS:
        break;
    }
    return GT_STR_LIT("it fits");
}

const char *words_change_kind(enum explain_change_kind kind)
{
    static const char *const names[] = {
        [EXPLAIN_FREE_CPU] = "FREE_CPU",
        [EXPLAIN_FREE_MEMORY] = "FREE_MEMORY",
        [EXPLAIN_FREE_PORT] = "FREE_PORT",
        [EXPLAIN_FREE_ADDRESS] = "FREE_ADDRESS",
        [EXPLAIN_SET_ATTRIBUTE] = "SET_ATTRIBUTE",
        [EXPLAIN_REMOVE_ATTRIBUTE] = "REMOVE_ATTRIBUTE",
        [EXPLAIN_ACTIVATE] = "ACTIVATE",
        [EXPLAIN_CONNECT] = "CONNECT",
        [EXPLAIN_LOWER_CPU] = "LOWER_CPU",
        [EXPLAIN_LOWER_MEMORY] = "LOWER_MEMORY",
        [EXPLAIN_DROP_MEMBER_OF] = "DROP_MEMBER_OF",
        [EXPLAIN_DROP_DISTINCT] = "DROP_DISTINCT_INSTANCE",
        [EXPLAIN_ADD_NODE] = "ADD_NODE",
    };
    return names[kind];
}

struct gt_str words_change(const struct explain_change *c, const struct sched_request *rq,
                           struct gt_arena *a)
{
    switch (c->kind) {
    case EXPLAIN_FREE_CPU:
        return SAY(a, "free %lld CPU units on it, or ask for as many less", (long long)c->amount);
    case EXPLAIN_FREE_MEMORY:
        return SAY(a, "free %lld MiB of memory on it, or ask for as many less",
                   (long long)c->amount);
    case EXPLAIN_FREE_PORT:
        return SAY(a, "free port " GT_STR_FMT " on it", GT_STR_ARG(words_port(c->amount, a)));
    case EXPLAIN_FREE_ADDRESS:
        return GT_STR_LIT("free an address on it");
    case EXPLAIN_SET_ATTRIBUTE:
        return SAY(a, "set its attribute '" GT_STR_FMT "' to '" GT_STR_FMT "'", GT_STR_ARG(c->name),
                   GT_STR_ARG(c->value));
    case EXPLAIN_REMOVE_ATTRIBUTE:
        return SAY(a, "delete its attribute '" GT_STR_FMT "'", GT_STR_ARG(c->name));
    case EXPLAIN_ACTIVATE:
        return GT_STR_LIT("make it ACTIVE again");
    case EXPLAIN_CONNECT:
        return GT_STR_LIT("bring its agent back");
    case EXPLAIN_LOWER_CPU:
        return SAY(a, "ask for at most %lld CPU units", (long long)c->amount);
    case EXPLAIN_LOWER_MEMORY:
        return SAY(a, "ask for at most %lld MiB of memory", (long long)c->amount);
    case EXPLAIN_DROP_MEMBER_OF:
        return SAY(a, "drop the constraint: " GT_STR_FMT,
                   GT_STR_ARG(query_text(rq->member_of[c->index])));
    case EXPLAIN_DROP_DISTINCT:
        return GT_STR_LIT("drop the constraint distinctInstance");
    case EXPLAIN_ADD_NODE:
        break;
    }
    return SAY(a, "add a node with %lld CPU units and %lld MiB of memory free", (long long)rq->cpu,
               (long long)rq->memory);
}
