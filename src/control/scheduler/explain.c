#include "control/scheduler/explain.h"

#include "control/scheduler/query_solve.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"

#include <string.h>

enum {
    WEIGHT_ROOM = 1, /* and up to WEIGHT_ROOM_ALL more, by the share that is missing */
    WEIGHT_ROOM_ALL = 10,
    WEIGHT_PORT = 10,
    WEIGHT_ATTRIBUTE = 20,
    WEIGHT_ACTIVATE = 30,
    WEIGHT_CONNECT = 60,
    WEIGHT_DEMAND = 70,
    WEIGHT_NODE = 100,
    CHANGES_MAX = 64,
};

/* What one filter says: the request with that filter's part alone, for a node that the others let
 * through. */
static bool refuses(const struct sched_node *node, const struct sched_request *rq,
                    enum sched_refusal filter)
{
    struct sched_node n = *node;
    struct sched_request r = {.group = rq->group, .cpu = INT64_MIN, .memory = INT64_MIN};
    n.active = n.is.connected = true;
    switch (filter) {
    case SCHED_INACTIVE:
        n.active = node->active;
        break;
    case SCHED_AGENT:
        n.is.connected = node->is.connected;
        break;
    case SCHED_ATTRIBUTE:
        r.requires
        = rq->requires;
        r.n_requires = rq->n_requires;
        break;
    case SCHED_MEMBER_OF: /* it may ask whether the node is connected: that stays as it is */
        for (size_t i = 0; i < rq->n_member_of; i++) {
            if (!query_matches(rq->member_of[i], &node->is)) {
                return true;
            }
        }
        return false;
    case SCHED_DISTINCT:
        r.distinct_instance = rq->distinct_instance;
        break;
    case SCHED_CPU:
        r.cpu = rq->cpu;
        break;
    case SCHED_MEMORY:
        r.memory = rq->memory;
        break;
    case SCHED_PORTS:
        r.ports = rq->ports;
        r.n_ports = rq->n_ports;
        break;
    case SCHED_ADDRESS:
        r.needs_address = rq->needs_address;
        break;
    case SCHED_FITS:
        break;
    }
    return sched_fits(&n, &r) != SCHED_FITS;
}

unsigned explain_refusals(const struct sched_node *node, const struct sched_request *rq)
{
    unsigned refusals = 0;
    for (enum sched_refusal f = SCHED_FITS + 1; f <= SCHED_ADDRESS; f++) {
        refusals |= refuses(node, rq, f) ? EXPLAIN_BIT(f) : 0;
    }
    return refusals;
}

/* Tasks of the group by the value of an attribute: each node's number points to its value's sum. */
static void spread(const struct explain_node *nodes, size_t n, const struct sched_request *rq,
                   struct gt_str attribute, int64_t **sums, struct gt_arena *a)
{
    struct gt_table values;
    gt_table_init(&values);
    for (size_t i = 0; i < n; i++) {
        struct gt_str value = sched_attribute(&nodes[i].now, attribute);
        sums[i] = gt_table_get(&values, value);
        if (!sums[i]) {
            sums[i] = gt_arena_new(a, int64_t);
            gt_table_put(&values, value, sums[i]);
        }
        *sums[i] += sched_group_tasks(&nodes[i].now, rq->group);
    }
    gt_table_fini(&values);
}

static int64_t score(const struct sched_node *node, const struct sched_request *rq,
                     const struct sched_strategy *by)
{
    switch (by->type) {
    case SCHED_RANDOM:
        return 0;
    case SCHED_BINPACK:
        return by->field == SCHED_BY_CPU ? node->cpu_free : node->memory_free;
    case SCHED_SPREAD:
        break;
    }
    return sched_group_tasks(node, rq->group);
}

int64_t *explain_scores(const struct explain_node *nodes, size_t n, const struct sched_request *rq,
                        struct gt_arena *a)
{
    size_t n_by;
    const struct sched_strategy *by = sched_strategies(rq, &n_by);
    int64_t *scores = gt_arena_array(a, int64_t, n * n_by + 1);
    int64_t **sums = gt_arena_array(a, int64_t *, n + 1);
    for (size_t k = 0; k < n_by; k++) {
        bool summed = by[k].type == SCHED_SPREAD && by[k].field == SCHED_BY_ATTRIBUTE;
        if (summed) {
            spread(nodes, n, rq, by[k].attribute, sums, a);
        }
        for (size_t i = 0; i < n; i++) {
            scores[i * n_by + k] = summed ? *sums[i] : score(&nodes[i].now, rq, &by[k]);
        }
    }
    return scores;
}

