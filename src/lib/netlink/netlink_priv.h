/* Between the files of this folder: sending and receiving, for rtnetlink and nf_tables alike. */
#ifndef GT_LIB_NETLINK_NETLINK_PRIV_H
#define GT_LIB_NETLINK_NETLINK_PRIV_H

#include "lib/netlink/netlink.h"

#include <linux/netlink.h>

int nl_socket(int protocol, struct gt_err *err);
int nl_send(int fd, const void *p, size_t n);
/* Reads the answers to messages first_seq .. first_seq + count - 1; each gets its errno (0: done)
 * in `results`. The kernel's explanation of the first refusal is copied to `why`. */
int nl_collect(int fd, uint32_t first_seq, unsigned count, int *results, char *why, size_t cap);

#endif
