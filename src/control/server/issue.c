#include "control/server/server_priv.h"

#include "control/services/agent/join.h"
#include "lib/wire/gen/admin.h"
#include "lib/wire/gen/agent.h"
#include "lib/wire/gen/ssm.h"

static struct gt_str secret_of(const struct server *s, struct gt_str id, struct gt_arena *arena)
{
    char secret[AGENT_SECRET_SIZE];
    agent_secret(s->keys.secret, id, secret);
    return gt_str(gt_arena_strdup(arena, secret));
}

/* A session needs no more than to be sealed; one that is of a task carries nothing. */
static void issue_session(struct server *s, struct agent_task_credentials_out *o,
                          struct gt_arena *arena)
{
    const struct principal_session session = {.role_id = o->role_id,
                                              .name = o->session_name,
                                              .issued_at = o->issued_at,
                                              .expires_at = o->expires_at};
    struct sts_keys keys;
    int r = sts_session_make(&s->sealer, gt_str(s->keys.account), o->role_name, &session, arena,
                             &keys, NULL);
    GT_ASSERT(r == 0); /* only what it carries could be too much */
    o->access_key_id = gt_str(gt_arena_strdup(arena, keys.key_id));
    o->secret_access_key = gt_str(gt_arena_strdup(arena, keys.secret));
    o->session_token = keys.token;
}

static struct gt_str token_key(struct gt_str id, struct gt_arena *arena)
{
    return gt_str(gt_arena_printf(arena, AGENT_TOKEN_PREFIX GT_STR_FMT, GT_STR_ARG(id)));
}

void server_issue(struct server *s, const struct wire_op *op, void *out, struct gt_arena *arena)
{
    if (op == &agent_op_join_node) {
        struct agent_join_node_out *o = out;
        o->secret_access_key = secret_of(s, o->access_key_id, arena);
    } else if (op == &agent_op_task_credentials) {
        issue_session(s, out, arena);
    } else if (op == &agent_op_renew_node_key) {
        struct agent_renew_node_key_out *o = out;
        o->secret_access_key = secret_of(s, o->access_key_id, arena);
    } else if (op == &ssm_op_create_activation) {
        struct ssm_create_activation_out *o = out;
        o->activation_code = secret_of(s, token_key(o->activation_id, arena), arena);
    } else if (op == &admin_op_create_token) {
        struct admin_create_token_out *o = out;
        struct gt_str secret = secret_of(s, token_key(o->id, arena), arena);
        o->token =
            gt_str(gt_arena_printf(arena, GT_STR_FMT "." GT_STR_FMT "%s%s", GT_STR_ARG(o->id),
                                   GT_STR_ARG(secret), s->tls.hash[0] ? "." : "", s->tls.hash));
    }
}
