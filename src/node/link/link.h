/*
 * gantry-link: one process a node, one thread, one epoll. DNS for containers, and the task metadata
 * and credentials endpoint, on gantry-link's own addresses on the node's bridge.
 *
 * It needs nobody: what it serves it finds in files (link_state.h) that it watches. When it is
 * killed the agent starts it again, and it is back as soon as it has bound its sockets; containers
 * see a refused connection at worst. One at a time: it holds a lock on <run>/link/lock.
 *
 * It stays in the host's network namespace, because it asks the host's resolvers, which may be on
 * loopback. Only its listening sockets are opened inside its own namespace (net.h), which it enters
 * and leaves again while it starts; it is single-threaded, so that is harmless. Then it gives up
 * all capabilities, and with landlock all writing to files, for the rest of its life: what it
 * parses is hostile. It ends when its namespace is replaced (the agent starts it anew).
 *
 * index.c which task is where   routes.c paths to answers   http.c connections   http_head.c heads
 * dns.c messages   dns_proxy.c UDP   dns_tcp.c TCP   stats.c statistics   limit.c rates   loop.c
 * epoll
 */
#ifndef GT_NODE_LINK_LINK_H
#define GT_NODE_LINK_LINK_H

#include "lib/base/err.h"

#include <stdint.h>

#define LINK_RATE 40 /* requests a second of one address, and the burst: as the ECS agent */
#define LINK_BURST 60

struct link_options {
    const char *run_dir;
    const char *netns;       /* path; NULL: the current namespace */
    const char *address;     /* to listen on; NULL: all of the namespace */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    uint16_t http_port;      /* 0: 80 */
    uint16_t dns_port;       /* 0: 53 */
};

/* Serves until SIGTERM or its namespace is gone: 0. -EBUSY: another one serves this <run>. */
int link_serve(const struct link_options *options, struct gt_err *err);

#endif
