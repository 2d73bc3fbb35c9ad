#include "control/services/agent/join.h"

#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/agent_handlers.h"
#include "lib/base/mem.h"

#define ANOTHER "; make another one with `gantry token create`"

char *agent_token_record(struct tx *tx, struct gt_str token)
{
    return tx_key(tx, "agent/token/" GT_STR_FMT, GT_STR_ARG(token));
}

/* The default cluster is made when it is missing. */
static int check_cluster(struct tx *tx, struct gt_str name, struct gt_err *err)
{
    bool fits = !name.n || gt_str_is(name, "default") || cluster_of(tx, name, err);
    return fits ? 0 : gt_err_code(err);
}

int agent_token_make(struct tx *tx, struct rec_agent_token *t, int64_t life_ms, struct gt_err *err)
{
    int r = check_cluster(tx, t->cluster, err);
    if (r < 0) {
        return r;
    }
    char *key = agent_token_record(tx, t->id);
    t->created_at = tx_now(tx);
    t->expires_at = tx_now(tx) + life_ms;
    tx_put(tx, key, &rec_agent_token_desc, t);
    tx_alarm_set(tx, agent_join_controller.name, key, t->expires_at + AGENT_TOKEN_KEPT_MS);
    return 0;
}

void agent_token_forget(struct tx *tx, struct gt_str token)
{
    char *key = agent_token_record(tx, token);
    char *joins = tx_key(tx, "agent/join/" GT_STR_FMT "/", GT_STR_ARG(token));
    struct tx_cursor c = tx_scan(tx, joins, NULL);
    for (const char *join; (join = tx_next(&c));) { /* AGENT_TOKEN_USES_MAX at most */
        tx_delete(tx, join);
    }
    tx_alarm_clear(tx, agent_join_controller.name, key);
    tx_delete(tx, key);
}

/* NULL: it may be used. */
static const char *unusable(struct tx *tx, const struct rec_agent_token *t)
{
    return !t                            ? "the token was revoked, or expired long ago" ANOTHER
           : tx_now(tx) >= t->expires_at ? "the token has expired" ANOTHER
           : t->used < t->uses           ? NULL
           : t->uses == 1 ? "the token was used, and is good for one node only" ANOTHER
                          : "the token was used as often as it may be" ANOTHER;
}

static int check_token(struct tx *tx, const struct rec_agent_token *t, struct gt_str cluster,
                       struct gt_err *err)
{
    const char *why = unusable(tx, t);
    if (why) {
        return gt_err_aws(err, GT_ERR_DENIED, "InvalidTokenException", "%s", why);
    }
    if (t->cluster.n && cluster.n && !gt_str_eq(t->cluster, cluster)) {
        return gt_err_aws(err, GT_ERR_DENIED, "InvalidTokenException",
                          "the token is for cluster '" GT_STR_FMT "', not '" GT_STR_FMT "'",
                          GT_STR_ARG(t->cluster), GT_STR_ARG(cluster));
    }
    return check_cluster(tx, t->cluster.n ? t->cluster : cluster, err);
}

/* A join that was done, and whose answer did not arrive. */
static struct rec_agent_node_key *joined_before(struct tx *tx, const char *key)
{
    const struct rec_agent_join *j = tx_get(tx, key, &rec_agent_join_desc);
    struct rec_agent_node_key *k =
        j ? tx_get(tx, agent_key_record(tx, j->node), &rec_agent_node_key_desc) : NULL;
    return k && !k->registered && tx_now(tx) < k->keys.v[0].expires_at ? k : NULL;
}

static struct rec_agent_node_key *join(struct tx *tx, const char *key, struct rec_agent_token *t,
                                       struct gt_str join_id)
{
    struct rec_agent_node_key *k = gt_arena_new(tx_arena(tx), struct rec_agent_node_key);
    *k = (struct rec_agent_node_key){.node = gt_str(tx_hex_id(tx, 32)),
                                     .cluster = t->cluster,
                                     .external = t->external,
                                     .token = t->id,
                                     .join_id = join_id,
                                     .role = t->role,
                                     .instance_name = t->instance_name,
                                     .joined_at = tx_now(tx)};
    if (t->external) {
        k->managed_id = gt_str(gt_arena_printf(tx_arena(tx), "mi-%s", tx_hex_id(tx, 17)));
    }
    agent_key_add(tx, k, NULL, AGENT_JOIN_GRACE_MS);
    tx_alarm_set(tx, agent_join_controller.name, agent_key_record(tx, k->node),
                 k->keys.v[0].expires_at);
    t->used++;
    tx_put(tx, agent_token_record(tx, t->id), &rec_agent_token_desc, t);
    tx_put(tx, key, &rec_agent_join_desc, &(struct rec_agent_join){.node = k->node});
    return k;
}

int agent_join_node(struct tx *tx, const struct agent_join_node_in *in,
                    struct agent_join_node_out *out, struct gt_err *err)
{
    const struct principal *who = tx_principal(tx);
    if (who->kind != PRINCIPAL_JOIN) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException", "joining takes a token");
    }
    if (!name_valid(in->join_id, "", 64) || !name_valid(who->name, "", 64)) {
        return invalid(err, "joinId must be 1 to 64 letters, digits, '-', '_'.");
    }
    char *key = tx_key(tx, "agent/join/" GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(who->name),
                       GT_STR_ARG(in->join_id));
    struct rec_agent_node_key *k = joined_before(tx, key);
    if (!k) {
        struct rec_agent_token *t =
            tx_get(tx, agent_token_record(tx, who->name), &rec_agent_token_desc);
        int r = check_token(tx, t, in->cluster, err);
        if (r < 0) {
            return r;
        }
        k = join(tx, key, t, in->join_id);
    }
    out->node_id = k->node;
    out->access_key_id = agent_key_newest(tx, k);
    out->cluster = k->cluster.n ? k->cluster : gt_str(NULL);
    out->managed_instance_id = k->managed_id.n ? k->managed_id : gt_str(NULL);
    WIRE_SET(out, external, k->external);
    WIRE_SET(out, expires_at, k->keys.v[0].created_at + AGENT_KEY_LIFE_MS);
    return 0;
}

/* --- what is over goes */

static enum step_result step(struct tx *tx, const char *key)
{
    if (gt_str_starts(gt_str(key_rest(key)), GT_STR_LIT("agent/token/"))) {
        const struct rec_agent_token *t = tx_get(tx, key, &rec_agent_token_desc);
        if (t && tx_now(tx) >= t->expires_at + AGENT_TOKEN_KEPT_MS) {
            agent_token_forget(tx, key_tail(key));
        }
        return STEP_DONE;
    }
    const struct rec_agent_node_key *k = tx_get(tx, key, &rec_agent_node_key_desc);
    if (k && !k->registered && tx_now(tx) >= k->keys.v[0].expires_at) {
        tx_delete(tx, key);
    }
    return STEP_DONE;
}

/* Moved by alarms alone. */
const struct controller agent_join_controller = {.name = "agent-join", .step = step};
