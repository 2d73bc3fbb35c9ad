/* The kernel's side of the ways to peers: what is there is looked at, and only what differs is
 * changed, so that traffic on the other ways never notices. */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 8 }; /* messages in a batch */

/* --- where this host stands -------------------------------------------------------------- */

struct own_address {
    uint32_t address;
    struct net_place *place;
};

static int see_address(void *arg, const struct nl_address *a)
{
    const struct own_address *own = arg;
    if (a->address == own->address) {
        own->place->ifindex = a->ifindex;
        own->place->prefix_len = a->prefix_len;
    }
    return 0;
}

static int see_mtu(void *arg, const struct nl_link *l)
{
    struct net_place *place = arg;
    if (l->ifindex == place->ifindex) {
        place->mtu = l->mtu;
    }
    return 0;
}

int net_place_find(struct net *n, struct net_place *ret, struct gt_err *err)
{
    *ret = (struct net_place){0};
    struct own_address own = {n->address, ret};
    int r = nl_addresses(&n->nl, see_address, &own, err);
    r = r < 0 || !ret->ifindex ? r : nl_links(&n->nl, see_mtu, ret, err);
    if (r == 0 && !ret->ifindex) {
        char text[16];
        net_address_text(n->address, text);
        r = gt_err_set(err, GT_ERR_INVALID, "address %s is on no interface of this host", text);
    }
    return r;
}

/* --- the vxlan interface ----------------------------------------------------------------- */

bool net_ways_have_vxlan(const struct net_way *ways, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ways[i].overlay == NET_OVERLAY_VXLAN) {
            return true;
        }
    }
    return false;
}

static int vxlan_make(struct net *n, const struct net_place *place, const struct nl_vxlan *want,
                      struct gt_err *err)
{
    struct nl_batch b;
    nl_batch_init(&b);
    uint8_t mac[6];
    net_mac_of(net_subnet_host(&n->subnet, NET_HOST_GATEWAY), mac);
    nl_put_vxlan(&b, n->names.vxlan, mac, want, place->mtu - NET_VXLAN_OVERHEAD);
    int r = nl_run(&n->nl, &b, err);
    if (r == -EOPNOTSUPP) {
        return gt_err_set(err, GT_ERR_INVALID, "this kernel has no vxlan (modprobe vxlan)");
    }
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", n->names.vxlan);
    gt_file_poke(AT_FDCWD, path, "1", NULL); /* a kernel without IPv6 has none */
    return r;
}

/* Its ifindex; 0: none is there, and none is wanted. */
static int vxlan_right(struct net *n, const struct net_place *place, uint32_t *ret,
                       struct gt_err *err)
{
    bool wanted = net_ways_have_vxlan(n->ways, n->n_ways);
    const struct nl_vxlan want = {.vni = n->vni, .local = n->address, .port = NET_VXLAN_PORT};
    uint8_t mac[6];
    net_mac_of(net_subnet_host(&n->subnet, NET_HOST_GATEWAY), mac);
    struct nl_link l;
    *ret = 0;
    int r = nl_link_get(&n->nl, n->names.vxlan, &l, err);
    if (r < 0 && r != -ENODEV) {
        return r;
    }
    bool right = r == 0 && l.vxlan.vni == want.vni && l.vxlan.local == want.local &&
                 l.vxlan.port == want.port && memcmp(l.mac, mac, 6) == 0 &&
                 l.mtu == place->mtu - NET_VXLAN_OVERHEAD;
    if (r == 0 && !(wanted && right)) {
        struct nl_batch b;
        nl_batch_init(&b);
        nl_put_link_del(&b, l.ifindex); /* its routes and neighbours go with it */
        r = nl_run(&n->nl, &b, err);
        if (r < 0) {
            return r;
        }
    }
    if (wanted && !right) {
        r = vxlan_make(n, place, &want, err);
        r = r < 0 ? r : nl_link_get(&n->nl, n->names.vxlan, &l, err);
        if (r < 0) {
            return r;
        }
    }
    *ret = wanted ? l.ifindex : 0;
    return 0;
}

/* --- what the kernel has of it, against what is wanted ----------------------------------- */

struct change {
    struct net *n;
    const struct net_place *place;
    uint32_t vxlan; /* ifindex */
    bool *there;    /* of each way */
    struct nl_route *old_routes;
    struct nl_neighbour *old_neighbours;
    size_t n_old, cap;
    struct gt_err *err;
    int r; /* the first refusal; what comes after is tried all the same */
};

static struct nl_route route_of(const struct change *c, const struct net_way *w)
{
    bool vxlan = w->overlay == NET_OVERLAY_VXLAN;
    return (struct nl_route){.destination = w->subnet.base,
                             .prefix_len = w->subnet.prefix_len,
                             .gateway =
                                 vxlan ? net_subnet_host(&w->subnet, NET_HOST_GATEWAY) : w->address,
                             .source = net_subnet_host(&c->n->subnet, NET_HOST_GATEWAY),
                             .ifindex = vxlan ? c->vxlan : c->place->ifindex,
                             .onlink = vxlan,
                             .protocol = NET_ROUTE_PROTOCOL};
}

