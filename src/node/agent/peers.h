/*
 * The other nodes: a thread that is told by the server where they are, whenever that changes, and
 * has node/net make the ways to their tasks. While the server is away the ways stay as they are.
 */
#ifndef GT_NODE_AGENT_PEERS_H
#define GT_NODE_AGENT_PEERS_H

#include "lib/base/arena.h"
#include "lib/wire/gen/agent.h"
#include "node/agent/agent.h"
#include "node/net/peers.h"

struct node;
struct peers;

/* Whether --address and --overlay are such. */
int peers_check(const struct agent_options *o, struct gt_err *err);
enum net_overlay peers_overlay(const struct agent_options *o);
/* 1 to 0xffffff, the same for all nodes of one installation; 0: of none. */
uint32_t peers_vni(const char *cluster_id);

/* This host's address, for its peers: as told, or the one from which the server is reached, or when
 * that is on this machine, from which others are. False: it has none. May ask DNS. */
bool peers_address(const struct agent_options *o, char to[static 16]);
/* The registration's members `address` and `overlay`. */
void peers_describe(const struct agent_options *o, struct gt_arena *a,
                    struct agent_register_node_in *in);

struct peers *peers_new(struct node *n);
void peers_free(struct peers *p); /* ends the thread; NULL is allowed */

#endif
