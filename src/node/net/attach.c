#include "lib/base/mem.h"
#include "lib/netlink/conntrack.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int check_task(const struct net_task *t, struct gt_err *err)
{
    if (!net_task_id_ok(t->id)) {
        return gt_err_set(err, GT_ERR_INVALID, "\"%s\" is no task id", t->id);
    }
    if (t->n_ports > NET_MAX_PORTS) {
        return gt_err_set(err, GT_ERR_INVALID, "%zu port mappings; at most %d", t->n_ports,
                          NET_MAX_PORTS);
    }
    for (size_t i = 0; i < t->n_ports; i++) {
        const struct net_port *p = &t->ports[i];
        if (p->container_port == 0 || (p->proto != NET_TCP && p->proto != NET_UDP)) {
            return gt_err_set(err, GT_ERR_INVALID, "port mapping %zu has no port or protocol", i);
        }
        for (size_t k = 0; k < i && p->host_port && t->mode == NET_BRIDGE; k++) {
            if (t->ports[k].proto == p->proto && t->ports[k].host_port == p->host_port) {
                return gt_err_set(err, GT_ERR_CONFLICT, "host port %u is mapped twice in one task",
                                  p->host_port);
            }
        }
    }
    return 0;
}

static int take_wanted(struct net *n, struct net_attached *a, const char *text, struct gt_err *err)
{
    uint32_t address;
    int host = inet_pton(AF_INET, text, &address) == 1 ? net_subnet_index(&n->subnet, address) : -1;
    if (host < NET_HOST_FIRST || host > NET_HOST_LAST) {
        return gt_err_set(err, GT_ERR_INVALID, "address \"%s\" is not one for tasks in %s", text,
                          n->subnet.text);
    }
    if (n->by_host[host]) {
        return gt_err_set(err, GT_ERR_CONFLICT, "address %s is taken by task %s", text,
                          n->by_host[host]->id);
    }
    a->address = address;
    n->by_host[host] = a;
    return 0;
}

static int take_any(struct net *n, struct net_attached *a, struct gt_err *err)
{
    for (unsigned tried = NET_HOST_FIRST; tried <= NET_HOST_LAST; tried++) {
        unsigned host = n->next_host;
        n->next_host = host > NET_HOST_FIRST ? host - 1 : NET_HOST_LAST;
        if (!n->by_host[host]) {
            a->address = net_subnet_host(&n->subnet, host);
            n->by_host[host] = a;
            return 0;
        }
    }
    return gt_err_set(err, GT_ERR_LIMIT, "all addresses of %s are taken", n->subnet.text);
}

/* The inside: hardware address, address, routes. One message to the namespace's own socket. */
static int set_up_inside(const struct net *n, const struct net_attached *a, struct net_ready *r,
                         struct gt_err *err)
{
    struct nl inside;
    nl_adopt(&inside, r->nl_fd);
    struct nl_batch b;
    nl_batch_init(&b);
    uint8_t mac[6];
    net_mac_of(a->address, mac);
    const struct nl_link_set set = {.mac = mac};
    nl_put_link_set(&b, r->eth_ifindex, &set);
    nl_put_address(&b, r->eth_ifindex, a->address, n->subnet.prefix_len);
    const struct nl_route link = {
        .destination = inet_addr(NET_LINK_ADDRESS), .prefix_len = 32, .ifindex = r->eth_ifindex};
    nl_put_route(&b, &link);
    const struct nl_route out = {.gateway = net_subnet_host(&n->subnet, NET_HOST_GATEWAY),
                                 .ifindex = r->eth_ifindex};
    nl_put_route(&b, &out);
    return nl_run(&inside, &b, err);
}

/* UDP flows that began before the mapping was there, or live on after it is gone. */
static void forget_flows(const struct net_attached *a)
{
    uint16_t ports[NET_MAX_PORTS];
    size_t n = 0;
    for (size_t i = 0; a->mode == NET_BRIDGE && i < a->n_ports; i++) {
        if (a->ports[i].proto == NET_UDP) {
            ports[n++] = a->ports[i].host_port;
        }
    }
    if (n > 0) {
        conntrack_forget_udp(a->address, ports, n, NULL);
    }
}

static int set_up_outside(struct net *n, const struct net_attached *a, const struct net_ready *r,
                          struct gt_err *err)
{
    struct nl_batch b;
    nl_batch_init(&b);
    uint8_t mac[6];
    net_mac_of(a->address, mac);
    nl_put_bridge_fdb(&b, r->port_ifindex, mac);
    int rc = nl_run(&n->nl, &b, err);
    if (rc < 0) {
        return rc;
    }
    struct nft_element elements[NET_MAX_PORTS + 1];
    size_t count = net_rules_elements(&n->names, a, n->bridge_filter, elements);
    rc = nft_set_change(n->nft_fd, /* add= */ true, elements, count, err);
    if (rc == 0) {
        forget_flows(a);
    }
    return rc;
}

static void remove_elements(struct net *n, const struct net_attached *a)
{
    struct nft_element elements[NET_MAX_PORTS + 1];
    size_t count = net_rules_elements(&n->names, a, n->bridge_filter, elements);
    if (nft_set_change(n->nft_fd, /* add= */ false, elements, count, NULL) < 0) {
        /* One that somebody else took away spoils the transaction: one by one, then. */
        for (size_t i = 0; i < count; i++) {
            nft_set_change(n->nft_fd, /* add= */ false, &elements[i], 1, NULL);
        }
    }
    forget_flows(a);
}

