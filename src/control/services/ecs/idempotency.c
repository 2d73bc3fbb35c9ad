#include "control/services/ecs/idempotency.h"

#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "lib/base/limits.h"
#include "lib/base/table.h"
#include "lib/wire/json.h"

#define KEPT_MS (24 * 3600 * 1000LL)

int idempotency_check(struct gt_str token, size_t max, struct gt_err *err)
{
    if (token.n > max) {
        return invalid(err, "clientToken must have length less than or equal to %zu.", max);
    }
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] <= ' ' || token.p[i] > '~') { /* char may be signed: beyond ASCII is < 0 */
            return invalid(err, "clientToken may only hold the ASCII characters 33 to 126.");
        }
    }
    return 0;
}

struct idempotency idempotency_find(struct tx *tx, const char *op, struct gt_str cluster,
                                    struct gt_str token, const struct wire_shape *shape,
                                    const void *in)
{
    struct idempotency i = {0};
    if (!token.n) {
        return i;
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(GT_LIMIT_API_BODY);
    wire_json_encode(shape, in, &b);
    i.key = key_token(tx, op, cluster, token);
    i.hash = gt_str(gt_arena_printf(tx_arena(tx), "%016llx%016llx",
                                    (unsigned long long)gt_hash(b.p, b.n, 1),
                                    (unsigned long long)gt_hash(b.p, b.n, 2)));
    i.found = tx_get(tx, i.key, &rec_ecs_idempotency_desc);
    i.other = i.found && !gt_str_eq(i.found->hash, i.hash);
    return i;
}

void idempotency_keep(struct tx *tx, const struct idempotency *i, struct rec_ecs_idempotency *rec)
{
    if (!i->key) {
        return;
    }
    rec->hash = i->hash;
    rec->created_at = tx_now(tx);
    tx_put(tx, i->key, &rec_ecs_idempotency_desc, rec);
    tx_alarm_set(tx, idempotency_controller.name, i->key, tx_now(tx) + KEPT_MS);
}

static enum step_result forget(struct tx *tx, const char *key)
{
    struct rec_ecs_idempotency *rec = tx_get(tx, key, &rec_ecs_idempotency_desc);
    if (rec && rec->created_at + KEPT_MS <= tx_now(tx)) {
        tx_delete(tx, key);
    }
    return STEP_DONE;
}

const struct controller idempotency_controller = {.name = "ecs-token-expiry", .step = forget};
