#include "gt_test.h"

#include "control/scheduler/explain.h"
#include "control/scheduler/query_solve.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"

static struct explain_node node(const char *id)
{
    return (struct explain_node){.now = {.id = gt_str(id),
                                         .active = true,
                                         .is = {.connected = true},
                                         .cpu_free = 1024,
                                         .memory_free = 1000,
                                         .addresses_free = 250},
                                 .cpu = 2048,
                                 .memory = 2000};
}

static const struct explain_change *change(const struct explain_fix *f,
                                           enum explain_change_kind kind)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->changes[i].kind == kind) {
            return &f->changes[i];
        }
    }
    return NULL;
}

GT_TEST(says_every_filter_that_refuses)
{
    struct explain_node n = node("n");
    static const int64_t used[] = {SCHED_PORT(80, false)};
    struct sched_request rq = {.cpu = 1024, .memory = 1000, .ports = used, .n_ports = 1};
    assert_int_equal(explain_refusals(&n.now, &rq), 0);
    n.now.ports = used, n.now.n_ports = 1;
    n.now.active = false;
    rq.cpu = 1025, rq.memory = 1001;
    assert_int_equal(explain_refusals(&n.now, &rq),
                     EXPLAIN_BIT(SCHED_INACTIVE) | EXPLAIN_BIT(SCHED_CPU) |
                         EXPLAIN_BIT(SCHED_MEMORY) | EXPLAIN_BIT(SCHED_PORTS));
}

GT_TEST(finds_the_smallest_change)
{
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    struct explain_node nodes[] = {node("1"), node("2"), node("3")};
    struct sched_request rq = {.cpu = 1536, .memory = 100};
    nodes[0].now.active = false;
    nodes[1].now.cpu_free = 1500;
    struct explain_fix f = explain_fix(nodes, 3, &rq, &a);
    assert_int_equal(f.node, 1);
    assert_int_equal(f.n, 1);
    assert_int_equal(change(&f, EXPLAIN_FREE_CPU)->amount, 36);
    /* No node is so large: the task has to be smaller, or a node more is there. */
    rq.cpu = 4096;
    f = explain_fix(nodes, 3, &rq, &a);
    assert_int_equal(f.node, 1);
    assert_int_equal(change(&f, EXPLAIN_LOWER_CPU)->amount, 2048);
    assert_int_equal(change(&f, EXPLAIN_FREE_CPU)->amount, 548);
    f = explain_fix(nodes, 0, &rq, &a);
    assert_int_equal(f.node, -1);
    assert_non_null(change(&f, EXPLAIN_ADD_NODE));
    rq.cpu = 1;
    assert_int_equal(explain_fix(nodes, 3, &rq, &a).n, 0);
    gt_arena_fini(&a);
}

GT_TEST(another_processor_is_no_change)
{
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    const struct query_attr arm = {gt_str("ecs.cpu-architecture"), gt_str("arm64")};
    struct explain_node n = node("1");
    struct sched_request rq = {.cpu = 1, .memory = 1, .requires = &arm, .n_requires = 1};
    struct explain_fix f = explain_fix(&n, 1, &rq, &a);
    assert_int_equal(f.node, -1);
    assert_true(explain_fix_node(&n, 0, &rq, &a).weight >= EXPLAIN_IMPOSSIBLE);
    gt_arena_fini(&a);
}

GT_TEST(scores_are_what_strategies_compare)
{
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    static const struct query_attr zones[] = {{{"ecs.availability-zone", 21}, {"a", 1}},
                                              {{"ecs.availability-zone", 21}, {"b", 1}}};
    static const struct query_group of[] = {{{"g", 1}, 2}, {{"g", 1}, 3}};
    struct explain_node nodes[] = {node("1"), node("2"), node("3")};
    for (size_t i = 0; i < 3; i++) {
        nodes[i].now.is.attrs = &zones[i / 2];
        nodes[i].now.is.n_attrs = 1;
        nodes[i].now.is.groups = &of[i % 2];
        nodes[i].now.is.n_groups = 1;
    }
    struct sched_request rq = {.group = gt_str("g")}; /* over zones, then over nodes */
    int64_t *s = explain_scores(nodes, 3, &rq, &a);
    static const int64_t want[] = {5, 2, 5, 3, 2, 2};
    assert_memory_equal(s, want, sizeof want);
    struct sched_strategy pack = {.type = SCHED_BINPACK, .field = SCHED_BY_MEMORY};
    rq.strategies = &pack, rq.n_strategies = 1;
    assert_int_equal(explain_scores(nodes, 3, &rq, &a)[2], 1000);
    gt_arena_fini(&a);
}