static void release_address(struct net *n, const struct net_attached *a)
{
    int host = a->address ? net_subnet_index(&n->subnet, a->address) : -1;
    if (host > 0 && n->by_host[host] == a) {
        n->by_host[host] = NULL;
    }
}

static struct net_ready *take_ready(struct net *n, bool connected, struct gt_err *err)
{
    struct net_ready *r = NULL;
    if (connected && !gt_list_empty(&n->pool)) {
        r = gt_list_entry(n->pool.next, struct net_ready, node);
        gt_list_remove(&r->node);
        n->n_pool--;
        return r;
    }
    return net_ready_make(n, 1, connected, &r, err) < 0 ? NULL : r;
}

static int answer(const struct net *n, const struct net_attached *a, int ns_fd,
                  struct net_attachment *ret, struct gt_err *err)
{
    *ret = (struct net_attachment){.netns_fd = -1};
    int r = net_ns_path(n, a->ns, ret->netns);
    if (r == 0 && ns_fd < 0) {
        ns_fd = open(ret->netns, O_RDONLY | O_CLOEXEC);
        r = ns_fd < 0 ? -errno : 0;
    }
    if (r < 0) {
        return gt_err_errno(err, r, "open network namespace \"%s\"", a->ns);
    }
    ret->netns_fd = ns_fd;
    if (a->address) {
        uint8_t mac[6];
        net_mac_of(a->address, mac);
        net_mac_text(mac, ret->mac);
        net_address_text(a->address, ret->address);
        memcpy(ret->gateway, n->gateway, sizeof ret->gateway);
        memcpy(ret->subnet, n->subnet.text, sizeof ret->subnet);
        snprintf(ret->dns, sizeof ret->dns, "%s", NET_LINK_ADDRESS);
        net_veth_name(&n->names, a->ns, ret->veth);
        ret->prefix_len = n->subnet.prefix_len;
    }
    return 0;
}

static int attach_new(struct net *n, const struct net_task *t, struct net_attached *a,
                      struct net_attachment *ret, struct gt_err *err)
{
    int rc = 0;
    if (a->mode != NET_NONE) {
        rc = t->address && t->address[0] ? take_wanted(n, a, t->address, err) : take_any(n, a, err);
    }
    if (rc == 0) {
        rc = net_ports_take(n, a, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct net_ready *r = take_ready(n, a->mode != NET_NONE, err);
    if (!r) {
        return gt_err_code(err) < 0 ? gt_err_code(err) : -EIO;
    }
    memcpy(a->ns, r->ns, sizeof a->ns);
    if (a->mode != NET_NONE) {
        rc = set_up_inside(n, a, r, err);
        rc = rc < 0 ? rc : set_up_outside(n, a, r, err);
    }
    rc = rc < 0 ? rc : net_record_write(n, a, err);
    rc = rc < 0 ? rc : answer(n, a, gt_steal_fd(&r->ns_fd), ret, err);
    if (rc < 0) {
        remove_elements(n, a);
        net_record_remove(n, a->id);
        net_ns_remove(n, a->ns);
    }
    net_ready_free(r);
    return rc;
}

int net_attach(struct net *n, const struct net_task *t, struct net_attachment *ret,
               struct gt_err *err)
{
    struct gt_err local = GT_ERR_INIT;
    err = err ? err : &local;
    int rc = check_task(t, err);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&n->lock);
    struct net_attached *a = gt_table_get(&n->tasks, gt_str(t->id));
    if (a) {
        rc = answer(n, a, /* ns_fd= */ -1, ret, err);
    } else {
        a = gt_new(struct net_attached);
        memcpy(a->id, t->id, strlen(t->id) + 1);
        a->mode = t->mode;
        a->n_ports = t->mode == NET_NONE ? 0 : t->n_ports;
        if (a->n_ports) {
            memcpy(a->ports, t->ports, a->n_ports * sizeof a->ports[0]);
        }
        rc = attach_new(n, t, a, ret, err);
        if (rc < 0) {
            release_address(n, a);
            net_attached_free(a);
        } else {
            gt_table_put(&n->tasks, gt_str(a->id), a);
        }
    }
    if (rc == 0 && t->n_ports) {
        memcpy(t->ports, a->ports, GT_MIN(t->n_ports, a->n_ports) * sizeof a->ports[0]);
    }
    pthread_mutex_unlock(&n->lock);
    return rc;
}

int net_detach(struct net *n, const char *task_id, struct gt_err *err)
{
    pthread_mutex_lock(&n->lock);
    struct net_attached *a = gt_table_del(&n->tasks, gt_str(task_id));
    if (a) {
        remove_elements(n, a);
        net_ns_remove(n, a->ns);
        net_record_remove(n, a->id);
        release_address(n, a);
        net_attached_free(a);
    }
    pthread_mutex_unlock(&n->lock);
    return 0;
}

int net_find(struct net *n, const char *task_id, struct net_attachment *ret, struct net_port *ports,
             size_t cap, size_t *n_ports)
{
    pthread_mutex_lock(&n->lock);
    const struct net_attached *a = gt_table_get(&n->tasks, gt_str(task_id));
    int r = a ? answer(n, a, /* ns_fd= */ -1, ret, NULL) : -ENOENT;
    if (r == 0) {
        *n_ports = a->n_ports;
        for (size_t i = 0; i < GT_MIN(cap, a->n_ports); i++) {
            ports[i] = a->ports[i];
        }
    }
    pthread_mutex_unlock(&n->lock);
    return r;
}
