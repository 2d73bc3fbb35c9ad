/*
 * Elements of nftables sets and maps, straight over netlink: for the hot path, where the parser and
 * the cache of libnftables would cost milliseconds. Tables, chains and the sets themselves are made
 * from text through libnftables.
 *
 * A transaction: all changes happen or none does.
 *
 * Keys and values are bytes as the kernel keeps them: each part of a concatenation starts at a
 * multiple of four bytes, padded with zeros; numbers in network byte order.
 */
#ifndef GT_LIB_NETLINK_NFT_SET_H
#define GT_LIB_NETLINK_NFT_SET_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NFT_SET_KEY_MAX 32
#define NFT_SET_VALUE_MAX 16

struct nft_element {
    int family; /* NFPROTO_INET, NFPROTO_BRIDGE */
    const char *table, *set;
    uint8_t key[NFT_SET_KEY_MAX];
    size_t key_len;
    uint8_t value[NFT_SET_VALUE_MAX]; /* value_len 0: a set, not a map */
    size_t value_len;
};

int nft_set_open(struct gt_err *err); /* a socket, for the current network namespace */
/* Adds or removes all. Adding what is there with the same value is success; with another value
 * -EEXIST. Removing what is not there is -ENOENT. */
int nft_set_change(int fd, bool add, const struct nft_element *elements, size_t n,
                   struct gt_err *err);

#endif
