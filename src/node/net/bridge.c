/* The bridge, its addresses and routes, and what else of 10.200.0.0/16 the host uses. */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#define NSFS 0x6e736673 /* magic of a network namespace's file */

/* --- what the host has ------------------------------------------------------------------- */

struct survey {
    bool used[NET_SUBNETS];  /* 10.200.N.0/24 */
    uint32_t ignore_ifindex; /* our own bridge */
    uint32_t own;            /* its address */
    uint32_t link_route;     /* interface of a route to 169.254.170.2 */
    uint32_t default_ifindex;
};

static void mark_used(struct survey *s, uint32_t address, unsigned prefix_len)
{
    uint32_t a = ntohl(address);
    if (prefix_len >= 16 && a >> 16 == (10 << 8 | 200)) {
        unsigned first = a >> 8 & 0xff, count = prefix_len >= 24 ? 1 : 1U << (24 - prefix_len);
        for (unsigned i = first; i < first + count && i < GT_ARRAY_LEN(s->used); i++) {
            s->used[i] = true;
        }
    }
}

static int survey_address(void *arg, const struct nl_address *a)
{
    struct survey *s = arg;
    if (a->ifindex == s->ignore_ifindex) {
        s->own = a->address;
    } else {
        mark_used(s, a->address, a->prefix_len);
    }
    return 0;
}

static int survey_route(void *arg, const struct nl_route *r)
{
    struct survey *s = arg;
    if (r->prefix_len == 0 && !s->default_ifindex) {
        s->default_ifindex = r->ifindex;
    }
    bool to_peer = r->protocol == NET_ROUTE_PROTOCOL && r->source == s->own;
    if (r->ifindex != s->ignore_ifindex && !to_peer) {
        mark_used(s, r->destination, r->prefix_len);
    }
    if (r->prefix_len == 32 && r->destination == inet_addr(NET_LINK_ADDRESS) && !s->link_route) {
        s->link_route = r->ifindex;
    }
    return 0;
}

static int survey_host(struct nl *nl, uint32_t bridge_ifindex, struct survey *ret,
                       struct gt_err *err)
{
    *ret = (struct survey){.ignore_ifindex = bridge_ifindex};
    int r = nl_addresses(nl, survey_address, ret, err);
    return r < 0 ? r : nl_routes(nl, survey_route, ret, err);
}

static int survey_for(const char *name, struct survey *ret, struct gt_err *err)
{
    struct net_names names;
    struct nl nl = NL_INIT;
    struct nl_link bridge = {0};
    int r = net_names_init(&names, name, err);
    r = r < 0 ? r : nl_open(&nl, err);
    if (r == 0) {
        r = nl_link_get(&nl, names.bridge, &bridge, err);
        r = r == -ENODEV ? 0 : r;
    }
    r = r < 0 ? r : survey_host(&nl, bridge.ifindex, ret, err);
    nl_close(&nl);
    return r;
}

int net_subnets_used(const char *name, bool used[static NET_SUBNETS], struct gt_err *err)
{
    struct survey s;
    int r = survey_for(name, &s, err);
    if (r == 0) {
        memcpy(used, s.used, sizeof s.used);
    }
    return r;
}

int net_free_subnet(const char *name, char to[static 20], struct gt_err *err)
{
    struct survey s;
    int r = survey_for(name, &s, err);
    if (r < 0) {
        return r;
    }
    if (s.own) {
        snprintf(to, 20, "%u.%u.%u.0/24", s.own & 0xff, s.own >> 8 & 0xff, s.own >> 16 & 0xff);
        return 0;
    }
    for (unsigned i = 0; i < GT_ARRAY_LEN(s.used); i++) {
        if (!s.used[i]) {
            snprintf(to, 20, "10.200.%u.0/24", i);
            return 0;
        }
    }
    return gt_err_set(err, GT_ERR_LIMIT, "this host uses all of 10.200.0.0/16 already");
}

/* --- the bridge -------------------------------------------------------------------------- */

static int poke(const char *path, const char *value, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64);
    if (gt_file_read(AT_FDCWD, path, &b, NULL) == 0 && b.n > 0 && b.p[0] == value[0]) {
        return 0; /* also where /proc/sys is read-only and somebody set it for us */
    }
    return gt_file_poke(AT_FDCWD, path, value, err);
}

