/*
 * A small rtnetlink core: messages are collected in a batch, sent with one system call, and each is
 * acknowledged by the kernel. What a verb does is what the `ip` command of that name does.
 *
 * A batch is not a transaction: messages before the one that was refused have happened.
 * A socket works on the network namespace in which it was opened, wherever its user is: that is how
 * a threaded process sets up a namespace without entering it (nl_adopt()).
 *
 * IPv4 addresses are in network byte order. Interface names are at most 15 characters.
 */
#ifndef GT_LIB_NETLINK_NETLINK_H
#define GT_LIB_NETLINK_NETLINK_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nlmsghdr;

struct nl {
    int fd;
    uint32_t seq;
};

#define NL_INIT ((struct nl){.fd = -1})
#define NL_BATCH_BYTES 8192
#define NL_BATCH_MAX 64

struct nl_batch {
    size_t n;
    unsigned count;
    const char *what[NL_BATCH_MAX]; /* static text: for the error message of each */
    int ignore[NL_BATCH_MAX];       /* an errno that counts as success; 0: none */
    char bytes[NL_BATCH_BYTES] __attribute__((aligned(4)));
};

int nl_open(struct nl *ret, struct gt_err *err);
/* Takes over a NETLINK_ROUTE socket that was opened elsewhere. */
void nl_adopt(struct nl *nl, int fd);
void nl_close(struct nl *nl);

void nl_batch_init(struct nl_batch *b);
/* The message put last may fail with this errno (EEXIST, ENOENT ...): that is success. */
void nl_ignore(struct nl_batch *b, int errnum);
/* Sends, and reads all answers. Returns the first refusal. The batch is empty afterwards. */
int nl_run(struct nl *nl, struct nl_batch *b, struct gt_err *err);

/* Links */
struct nl_link_set {
    bool up, down;
    uint32_t mtu;       /* 0: as it is */
    uint32_t master;    /* ifindex; 0: as it is */
    const uint8_t *mac; /* 6 bytes; NULL: as it is */
};
struct nl_veth {
    const char *name;
    uint32_t master; /* ifindex; 0: none */
    uint32_t mtu;    /* of both ends; 0: default */
    const char *peer_name;
    const uint8_t *peer_mac; /* NULL: random */
    int peer_netns_fd;       /* -1: this one */
};
void nl_put_bridge(struct nl_batch *b, const char *name, const uint8_t mac[6]); /* made up */
void nl_put_veth(struct nl_batch *b, const struct nl_veth *veth); /* this end up, the peer down */
/* Unicast only: it learns nothing, floods nothing, and sends where nl_put_vxlan_fdb() says. */
struct nl_vxlan {
    uint32_t vni, local; /* the address that it sends from */
    uint16_t port;
};
void nl_put_vxlan(struct nl_batch *b, const char *name, const uint8_t mac[6],
                  const struct nl_vxlan *vxlan, uint32_t mtu); /* up */
void nl_put_link_set(struct nl_batch *b, uint32_t ifindex, const struct nl_link_set *set);
/* No IPv6 link-local address: nothing of ours would filter what it makes reachable. */
void nl_put_link_no_ipv6(struct nl_batch *b, uint32_t ifindex);
void nl_put_link_del(struct nl_batch *b, uint32_t ifindex);

/* For a bridge's port: frames may leave by the port that they came in. */
void nl_put_hairpin(struct nl_batch *b, uint32_t port_ifindex);

/* Addresses, routes, neighbours */
void nl_put_address(struct nl_batch *b, uint32_t ifindex, uint32_t address, unsigned prefix_len);
void nl_put_address_del(struct nl_batch *b, uint32_t ifindex, uint32_t address,
                        unsigned prefix_len);
struct nl_route {
    uint32_t destination; /* 0 with prefix_len 0: default */
    unsigned prefix_len;
    uint32_t gateway; /* 0: directly on the link */
    uint32_t source;  /* preferred source; 0: the kernel's choice */
    uint32_t ifindex; /* 0: by the gateway */
    bool append;      /* behind a route to the same destination that is there; else -EEXIST */
    bool onlink;      /* the gateway is on the link, whatever its addresses say */
    uint8_t protocol; /* who made it: RTPROT_*; 0: static */
};
void nl_put_route(struct nl_batch *b, const struct nl_route *route);
void nl_put_route_del(struct nl_batch *b, const struct nl_route *route);
void nl_put_neighbour(struct nl_batch *b, uint32_t ifindex, uint32_t address,
                      const uint8_t mac[6]); /* permanent; replaces */
/* A bridge's forwarding entry: this address is behind this port. Replaces. */
void nl_put_bridge_fdb(struct nl_batch *b, uint32_t port_ifindex, const uint8_t mac[6]);

/* A vxlan's: frames to this address go to that host. */
void nl_put_vxlan_fdb(struct nl_batch *b, uint32_t ifindex, const uint8_t mac[6], uint32_t host);

/* Looking */
struct nl_link {
    uint32_t ifindex, master, mtu, flags; /* IFF_* */
    uint8_t mac[6];
    char name[16], kind[16]; /* "bridge", "veth"; "" for hardware */
    struct nl_vxlan vxlan;   /* where it is one */
};
typedef int nl_link_fn(void *arg, const struct nl_link *link); /* < 0 ends the walk */
int nl_links(struct nl *nl, nl_link_fn *fn, void *arg, struct gt_err *err);
/* -ENODEV, without filling err, when there is none. */
int nl_link_get(struct nl *nl, const char *name, struct nl_link *ret, struct gt_err *err);

struct nl_address {
    uint32_t ifindex, address;
    unsigned prefix_len;
};
typedef int nl_address_fn(void *arg, const struct nl_address *address);
int nl_addresses(struct nl *nl, nl_address_fn *fn, void *arg, struct gt_err *err);

/* Neighbours (fdb false) or forwarding entries of one interface, the permanent ones. */
struct nl_neighbour {
    uint32_t ifindex, address; /* fdb: the host that frames go to */
    uint8_t mac[6];
    bool fdb;
};
typedef int nl_neighbour_fn(void *arg, const struct nl_neighbour *neighbour);
int nl_neighbours(struct nl *nl, bool fdb, uint32_t ifindex, nl_neighbour_fn *fn, void *arg,
                  struct gt_err *err);
void nl_put_neighbour_del(struct nl_batch *b, const struct nl_neighbour *neighbour);

/* Main table only. */
typedef int nl_route_fn(void *arg, const struct nl_route *route);
int nl_routes(struct nl *nl, nl_route_fn *fn, void *arg, struct gt_err *err);

#endif
