/* Client tokens: the same token with the same request gets the answer of the first one; with
 * another request it is refused. Kept for a day. */
#ifndef GT_CONTROL_ECS_IDEMPOTENCY_H
#define GT_CONTROL_ECS_IDEMPOTENCY_H

#include "control/core/controller.h"
#include "lib/wire/wire.h"
#include "store/record/gen/rec_ecs.h"

struct idempotency {
    char *key; /* NULL: the request has no token */
    struct gt_str hash;
    struct rec_ecs_idempotency *found; /* the first one's answer; NULL: this is the first */
    bool other;                        /* the token was used with another request */
};

/* A token may be absent; else it is at most `max` printable ASCII characters without spaces. */
int idempotency_check(struct gt_str token, size_t max, struct gt_err *err);
/* in: the request, a struct of the shape. */
struct idempotency idempotency_find(struct tx *tx, const char *op, struct gt_str cluster,
                                    struct gt_str token, const struct wire_shape *shape,
                                    const void *in);
/* Keeps the answer (its hash and time are filled in here). Nothing without a token. */
void idempotency_keep(struct tx *tx, const struct idempotency *i, struct rec_ecs_idempotency *rec);

extern const struct controller idempotency_controller;

#endif