static int bridge_settings(struct net *n, struct gt_err *err)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", n->names.bridge);
    poke(path, "1", NULL); /* a kernel without IPv6 has none */
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/route_localnet", n->names.bridge);
    int r = poke(path, "1", err);
    return r < 0 ? r : poke("/proc/sys/net/ipv4/ip_forward", "1", err);
}

static int link_mtu(void *arg, const struct nl_link *l)
{
    struct nl_link *wanted = arg;
    if (l->ifindex == wanted->ifindex) {
        wanted->mtu = l->mtu;
    }
    return 0;
}

static int check_subnet(struct net *n, const struct survey *s, struct gt_err *err)
{
    unsigned third = ntohl(n->subnet.base) >> 8 & 0xff;
    bool in_range = ntohl(n->subnet.base) >> 16 == (10 << 8 | 200) && third < GT_ARRAY_LEN(s->used);
    if (in_range && s->used[third]) {
        return gt_err_set(err, GT_ERR_CONFLICT,
                          "subnet %s is in use on this host by another interface or route "
                          "(another Gantry?)",
                          n->subnet.text);
    }
    return 0;
}

int net_bridge_set_up(struct net *n, struct gt_err *err)
{
    struct nl_batch b;
    nl_batch_init(&b);
    struct nl_link bridge;
    int r = nl_link_get(&n->nl, n->names.bridge, &bridge, err);
    if (r == -ENODEV) {
        nl_put_bridge(&b, n->names.bridge, n->names.bridge_mac);
        r = nl_run(&n->nl, &b, err);
        r = r < 0 ? r : nl_link_get(&n->nl, n->names.bridge, &bridge, err);
    }
    if (r == 0 && !gt_streq(bridge.kind, "bridge")) {
        r = gt_err_set(err, GT_ERR_CONFLICT, "interface \"%s\" exists and is no bridge",
                       n->names.bridge);
    }
    struct survey s;
    r = r < 0 ? r : survey_host(&n->nl, bridge.ifindex, &s, err);
    r = r < 0 ? r : check_subnet(n, &s, err);
    if (r < 0) {
        return r;
    }
    n->bridge_ifindex = bridge.ifindex;
    struct nl_link way_out = {.ifindex = s.default_ifindex};
    nl_links(&n->nl, link_mtu, &way_out, NULL);
    n->link_mtu = way_out.mtu >= 576 && way_out.mtu <= 9000 ? way_out.mtu : 1500;
    n->mtu = net_task_mtu(n);
    uint32_t gateway = net_subnet_host(&n->subnet, NET_HOST_GATEWAY);
    net_address_text(gateway, n->gateway);
    const struct nl_link_set up = {.up = true};
    nl_put_link_set(&b, bridge.ifindex, &up);
    if (s.own && s.own != gateway) {
        nl_put_address_del(&b, bridge.ifindex, s.own, 24);
    }
    nl_put_address(&b, bridge.ifindex, gateway, n->subnet.prefix_len);
    nl_ignore(&b, EEXIST);
    r = nl_run(&n->nl, &b, err);
    return r < 0 ? r : bridge_settings(n, err);
}

/* The way from the host to gantry-link, for tasks in host mode. Another instance may have one: then
 * ours waits behind it. */
int net_route_to_link(struct net *n, struct gt_err *err)
{
    struct nl_batch b;
    nl_batch_init(&b);
    const struct nl_route route = {.destination = inet_addr(NET_LINK_ADDRESS),
                                   .prefix_len = 32,
                                   .source = net_subnet_host(&n->subnet, NET_HOST_GATEWAY),
                                   .ifindex = n->bridge_ifindex,
                                   .append = true};
    nl_put_route(&b, &route);
    nl_ignore(&b, EEXIST);
    return nl_run(&n->nl, &b, err);
}

bool net_link_ns_is_there(struct net *n)
{
    struct statfs fs;
    struct nl_link port;
    char veth[IFNAMSIZ];
    net_veth_name(&n->names, "link", veth);
    if (statfs(n->link_netns, &fs) < 0 || fs.f_type != NSFS ||
        nl_link_get(&n->nl, veth, &port, NULL) < 0 || port.master != n->bridge_ifindex) {
        return false;
    }
    n->link_port_ifindex = port.ifindex;
    return true;
}
