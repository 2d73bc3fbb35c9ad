/*
 * Between the files of this folder.
 *
 * net.c     open, close, take over, repair      attach.c  give and take back
 * rules.c   the text of the nftables tables     nft.c     running it
 * maker.c   the child that makes namespaces     pool.c    ready namespaces
 * record.c  what is attached, on disk           ports.c   host ports
 * names.c   names and addresses                 foreign.c other firewalls on the host
 * bridge.c  the bridge, the host's addresses    check.c   gantry doctor
 * peers.c   the other nodes                     ways.c    routes and vxlan to them
 * check_peers.c   gantry doctor's packets to them
 */
#ifndef GT_NODE_NET_NET_PRIV_H
#define GT_NODE_NET_NET_PRIV_H

#include "lib/base/list.h"
#include "lib/base/table.h"
#include "lib/netlink/netlink.h"
#include "lib/netlink/nft_set.h"
#include "node/net/net.h"
#include "node/net/peers.h"

#include <net/if.h>
#include <pthread.h>

#define NET_NS_ID 9 /* 8 hex digits and NUL */
#define NET_TASK_ID_MAX 128
#define NET_POOL_MAX 64

/* The names that follow from the instance's. */
struct net_names {
    char instance[33];
    char table[48];        /* gantry_<instance>, '-' as '_' */
    char bridge[IFNAMSIZ]; /* gt-<instance> */
    char vxlan[IFNAMSIZ];  /* gx-<instance> */
    char hash[5];          /* 4 hex digits, in the names of veths */
    uint8_t bridge_mac[6];
};
int net_names_init(struct net_names *names, const char *instance, struct gt_err *err);
void net_veth_name(const struct net_names *names, const char *ns_id, char to[static IFNAMSIZ]);
/* 02:67 and the address: a task that gets a stopped task's address has its hardware address too, so
 * that no neighbour entry anywhere is ever stale. */
void net_mac_of(uint32_t address, uint8_t to[static 6]);
void net_mac_text(const uint8_t mac[static 6], char to[static 18]);
void net_address_text(uint32_t address, char to[static 16]);

struct net_subnet {
    uint32_t base; /* network byte order, as every address here */
    unsigned prefix_len;
    char text[20];
};
int net_subnet_parse(struct net_subnet *s, const char *text, struct gt_err *err);
uint32_t net_subnet_host(const struct net_subnet *s, unsigned host); /* base + host */
/* 0..255, or -1 when it is not in the subnet. */
int net_subnet_index(const struct net_subnet *s, uint32_t address);

#define NET_HOST_GATEWAY 1
#define NET_HOST_LINK 2
#define NET_HOST_FIRST 4 /* .0 to .3 and .255 are reserved, as in a subnet of AWS */
#define NET_HOST_LAST 254

/* One attached task. Owned by net.tasks. */
struct net_attached {
    char id[NET_TASK_ID_MAX + 1];
    char ns[NET_NS_ID];
    enum net_mode mode;
    uint32_t address; /* 0: mode none */
    size_t n_ports;
    struct net_port ports[NET_MAX_PORTS];
    int held[NET_MAX_PORTS]; /* sockets that keep the host port ours; -1 */
};

/* A namespace that nobody uses yet. */
struct net_ready {
    struct gt_list node;
    char ns[NET_NS_ID];
    int ns_fd, nl_fd;
    uint32_t port_ifindex, eth_ifindex; /* host's end; eth0 inside */
};

/* The way to one peer. */
struct net_way {
    struct net_subnet subnet;
    uint32_t address;         /* of its host */
    enum net_overlay overlay; /* NET_OVERLAY_ROUTES or NET_OVERLAY_VXLAN */
};

struct net {
    pthread_mutex_t lock;
    struct net_names names;
    struct net_subnet subnet;
    char *run_dir;
    char gateway[16], link_netns[256];
    unsigned pool_want;
    struct net_endpoint *denied; /* addresses owned */
    size_t n_denied;
    bool bridge_filter; /* the kernel has nf_tables for bridges */

    enum net_overlay overlay;
    uint32_t vni;
    uint32_t address;     /* of this host; 0: not known yet */
    struct net_way *ways; /* to the peers, in the order of their subnets */
    size_t n_ways;