/* ---- a fix in the making ---- */

struct fixing {
    const struct explain_node *node;
    const struct sched_request *rq;
    struct gt_arena *arena;
    struct explain_change *v;
    size_t n;
    int64_t weight;
};

static void add(struct fixing *f, int64_t weight, struct explain_change c)
{
    f->weight += weight;
    if (f->n < CHANGES_MAX) {
        f->v[f->n++] = c;
    }
}

/* Attributes that say what a node is can't be given to it. */
static bool built_in(struct gt_str name)
{
    return gt_str_starts(name, GT_STR_LIT("ecs."));
}

static void fix_requires(struct fixing *f)
{
    for (size_t i = 0; i < f->rq->n_requires; i++) {
        const struct query_attr *a = &f->rq->requires[i];
        struct sched_request one = {.requires = a, .n_requires = 1};
        if (refuses(&f->node->now, &one, SCHED_ATTRIBUTE)) {
            add(f, built_in(a->name) ? EXPLAIN_IMPOSSIBLE : WEIGHT_ATTRIBUTE,
                (struct explain_change){
                    .kind = EXPLAIN_SET_ATTRIBUTE, .name = a->name, .value = a->value});
        }
    }
}

/* The edits of attributes after which constraint `i` holds; or it is dropped. */
static void fix_member_of(struct fixing *f, size_t i)
{
    const struct sched_request one = {.member_of = &f->rq->member_of[i], .n_member_of = 1};
    if (!refuses(&f->node->now, &one, SCHED_MEMBER_OF)) {
        return;
    }
    const struct query_edit *edits;
    size_t n = 0;
    bool solved = query_solve(f->rq->member_of[i], &f->node->now.is, f->arena, &edits, &n);
    for (size_t k = 0; k < n && solved; k++) {
        solved = !built_in(edits[k].name);
    }
    if (!solved) {
        add(f, WEIGHT_DEMAND, (struct explain_change){.kind = EXPLAIN_DROP_MEMBER_OF, .index = i});
        return;
    }
    for (size_t k = 0; k < n; k++) {
        add(f, WEIGHT_ATTRIBUTE,
            (struct explain_change){.kind = edits[k].remove ? EXPLAIN_REMOVE_ATTRIBUTE
                                                            : EXPLAIN_SET_ATTRIBUTE,
                                    .name = edits[k].name,
                                    .value = edits[k].value});
    }
}

/* What other tasks hold must become free; what the node never had, the task must not ask for. */
static void fix_room(struct fixing *f, int64_t wanted, int64_t now, int64_t empty,
                     enum explain_change_kind lower, enum explain_change_kind make_free)
{
    if (wanted > empty) {
        add(f, WEIGHT_DEMAND, (struct explain_change){.kind = lower, .amount = empty});
        wanted = empty;
    }
    if (wanted > now) {
        int64_t missing = wanted - now;
        add(f, WEIGHT_ROOM + WEIGHT_ROOM_ALL * missing / GT_MAX(GT_MAX(wanted, missing), 1),
            (struct explain_change){.kind = make_free, .amount = missing});
    }
}

static void fix_ports(struct fixing *f)
{
    for (size_t i = 0; i < f->rq->n_ports; i++) {
        const struct sched_request one = {.ports = &f->rq->ports[i], .n_ports = 1};
        if (refuses(&f->node->now, &one, SCHED_PORTS)) {
            add(f, WEIGHT_PORT,
                (struct explain_change){.kind = EXPLAIN_FREE_PORT, .amount = f->rq->ports[i]});
        }
    }
}

