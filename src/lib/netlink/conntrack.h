/*
 * Forgetting tracked connections. A UDP flow has no end: as long as its client goes on sending, the
 * kernel goes on translating as when it began, to a task that is gone, or not at all.
 */
#ifndef GT_LIB_NETLINK_CONNTRACK_H
#define GT_LIB_NETLINK_CONNTRACK_H

#include "lib/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Forgets every UDP flow that is answered by `address` (network byte order; 0: none) or was first
 * sent to one of `ports`. Reads the whole table: not for hot paths. Returns how many. */
int conntrack_forget_udp(uint32_t address, const uint16_t *ports, size_t n_ports,
                         struct gt_err *err);

#endif
