#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define INTERFACE "eth0" /* in every task */

int net_ns_path(const struct net *n, const char *ns, char to[static 256])
{
    int len = snprintf(to, 256, "%s/netns/%s", n->run_dir, ns);
    return len < 256 ? 0 : -ENAMETOOLONG;
}

void net_ready_free(struct net_ready *r)
{
    gt_closep(&r->ns_fd);
    gt_closep(&r->nl_fd);
    free(r);
}

void net_ns_remove(const struct net *n, const char *ns)
{
    char path[256];
    if (net_ns_path(n, ns, path) == 0) {
        umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
        unlink(path);
    }
}

void net_pool_drop(struct net *n)
{
    while (!gt_list_empty(&n->pool)) {
        struct net_ready *ready = gt_list_entry(n->pool.next, struct net_ready, node);
        gt_list_remove(&ready->node);
        n->n_pool--;
        net_ns_remove(n, ready->ns);
        net_ready_free(ready);
    }
}

/* A veth from the bridge to eth0 inside; fills in both interface numbers. */
static int connect_ns(struct net *n, struct nl *host, const char *veth, struct net_ready *r,
                      struct gt_err *err)
{
    struct nl_batch b;
    nl_batch_init(&b);
    const struct nl_veth v = {.name = veth,
                              .master = n->bridge_ifindex,
                              .mtu = n->mtu,
                              .peer_name = INTERFACE,
                              .peer_netns_fd = r->ns_fd};
    nl_put_veth(&b, &v);
    int rc = nl_run(host, &b, err);
    struct nl_link link;
    if (rc == 0) {
        rc = nl_link_get(host, veth, &link, err);
    }
    if (rc == 0) {
        r->port_ifindex = link.ifindex;
        nl_put_link_no_ipv6(&b, link.ifindex);
        nl_ignore(&b, EAFNOSUPPORT);
        /* Where br_netfilter is on (docker turns it on), published ports are translated while
         * bridging, and a task that calls its own goes out by the port it came from. */
        nl_put_hairpin(&b, link.ifindex);
        rc = nl_run(host, &b, err);
    }
    struct nl inside;
    nl_adopt(&inside, r->nl_fd);
    if (rc == 0) {
        rc = nl_link_get(&inside, INTERFACE, &link, err);
        r->eth_ifindex = link.ifindex;
        const struct nl_link_set up = {.up = true};
        nl_put_link_set(&b, link.ifindex, &up);
        rc = rc < 0 ? rc : nl_run(&inside, &b, err);
    }
    return rc < 0 ? gt_err_wrap(err, "connect a network namespace") : 0;
}

static int make_with_names(struct net *n, size_t count, char (*names)[NET_NS_ID], bool connected,
                           const char *veth, struct net_ready **ret, struct gt_err *err)
{
    char path[NET_POOL_MAX][256];
    const char *paths[NET_POOL_MAX];
    struct net_made made[NET_POOL_MAX];
    GT_ASSERT(count > 0 && count <= NET_POOL_MAX);
    for (size_t i = 0; i < count; i++) {
        int r = net_ns_path(n, names[i], path[i]);
        if (r < 0) {
            return gt_err_errno(err, r, "\"%s/netns\"", n->run_dir);
        }
        paths[i] = path[i];
    }
    int got = net_make_namespaces(paths, count, made, err);
    if (got < 0) {
        return got;
    }
    struct nl host = NL_INIT;
    int rc = nl_open(&host, err);
    int done = 0;
    for (int i = 0; i < got; i++) {
        struct net_ready *r = gt_new(struct net_ready);
        r->ns_fd = made[i].ns_fd;
        r->nl_fd = made[i].nl_fd;
        memcpy(r->ns, names[i], NET_NS_ID);
        char name[IFNAMSIZ];
        net_veth_name(&n->names, r->ns, name);
        if (rc == 0 && connected) {
            rc = connect_ns(n, &host, veth ? veth : name, r, err);
        }
        if (rc < 0) {
            net_ns_remove(n, r->ns);
            net_ready_free(r);
        } else {
            ret[done++] = r;
        }
    }
    nl_close(&host);
    return done > 0 ? done : rc;
}

int net_ready_make(struct net *n, size_t count, bool connected, struct net_ready **ret,
                   struct gt_err *err)
{
    char names[NET_POOL_MAX][NET_NS_ID];
    for (size_t i = 0; i < count; i++) {
        unsigned char random[4];
        gt_rand_bytes(random, sizeof random);
        gt_hex_encode(random, sizeof random, names[i]);
    }
    return make_with_names(n, count, names, connected, /* veth= */ NULL, ret, err);
}

/* *again: the MTU has changed while they were made, and they are gone. */
static int refill(struct net *n, bool *again, struct gt_err *err)
{
    pthread_mutex_lock(&n->lock);
    unsigned missing = n->pool_want > n->n_pool ? n->pool_want - n->n_pool : 0;
    uint32_t mtu = n->mtu;
    pthread_mutex_unlock(&n->lock);
    *again = false;
    if (missing == 0) {
        return 0;
    }
    struct net_ready *made[NET_POOL_MAX];
    int got = net_ready_make(n, missing, /* connected= */ true, made, err);
    pthread_mutex_lock(&n->lock);
    *again = n->mtu != mtu;
    for (int i = 0; i < got; i++) {
        if (*again) {
            net_ns_remove(n, made[i]->ns);
            net_ready_free(made[i]);
        } else {
            gt_list_push_back(&n->pool, &made[i]->node);
            n->n_pool++;
        }
    }
    pthread_mutex_unlock(&n->lock);
    return got;
}

int net_refill(struct net *n, struct gt_err *err)
{
    bool again;
    int r;
    do {
        r = refill(n, &again, err);
    } while (r >= 0 && again);
    return r;
}

/* gantry-link's namespace: its two addresses, and no way out but the bridge. */
int net_make_link_ns(struct net *n, struct gt_err *err)
{
    char veth[IFNAMSIZ];
    net_veth_name(&n->names, "link", veth);
    struct nl_batch b;
    nl_batch_init(&b);
    struct nl_link old;
    if (nl_link_get(&n->nl, veth, &old, NULL) == 0) {
        nl_put_link_del(&b, old.ifindex);
        nl_ignore(&b, ENODEV);
    }
    int r = nl_run(&n->nl, &b, err);
    if (r < 0) {
        return r;
    }
    net_ns_remove(n, "link");
    char names[1][NET_NS_ID] = {"link"};
    struct net_ready *made = NULL;
    r = make_with_names(n, 1, names, /* connected= */ true, veth, &made, err);
    if (r < 0) {
        return gt_err_wrap(err, "gantry-link's namespace");
    }
    n->link_port_ifindex = made->port_ifindex;
    struct nl inside;
    nl_adopt(&inside, made->nl_fd);
    uint32_t address = net_subnet_host(&n->subnet, NET_HOST_LINK);
    uint8_t mac[6];
    net_mac_of(address, mac);
    const struct nl_link_set set = {.mac = mac};
    nl_put_link_set(&b, made->eth_ifindex, &set);
    nl_put_address(&b, made->eth_ifindex, address, n->subnet.prefix_len);
    nl_put_address(&b, made->eth_ifindex, inet_addr(NET_LINK_ADDRESS), 32);
    r = nl_run(&inside, &b, err);
    net_ready_free(made);
    return r < 0 ? gt_err_wrap(err, "gantry-link's namespace") : 0;
}
