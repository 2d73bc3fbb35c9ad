/*
 * Pagination tokens in the frame: core handlers take and give plain positions (the last name of a
 * page); a client sees them sealed and bound to its identity, operation and parameters.
 */
#ifndef GT_CONTROL_SERVER_PAGES_H
#define GT_CONTROL_SERVER_PAGES_H

#include "control/core/tx.h"
#include "lib/wire/wire.h"

struct pages {
    const unsigned char *key; /* the server's secret, 32 bytes */
    struct gt_str principal;
};

/* Puts the position where the request's token was. Requests and operations without one pass. */
int pages_open(const struct pages *p, const struct wire_op *op, void *in, struct gt_arena *arena,
               struct gt_err *err);
/* Puts the sealed token where the answer's position was. */
void pages_seal(const struct pages *p, const struct wire_op *op, const void *in, void *out,
                struct gt_arena *arena);

#endif
