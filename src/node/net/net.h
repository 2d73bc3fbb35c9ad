/*
 * The network of one node: a bridge, a pool of ready network namespaces, port mappings, isolation.
 *
 * Names. Everything carries the instance name, so that several Gantrys share a host:
 *   bridge             gt-<name>, shortened with a hash when it would pass 15 characters
 *   host end of a veth gv<4 hex of the name's hash><8 hex of the namespace's id>
 *   nftables           tables `inet gantry_<name>` and `bridge gantry_<name>`
 *   namespaces         bind mounts <run>/netns/<id>: they outlive the agent
 *   ways to peers      routes, an interface gx-<name>, and the file <run>/peers: see peers.h
 *   what is attached   files <run>/net/<task id>, written before net_attach() returns
 *
 * Addresses in the node's /24, as in a subnet of AWS: .0 to .3 and .255 are never given to tasks.
 * .1 is the gateway, the bridge's own address on the host. .2 is gantry-link: it lives on
 * the bridge in a namespace of its own (<run>/netns/link), where it also has 169.254.170.2, so that
 * its ports 53 and 80 take nothing from the host and instances do not meet; the host has a route to
 * both. The core gives awsvpc tasks addresses from .4 upwards, this module gives
 * bridge tasks addresses from .254 downwards.
 *
 * Who changes namespaces: nothing in this process. net_refill() forks one short-lived child, which
 * makes the namespaces, sets them up and opens an rtnetlink socket inside each; both descriptors
 * come back over a socketpair. Taking a namespace from the pool is then one message on that socket
 * (address, routes) and one nftables transaction: below half a millisecond.
 *
 * Isolation. A task reaches other tasks, the internet, published ports, and services that listen on
 * the host's own addresses (a daemon in host mode, as on ECS), but not those that listen on the
 * host's loopback, and none of net_options.denied. From outside, only published ports are
 * reachable. A task can only send from its own address, in IPv4 and ARP: that is what lets
 * gantry-link tell by the source address which task is asking.
 *
 * Every function may be called from any thread (one mutex inside). The ones marked "blocks" take
 * milliseconds and belong on a worker thread.
 */
#ifndef GT_NODE_NET_NET_H
#define GT_NODE_NET_NET_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_LINK_ADDRESS "169.254.170.2" /* metadata, credentials and DNS, in every task */
#define NET_DYNAMIC_PORT_FIRST 32768
#define NET_DYNAMIC_PORT_LAST 60999
#define NET_MAX_PORTS 100 /* port mappings of a task, as ECS */

struct net;

struct net_endpoint {
    const char *address; /* dotted IPv4; NULL: every address of this host */
    uint16_t port;       /* TCP */
};

/* How tasks reach those of other nodes: peers.h. */
enum net_overlay { NET_OVERLAY_AUTO, NET_OVERLAY_ROUTES, NET_OVERLAY_VXLAN, NET_OVERLAY_NONE };

struct net_options {
    const char *name;    /* instance: letters, digits, '-' and '_', at most 32 */
    const char *run_dir; /* <run> */
    const char *subnet;  /* "10.200.N.0/24"; NULL: net_free_subnet() */
    unsigned pool;       /* namespaces that net_refill() keeps ready; 0: 4 */
    /* What tasks must not reach: the control API of this and of other nodes. */
    const struct net_endpoint *denied;
    size_t n_denied;
    enum net_overlay overlay;
    uint32_t vni; /* the same on all nodes of a cluster: 1 to 0xffffff; 0: it has no peers */
};

#define NET_SUBNETS 256 /* 10.200.N.0/24: one a node */

/* Which of them this host has an address in or a route to, other than this instance's: what a new
 * node cannot be given. */
int net_subnets_used(const char *name, bool used[static NET_SUBNETS], struct gt_err *err);
/* The first that is free, or the one that this instance's bridge has already. */
int net_free_subnet(const char *name, char to[static 20], struct gt_err *err);

/* Makes bridge, tables and gantry-link's namespace, or takes over what an earlier process of the
 * same instance left, without interrupting traffic. Turns on net.ipv4.ip_forward. What was
 * attached stays attached; call net_recover() before the first net_attach(). Blocks. */
int net_open(const struct net_options *options, struct net **ret, struct gt_err *err);

/* Lets go and leaves everything in place for the next net_open(): for an agent that exits. */
void net_release(struct net *n);

