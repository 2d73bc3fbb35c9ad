/* RegisterNode, Heartbeat. */
#include "control/services/agent/agent.h"
#include "control/services/agent/astray.h"
#include "control/services/agent/join.h"
#include "control/services/agent/subnets.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/agent_handlers.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <stdio.h>

static struct rec_ecs_identity *identity(struct tx *tx)
{
    char *key = tx_key(tx, "ecs/identity");
    struct rec_ecs_identity *i = tx_get(tx, key, &rec_ecs_identity_desc);
    if (!i) {
        i = gt_arena_new(tx_arena(tx), struct rec_ecs_identity);
        i->id = gt_str(tx_hex_id(tx, 32));
        i->epoch = 1;
        /* Several installations on one machine should not meet in the same subnet. */
        i->next_subnet = (int64_t)(tx_random(tx) % 256);
        i->created_at = tx_now(tx);
        tx_put(tx, key, &rec_ecs_identity_desc, i);
    }
    return i;
}

/* Who it says it is, and whether the caller may say so. */
static int node_id(struct tx *tx, struct gt_str said, struct gt_str *ret, struct gt_err *err)
{
    const struct principal *who = tx_principal(tx);
    if (who->kind == PRINCIPAL_NODE) {
        if (said.n && !gt_str_eq(said, who->name)) {
            return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                              "the key is that of node '" GT_STR_FMT "'", GT_STR_ARG(who->name));
        }
        said = who->name;
    }
    *ret = said.n ? said : gt_str(tx_hex_id(tx, 32));
    return name_valid(*ret, "", 255)
               ? 0
               : invalid(err, "nodeId must be 1 to 255 letters, digits, '-', '_'.");
}

/* A token may be for one cluster only. */
static int cluster_of_key(const struct rec_agent_node_key *k, struct gt_str said,
                          struct gt_str *ret, struct gt_err *err)
{
    bool bound = k && k->cluster.n;
    *ret = bound ? k->cluster : said;
    return !bound || !said.n || gt_str_eq(k->cluster, said)
               ? 0
               : gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                            "the node joined cluster '" GT_STR_FMT "', not '" GT_STR_FMT "'",
                            GT_STR_ARG(k->cluster), GT_STR_ARG(said));
}

static struct rec_ecs_cluster *cluster_for(struct tx *tx, struct gt_str said, struct gt_err *err)
{
    struct gt_str name = said.n ? said : GT_STR_LIT("default");
    char *key = key_cluster(tx, GT_STR_LIT("default"));
    struct rec_ecs_cluster *c = tx_get(tx, key, &rec_ecs_cluster_desc);
    if (gt_str_is(name, "default") && c && !gt_str_is(c->status, CLUSTER_ACTIVE)) {
        c->status = GT_STR_LIT(CLUSTER_ACTIVE); /* as ECS's own agent makes it anew */
        tx_put(tx, key, &rec_ecs_cluster_desc, c);
    }
    return cluster_of(tx, name, err);
}

/* "10.1.2" of "10.1.2.0/24"; false: something else. */
static bool parse_subnet(struct tx *tx, struct gt_str said, struct gt_str *ret)
{
    unsigned a, b, c;
    int end = 0;
    char *s = gt_arena_str(tx_arena(tx), said);
    if (sscanf(s, "%3u.%3u.%3u.0/24%n", &a, &b, &c, &end) != 3 || (size_t)end != said.n ||
        a > 223 || a == 0 || b > 255 || c > 255) {
        return false;
    }
    *ret = gt_str(gt_arena_printf(tx_arena(tx), "%u.%u.%u", a, b, c));
    return true;
}

/* Whether the node's host uses 10.200.<number>.0/24 for something else. */
static bool subnet_in_use(const struct agent_register_node_in *in, int64_t number)
{
    for (size_t i = 0; i < in->subnets_in_use.n; i++) {
        if (in->subnets_in_use.v[i] == number) {
            return true;
        }
    }
    return false;
}