GT_TEST(solves_expressions)
{
    static const struct {
        const char *text;
        bool solved;
        size_t edits;
    } cases[] = {
        {"attribute:disk == ssd", true, 1},
        {"attribute:disk == hdd and attribute:gpu exists", true, 1},
        {"attribute:disk == ssd and attribute:gpu exists", true, 2},
        {"attribute:gpu exists or (attribute:disk == ssd and attribute:net == fast)", true, 1},
        {"not(attribute:disk == hdd)", true, 1},
        {"attribute:disk !exists", true, 1},
        {"attribute:disk not_in [hdd, ssd]", true, 1},
        {"attribute:size >= 10", true, 1},
        {"attribute:disk == hdd", true, 0},
        {"runningTasksCount > 100", false, 0},
        {"runningTasksCount > 100 or attribute:disk in [ssd]", true, 1},
    };
    const struct query_attr attrs[] = {{gt_str("disk"), gt_str("hdd")}};
    const struct query_subject s = {.attrs = attrs, .n_attrs = 1, .connected = true};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct gt_arena a;
        struct gt_err err = GT_ERR_INIT;
        gt_arena_init(&a, 1 << 20);
        const struct query *q = query_parse(gt_str(cases[i].text), &a, &err);
        const struct query_edit *edits;
        size_t n = 0;
        bool solved = q && query_solve(q, &s, &a, &edits, &n);
        if (solved != cases[i].solved || (solved && n != cases[i].edits)) {
            fail_msg("%s: %d with %zu edits, %s", cases[i].text, solved, n, err.msg);
        }
        gt_arena_fini(&a);
    }
}

/* ---- random worlds ---- */

struct dice {
    struct gt_prng rng;
    struct gt_arena *a;
};

static int64_t roll(struct dice *d, int64_t below)
{
    return (int64_t)gt_prng_below(&d->rng, (uint64_t)below);
}

static const char *const names[] = {"disk", "gpu", "rack", "size"};
static const char *const values[] = {"ssd", "hdd", "a", "b", "1", "20"};

static const char *one_of(struct dice *d, const char *const *of, size_t n)
{
    return of[roll(d, (int64_t)n)];
}
#define ONE_OF(d, array) one_of(d, array, GT_ARRAY_LEN(array))

static const char *expression(struct dice *d, int depth)
{
    static const char *const compare[] = {"==", "!=", "<", ">=", "equals"};
    const char *x, *y;
    switch (roll(d, depth > 2 ? 4 : 8)) {
    case 0:
        return gt_arena_printf(d->a, "attribute:%s %s", ONE_OF(d, names),
                               roll(d, 2) ? "exists" : "!exists");
    case 1:
        return gt_arena_printf(d->a, "attribute:%s %s [%s, %s]", ONE_OF(d, names),
                               roll(d, 2) ? "in" : "not_in", ONE_OF(d, values), ONE_OF(d, values));
    case 2:
        return gt_arena_printf(d->a, "runningTasksCount %s %d", ONE_OF(d, compare),
                               (int)roll(d, 5));
    case 3:
        return gt_arena_printf(d->a, "attribute:%s %s %s", ONE_OF(d, names), ONE_OF(d, compare),
                               ONE_OF(d, values));
    case 4:
        return gt_arena_printf(d->a, "not(%s)", expression(d, depth + 1));
    case 5:
        return gt_arena_printf(d->a, "agentConnected == %s", roll(d, 4) ? "true" : "false");
    default:
        x = expression(d, depth + 1);
        y = expression(d, depth + 1);
        return gt_arena_printf(d->a, "(%s) %s (%s)", x, roll(d, 2) ? "and" : "or", y);
    }
}

