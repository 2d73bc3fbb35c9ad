/*
 * Pagination tokens: where a listing goes on, sealed so that a client can neither read nor forge
 * one, and bound to who asked for what.
 *
 * A token is base64url of a nonce and AES-256-GCM of the position; principal, operation and the
 * hash of the parameters are authenticated with it. Handlers pass the last key of the page and
 * get it back. The core draws no randomness of its own: the nonce is derived from the content
 * (synthetic, HMAC-SHA-256 of all of it under a second key), which also makes the same page's token
 * the same text; replay stays exact.
 */
#ifndef GT_LIB_WIRE_TOKEN_H
#define GT_LIB_WIRE_TOKEN_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/wire/wire.h"

enum { WIRE_TOKEN_KEY_LEN = 32, WIRE_TOKEN_MAX_POSITION = 2048 };

/* The parts that must be the same when the token comes back. */
struct wire_token_scope {
    struct gt_str principal; /* ARN or key id */
    const char *operation;   /* "ListTasks" */
    uint8_t params[32];      /* wire_token_params() */
};

/* Hash of a request's parameters, without the members that paginate (op->page.in and .limit). */
void wire_token_params(const struct wire_op *op, const void *in, uint8_t ret[static 32]);

/* The sealed token, in the arena. */
struct gt_str wire_token_seal(const uint8_t key[static WIRE_TOKEN_KEY_LEN],
                              const struct wire_token_scope *scope, struct gt_str position,
                              struct gt_arena *arena);

/* The position, NUL-terminated, in the arena. Anything that was not sealed with this key for this
 * scope: GT_ERR_INVALID, "Invalid token". */
int wire_token_open(const uint8_t key[static WIRE_TOKEN_KEY_LEN],
                    const struct wire_token_scope *scope, struct gt_str token,
                    struct gt_arena *arena, struct gt_str *ret_position, struct gt_err *err);

#endif