static int choose_subnet(struct tx *tx, const struct agent_register_node_in *in,
                         struct rec_ecs_node *n, struct rec_ecs_identity *ident, struct gt_err *err)
{
    struct gt_str said = in->subnet, want = n->subnet;
    if (said.n && !parse_subnet(tx, said, &want)) {
        return invalid(err, "subnet '" GT_STR_FMT "' is not of the form a.b.c.0/24",
                       GT_STR_ARG(said));
    }
    if (n->subnet.n && !gt_str_eq(n->subnet, want)) {
        struct rec_ecs_load *l = tx_get(tx, key_load(tx, n->cluster, n->id), &rec_ecs_load_desc);
        if (l && (l->running || l->pending)) {
            want = n->subnet; /* its tasks have addresses in it */
        }
    }
    if (want.n && !subnet_taken(tx, want, n->id)) {
        n->subnet = want;
        return 0;
    }
    if (said.n) {
        return invalid(err, "subnet '" GT_STR_FMT "' belongs to another node", GT_STR_ARG(said));
    }
    for (int i = 0; i < 256; i++) {
        int64_t at = (ident->next_subnet + i) % 256;
        want = gt_str(gt_arena_printf(tx_arena(tx), "10.200.%lld", (long long)at));
        if (!subnet_in_use(in, at) && !subnet_taken(tx, want, n->id)) {
            ident->next_subnet = (at + 1) % 256;
            tx_put(tx, tx_key(tx, "ecs/identity"), &rec_ecs_identity_desc, ident);
            n->subnet = want;
            return 0;
        }
    }
    return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                      "all 256 subnets of 10.200.0.0/16 are in use");
}

static int take_attributes(struct tx *tx, const struct agent_register_node_in *in,
                           struct rec_ecs_node *n, struct gt_err *err)
{
    size_t count = in->attributes.n;
    n->attributes.v = gt_arena_array(tx_arena(tx), struct rec_kv, count + 1);
    n->attributes.n = count;
    n->zone = (struct gt_str){NULL, 0};
    for (size_t i = 0; i < count; i++) {
        n->attributes.v[i] =
            (struct rec_kv){.key = in->attributes.v[i].name, .value = in->attributes.v[i].value};
        int r = attribute_check(in->attributes.v[i].name, in->attributes.v[i].value, err);
        if (r < 0) {
            return r;
        }
        if (gt_str_is(in->attributes.v[i].name, "ecs.availability-zone")) {
            n->zone = in->attributes.v[i].value;
        }
    }
    if (!n->zone.n) {
        n->zone = gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT "a", GT_STR_ARG(tx_region(tx))));
        n->attributes.v[n->attributes.n++] =
            (struct rec_kv){.key = GT_STR_LIT("ecs.availability-zone"), .value = n->zone};
    }
    kv_merge(tx, &n->attributes, &n->put_attributes);
    return attributes_too_many(&n->attributes, err);
}

static int take_node(struct tx *tx, const struct agent_register_node_in *in,
                     const struct rec_agent_node_key *key, struct rec_ecs_node *n,
                     struct gt_err *err)
{
    n->name = in->name;
    n->status = n->status.n ? n->status : GT_STR_LIT(NODE_ACTIVE); /* DRAINING stays */
    n->cpu = in->cpu;
    n->memory = in->memory;
    n->ports.v = in->ports_reserved.v;
    n->ports.n = in->ports_reserved.n;
    n->agent_version = in->version;
    n->external = in->external || (key && key->external);
    n->managed_id = key ? key->managed_id : gt_str(NULL);
    node_found(tx, n);
    return take_attributes(tx, in, n, err);
}

static struct gt_str open_session(struct tx *tx, const struct rec_ecs_node *n, int64_t epoch,
                                  struct gt_str agent, bool astray)
{
    struct rec_ecs_session s = {.node = n->id,
                                .cluster = n->cluster,
                                .epoch = epoch,
                                .agent = agent,
                                .host = n->name,
                                .opened_at = tx_now(tx),
                                .astray = astray,
                                .adopted = n->adopted,
                                .full_since = (int64_t)tx_revision(tx)};
    s.token = gt_str(
        gt_arena_printf(tx_arena(tx), GT_STR_FMT ".%s", GT_STR_ARG(n->id), tx_hex_id(tx, 32)));
    tx_put(tx, key_session(tx, n->id), &rec_ecs_session_desc, &s);
    return s.token;
}

/* An agent that had a session registers again unless another one is this node now: then that was
 * started later, from a copy of its state. What was before a restore does not count. */
static int check_superseded(struct tx *tx, const struct agent_register_node_in *in,
                            struct gt_str id, int64_t epoch, struct gt_err *err)
{
    const struct rec_ecs_session *s = tx_get(tx, key_session(tx, id), &rec_ecs_session_desc);
    if (!s || !in->session.n || !s->agent.n || s->epoch != epoch || astray_stranger(tx, in) ||
        gt_str_eq(s->token, in->session) || gt_str_eq(s->agent, in->agent_id)) {
        return 0;
    }
    char since[25];
    gt_time_rfc3339(s->opened_at, since);
    return gt_err_aws(err, GT_ERR_CONFLICT, "StaleSessionException",
                      "another agent, on host '" GT_STR_FMT "', is node '" GT_STR_FMT "' since %s",
                      GT_STR_ARG(s->host), GT_STR_ARG(id), since);
}

