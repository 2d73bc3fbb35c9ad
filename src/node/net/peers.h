/*
 * The other nodes: how packets between tasks of different nodes find their way.
 *
 * Tasks keep their addresses; every node has a /24 and a peer is (the address of its host, its
 * subnet). Two ways to a peer, chosen for each:
 *   routes  a route to its subnet by its host: where both hosts are in one IP subnet
 *   vxlan   frames in UDP packets between the two hosts: needs nothing of the network between them
 * Both nodes choose the same: see net_overlay_choose().
 *
 * What is made: routes with the protocol number NET_ROUTE_PROTOCOL and this node's gateway as
 * source, and one interface gx-<name> (vxlan, UDP port 4789, learns and floods nothing), whose
 * neighbours and forwarding entries are all permanent. A peer's end of it has the hardware address
 * that follows from its gateway's (net_mac_of), so there is nothing to ask and nothing to tell.
 * Only what is made here is ever removed. It all stays when the agent goes; <run>/peers says what
 * it was, so that a new agent has the rules for it before it has heard of the server.
 *
 * Who may reach whom is as on one node: tasks of peers reach tasks here and what listens on this
 * host's address, less net_options.denied. A packet from a peer's subnet must come by the way that
 * leads to that peer, and vxlan packets of this cluster only from a peer's host. Neither keeps
 * somebody who can send on the hosts' own network with a peer's address from doing so: nothing is
 * encrypted (docs/threat-model.md).
 */
#ifndef GT_NODE_NET_PEERS_H
#define GT_NODE_NET_PEERS_H

#include "node/net/net.h"

#define NET_VXLAN_PORT 4789
#define NET_VXLAN_OVERHEAD 50 /* bytes of each packet that go to the outer headers */

/* -1: none of "auto", "routes", "vxlan", "none". */
int net_overlay_parse(struct gt_str text);
const char *net_overlay_name(enum net_overlay overlay);

/* What two nodes use between them, from what each was told; NET_OVERLAY_NONE when that does not
 * go together, or is impossible. The same on both sides. */
enum net_overlay net_overlay_choose(enum net_overlay mine, enum net_overlay theirs,
                                    bool same_segment);

struct net_peer {
    const char *address; /* of its host, dotted IPv4 */
    const char *subnet;  /* "10.200.N.0/24" */
    enum net_overlay overlay;
};

/* Makes the ways to these peers, from the host's own address, and to no others. Does nothing to
 * what is right already. Returns how many of them cannot be reached, with err about the first, or <
 * 0 with err. Blocks. */
int net_peers_set(struct net *n, const char *address, const struct net_peer *peers, size_t count,
                  struct gt_err *err);

/* For `gantry doctor`: sends an echo request to the gateway of each peer in <run>/peers, and where
 * none comes back, to its host. As net_check(). Needs root. Blocks for a second at most. */
int net_check_peers(const char *run_dir, net_check_fn *fn, void *arg);

#endif
