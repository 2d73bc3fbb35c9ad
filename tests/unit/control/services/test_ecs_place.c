/* Where tasks are placed, through the operations. */
#include "gt_test.h"
#include "world.h"

#include "control/services/ecs/names.h"
#include "control/services/ecs/place.h"
#include "lib/base/rand.h"

#include <stdio.h>

#define RUN(more) "{'taskDefinition': 'web' " more "}"
#define MEMBER_OF(expression)                                                                      \
    ", 'placementConstraints': [{'type': 'memberOf', 'expression': '" expression "'}]"

static void open_world(struct world *w, int nodes)
{
    world_init(w);
    world_call(w, "RegisterTaskDefinition",
               "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'cpu': 64, "
               "'memory': 64}]}");
    for (int i = 0; i < nodes; i++) {
        char id[8];
        snprintf(id, sizeof id, "n%d", i);
        world_node(w, id, 1024, 1000);
    }
}

GT_TEST(tasks_attract_and_repel)
{
    struct world w;
    open_world(&w, 3);
    const char *db = world_do(&w, "RunTask", RUN(", 'group': 'db'"));
    const char *home = world_get(&w, db, "containerInstanceArn", 0);
    assert_true(strlen(home) > 0);
    for (int i = 0; i < 5; i++) {
        const char *near = world_do(&w, "RunTask", RUN(MEMBER_OF("task:group == db")));
        assert_string_equal(world_get(&w, near, "containerInstanceArn", 0), home);
        const char *far = world_do(&w, "RunTask", RUN(MEMBER_OF("not(task:group =~ d.*)")));
        assert_string_not_equal(world_get(&w, far, "containerInstanceArn", 0), home);
    }
    const char *list = world_call(&w, "ListContainerInstances", "{'filter': 'task:group == db'}");
    world_has(list, home);
    assert_null(strchr(list, ',')); /* no other */
    world_has(world_do(&w, "RunTask", RUN(MEMBER_OF("task:group == none"))),
              "\"reason\":\"MemberOf placement constraint unsatisfied.\"");
    world_fini(&w);
}

GT_TEST(expressions_see_running_tasks)
{
    struct world w;
    open_world(&w, 2);
    const char *session = world_node(&w, "n2", 1024, 1000);
    world_do(&w, "StartTask", "{'taskDefinition': 'web', 'containerInstances': ['n2']}");
    assert_int_equal(world_report(&w, session, "RUNNING"), 1);
    const char *busy = world_do(&w, "RunTask", RUN(MEMBER_OF("runningTasksCount > 0")));
    world_has(world_get(&w, busy, "containerInstanceArn", 0), "/n2");
    world_has(world_call(&w, "ListContainerInstances", "{'filter': 'runningTasksCount == 1'}"),
              "/n2\"]");
    world_fini(&w);
}

/* The fleet of the default cluster against the records that it is made of. */
static int compare_fleet(struct tx *tx, void *arg, struct gt_err *err)
{
    const struct gt_str cluster = GT_STR_LIT("default");
    const struct fleet *f = place_fleet(tx, cluster);
    size_t n = 0;
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "ecs/node/default/"), NULL);
    for (const char *key; (key = tx_next(&c)); n++) {
        const struct rec_ecs_node *node = tx_get(tx, key, &rec_ecs_node_desc);
        const struct rec_ecs_load *load =
            tx_get(tx, key_load(tx, cluster, node->id), &rec_ecs_load_desc);
        const struct sched_node *s = fleet_at(f, n);
        assert_true(gt_str_eq(s->id, node->id) && s->is.connected == !node->lost);
        assert_int_equal(s->cpu_free, node->cpu - load->cpu);
        assert_int_equal(s->memory_free, node->memory - load->memory);
        assert_int_equal(s->n_ports, node->ports.n + load->ports.n);
        assert_int_equal(s->is.running_tasks, load->running);
        assert_int_equal(s->is.n_attrs, node->attributes.n);
        for (size_t g = 0; g < s->is.n_groups; g++) {
            char *prefix = key_group(tx, cluster, s->is.groups[g].name, s->id, gt_str(""));
            assert_int_equal(tx_count(tx, prefix), s->is.groups[g].tasks);
            *(size_t *)arg -= (size_t)s->is.groups[g].tasks;
        }
    }
    assert_int_equal(fleet_size(f), n);
    *(size_t *)arg += tx_count(tx, tx_key(tx, "ecs/group/default/"));
    return 0;
}

static void check_fleet(struct world *w)
{
    size_t missed = 0;
    struct core_call c = {
        .fn = compare_fleet,
        .arg = &missed,
        .principal = {.kind = PRINCIPAL_INTERNAL, .account = GT_STR_LIT("000000000000")},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &w->arena};
    core_apply(w->core, &c, w->now);
    assert_int_equal(missed, 0);
}

static void do_something(struct world *w, struct gt_prng *rng, const char **sessions)
{
    static const char *const groups[] = {"a", "b/c d", "family:%41"};
    int node = (int)gt_prng_below(rng, 3);
    char id[8];
    snprintf(id, sizeof id, "n%d", node);
    switch (gt_prng_below(rng, 8)) {
    case 0:
    case 1:
    case 2:
        world_do(w, "RunTask", "{'taskDefinition': 'web', 'count': 2, 'group': '%s'}",
                 groups[gt_prng_below(rng, 3)]);
        break;
    case 3: /* fails after it has placed some */
        world_do(w, "RunTask", "{'taskDefinition': 'web', 'count': 9, 'clientToken': 'x%d'}",
                 (int)gt_prng_below(rng, 4));
        break;
    case 4:
        world_report(w, sessions[node], "RUNNING");
        break;
    case 5:
        world_report(w, sessions[node], "STOPPED");
        break;
    case 6:
        w->as = PRINCIPAL_INTERNAL;
        world_do(w, "NodeLost", "{'nodeId': '%s', 'reason': 'test'}", id);
        w->as = PRINCIPAL_ROOT;
        break;
    default:
        sessions[node] = world_node(w, id, 1024, 1000);
        break;
    }
}

GT_TEST(the_fleet_is_what_the_records_say)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct world w;
        struct gt_prng rng = {seed};
        open_world(&w, 0);
        const char *sessions[] = {world_node(&w, "n0", 1024, 1000),
                                  world_node(&w, "n1", 1024, 1000),
                                  world_node(&w, "n2", 1024, 1000)};
        for (int i = 0; i < 60; i++) {
            do_something(&w, &rng, sessions);
            check_fleet(&w);
        }
        world_fini(&w);
    }
}

GT_RUN(GT_CASE(the_fleet_is_what_the_records_say), GT_CASE(tasks_attract_and_repel),
       GT_CASE(expressions_see_running_tasks))