static int find_node(struct tx *tx, struct gt_str id, struct gt_str cluster,
                     struct rec_ecs_node **ret, struct gt_err *err)
{
    if (tx_exists(tx, key_inactive(tx, id))) {
        return gt_err_aws(err, GT_ERR_DENIED, "InactiveNodeException",
                          "node '" GT_STR_FMT "' was deregistered; to have the machine back as a "
                          "new node, remove its agent/node.json and start the agent again",
                          GT_STR_ARG(id));
    }
    struct rec_ecs_session *s = tx_get(tx, key_session(tx, id), &rec_ecs_session_desc);
    if (s && !gt_str_eq(s->cluster, cluster)) {
        return invalid(err, "node '" GT_STR_FMT "' is registered in cluster '" GT_STR_FMT "'",
                       GT_STR_ARG(id), GT_STR_ARG(s->cluster));
    }
    *ret = tx_get(tx, key_node(tx, cluster, id), &rec_ecs_node_desc);
    if (*ret && (*ret)->fenced) {
        return agent_fenced(*ret, err);
    }
    struct rec_ecs_lost *l = tx_get(tx, key_lost(tx, id), &rec_ecs_lost_desc);
    if (l && l->gone) {
        return gt_err_set(err, GT_ERR_UNAVAILABLE,
                          "what node '" GT_STR_FMT "' ran is being cleared", GT_STR_ARG(id));
    }
    if (!*ret) {
        *ret = gt_arena_new(tx_arena(tx), struct rec_ecs_node);
        (*ret)->id = id;
        (*ret)->cluster = cluster;
        (*ret)->registered_at = tx_now(tx);
        tx_put(tx, key_load(tx, cluster, id), &rec_ecs_load_desc, &(struct rec_ecs_load){0});
    }
    return 0;
}

int agent_register_node(struct tx *tx, const struct agent_register_node_in *in,
                        struct agent_register_node_out *out, struct gt_err *err)
{
    struct rec_ecs_node *n = NULL;
    struct gt_str id, wanted;
    int r = node_id(tx, in->node_id, &id, err);
    const struct rec_agent_node_key *key = r ? NULL : agent_key_confirm(tx);
    r = r ? r : cluster_of_key(key, in->cluster, &wanted, err);
    struct rec_ecs_cluster *cluster = r ? NULL : cluster_for(tx, wanted, err);
    if (!cluster) {
        return r ? r : -ENOENT;
    }
    struct rec_ecs_identity *ident = identity(tx);
    if (in->cluster_id.n && !gt_str_eq(in->cluster_id, ident->id)) {
        return invalid(err,
                       "the node belongs to another installation ('" GT_STR_FMT
                       "', this is '" GT_STR_FMT "')",
                       GT_STR_ARG(in->cluster_id), GT_STR_ARG(ident->id));
    }
    r = check_superseded(tx, in, id, ident->epoch, err);
    r = r ? r : find_node(tx, id, cluster->name, &n, err);
    if (r < 0) {
        return r;
    }
    r = take_node(tx, in, key, n, err);
    r = r ? r : choose_subnet(tx, in, n, ident, err);
    r = r ? r : agent_peer_tell(tx, in, n, err);
    if (r < 0) {
        return r;
    }
    bool astray = astray_check(tx, in, n);
    int64_t epoch = tx_epoch(tx) ? tx_epoch(tx) : ident->epoch;
    tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
    out->session = open_session(tx, n, ident->epoch, in->agent_id, astray);
    out->container_instance_arn = arn_instance(tx, n->cluster, n->id);
    out->node_id = n->id;
    out->cluster = n->cluster;
    out->cluster_id = ident->id;
    out->subnet = gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT ".0/24", GT_STR_ARG(n->subnet)));
    out->gateway = gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT ".1", GT_STR_ARG(n->subnet)));
    WIRE_SET(out, epoch, epoch);
    WIRE_SET(out, astray, astray);
    WIRE_SET(out, adopted, n->adopted);
    WIRE_SET(out, heartbeat_ms, AGENT_HEARTBEAT_MS);
    return 0;
}

int agent_heartbeat(struct tx *tx, const struct agent_heartbeat_in *in,
                    struct agent_heartbeat_out *out, struct gt_err *err)
{
    return agent_session(tx, in->session, err) ? 0 : gt_err_code(err);
}
