#include "gt_test.h"

#include "node/net/net_priv.h"

#include <arpa/inet.h>

static struct net_attached task(const char *ns, const char *address, enum net_mode mode)
{
    struct net_attached a = {.mode = mode, .address = inet_addr(address)};
    snprintf(a.ns, sizeof a.ns, "%s", ns);
    return a;
}

GT_TEST(names)
{
    struct net_names n;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(net_names_init(&n, "gantry", &err), err);
    assert_string_equal(n.bridge, "gt-gantry");
    assert_string_equal(n.table, "gantry_gantry");
    gt_assert_ok(net_names_init(&n, "a-rather-long-instance", &err), err);
    assert_string_equal(n.table, "gantry_a_rather_long_instance");
    assert_true(strlen(n.bridge) <= 15);
    struct net_names other;
    gt_assert_ok(net_names_init(&other, "a-rather-long-instancf", &err), err);
    assert_string_not_equal(n.bridge, other.bridge);
    char veth[IFNAMSIZ];
    net_veth_name(&n, "0123abcd", veth);
    assert_int_equal(strlen(veth), 14);
    assert_true(net_names_init(&n, "", &err) < 0);
    assert_true(net_names_init(&n, "a;b", &err) < 0);
    assert_true(net_names_init(&n, "a\"", &err) < 0);
}

GT_TEST(subnets)
{
    struct net_subnet s;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(net_subnet_parse(&s, "10.200.7.0/24", &err), err);
    assert_int_equal(net_subnet_host(&s, 1), inet_addr("10.200.7.1"));
    assert_int_equal(net_subnet_index(&s, inet_addr("10.200.7.254")), 254);
    assert_int_equal(net_subnet_index(&s, inet_addr("10.200.8.1")), -1);
    static const char *const bad[] = {
        "", "10.200.7.0", "10.200.7.1/24", "10.200.0.0/16", "10.200.7.0/24;", "10.300.7.0/24"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(net_subnet_parse(&s, bad[i], &err) < 0);
    }
}

GT_TEST(ruleset)
{
    struct net_names names;
    struct net_subnet subnet;
    assert_int_equal(net_names_init(&names, "t", NULL), 0);
    assert_int_equal(net_subnet_parse(&subnet, "10.200.1.0/24", NULL), 0);
    struct net_attached a = task("00000001", "10.200.1.254", NET_BRIDGE);
    a.n_ports = 2;
    a.ports[0] = (struct net_port){NET_TCP, 80, 8080};
    a.ports[1] = (struct net_port){NET_UDP, 53, 32768};
    struct net_attached b = task("00000002", "10.200.1.4", NET_AWSVPC);
    b.n_ports = 1;
    b.ports[0] = (struct net_port){NET_TCP, 80, 80}; /* its own: no mapping */
    struct net_attached c = task("00000003", "0.0.0.0", NET_NONE);
    const struct net_attached *tasks[] = {&a, &b, &c};
    const struct net_endpoint denied[] = {{"192.0.2.1", 4566}, {NULL, 4567}};
    struct net_rules r = {.names = &names,
                          .subnet = &subnet,
                          .denied = denied,
                          .n_denied = 2,
                          .tasks = tasks,
                          .n_tasks = 3,
                          .link_port = "gvlink"};
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(65536);
    net_rules_inet(&r, &text);
    assert_non_null(strstr(text.p, "table inet gantry_t\ndelete table inet gantry_t\n"));
    assert_non_null(strstr(text.p, "elements = { tcp . 8080 : 10.200.1.254 . 80,\n"));
    assert_non_null(strstr(text.p, "udp . 32768 : 10.200.1.254 . 53 }"));
    assert_null(strstr(text.p, "10.200.1.4"));
    assert_non_null(strstr(text.p, "elements = { 192.0.2.1 . 4566 }"));
    assert_non_null(strstr(text.p, "elements = { 4567 }"));
    assert_non_null(strstr(text.p, "iifname \"gt-t\" ip daddr 127.0.0.0/8 drop"));
    gt_buf_reset(&text);
    net_rules_bridge(&r, &text);
    assert_non_null(strstr(text.p, "\"gvlink\" . 10.200.1.2"));
    assert_non_null(strstr(text.p, "\"gvlink\" . 169.254.170.2"));
    assert_non_null(strstr(text.p, "00000002\" . 10.200.1.4 }"));
    assert_null(strstr(text.p, "00000003"));
    r.n_tasks = r.n_denied = 0;
    r.link_port = NULL;
    gt_buf_reset(&text);
    net_rules_inet(&r, &text);
    net_rules_bridge(&r, &text);
    assert_null(strstr(text.p, "elements"));
}

