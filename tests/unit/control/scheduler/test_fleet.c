/* The fleet answers as looking at every node does, whatever has happened to it. */
#include "brute.h"
#include "gt_test.h"

#include "control/scheduler/fleet.h"
#include "control/scheduler/tournament.h"
#include "lib/base/mem.h"

#include <stdio.h>

enum { NODES = 9, GROUPS = 3, ATTRS = 3, PORTS = 3, ROUNDS = 400, STEPS = 150 };

/* What the fleet was told, kept plainly. Node i is "n<i>". */
struct model_node {
    bool member, loaded;
    struct fleet_member m;
    struct fleet_load l;
    struct query_attr attrs[ATTRS];
    int64_t own_ports[1], ports[PORTS + 1];
    int64_t tasks[GROUPS];
};
struct model {
    struct model_node nodes[NODES];
    struct fleet *fleet;
    struct gt_prng rng;
};

static const char *const group_names[GROUPS] = {"service:a", "service:b", "family:c"};
static const char *const zones[] = {"a", "b", "c"};
static const char *const expressions[] = {
    "attribute:disk == ssd",
    "attribute:zone in [a, b]",
    "not(task:group == service:b)",
    "task:group =~ service:.*",
    "runningTasksCount < 3",
    "attribute:rack exists",
    "attribute:zone != c and attribute:disk !exists",
};

static struct gt_str id_of(size_t i)
{
    static char text[NODES][4];
    snprintf(text[i], sizeof text[i], "n%zu", i);
    return gt_str(text[i]);
}

static size_t any(struct model *m, size_t n)
{
    return (size_t)gt_prng_below(&m->rng, n);
}

static void change_member(struct model *m, size_t i)
{
    struct model_node *n = &m->nodes[i];
    n->member = any(m, 5) > 0;
    if (!n->member) {
        fleet_put_member(m->fleet, id_of(i), NULL);
        return;
    }
    size_t k = 0;
    n->attrs[k++] = (struct query_attr){GT_STR_LIT("zone"), gt_str(zones[any(m, 3)])};
    if (any(m, 2)) {
        n->attrs[k++] = (struct query_attr){GT_STR_LIT("disk"), gt_str(any(m, 2) ? "ssd" : "hdd")};
    }
    if (any(m, 2)) {
        n->attrs[k++] = (struct query_attr){GT_STR_LIT("rack"), id_of(any(m, 3))};
    }
    n->own_ports[0] = (int64_t)any(m, PORTS);
    n->m = (struct fleet_member){
        .active = any(m, 8) > 0,
        .connected = any(m, 8) > 0,
        .external = any(m, 6) == 0,
        .cpu = 8,
        .memory = 8,
        .addresses = 4,
        .ports = n->own_ports,
        .n_ports = any(m, 4) == 0,
        .attrs = n->attrs,
        .n_attrs = k,
    };
    fleet_put_member(m->fleet, id_of(i), &n->m);
}

static void change_load(struct model *m, size_t i)
{
    struct model_node *n = &m->nodes[i];
    n->loaded = any(m, 10) > 0;
    n->l = (struct fleet_load){0};
    if (n->loaded) {
        n->l = (struct fleet_load){
            .cpu = (int64_t)any(m, 9),
            .memory = (int64_t)any(m, 9),
            .addresses = any(m, 5),
            .running = (int64_t)any(m, 5),
            .ports = n->ports,
            .n_ports = any(m, 3),
        };
        for (size_t k = 0; k < n->l.n_ports; k++) {
            n->ports[k] = (int64_t)any(m, PORTS);
        }
    }
    fleet_put_load(m->fleet, id_of(i), n->loaded ? &n->l : NULL);
}

static void change_tasks(struct model *m, size_t i)
{
    struct model_node *n = &m->nodes[i];
    size_t g = any(m, GROUPS);
    int by = n->tasks[g] && any(m, 2) ? -(int)n->tasks[g] : 1 + (int)any(m, 2);
    n->tasks[g] += by;
    fleet_count_tasks(m->fleet, id_of(i), gt_str(group_names[g]), by);
}

static void change(struct model *m)
{
    size_t i = any(m, NODES), what = any(m, 10);
    if (what == 0) {
        change_member(m, i);
    } else if (what < 6) {
        change_load(m, i);
    } else {
        change_tasks(m, i);
    }
}