static void fix_one(struct fixing *f, enum sched_refusal why)
{
    const struct explain_node *n = f->node;
    switch (why) {
    case SCHED_INACTIVE:
        add(f, WEIGHT_ACTIVATE, (struct explain_change){.kind = EXPLAIN_ACTIVATE});
        break;
    case SCHED_AGENT:
        add(f, WEIGHT_CONNECT, (struct explain_change){.kind = EXPLAIN_CONNECT});
        break;
    case SCHED_ATTRIBUTE:
        fix_requires(f);
        break;
    case SCHED_MEMBER_OF:
        for (size_t i = 0; i < f->rq->n_member_of; i++) {
            fix_member_of(f, i);
        }
        break;
    case SCHED_DISTINCT:
        add(f, WEIGHT_DEMAND, (struct explain_change){.kind = EXPLAIN_DROP_DISTINCT});
        break;
    case SCHED_CPU:
        fix_room(f, f->rq->cpu, n->now.cpu_free, n->cpu, EXPLAIN_LOWER_CPU, EXPLAIN_FREE_CPU);
        break;
    case SCHED_MEMORY:
        fix_room(f, f->rq->memory, n->now.memory_free, n->memory, EXPLAIN_LOWER_MEMORY,
                 EXPLAIN_FREE_MEMORY);
        break;
    case SCHED_PORTS:
        fix_ports(f);
        break;
    case SCHED_ADDRESS:
        add(f, WEIGHT_PORT, (struct explain_change){.kind = EXPLAIN_FREE_ADDRESS});
        break;
    case SCHED_FITS:
        break;
    }
}

/* Edits for two constraints may contradict each other, and a constraint may ask for the very thing
 * that another change ends (agentConnected == false). What does not hold after all is dropped. */
static void drop_what_still_refuses(struct fixing *f, int at)
{
    struct explain_node world[2] = {*f->node};
    struct sched_request rq = *f->rq;
    size_t n = 1;
    const struct explain_fix so_far = {.node = GT_MIN(at, 0), .changes = f->v, .n = f->n};
    explain_apply(&so_far, world, &n, &rq, f->arena);
    for (size_t i = 0; i < f->rq->n_member_of; i++) {
        const struct sched_request one = {.member_of = &f->rq->member_of[i], .n_member_of = 1};
        bool dropped = false;
        for (size_t k = 0; k < f->n; k++) {
            dropped = dropped || (f->v[k].kind == EXPLAIN_DROP_MEMBER_OF && f->v[k].index == i);
        }
        if (!dropped && refuses(&world[n - 1].now, &one, SCHED_MEMBER_OF)) {
            add(f, WEIGHT_DEMAND,
                (struct explain_change){.kind = EXPLAIN_DROP_MEMBER_OF, .index = i});
        }
    }
}

static struct explain_fix fix(const struct explain_node *node, int at,
                              const struct sched_request *rq, struct fixing f)
{
    f.node = node;
    f.rq = rq;
    unsigned refusals = explain_refusals(&node->now, rq);
    for (enum sched_refusal why = SCHED_FITS + 1; why <= SCHED_ADDRESS; why++) {
        if (refusals & EXPLAIN_BIT(why)) {
            fix_one(&f, why);
        }
    }
    if (f.n) {
        drop_what_still_refuses(&f, at);
    }
    return (struct explain_fix){.node = at, .changes = f.v, .n = f.n, .weight = f.weight};
}

struct explain_fix explain_fix_node(const struct explain_node *nodes, size_t at,
                                    const struct sched_request *rq, struct gt_arena *a)
{
    struct fixing f = {.arena = a, .v = gt_arena_array(a, struct explain_change, CHANGES_MAX)};
    return fix(&nodes[at], (int)at, rq, f);
}

/* An empty node as large as the request; whose attributes are as they must be. */
static struct explain_node new_node(const struct sched_request *rq)
{
    return (struct explain_node){
        .now = {.active = true,
                .is = {.connected = true, .attrs = rq->requires, .n_attrs = rq->n_requires},
                .cpu_free = rq->cpu,
                .memory_free = rq->memory,
                .addresses_free = 1},
        .cpu = rq->cpu,
        .memory = rq->memory};
}

static struct explain_fix fix_by_adding(const struct sched_request *rq, struct gt_arena *a)
{
    struct fixing f = {.arena = a, .v = gt_arena_array(a, struct explain_change, CHANGES_MAX)};
    struct explain_node node = new_node(rq);
    add(&f, WEIGHT_NODE, (struct explain_change){.kind = EXPLAIN_ADD_NODE, .amount = rq->cpu});
    return fix(&node, -1, rq, f);
}

struct explain_fix explain_fix(const struct explain_node *nodes, size_t n,
                               const struct sched_request *rq, struct gt_arena *a)
{
    struct explain_fix best = fix_by_adding(rq, a);
    for (size_t i = 0; i < n && best.n; i++) {
        struct gt_arena_mark mark = gt_arena_mark(a);
        struct explain_fix one = explain_fix_node(nodes, i, rq, a);
        if (one.weight < best.weight) {
            best = one;
        } else {
            gt_arena_release(a, mark);
        }
    }
    return best;
}