GT_TEST(rules_for_peers)
{
    struct net_names names;
    struct net_rules r = {.names = &names, .vni = 0xabc, .n_ways = 2};
    struct net_subnet subnet;
    struct net_way ways[] = {
        {.address = inet_addr("10.0.0.2"), .overlay = NET_OVERLAY_ROUTES},
        {.address = inet_addr("10.0.1.3"), .overlay = NET_OVERLAY_VXLAN},
    };
    assert_int_equal(net_names_init(&names, "t", NULL), 0);
    assert_int_equal(net_subnet_parse(&subnet, "10.200.1.0/24", NULL), 0);
    assert_int_equal(net_subnet_parse(&ways[0].subnet, "10.200.2.0/24", NULL), 0);
    assert_int_equal(net_subnet_parse(&ways[1].subnet, "10.200.3.0/24", NULL), 0);
    r.subnet = &subnet;
    r.ways = ways;
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(65536);
    net_rules_inet(&r, &text);
    assert_non_null(strstr(text.p, "elements = { 10.200.2.0/24, 10.200.3.0/24 }"));
    assert_non_null(strstr(text.p, "elements = { 10.0.1.3 }"));
    assert_non_null(strstr(text.p, "@th,96,24 0x000abc ip saddr != @vteps drop"));
    assert_non_null(strstr(text.p, "ip saddr @peers accept"));
}

GT_TEST(overlays)
{
    static const enum net_overlay A = NET_OVERLAY_AUTO, R = NET_OVERLAY_ROUTES,
                                  V = NET_OVERLAY_VXLAN, NONE = NET_OVERLAY_NONE;
    const struct {
        enum net_overlay mine, theirs, near, far;
    } c[] = {
        {A, A, R, V},          {A, R, R, NONE},
        {A, V, V, V},          {A, NONE, NONE, NONE},
        {R, R, R, NONE},       {R, V, NONE, NONE},
        {R, NONE, NONE, NONE}, {V, V, V, V},
        {V, NONE, NONE, NONE}, {NONE, NONE, NONE, NONE},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(c); i++) {
        assert_int_equal(net_overlay_choose(c[i].mine, c[i].theirs, true), c[i].near);
        assert_int_equal(net_overlay_choose(c[i].mine, c[i].theirs, false), c[i].far);
        assert_int_equal(net_overlay_choose(c[i].theirs, c[i].mine, true), c[i].near);
        assert_int_equal(net_overlay_choose(c[i].theirs, c[i].mine, false), c[i].far);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(net_overlay_parse(gt_str(net_overlay_name((enum net_overlay)i))), i);
    }
    assert_int_equal(net_overlay_parse(GT_STR_LIT("mesh")), -1);
}

GT_TEST(elements)
{
    struct net_names names;
    assert_int_equal(net_names_init(&names, "t", NULL), 0);
    struct net_attached a = task("00000001", "10.200.1.254", NET_BRIDGE);
    a.n_ports = 1;
    a.ports[0] = (struct net_port){NET_TCP, 80, 8080};
    struct nft_element e[NET_MAX_PORTS + 1];
    assert_int_equal(net_rules_elements(&names, &a, /* bridge_filter= */ false, e), 1);
    assert_int_equal(net_rules_elements(&names, &a, /* bridge_filter= */ true, e), 2);
    assert_int_equal(e[0].key_len, 20);
    static const uint8_t key[] = {6, 0, 0, 0, 0x1f, 0x90, 0, 0};
    static const uint8_t value[] = {10, 200, 1, 254, 0, 80, 0, 0};
    assert_memory_equal(e[1].key, key, sizeof key);
    assert_memory_equal(e[1].value, value, sizeof value);
}

GT_RUN(GT_CASE(names), GT_CASE(subnets), GT_CASE(ruleset), GT_CASE(rules_for_peers),
       GT_CASE(overlays), GT_CASE(elements))