/* The model as nodes; `groups` has room for them. */
static size_t as_nodes(const struct model *m, struct sched_node *nodes, struct query_group *groups,
                       int64_t *ports)
{
    size_t count = 0;
    for (size_t i = 0; i < NODES; i++) {
        const struct model_node *n = &m->nodes[i];
        if (!n->member) {
            continue;
        }
        struct sched_node *to = &nodes[count++];
        *to = (struct sched_node){
            .id = id_of(i),
            .is = {.attrs = n->attrs,
                   .n_attrs = n->m.n_attrs,
                   .groups = groups,
                   .connected = n->m.connected,
                   .running_tasks = n->l.running},
            .active = n->m.active,
            .external = n->m.external,
            .cpu_free = n->m.cpu - n->l.cpu,
            .memory_free = n->m.memory - n->l.memory,
            .addresses_free = n->l.addresses < 4 ? 4 - n->l.addresses : 0,
            .ports = ports,
        };
        for (size_t g = 0; g < GROUPS; g++) {
            if (n->tasks[g]) {
                groups[to->is.n_groups++] =
                    (struct query_group){gt_str(group_names[g]), n->tasks[g]};
            }
        }
        for (size_t k = 0; k < n->m.n_ports + n->l.n_ports; k++) {
            ports[to->n_ports++] = k < n->m.n_ports ? n->own_ports[k] : n->ports[k - n->m.n_ports];
        }
        groups += to->is.n_groups;
        ports += to->n_ports;
    }
    return count;
}

struct question {
    struct sched_request rq;
    int64_t port;
    struct query_attr requires;
    const struct query *member_of[2];
    struct sched_strategy by[5];
    struct gt_arena arena;
};

static void ask(struct model *m, struct question *q)
{
    static const struct sched_strategy strategies[] = {
        {SCHED_RANDOM, SCHED_BY_INSTANCE, {NULL, 0}},
        {SCHED_SPREAD, SCHED_BY_INSTANCE, {NULL, 0}},
        {SCHED_SPREAD, SCHED_BY_ATTRIBUTE, {"zone", 4}},
        {SCHED_SPREAD, SCHED_BY_ATTRIBUTE, {"rack", 4}},
        {SCHED_BINPACK, SCHED_BY_CPU, {NULL, 0}},
        {SCHED_BINPACK, SCHED_BY_MEMORY, {NULL, 0}},
    };
    *q = (struct question){.rq = {
                               .group = gt_str(group_names[any(m, GROUPS)]),
                               .external = any(m, 8) == 0,
                               .cpu = (int64_t)any(m, 4),
                               .memory = (int64_t)any(m, 4),
                               .needs_address = any(m, 4) == 0,
                               .distinct_instance = any(m, 4) == 0,
                           }};
    gt_arena_init(&q->arena, 1 << 20);
    q->port = (int64_t)any(m, PORTS);
    q->rq.ports = &q->port;
    q->rq.n_ports = any(m, 3) == 0;
    q->requires = (struct query_attr){GT_STR_LIT("disk"), GT_STR_LIT("ssd")};
    q->rq.requires = &q->requires;
    q->rq.n_requires = any(m, 6) == 0;
    q->rq.member_of = q->member_of;
    q->rq.n_member_of = any(m, 3);
    for (size_t i = 0; i < q->rq.n_member_of; i++) {
        const char *text = expressions[any(m, GT_ARRAY_LEN(expressions))];
        q->member_of[i] = query_parse(gt_str(text), &q->arena, NULL);
        assert_non_null(q->member_of[i]);
    }
    q->rq.strategies = q->by;
    q->rq.n_strategies = any(m, 4);
    for (size_t i = 0; i < q->rq.n_strategies; i++) {
        q->by[i] = strategies[any(m, GT_ARRAY_LEN(strategies))];
    }
}

static void same_answer(struct model *m, const struct sched_request *rq)
{
    struct sched_node nodes[NODES];
    struct query_group groups[NODES * GROUPS];
    int64_t ports[NODES * (PORTS + 1)];
    size_t n = as_nodes(m, nodes, groups, ports);
    struct gt_prng a = {gt_prng_next(&m->rng)}, b = a;
    int want = brute_place(nodes, n, rq, &a);
    const struct sched_node *got = fleet_place(m->fleet, rq, &b);
    assert_int_equal(got != NULL, want >= 0);
    assert_true(!got || gt_str_eq(got->id, nodes[want].id));
    assert_int_equal(a.state, b.state); /* they drew alike */
    enum sched_refusal why_want = SCHED_FITS, why_got = SCHED_FITS;
    want = brute_closest(nodes, n, rq, &why_want);
    got = fleet_closest(m->fleet, rq, &why_got);
    assert_int_equal(got != NULL, want >= 0);
    assert_true(!got || (gt_str_eq(got->id, nodes[want].id) && why_got == why_want));
    assert_int_equal(fleet_size(m->fleet), n);
    for (size_t i = 0; i < n; i++) {
        assert_true(gt_str_eq(fleet_at(m->fleet, i)->id, nodes[i].id));
        assert_int_equal(sched_fits(fleet_at(m->fleet, i), rq), sched_fits(&nodes[i], rq));
    }
}