/* Removes everything: attachments, pool, interfaces, tables, namespaces, mounts, and frees n.
 * Goes on when a step does not work, and returns the first such. Blocks. */
int net_close(struct net *n, struct gt_err *err);

/* The same by name, for an instance whose agent is gone. Nothing there is success. Blocks. */
int net_destroy(const char *name, const char *run_dir, struct gt_err *err);

/* Fills the pool; returns how many namespaces were made. After net_open() and after each attach,
 * on a worker. About 6 ms for each. Blocks. */
int net_refill(struct net *n, struct gt_err *err);

enum net_mode {
    NET_NONE,   /* a namespace with only lo; not reachable, reaches nothing */
    NET_BRIDGE, /* an address of the node's choice; port mappings */
    NET_AWSVPC, /* the address that the core chose; its ports are its own, host_port is ignored */
};
enum net_proto { NET_TCP = 6, NET_UDP = 17 };

struct net_port {
    enum net_proto proto;
    uint16_t container_port;
    uint16_t host_port; /* 0: dynamic; filled in by net_attach() */
};

struct net_task {
    const char *id; /* task id: letters, digits, '-', '_' and '.', at most 128 */
    enum net_mode mode;
    const char *address;    /* wanted, dotted; NULL: chosen here */
    struct net_port *ports; /* in and out */
    size_t n_ports;
};

/* What a task got. Values; owns nothing but netns_fd. Empty strings in mode NET_NONE. */
struct net_attachment {
    int netns_fd;    /* close-on-exec; the caller closes it */
    char netns[256]; /* path of its bind mount, for setns() by others */
    char address[16], gateway[16], mac[18];
    char subnet[20]; /* "10.200.N.0/24", metadata's IPv4SubnetCIDRBlock */
    char dns[16];    /* for resolv.conf */
    char veth[16];   /* the host's end; its statistics are the task's, mirrored */
    unsigned prefix_len;
};

/* Gives the task its namespace. Idempotent: a task that is attached gets the same answer again (its
 * ports are filled in from what it has). Errors: GT_ERR_CONFLICT when a fixed host port or the
 * wanted address is taken (the message names the port and, where known, by whom), GT_ERR_LIMIT when
 * addresses or dynamic ports run out, GT_ERR_INVALID. On an error nothing is left behind. Takes
 * 0.4 ms from the pool, about 6 ms when that is empty. */
int net_attach(struct net *n, const struct net_task *task, struct net_attachment *ret,
               struct gt_err *err);

/* Gives everything back; the kernel removes the interfaces in its own time. Unknown is success. */
int net_detach(struct net *n, const char *task_id, struct gt_err *err);

/* What an attached task has; -ENOENT. At most `cap` ports are written, *n_ports says how many. */
int net_find(struct net *n, const char *task_id, struct net_attachment *ret, struct net_port *ports,
             size_t cap, size_t *n_ports);

/* After net_open(): `live` are the tasks that still run; whatever else is attached, and every
 * namespace, interface and mount of this instance that belongs to nobody, is removed. Returns how
 * many tasks were dropped. Blocks. */
int net_recover(struct net *n, const char *const *live, size_t n_live, struct gt_err *err);

/* Whether bridge, tables and link's namespace are still there (somebody may have flushed the
 * rules); repairs what is not. Returns the number of repairs. For a slow timer. Blocks. */
int net_repair(struct net *n, struct gt_err *err);

const char *net_bridge(const struct net *n);
const char *net_subnet(const struct net *n);
const char *net_gateway(const struct net *n);
const char *net_link_netns(const struct net *n); /* path; `gantry-link --netns` */

/*
 * For `gantry doctor`: looks at the kernel's features, forwarding, nftables and foreign firewalls,
 * then makes a network of its own under a random name, sends a packet from one task to
 * another and through a port mapping, and removes it. One call to fn for each finding; `advice`
 * says what to do and is NULL when all is well. Returns the number of findings that keep tasks from
 * working. Needs root. Blocks for about 100 ms.
 */
enum net_check_level { NET_CHECK_OK, NET_CHECK_NOTE, NET_CHECK_BAD };
typedef void net_check_fn(void *arg, enum net_check_level level, const char *what,
                          const char *advice);
int net_check(const char *run_dir, net_check_fn *fn, void *arg);

#endif
