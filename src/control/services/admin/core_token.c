/* CreateToken, ListTokens, DeleteToken: what lets a machine join (agent/join.h). */
#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/admin_handlers.h"
#include "lib/base/mem.h"

enum { TOKENS_MAX = 1000, ID_DIGITS = 12, LIFE_SECONDS = 24 * 3600 };

int admin_create_token(struct tx *tx, const struct admin_create_token_in *in,
                       struct admin_create_token_out *out, struct gt_err *err)
{
    if (tx_count(tx, agent_token_record(tx, gt_str(""))) >= TOKENS_MAX) {
        return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                          "there are %d tokens; delete some first", TOKENS_MAX);
    }
    struct rec_agent_token t = {.id = gt_str(tx_hex_id(tx, ID_DIGITS)),
                                .uses = in->has_uses ? in->uses : 1,
                                .cluster = in->cluster,
                                .external = in->external};
    int64_t seconds = in->has_seconds ? in->seconds : LIFE_SECONDS;
    int r = agent_token_make(tx, &t, seconds * 1000, err);
    if (r < 0) {
        return r;
    }
    out->id = t.id; /* the frame adds the token itself */
    WIRE_SET(out, expires_at, t.expires_at);
    WIRE_SET(out, uses, t.uses);
    return 0;
}

int admin_list_tokens(struct tx *tx, const struct admin_list_tokens_in *in,
                      struct admin_list_tokens_out *out, struct gt_err *err)
{
    char *prefix = agent_token_record(tx, gt_str(""));
    out->tokens.has = true;
    out->tokens.v = gt_arena_array(tx_arena(tx), struct admin_token, tx_count(tx, prefix) + 1);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; (key = tx_next(&c));) {
        const struct rec_agent_token *t = tx_get(tx, key, &rec_agent_token_desc);
        struct admin_token *to = &out->tokens.v[out->tokens.n++];
        to->id = t->id;
        to->cluster = t->cluster.n ? t->cluster : gt_str(NULL);
        WIRE_SET(to, created_at, t->created_at);
        WIRE_SET(to, expires_at, t->expires_at);
        WIRE_SET(to, uses, t->uses);
        WIRE_SET(to, used, t->used);
        WIRE_SET(to, external, t->external);
        WIRE_SET(to, activation, t->role.n > 0);
    }
    return 0;
}

int admin_delete_token(struct tx *tx, const struct admin_delete_token_in *in,
                       struct admin_delete_token_out *out, struct gt_err *err)
{
    if (!tx_exists(tx, agent_token_record(tx, in->id))) {
        return gt_err_aws(err, GT_ERR_NOT_FOUND, "ResourceNotFoundException",
                          "there is no token '" GT_STR_FMT "'", GT_STR_ARG(in->id));
    }
    agent_token_forget(tx, in->id);
    return 0;
}