GT_TEST(answers_as_looking_at_every_node_does)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct model m = {.fleet = fleet_new(), .rng = {seed}};
        struct question q[4];
        for (size_t i = 0; i < GT_ARRAY_LEN(q); i++) {
            ask(&m, &q[i]);
        }
        for (int step = 0; step < STEPS; step++) {
            for (size_t k = any(&m, 2) ? 1 : any(&m, 12); k > 0; k--) {
                change(&m);
            }
            same_answer(&m, &q[any(&m, GT_ARRAY_LEN(q))].rq);
        }
        for (size_t i = 0; i < GT_ARRAY_LEN(q); i++) {
            gt_arena_fini(&q[i].arena);
        }
        fleet_free(m.fleet);
    }
}

/* As many nodes as take more than one turn of the log, some of which go and come back. */
GT_TEST(follows_a_large_fleet)
{
    enum { MANY = 700 };
    struct fleet *f = fleet_new();
    char id[8];
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "n%03d", i);
        fleet_put_member(
            f, gt_str(id),
            &(struct fleet_member){.active = true, .connected = true, .cpu = 100, .memory = 100});
    }
    struct sched_strategy by = {SCHED_BINPACK, SCHED_BY_CPU, {NULL, 0}};
    struct sched_request rq = {.cpu = 1, .strategies = &by, .n_strategies = 1};
    struct gt_prng rng = {1};
    for (int i = 0; i < 5 * MANY; i++) {
        snprintf(id, sizeof id, "n%03d", i % MANY);
        fleet_put_load(f, gt_str(id), &(struct fleet_load){.cpu = i % 99});
        if (i % 500 == 499) { /* a ranking that is far behind */
            snprintf(id, sizeof id, "n%03d", i / 500);
            fleet_put_load(f, gt_str(id), &(struct fleet_load){.cpu = 99});
            const struct sched_node *got = fleet_place(f, &rq, &rng);
            assert_int_equal(got->cpu_free, 1);
        }
        if (i % 300 == 299) {
            fleet_put_load(f, gt_str("n123"), NULL);
            fleet_put_member(f, gt_str("n123"), NULL);
            assert_null(fleet_find(f, gt_str("n123")));
            assert_int_equal(fleet_size(f), MANY - 1);
            fleet_put_member(f, gt_str("n123"),
                             &(struct fleet_member){
                                 .active = true, .connected = true, .cpu = 100, .memory = 100});
        }
    }
    fleet_free(f);
}

GT_TEST(is_empty_when_all_has_gone)
{
    struct fleet *f = fleet_new();
    assert_true(fleet_is_empty(f));
    fleet_count_tasks(f, gt_str("a"), gt_str("g"), 2);
    fleet_put_load(f, gt_str("a"), &(struct fleet_load){.cpu = 1});
    assert_int_equal(fleet_size(f), 0);
    fleet_put_member(f, gt_str("a"), &(struct fleet_member){.cpu = 3});
    assert_int_equal(fleet_find(f, gt_str("a"))->cpu_free, 2);
    assert_int_equal(sched_group_tasks(fleet_find(f, gt_str("a")), gt_str("g")), 2);
    fleet_count_tasks(f, gt_str("a"), gt_str("g"), -2);
    fleet_put_member(f, gt_str("a"), NULL);
    assert_false(fleet_is_empty(f));
    fleet_put_load(f, gt_str("a"), NULL);
    assert_true(fleet_is_empty(f));
    fleet_put_load(f, gt_str("a"), NULL);
    fleet_put_member(f, gt_str("a"), NULL);
    fleet_free(f);
}

static int by_value(const void *arg, uint32_t a, uint32_t b)
{
    const int *v = arg;
    return v[a] - v[b];
}

GT_TEST(tournaments)
{
    for (size_t n = 1; n <= 9; n++) {
        struct tournament_slot slots[32] = {0};
        struct tournament t;
        int v[9] = {0};
        struct gt_prng rng = {n};
        assert_true(tournament_slots(n) <= GT_ARRAY_LEN(slots));
        tournament_init(&t, n, slots);
        assert_int_equal(tournament_best(&t).ties, 0);
        uint32_t ties[9] = {0};
        for (int step = 0; step < 200; step++) {
            size_t i = gt_prng_below(&rng, n);
            v[i] = (int)gt_prng_below(&rng, 4);
            ties[i] = (uint32_t)gt_prng_below(&rng, 3);
            tournament_set(&t, (uint32_t)i, ties[i], by_value, v);
            int best = 100;
            uint32_t sum = 0;
            for (size_t k = 0; k < n; k++) {
                best = ties[k] && v[k] < best ? v[k] : best;
            }
            for (uint32_t k = 0; k < n; k++) {
                for (uint32_t e = 0; v[k] == best && e < ties[k]; e++) {
                    uint32_t rank = sum++;
                    assert_int_equal(tournament_pick(&t, &rank, by_value, v), k);
                    assert_int_equal(rank, e);
                }
            }
            assert_int_equal(tournament_best(&t).ties, sum);
        }
    }
}

GT_RUN(GT_CASE(answers_as_looking_at_every_node_does), GT_CASE(follows_a_large_fleet),
       GT_CASE(is_empty_when_all_has_gone), GT_CASE(tournaments))
