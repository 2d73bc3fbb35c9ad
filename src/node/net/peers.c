#include "node/net/peers.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = NET_SUBNETS * 64 };

static const char *const overlay_names[] = {"auto", "routes", "vxlan", "none"};

int net_overlay_parse(struct gt_str text)
{
    for (int i = 0; i < (int)GT_ARRAY_LEN(overlay_names); i++) {
        if (gt_str_is(text, overlay_names[i])) {
            return i;
        }
    }
    return -1;
}

const char *net_overlay_name(enum net_overlay overlay)
{
    return overlay_names[overlay];
}

enum net_overlay net_overlay_choose(enum net_overlay mine, enum net_overlay theirs,
                                    bool same_segment)
{
    enum net_overlay want = mine == NET_OVERLAY_AUTO ? theirs : mine;
    if (theirs != NET_OVERLAY_AUTO && theirs != want) {
        return NET_OVERLAY_NONE;
    }
    if (want == NET_OVERLAY_AUTO) {
        return same_segment ? NET_OVERLAY_ROUTES : NET_OVERLAY_VXLAN;
    }
    return want == NET_OVERLAY_ROUTES && !same_segment ? NET_OVERLAY_NONE : want;
}

/* --- <run>/peers: a line for each, "<address> <subnet> <overlay>" ------------------------- */

static char *peers_path(const char *run_dir)
{
    return gt_asprintf("%s/peers", run_dir);
}

static bool way_parse(const char *address, const char *subnet, const char *overlay,
                      struct net_way *ret)
{
    struct in_addr a;
    *ret = (struct net_way){0};
    int o = net_overlay_parse(gt_str(overlay));
    if (inet_pton(AF_INET, address, &a) != 1 || net_subnet_parse(&ret->subnet, subnet, NULL) < 0 ||
        o < 0) {
        return false;
    }
    ret->address = a.s_addr;
    ret->overlay = (enum net_overlay)o;
    return true;
}

size_t net_ways_read(const char *run_dir, struct net_way to[static NET_SUBNETS])
{
    gt_auto_free char *path = peers_path(run_dir);
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(FILE_MAX);
    size_t count = 0;
    char *save = NULL;
    if (gt_file_read(AT_FDCWD, path, &text, NULL) < 0 || text.n == 0) {
        return 0;
    }
    for (char *line = strtok_r(text.p, "\n", &save); line && count < NET_SUBNETS;
         line = strtok_r(NULL, "\n", &save)) {
        char address[16], subnet[20], overlay[8];
        if (sscanf(line, "%15s %19s %7s", address, subnet, overlay) == 3 &&
            way_parse(address, subnet, overlay, &to[count])) {
            count++; /* one that is there was chosen: it is neither auto nor none */
        }
    }
    return count;
}

void net_peers_load(struct net *n)
{
    n->ways = gt_new_array(struct net_way, NET_SUBNETS);
    n->n_ways = net_ways_read(n->run_dir, n->ways);
}

static int peers_save(const struct net *n, struct gt_err *err)
{
    gt_auto_free char *path = peers_path(n->run_dir);
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(FILE_MAX);
    for (size_t i = 0; i < n->n_ways; i++) {
        char address[16];
        net_address_text(n->ways[i].address, address);
        gt_buf_printf(&text, "%s %s %s\n", address, n->ways[i].subnet.text,
                      net_overlay_name(n->ways[i].overlay));
    }
    return gt_file_replace(AT_FDCWD, path, text.p ? text.p : "", text.n, 0600, err);
}

void net_peers_remove(struct net *n)
{
    struct nl_link l;
    struct nl_batch b;
    nl_batch_init(&b);
    if (nl_link_get(&n->nl, n->names.vxlan, &l, NULL) == 0) {
        nl_put_link_del(&b, l.ifindex);
        nl_run(&n->nl, &b, NULL);
    }
    gt_auto_free char *path = peers_path(n->run_dir);
    unlink(path); /* routes have the bridge's address as source: they go with it */
}

/* --- what is wanted ----------------------------------------------------------------------- */

struct choice {
    const struct net *n;
    const struct net_place *place;
    struct net_way *ways;
    size_t count;
    int unreachable;
};