static int see_route(void *arg, const struct nl_route *r)
{
    struct change *c = arg;
    if (r->protocol != NET_ROUTE_PROTOCOL ||
        r->source != net_subnet_host(&c->n->subnet, NET_HOST_GATEWAY)) {
        return 0;
    }
    for (size_t i = 0; i < c->n->n_ways; i++) {
        struct nl_route want = route_of(c, &c->n->ways[i]);
        if (r->destination == want.destination && r->prefix_len == want.prefix_len &&
            r->gateway == want.gateway && r->ifindex == want.ifindex) {
            c->there[i] = true;
            return 0;
        }
    }
    if (c->n_old == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->old_routes = gt_realloc(c->old_routes, c->cap * sizeof *c->old_routes);
    }
    c->old_routes[c->n_old++] = *r;
    return 0;
}

static void send_from(struct change *c, struct nl_batch *b, unsigned least)
{
    if (b->count >= least) {
        int r = nl_run(&c->n->nl, b, c->r < 0 ? NULL : c->err);
        c->r = c->r < 0 ? c->r : r;
    }
}

static void routes_right(struct change *c)
{
    struct net *n = c->n;
    struct nl_batch b;
    nl_batch_init(&b);
    c->n_old = c->cap = 0;
    memset(c->there, 0, n->n_ways * sizeof *c->there);
    c->r = nl_routes(&n->nl, see_route, c, c->err);
    for (size_t i = 0; i < c->n_old; i++) {
        nl_put_route_del(&b, &c->old_routes[i]);
        nl_ignore(&b, ESRCH);
        send_from(c, &b, AT_ONCE);
    }
    for (size_t i = 0; i < n->n_ways; i++) {
        if (!c->there[i]) {
            struct nl_route want = route_of(c, &n->ways[i]);
            nl_put_route(&b, &want);
            send_from(c, &b, AT_ONCE);
        }
    }
    send_from(c, &b, 1);
}

static int see_neighbour(void *arg, const struct nl_neighbour *nb)
{
    struct change *c = arg;
    for (size_t i = 0; i < c->n->n_ways; i++) {
        const struct net_way *w = &c->n->ways[i];
        uint32_t gateway = net_subnet_host(&w->subnet, NET_HOST_GATEWAY);
        uint8_t mac[6];
        net_mac_of(gateway, mac);
        if (w->overlay == NET_OVERLAY_VXLAN && memcmp(mac, nb->mac, 6) == 0 &&
            nb->address == (nb->fdb ? w->address : gateway)) {
            c->there[i] = true;
            return 0;
        }
    }
    if (c->n_old == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->old_neighbours = gt_realloc(c->old_neighbours, c->cap * sizeof *c->old_neighbours);
    }
    c->old_neighbours[c->n_old++] = *nb;
    return 0;
}

/* fdb: forwarding entries; else neighbours. */
static void neighbours_right(struct change *c, bool fdb)
{
    struct net *n = c->n;
    struct nl_batch b;
    nl_batch_init(&b);
    c->n_old = 0;
    memset(c->there, 0, n->n_ways * sizeof *c->there);
    int r = nl_neighbours(&n->nl, fdb, c->vxlan, see_neighbour, c, c->r < 0 ? NULL : c->err);
    c->r = c->r < 0 ? c->r : r;
    for (size_t i = 0; i < c->n_old; i++) {
        nl_put_neighbour_del(&b, &c->old_neighbours[i]);
        nl_ignore(&b, ENOENT);
        send_from(c, &b, AT_ONCE);
    }
    for (size_t i = 0; i < n->n_ways; i++) {
        const struct net_way *w = &n->ways[i];
        uint32_t gateway = net_subnet_host(&w->subnet, NET_HOST_GATEWAY);
        uint8_t mac[6];
        net_mac_of(gateway, mac);
        if (w->overlay != NET_OVERLAY_VXLAN || c->there[i]) {
            continue;
        }
        if (fdb) {
            nl_put_vxlan_fdb(&b, c->vxlan, mac, w->address);
        } else {
            nl_put_neighbour(&b, c->vxlan, gateway, mac);
        }
        send_from(c, &b, AT_ONCE);
    }
    send_from(c, &b, 1);
}

int net_ways_make(struct net *n, const struct net_place *place, struct gt_err *err)
{
    struct change c = {.n = n, .place = place, .err = err};
    int r = vxlan_right(n, place, &c.vxlan, err);
    if (r < 0) {
        return r;
    }
    c.there = gt_new_array(bool, n->n_ways + 1);
    routes_right(&c);
    c.cap = 0;
    if (c.vxlan) {
        neighbours_right(&c, /* fdb= */ false);
        neighbours_right(&c, /* fdb= */ true);
    }
    free(c.there);
    free(c.old_routes);
    free(c.old_neighbours);
    return c.r;
}