/* ---- the world after it ---- */

static void without_attribute(struct sched_node *n, struct gt_str name, struct gt_arena *a)
{
    struct query_attr *v = gt_arena_array(a, struct query_attr, n->is.n_attrs + 1);
    size_t kept = 0;
    for (size_t i = 0; i < n->is.n_attrs; i++) {
        if (!gt_str_eq(n->is.attrs[i].name, name)) {
            v[kept++] = n->is.attrs[i];
        }
    }
    n->is.attrs = v;
    n->is.n_attrs = kept;
}

static void with_attribute(struct sched_node *n, struct query_attr attr, struct gt_arena *a)
{
    without_attribute(n, attr.name, a); /* which leaves room for one more */
    struct query_attr *v = gt_arena_array(a, struct query_attr, n->is.n_attrs + 1);
    if (n->is.n_attrs) {
        memcpy(v, n->is.attrs, n->is.n_attrs * sizeof *v);
    }
    v[n->is.n_attrs++] = attr;
    n->is.attrs = v;
}

static void without_port(struct sched_node *n, int64_t port, struct gt_arena *a)
{
    int64_t *v = gt_arena_array(a, int64_t, n->n_ports + 1);
    size_t kept = 0;
    for (size_t i = 0; i < n->n_ports; i++) {
        if (n->ports[i] != port) {
            v[kept++] = n->ports[i];
        }
    }
    n->ports = v;
    n->n_ports = kept;
}

static void apply(const struct explain_change *c, struct sched_node *n, struct sched_request *rq,
                  struct gt_arena *a)
{
    switch (c->kind) {
    case EXPLAIN_FREE_CPU:
        n->cpu_free += c->amount;
        break;
    case EXPLAIN_FREE_MEMORY:
        n->memory_free += c->amount;
        break;
    case EXPLAIN_FREE_PORT:
        without_port(n, c->amount, a);
        break;
    case EXPLAIN_FREE_ADDRESS:
        n->addresses_free++;
        break;
    case EXPLAIN_SET_ATTRIBUTE:
        with_attribute(n, (struct query_attr){c->name, c->value}, a);
        break;
    case EXPLAIN_REMOVE_ATTRIBUTE:
        without_attribute(n, c->name, a);
        break;
    case EXPLAIN_ACTIVATE:
        n->active = true;
        break;
    case EXPLAIN_CONNECT:
        n->is.connected = true;
        break;
    case EXPLAIN_LOWER_CPU:
        rq->cpu = c->amount;
        break;
    case EXPLAIN_LOWER_MEMORY:
        rq->memory = c->amount;
        break;
    case EXPLAIN_DROP_DISTINCT:
        rq->distinct_instance = false;
        break;
    case EXPLAIN_DROP_MEMBER_OF: /* all at once, by drop_constraints() */
    case EXPLAIN_ADD_NODE:       /* there already */
        break;
    }
}

/* Constraints by their old numbers: all that are dropped at once. */
static void drop_constraints(const struct explain_fix *fix, struct sched_request *rq,
                             struct gt_arena *a)
{
    const struct query **kept = gt_arena_array(a, const struct query *, rq->n_member_of + 1);
    size_t n = 0;
    for (size_t i = 0; i < rq->n_member_of; i++) {
        bool dropped = false;
        for (size_t k = 0; k < fix->n; k++) {
            const struct explain_change *c = &fix->changes[k];
            dropped = dropped || (c->kind == EXPLAIN_DROP_MEMBER_OF && c->index == i);
        }
        if (!dropped) {
            kept[n++] = rq->member_of[i];
        }
    }
    rq->member_of = kept;
    rq->n_member_of = n;
}

void explain_apply(const struct explain_fix *fix, struct explain_node *nodes, size_t *n,
                   struct sched_request *rq, struct gt_arena *a)
{
    size_t at = (size_t)fix->node;
    if (fix->node < 0) {
        at = (*n)++;
        nodes[at] = new_node(rq);
    }
    for (size_t i = 0; i < fix->n; i++) {
        apply(&fix->changes[i], &nodes[at].now, rq, a);
    }
    drop_constraints(fix, rq, a);
}
