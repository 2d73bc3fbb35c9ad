/* The table of peers that nodes are given. */
#include "gt_test.h"
#include "world.h"

#include "lib/base/mem.h"

#include <stdio.h>
#include <string.h>

static const char *join(struct world *w, const char *id, int subnet, const char *more)
{
    return world_call(w, "RegisterNode",
                      "{'name': 'x', 'nodeId': '%s', 'cpu': 1, 'memory': 1, 'subnet': "
                      "'10.200.%d.0/24'%s}",
                      id, subnet, more);
}

GT_TEST(each_node_is_told_of_the_others)
{
    struct world w;
    world_init(&w);
    join(&w, "n1", 1, ", 'address': '10.0.0.1'");
    join(&w, "n2", 2, ", 'address': '10.0.1.2', 'overlay': 'vxlan'");
    join(&w, "silent", 3, "");
    join(&w, "alone", 4, ", 'address': '10.0.0.4', 'overlay': 'none'");
    const char *session = world_get(&w, join(&w, "n5", 5, ", 'address': '10.0.0.5'"), "session", 0);
    const char *others = world_call(&w, "Peers", "{'session': '%s'}", session);
    world_has(others, "\"peers\":[{\"nodeId\":\"n1\",\"address\":\"10.0.0.1\",\"subnet\":"
                      "\"10.200.1.0/24\",\"overlay\":\"auto\"},{\"nodeId\":\"n2\",\"address\":"
                      "\"10.0.1.2\",\"subnet\":\"10.200.2.0/24\",\"overlay\":\"vxlan\"}]");
    world_fini(&w);
}

GT_TEST(a_change_ends_the_wait)
{
    struct world w;
    world_init(&w);
    const char *session = world_get(&w, join(&w, "n1", 1, ", 'address': '10.0.0.1'"), "session", 0);
    const char *first = world_call(&w, "Peers", "{'session': '%s'}", session);
    world_has(first, "\"peers\":[]");
    const char *at = world_get(&w, first, "revision", 0);
    world_call(&w, "Peers", "{'session': '%s', 'revision': %s, 'waitMs': 1000}", session, at);
    assert_true(w.waits);
    /* A node that says what it said before is no news. */
    join(&w, "n2", 2, ", 'address': '10.0.0.2'");
    world_has(
        world_call(&w, "Peers", "{'session': '%s', 'revision': %s, 'waitMs': 1000}", session, at),
        "10.0.0.2");
    at = world_get(&w, world_call(&w, "Peers", "{'session': '%s'}", session), "revision", 0);
    join(&w, "n2", 2, ", 'address': '10.0.0.2'");
    world_call(&w, "Peers", "{'session': '%s', 'revision': %s, 'waitMs': 1000}", session, at);
    assert_true(w.waits);
    /* That one goes is. */
    join(&w, "n2", 2, ", 'overlay': 'none'");
    world_has(
        world_call(&w, "Peers", "{'session': '%s', 'revision': %s, 'waitMs': 1000}", session, at),
        "\"peers\":[]");
    world_fini(&w);
}

GT_TEST(the_table_comes_in_pieces)
{
    struct world w;
    world_init_tight(&w, 500);
    const char *session = world_get(&w, join(&w, "n0", 0, ""), "session", 0);
    for (int i = 1; i < 6; i++) {
        char id[8] = {'n', (char)('0' + i)};
        join(&w, id, i, ", 'address': '10.0.0.1'");
    }
    const char *more = "", *got = "";
    int peers = 0, answers = 0;
    do {
        got = more[0] ? world_call(&w, "Peers", "{'session': '%s', 'more': '%s'}", session, more)
                      : world_call(&w, "Peers", "{'session': '%s'}", session);
        for (const char *p = got; (p = strstr(p, "nodeId")); p++) {
            peers++;
        }
        more = world_get(&w, got, "more", 0);
        answers++;
    } while (more[0] && answers < 10);
    assert_int_equal(peers, 5);
    assert_true(answers > 1);
    world_has(world_call(&w, "Peers", "{'session': '%s', 'more': 'x/y'}", session),
              "not from an answer");
    world_fini(&w);
}

GT_TEST(addresses_that_are_no_host)
{
    static const char *const wrong[] = {"1",         "10.0.0",     "127.0.0.1", "224.0.0.1",
                                        "0.0.0.0",   "10.0.0.256", "10.0.0.1 ", "010.0.0.1",
                                        "10.0.0.1x", "10.0.0.0.1", "::1",       "-1.0.0.1",
                                        "10.0.0.+1", "1000.0.0.1"};
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < GT_ARRAY_LEN(wrong); i++) {
        char more[64];
        snprintf(more, sizeof more, ", 'address': '%s'", wrong[i]);
        world_has(join(&w, "n1", 1, more), "is not the IPv4 address of a host");
    }
    world_has(join(&w, "n1", 1, ", 'address': '10.0.0.1', 'overlay': 'mesh'"), "overlay");
    world_fini(&w);
}

GT_RUN(GT_CASE(each_node_is_told_of_the_others), GT_CASE(a_change_ends_the_wait),
       GT_CASE(the_table_comes_in_pieces), GT_CASE(addresses_that_are_no_host))
