/*
 * Whose key is it? The root key (a file that its owner alone reads), and the keys of nodes, which
 * are derived from the server's secret and the node's id, so that nothing about them is stored.
 * Immutable after start; any thread.
 */
#ifndef GT_CONTROL_SERVER_KEYS_H
#define GT_CONTROL_SERVER_KEYS_H

#include "control/core/tx.h"
#include "lib/base/err.h"

#define KEYS_NODE_PREFIX "GTNODE-"

struct keys {
    char account[13];
    char root_id[64], root_secret[64], root_arn[64];
    unsigned char secret[32];
};

/* Reads <state>/root.key and <state>/server/secret; makes them at the first start. */
int keys_load(struct keys *k, const char *state_dir, const char *account, struct gt_err *err);

/* The secret access key of `id`, into `to`, and who it is; texts lie in the arena, or live as long
 * as `k`. p NULL: unknown. */
struct gt_str keys_find(const struct keys *k, struct gt_str id, char to[static 64],
                        struct gt_arena *arena, struct principal *ret);

/* A node's access key id and secret. */
void keys_of_node(const struct keys *k, struct gt_str node, char id[static 128],
                  char secret[static 64]);

#endif