static void refuse(struct choice *c, const struct net_peer *p, const char *why, struct gt_err *err)
{
    if (c->unreachable++ == 0) {
        gt_err_set(err, GT_ERR_INVALID, "tasks of %s (%s): %s", p->address, p->subnet, why);
    }
}

static bool same_segment(const struct choice *c, uint32_t address)
{
    unsigned len = c->place->prefix_len;
    uint32_t mask = len ? htonl(~0U << (32 - len)) : 0;
    return len < 32 && ((address ^ c->n->address) & mask) == 0;
}

static void choose(struct choice *c, const struct net_peer *p, struct gt_err *err)
{
    struct net_way *w = &c->ways[c->count];
    if (c->count == NET_SUBNETS || !way_parse(p->address, p->subnet, "auto", w) ||
        w->subnet.base == c->n->subnet.base) {
        refuse(c, p, "not an address and a subnet of a peer", err);
        return;
    }
    if (w->address == c->n->address) {
        return; /* another agent on this host: its bridge is here */
    }
    bool same = same_segment(c, w->address);
    w->overlay = net_overlay_choose(c->n->overlay, p->overlay, same);
    if (w->overlay == NET_OVERLAY_NONE) {
        refuse(c, p,
               c->n->overlay == NET_OVERLAY_VXLAN || p->overlay == NET_OVERLAY_VXLAN
                   ? "one of the two nodes is told to use routes, the other vxlan"
                   : "the nodes are not in one subnet, and --overlay routes leaves no other way",
               err);
        return;
    }
    c->count++;
}

static int by_subnet(const void *a, const void *b)
{
    uint32_t x = ntohl(((const struct net_way *)a)->subnet.base);
    uint32_t y = ntohl(((const struct net_way *)b)->subnet.base);
    return x < y ? -1 : x > y;
}

static bool same_ways(const struct net_way *a, size_t n_a, const struct net_way *b, size_t n_b)
{
    bool same = n_a == n_b;
    for (size_t i = 0; same && i < n_a; i++) {
        same = a[i].subnet.base == b[i].subnet.base && a[i].address == b[i].address &&
               a[i].overlay == b[i].overlay;
    }
    return same;
}

uint32_t net_task_mtu(const struct net *n)
{
    bool vxlan = n->overlay == NET_OVERLAY_VXLAN || net_ways_have_vxlan(n->ways, n->n_ways);
    return vxlan ? n->link_mtu - NET_VXLAN_OVERHEAD : n->link_mtu;
}

/* New namespaces get what fits; in older ones TCP learns it from the route (path MTU). */
static void take_mtu(struct net *n)
{
    uint32_t mtu = net_task_mtu(n);
    if (mtu != n->mtu) {
        n->mtu = mtu;
        net_pool_drop(n);
    }
}

static int set_peers(struct net *n, const struct net_peer *peers, size_t count, struct gt_err *err)
{
    struct net_place place;
    int r = net_place_find(n, &place, err);
    if (r < 0) {
        return r;
    }
    struct choice c = {
        .n = n, .place = &place, .ways = gt_new_array(struct net_way, NET_SUBNETS + 1)};
    for (size_t i = 0; i < count; i++) {
        choose(&c, &peers[i], err);
    }
    qsort(c.ways, c.count, sizeof *c.ways, by_subnet);
    bool same = same_ways(c.ways, c.count, n->ways, n->n_ways);
    free(n->ways);
    n->ways = c.ways;
    n->n_ways = c.count;
    if (!same) {
        r = peers_save(n, err);
        r = r < 0 ? r : net_load_rules(n, err);
    }
    r = r < 0 ? r : net_ways_make(n, &place, err);
    take_mtu(n);
    return r < 0 ? r : c.unreachable;
}

int net_peers_set(struct net *n, const char *address, const struct net_peer *peers, size_t count,
                  struct gt_err *err)
{
    if (n->overlay == NET_OVERLAY_NONE || !n->vni) {
        return 0;
    }
    pthread_mutex_lock(&n->lock);
    n->address = inet_addr(address);
    int r = set_peers(n, peers, count, err);
    pthread_mutex_unlock(&n->lock);
    return r;
}