static struct explain_node random_node(struct dice *d)
{
    static const int64_t ports[] = {SCHED_PORT(80, false), SCHED_PORT(443, false),
                                    SCHED_PORT(53, true)};
    static const struct query_group group[] = {{{"g", 1}, 1}};
    struct explain_node n = {.cpu = 1024 * (1 + roll(d, 4)), .memory = 1000 * (1 + roll(d, 4))};
    struct query_attr *attrs = gt_arena_array(d->a, struct query_attr, 8);
    n.now = (struct sched_node){
        .id = gt_str("n"),
        .active = roll(d, 5) > 0,
        .is = {.connected = roll(d, 5) > 0, .attrs = attrs, .running_tasks = roll(d, 5)},
        .cpu_free = roll(d, n.cpu + 1) - roll(d, 10),
        .memory_free = roll(d, n.memory + 1),
        .addresses_free = (size_t)roll(d, 3),
        .ports = ports,
        .n_ports = (size_t)roll(d, 4),
    };
    n.now.is.groups = group;
    n.now.is.n_groups = (size_t)roll(d, 2);
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        if (roll(d, 2)) {
            attrs[n.now.is.n_attrs++] =
                (struct query_attr){gt_str(names[i]), gt_str(ONE_OF(d, values))};
        }
    }
    if (roll(d, 2)) {
        attrs[n.now.is.n_attrs++] =
            (struct query_attr){gt_str("ecs.cpu-architecture"), gt_str("x86_64")};
    }
    return n;
}

static struct sched_request random_request(struct dice *d)
{
    static const int64_t ports[] = {SCHED_PORT(53, true), SCHED_PORT(443, false)};
    static const struct query_attr requires[] = {{{"ecs.cpu-architecture", 20}, {"x86_64", 6}}};
    const struct query **q = gt_arena_array(d->a, const struct query *, 4);
    struct sched_request rq = {.group = gt_str("g"),
                               .cpu = roll(d, 3000),
                               .memory = 6 + roll(d, 3000),
                               .ports = ports,
                               .n_ports = (size_t)roll(d, 3),
                               .needs_address = roll(d, 2),
                               .distinct_instance = roll(d, 2),
                               .requires = requires,
                               .n_requires = (size_t)roll(d, 2),
                               .member_of = q};
    for (size_t n = (size_t)roll(d, 3); rq.n_member_of < n; rq.n_member_of++) {
        struct gt_err err = GT_ERR_INIT;
        const char *text = expression(d, 0);
        q[rq.n_member_of] = query_parse(gt_str(text), d->a, &err);
        if (!q[rq.n_member_of]) {
            fail_msg("%s: %s", text, err.msg);
        }
    }
    return rq;
}

GT_TEST(what_is_proposed_makes_it_fit)
{
    enum { CASES = 10000, NODES = 5 };
    size_t fits = 0, already = 0;
    for (uint64_t seed = 0; seed < CASES; seed++) {
        struct gt_arena a;
        gt_arena_init(&a, 4 << 20);
        struct dice d = {.rng = {seed}, .a = &a};
        struct explain_node nodes[NODES + 1];
        size_t n = (size_t)roll(&d, NODES + 1);
        for (size_t i = 0; i < n; i++) {
            nodes[i] = random_node(&d);
        }
        struct sched_request rq = random_request(&d);
        struct explain_fix f = explain_fix(nodes, n, &rq, &a);
        already += f.n == 0;
        explain_apply(&f, nodes, &n, &rq, &a);
        bool ok = false;
        for (size_t i = 0; i < n; i++) {
            ok = ok || sched_fits(&nodes[i].now, &rq) == SCHED_FITS;
        }
        fits += ok;
        gt_arena_fini(&a);
    }
    print_message("%zu of %d fit, %zu as they were\n", fits, CASES, already);
    assert_true(already > CASES / 50);
    assert_int_equal(fits, CASES);
}

/* Each single verdict agrees with what placement says first. */
GT_TEST(the_first_refusal_is_that_of_placement)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct gt_arena a;
        gt_arena_init(&a, 1 << 20);
        struct dice d = {.rng = {seed}, .a = &a};
        struct explain_node n = random_node(&d);
        struct sched_request rq = random_request(&d);
        unsigned bits = explain_refusals(&n.now, &rq);
        enum sched_refusal first = SCHED_FITS;
        while (bits && !(bits & EXPLAIN_BIT(first))) {
            first++;
        }
        assert_int_equal(bits ? first : SCHED_FITS, sched_fits(&n.now, &rq));
        gt_arena_fini(&a);
    }
}

GT_RUN(GT_CASE(says_every_filter_that_refuses), GT_CASE(finds_the_smallest_change),
       GT_CASE(another_processor_is_no_change), GT_CASE(scores_are_what_strategies_compare),
       GT_CASE(solves_expressions), GT_CASE(what_is_proposed_makes_it_fit),
       GT_CASE(the_first_refusal_is_that_of_placement))
