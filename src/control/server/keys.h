/*
 * Whose key is it? The root key (a file that its owner alone reads), and those of nodes and of
 * tokens to join, whose secrets follow from the server's own and the access key id. Whether such a
 * key is good is in the core: server_authorize(), agent/join.h. Immutable after start; any thread.
 */
#ifndef GT_CONTROL_SERVER_KEYS_H
#define GT_CONTROL_SERVER_KEYS_H

#include "control/core/tx.h"
#include "lib/base/err.h"

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

#endif
