/*
 * Host ports. A mapping is only a translation in the kernel, which would shadow a service of the
 * host that listens there, silently. So the port is taken like any program takes it: bound by a
 * socket that is kept, which also keeps others (another Gantry too) from taking it later.
 */
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int bind_port(int proto, uint16_t port, bool over_time_wait)
{
    bool tcp = proto == NET_TCP;
    gt_auto_close int fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int one = 1;
    if (over_time_wait) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (!tcp) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof one);
    }
    const struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (bind(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        return -errno;
    }
    /* Two sockets with SO_REUSEADDR may share a port, unless one listens. */
    if (over_time_wait && listen(fd, 1) < 0) {
        return -errno;
    }
    return gt_steal_fd(&fd);
}

static int hold(int proto, uint16_t port)
{
    int fd = bind_port(proto, port, /* over_time_wait= */ false);
    if (fd == -EADDRINUSE && proto == NET_TCP) {
        fd = bind_port(proto, port, /* over_time_wait= */ true);
    }
    return fd;
}

static const char *owner_of(const struct net *n, const struct net_port *p)
{
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&n->tasks, &it))) {
        const struct net_attached *a = e->value;
        for (size_t i = 0; a->mode == NET_BRIDGE && i < a->n_ports; i++) {
            if (a->ports[i].proto == p->proto && a->ports[i].host_port == p->host_port) {
                return a->id;
            }
        }
    }
    return NULL;
}

static int take_fixed(struct net *n, struct net_attached *a, size_t i, struct gt_err *err)
{
    const struct net_port *p = &a->ports[i];
    a->held[i] = hold(p->proto, p->host_port);
    if (a->held[i] >= 0) {
        return 0;
    }
    const char *name = p->proto == NET_UDP ? "udp" : "tcp";
    if (a->held[i] != -EADDRINUSE) {
        return gt_err_errno(err, a->held[i], "take host port %u/%s", p->host_port, name);
    }
    const char *owner = owner_of(n, p);
    return owner ? gt_err_set(err, GT_ERR_CONFLICT, "host port %u/%s is taken by task %s",
                              p->host_port, name, owner)
                 : gt_err_set(err, GT_ERR_CONFLICT,
                              "host port %u/%s is taken by another program on this host",
                              p->host_port, name);
}

static int take_dynamic(struct net *n, struct net_attached *a, size_t i, struct gt_err *err)
{
    const unsigned count = NET_DYNAMIC_PORT_LAST - NET_DYNAMIC_PORT_FIRST + 1;
    if (n->next_port == 0) {
        n->next_port = (unsigned)(gt_rand_u64() % count); /* instances start in different places */
    }
    for (unsigned tried = 0; tried < count; tried++) {
        uint16_t port = (uint16_t)(NET_DYNAMIC_PORT_FIRST + n->next_port % count);
        n->next_port = n->next_port % count + 1;
        a->held[i] = bind_port(a->ports[i].proto, port, /* over_time_wait= */ false);
        if (a->held[i] >= 0) {
            a->ports[i].host_port = port;
            return 0;
        }
        if (a->held[i] != -EADDRINUSE) {
            return gt_err_errno(err, a->held[i], "take a dynamic host port");
        }
    }
    return gt_err_set(err, GT_ERR_LIMIT, "no host port between %d and %d is free",
                      NET_DYNAMIC_PORT_FIRST, NET_DYNAMIC_PORT_LAST);
}

int net_ports_take(struct net *n, struct net_attached *a, struct gt_err *err)
{
    for (size_t i = 0; i < a->n_ports; i++) {
        a->held[i] = -1;
    }
    if (a->mode != NET_BRIDGE) {
        for (size_t i = 0; i < a->n_ports; i++) {
            a->ports[i].host_port = a->ports[i].container_port;
        }
        return 0;
    }
    int r = 0;
    /* Fixed ones first: a dynamic one must not take what a later mapping asks for. */
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        for (size_t i = 0; i < a->n_ports && r == 0; i++) {
            if (a->held[i] < 0 && (a->ports[i].host_port == 0) == dynamic) {
                r = dynamic ? take_dynamic(n, a, i, err) : take_fixed(n, a, i, err);
            }
        }
    }
    if (r < 0) {
        net_ports_drop(a);
    }
    return r;
}

void net_ports_hold_again(struct net_attached *a)
{
    for (size_t i = 0; i < a->n_ports; i++) {
        /* Not to be had: somebody took it while no agent ran. The mapping works all the same. */
        a->held[i] = a->mode == NET_BRIDGE ? hold(a->ports[i].proto, a->ports[i].host_port) : -1;
    }
}

void net_ports_drop(struct net_attached *a)
{
    for (size_t i = 0; i < a->n_ports; i++) {
        gt_closep(&a->held[i]);
        a->held[i] = -1;
    }
}
