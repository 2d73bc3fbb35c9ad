/* RenewNodeKey, and what is asked of a node's keys. */
#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/agent_handlers.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"

enum { SERIAL_DIGITS = 16, NODE_ID_MAX = 80 };

void agent_secret(const unsigned char secret[static 32], struct gt_str access_key_id,
                  char to[static AGENT_SECRET_SIZE])
{
    unsigned char mac[GT_SHA256_LEN];
    gt_auto_free char *text = gt_asprintf("key:" GT_STR_FMT, GT_STR_ARG(access_key_id));
    gt_hmac_sha256(secret, 32, text, strlen(text), mac);
    gt_hex_encode(mac, (AGENT_SECRET_SIZE - 1) / 2, to);
    gt_wipe(mac, sizeof mac);
}

struct gt_str agent_key_node(struct gt_str id)
{
    struct gt_str prefix = GT_STR_LIT(AGENT_KEY_PREFIX);
    size_t around = prefix.n + 1 + SERIAL_DIGITS;
    bool fits = gt_str_starts(id, prefix) && id.n > around && id.n <= around + NODE_ID_MAX;
    struct gt_str node = gt_str_n(id.p + prefix.n, fits ? id.n - around : 0);
    return fits && id.p[prefix.n + node.n] == '.' && !memchr(node.p, '.', node.n) ? node
                                                                                  : gt_str(NULL);
}

/* The key of an access key id; NULL: it is none of the node's. */
static struct rec_agent_key *find(const struct rec_agent_node_key *k, struct gt_str id)
{
    for (size_t i = 0; k && agent_key_node(id).n && i < k->keys.n; i++) {
        struct gt_str serial = gt_str_n(id.p + id.n - SERIAL_DIGITS, SERIAL_DIGITS);
        if (gt_str_eq(k->keys.v[i].serial, serial)) {
            return &k->keys.v[i];
        }
    }
    return NULL;
}

char *agent_key_record(struct tx *tx, struct gt_str node)
{
    return gt_arena_printf(tx_arena(tx), GT_STR_FMT "/aws-global/agent/key/" GT_STR_FMT,
                           GT_STR_ARG(tx_account(tx)), GT_STR_ARG(node));
}

static struct rec_agent_node_key *get(struct tx *tx, struct gt_str node)
{
    return tx_get(tx, agent_key_record(tx, node), &rec_agent_node_key_desc);
}

static void put(struct tx *tx, const struct rec_agent_node_key *k)
{
    tx_put(tx, agent_key_record(tx, k->node), &rec_agent_node_key_desc, k);
}

int agent_key_check(struct tx *tx, struct gt_err *err)
{
    const struct principal *who = tx_principal(tx);
    if (who->kind != PRINCIPAL_NODE) {
        return 0;
    }
    const struct rec_agent_node_key *k = get(tx, who->name);
    const struct rec_agent_key *key = find(k, who->key_id);
    if (key && tx_now(tx) < key->expires_at) {
        return 0;
    }
    const char *why = !k     ? "the node was removed, or did not register in time"
                      : !key ? "a newer key of this node is in use"
                             : "the key has expired";
    return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "UnrecognizedClientException",
                      "The security token included in the request is invalid: %s", why);
}

void agent_key_add(struct tx *tx, struct rec_agent_node_key *k, const struct rec_agent_key *keep,
                   int64_t first_ms)
{
    struct rec_agent_key *v = gt_arena_array(tx_arena(tx), struct rec_agent_key, 2);
    size_t n = 0;
    if (keep) {
        v[n++] = *keep;
    }
    v[n++] = (struct rec_agent_key){.serial = gt_str(tx_hex_id(tx, SERIAL_DIGITS)),
                                    .created_at = tx_now(tx),
                                    .expires_at = tx_now(tx) + first_ms};
    k->keys.v = v;
    k->keys.n = n;
    put(tx, k);
}

struct gt_str agent_key_newest(struct tx *tx, const struct rec_agent_node_key *k)
{
    return gt_str(gt_arena_printf(tx_arena(tx), AGENT_KEY_PREFIX GT_STR_FMT "." GT_STR_FMT,
                                  GT_STR_ARG(k->node),
                                  GT_STR_ARG(k->keys.v[k->keys.n - 1].serial)));
}

int agent_renew_node_key(struct tx *tx, const struct agent_renew_node_key_in *in,
                         struct agent_renew_node_key_out *out, struct gt_err *err)
{
    const struct principal *who = tx_principal(tx);
    bool own = who->kind == PRINCIPAL_NODE;
    struct gt_str node = in->node_id.n ? in->node_id : who->name;
    if (own && !gt_str_eq(who->name, node)) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "a node may ask for its own key alone");
    }
    if (!name_valid(node, "", NODE_ID_MAX) || !tx_exists(tx, key_session(tx, node))) {
        return gt_err_aws(err, GT_ERR_NOT_FOUND, "UnknownNodeException",
                          "node '" GT_STR_FMT "' is not registered", GT_STR_ARG(node));
    }
    struct rec_agent_node_key *k = get(tx, node);
    if (!k) {
        k = gt_arena_new(tx_arena(tx), struct rec_agent_node_key);
        *k = (struct rec_agent_node_key){.node = node, .registered = true};
    }
    /* Whoever registers a node with the root key has lost those of before. */
    agent_key_add(tx, k, own ? find(k, who->key_id) : NULL, AGENT_KEY_LIFE_MS);
    out->access_key_id = agent_key_newest(tx, k);
    WIRE_SET(out, expires_at, k->keys.v[k->keys.n - 1].expires_at);
    return 0;
}

struct rec_agent_node_key *agent_key_confirm(struct tx *tx)
{
    const struct principal *who = tx_principal(tx);
    struct rec_agent_node_key *k = who->kind == PRINCIPAL_NODE ? get(tx, who->name) : NULL;
    struct rec_agent_key *used = find(k, who->key_id);
    if (!used) {
        return NULL;
    }
    for (size_t i = 0; i < k->keys.n; i++) {
        struct rec_agent_key *key = &k->keys.v[i];
        key->expires_at = key == used ? key->created_at + AGENT_KEY_LIFE_MS
                                      : GT_MIN(key->expires_at, tx_now(tx) + AGENT_KEY_OVERLAP_MS);
    }
    k->registered = true;
    k->region = tx_region(tx);
    put(tx, k);
    return k;
}

void agent_key_revoke(struct tx *tx, struct gt_str node)
{
    tx_delete(tx, agent_key_record(tx, node));
}