    uint32_t bridge_ifindex;
    uint32_t link_mtu; /* of the interface that leads out */
    uint32_t mtu;      /* of tasks' interfaces */
    uint32_t link_port_ifindex;
    struct nl nl;
    int nft_fd;

    struct gt_list pool; /* struct net_ready */
    unsigned n_pool;
    struct gt_table tasks;                   /* id -> struct net_attached */
    const struct net_attached *by_host[256]; /* who has the address */
    unsigned next_host; /* where the search for a free one goes on, downwards */
    unsigned next_port;
};

/* rules.c */
struct net_rules {
    const struct net_names *names;
    const struct net_subnet *subnet;
    const struct net_endpoint *denied;
    size_t n_denied;
    const struct net_attached *const *tasks;
    size_t n_tasks;
    const struct net_way *ways;
    size_t n_ways;
    uint32_t vni;
    const char *link_port; /* name of the host's end of link's veth; NULL: not there yet */
};
void net_rules_inet(const struct net_rules *r, struct gt_buf *to);
void net_rules_bridge(const struct net_rules *r, struct gt_buf *to);
/* The elements that belong to one task; returns how many (at most NET_MAX_PORTS + 1). */
size_t net_rules_elements(const struct net_names *names, const struct net_attached *a,
                          bool bridge_filter, struct nft_element *to);

/* nft.c */
int net_nft_run(const char *text, struct gt_buf *output, struct gt_err *err); /* output: NULL */
int net_nft_remove(const struct net_names *names, struct gt_err *err);

/* maker.c: see there */
struct net_made {
    int ns_fd, nl_fd;
};
int net_make_namespaces(const char *const *paths, size_t n, struct net_made *made,
                        struct gt_err *err);

/* pool.c */
int net_ns_path(const struct net *n, const char *ns, char to[static 256]);
/* One namespace with (connected) or without a veth, not in the pool. */
int net_ready_make(struct net *n, size_t count, bool connected, struct net_ready **ret,
                   struct gt_err *err);
void net_ready_free(struct net_ready *r); /* descriptors and memory; the namespace stays */
void net_ns_remove(const struct net *n, const char *ns);
void net_pool_drop(struct net *n); /* what is ready does not fit any more */
int net_make_link_ns(struct net *n, struct gt_err *err);

/* record.c */
int net_record_write(const struct net *n, const struct net_attached *a, struct gt_err *err);
void net_record_remove(const struct net *n, const char *task_id);
int net_record_read_all(struct net *n, struct gt_err *err); /* into n->tasks */
bool net_task_id_ok(const char *id);

/* ports.c */
/* Takes host ports for all of a's mappings; on an error none is held. `n` for who has which. */
int net_ports_take(struct net *n, struct net_attached *a, struct gt_err *err);
void net_ports_hold_again(struct net_attached *a); /* after a restart */
void net_ports_drop(struct net_attached *a);

/* foreign.c */
int net_foreign_allow(const struct net_names *names, struct gt_err *err);
void net_foreign_forget(const struct net_names *names);
/* What another firewall does to forwarded traffic that we cannot undo; "" when nothing. */
int net_foreign_advice(const char *bridge, char *to, size_t cap);

/* bridge.c */
int net_bridge_set_up(struct net *n, struct gt_err *err); /* made, or taken over */
int net_route_to_link(struct net *n, struct gt_err *err);
bool net_link_ns_is_there(struct net *n);

/* peers.c */
size_t net_ways_read(const char *run_dir, struct net_way to[static NET_SUBNETS]);
void net_peers_load(struct net *n);   /* <run>/peers into n->ways; nothing there is nothing */
void net_peers_remove(struct net *n); /* interface and file */

/* ways.c */
#define NET_ROUTE_PROTOCOL 71 /* 'G': of nobody else in iproute2's rt_protos */

/* Where this host stands on its own network. */
struct net_place {
    uint32_t ifindex, mtu; /* of the interface that has n->address */
    unsigned prefix_len;
};
uint32_t net_task_mtu(const struct net *n);
int net_place_find(struct net *n, struct net_place *ret, struct gt_err *err);
bool net_ways_have_vxlan(const struct net_way *ways, size_t n);
/* Routes, interface and its entries as n->ways wants them. */
int net_ways_make(struct net *n, const struct net_place *place, struct gt_err *err);

/* net.c */
void net_attached_free(struct net_attached *a);
int net_load_rules(struct net *n, struct gt_err *err);

#endif
