/* What fits where, and in which order nodes are taken. */
#include "brute.h"
#include "gt_test.h"

#include "control/scheduler/scheduler.h"
#include "lib/base/mem.h"

static const struct query_attr zone_a[] = {{{"ecs.availability-zone", 21}, {"a", 1}}};
static const struct query_attr zone_b[] = {{{"ecs.availability-zone", 21}, {"b", 1}},
                                           {{"disk", 4}, {"ssd", 3}}};

static struct sched_node node(const struct query_attr *attrs, size_t n)
{
    return (struct sched_node){.active = true,
                               .cpu_free = 1024,
                               .memory_free = 1000,
                               .addresses_free = 250,
                               .is = {.attrs = attrs, .n_attrs = n, .connected = true}};
}

GT_TEST(every_refusal_has_its_reason)
{
    static const int64_t used[] = {SCHED_PORT(80, false), SCHED_PORT(53, true)};
    static const int64_t tcp53[] = {SCHED_PORT(53, false)};
    struct sched_node n = node(zone_a, 1);
    n.ports = used;
    n.n_ports = 2;
    struct sched_request rq = {.cpu = 1024, .memory = 1000, .needs_address = true};
    assert_int_equal(sched_fits(&n, &rq), SCHED_FITS);
    rq.cpu = 1025;
    assert_string_equal(sched_refusal_reason(sched_fits(&n, &rq)), "RESOURCE:CPU");
    rq.cpu = 0, rq.memory = 1001;
    assert_string_equal(sched_refusal_reason(sched_fits(&n, &rq)), "RESOURCE:MEMORY");
    rq.memory = 6, rq.ports = used, rq.n_ports = 1;
    assert_string_equal(sched_refusal_reason(sched_fits(&n, &rq)), "RESOURCE:PORTS");
    rq.ports = tcp53;
    assert_int_equal(sched_fits(&n, &rq), SCHED_FITS);
    n.addresses_free = 0;
    assert_string_equal(sched_refusal_reason(sched_fits(&n, &rq)), "RESOURCE:ENI");
    struct query_group one = {GT_STR_LIT("g"), 1};
    n.is.groups = &one, n.is.n_groups = 1;
    rq.group = GT_STR_LIT("g");
    rq.distinct_instance = true;
    assert_int_equal(sched_fits(&n, &rq), SCHED_DISTINCT);
    n.is.connected = false;
    assert_string_equal(sched_refusal_reason(sched_fits(&n, &rq)), "AGENT");
}

GT_TEST(spreads_over_zones_first)
{
    struct sched_node nodes[] = {node(zone_a, 1), node(zone_a, 1), node(zone_b, 2)};
    struct sched_request rq = {.cpu = 10, .memory = 10, .group = GT_STR_LIT("g")};
    struct query_group tasks[3];
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct gt_prng rng = {seed};
        for (size_t i = 0; i < 3; i++) {
            tasks[i] = (struct query_group){.name = rq.group};
            nodes[i].is.groups = &tasks[i];
            nodes[i].is.n_groups = 1;
        }
        for (int i = 0; i < 6; i++) {
            int at = brute_place(nodes, 3, &rq, &rng);
            assert_true(at >= 0);
            tasks[at].tasks++;
        }
        assert_int_equal(tasks[2].tasks, 3);
        assert_true(tasks[0].tasks >= 1 && tasks[1].tasks >= 1);
    }
}

GT_TEST(binpack_fills_and_seed_decides)
{
    struct sched_node nodes[] = {node(zone_a, 1), node(zone_a, 1), node(zone_a, 1)};
    nodes[1].memory_free = 500;
    struct sched_strategy s;
    assert_int_equal(sched_strategy_parse(gt_str("binpack"), gt_str("memory"), &s), 0);
    struct sched_request rq = {.cpu = 1, .memory = 10, .strategies = &s, .n_strategies = 1};
    struct gt_prng rng = {1};
    assert_int_equal(brute_place(nodes, 3, &rq, &rng), 1);
    rq.memory = 600;
    assert_int_not_equal(brute_place(nodes, 3, &rq, &rng), 1);
    assert_int_equal(sched_fits(&nodes[1], &rq), SCHED_MEMORY);
    assert_true(sched_strategy_parse(gt_str("binpack"), gt_str("disk"), &s) < 0);
    assert_true(sched_strategy_parse(gt_str("spread"), gt_str("zone"), &s) < 0);
    assert_int_equal(sched_strategy_parse(gt_str("random"), gt_str(""), &s), 0);
    struct gt_prng a = {7}, b = {7};
    rq.strategies = &s, rq.memory = 1;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(brute_place(nodes, 3, &rq, &a), brute_place(nodes, 3, &rq, &b));
    }
}

GT_RUN(GT_CASE(every_refusal_has_its_reason), GT_CASE(spreads_over_zones_first),
       GT_CASE(binpack_fills_and_seed_decides))
