/* RegisterNode: who this node is, what it has, which key it goes on with. */
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "node/agent/attributes.h"
#include "node/agent/peers.h"
#include "node/agent/session_priv.h"
#include "node/agent/task.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Of a key's time, when a newer one is asked for: two thirds of its 90 days. */
#define RENEW_BEFORE_MS (60 * 24 * 3600 * (int64_t)1000)

struct registered {
    struct node_identity id;
    bool astray, adopted;
};

static void on_registered(struct node *n, void *arg)
{
    struct registered *r = arg;
    struct gt_err err = GT_ERR_INIT;
    bool first = !n->id.subnet[0], anew = n->id.epoch != r->id.epoch;
    n->id = r->id;
    if (node_identity_save(&n->o, &n->id, &err) < 0) {
        gt_error("%s", err.msg);
    }
    if (first && node_net_open(n, &err) < 0) {
        gt_error("the node's network: %s", err.msg);
    }
    n->astray = r->astray;
    n->walked = false;
    if (r->astray || r->adopted || anew) {
        session_report_all(n);
    }
    free(r);
}

/* A key of the node's own, which who registered it and the node may ask for. */
static int renew_key(struct api_client *c, struct node_identity *id, struct gt_arena *a,
                     struct gt_err *err)
{
    struct agent_renew_node_key_in in = {.node_id = gt_str(id->node_id)};
    struct agent_renew_node_key_out out = {0};
    int r = api_call(c, &agent_op_renew_node_key, &in, a, &out, err);
    if (r == 0) {
        snprintf(id->access_key, sizeof id->access_key, GT_STR_FMT, GT_STR_ARG(out.access_key_id));
        snprintf(id->secret_key, sizeof id->secret_key, GT_STR_FMT,
                 GT_STR_ARG(out.secret_access_key));
        id->key_expires_ms = out.expires_at;
    }
    return r;
}

/* A new node is given a range that this host has no address in and no route to. */
static void describe_subnets(struct node *n, struct gt_arena *a, struct agent_register_node_in *in)
{
    bool used[NET_SUBNETS];
    if (net_subnets_used(n->o.name, used, NULL) < 0) {
        return;
    }
    in->subnets_in_use.v = gt_arena_array(a, int64_t, NET_SUBNETS);
    for (int i = 0; i < NET_SUBNETS; i++) {
        if (used[i]) {
            in->subnets_in_use.v[in->subnets_in_use.n++] = i;
        }
    }
}

/* What the node says of itself; texts live in the arena or the session. */
static void describe_node(struct session *s, struct gt_arena *a, struct agent_register_node_in *in)
{
    struct node *n = s->n;
    struct sysinfo si;
    char host[65] = "node";
    gethostname(host, sizeof host - 1);
    sysinfo(&si);
    in->name = gt_str(n->o.node_name ? n->o.node_name : gt_arena_strdup(a, host));
    in->cluster = gt_str(n->o.cluster);
    if (s->self.node_id[0]) {
        in->node_id = gt_str(s->self.node_id);
    }
    if (s->self.cluster_id[0]) {
        in->cluster_id = gt_str(s->self.cluster_id);
        WIRE_SET(in, epoch, s->self.epoch);
        if (s->self.revision) {
            WIRE_SET(in, revision, s->self.revision);
        }
    }
    in->agent_id = gt_str(s->agent_id);
    if (s->held[0]) {
        in->session = gt_str(s->held);
    }
    WIRE_SET(in, cpu, sysconf(_SC_NPROCESSORS_ONLN) * 1024);
    WIRE_SET(in, memory, (int64_t)((uint64_t)si.totalram * si.mem_unit >> 20));
    WIRE_SET(in, external, n->o.external);
    in->version = GT_STR_LIT(GT_VERSION);
    if (s->self.subnet[0]) {
        in->subnet = gt_str(s->self.subnet);
    } else {
        describe_subnets(n, a, in);
    }
    attributes_list(&n->o, a, &in->attributes);
    peers_describe(&n->o, a, in);
}

static void take_identity(const struct agent_register_node_out *out, struct node_identity *id)
{
    snprintf(id->node_id, sizeof id->node_id, GT_STR_FMT, GT_STR_ARG(out->node_id));
    snprintf(id->instance_arn, sizeof id->instance_arn, GT_STR_FMT,
             GT_STR_ARG(out->container_instance_arn));
    snprintf(id->cluster, sizeof id->cluster, GT_STR_FMT, GT_STR_ARG(out->cluster));
    snprintf(id->cluster_id, sizeof id->cluster_id, GT_STR_FMT, GT_STR_ARG(out->cluster_id));
    snprintf(id->subnet, sizeof id->subnet, GT_STR_FMT, GT_STR_ARG(out->subnet));
    if (!out->astray && !out->adopted) { /* else it knows better than the server what was */
        id->epoch = out->epoch;
    }
}

static void note_history(struct session *s, const struct agent_register_node_out *out)
{
    if (out->astray && !s->astray) {
        gt_warn("the server's state is older than what this node knows, or of another history: "
                "all tasks keep running as they are until `gantry adopt`");
    } else if (out->adopted) {
        gt_info("adopted: what the server does not know ends, the rest goes on");
    }
    s->astray = out->astray;
    s->adopted = out->adopted;
    atomic_store(&s->n->clearing, out->adopted);
}

static void open_session(struct session *s, const struct agent_register_node_out *out)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->id, sizeof s->id, GT_STR_FMT, GT_STR_ARG(out->session));
    memcpy(s->held, s->id, sizeof s->held);
    s->heartbeat_ms = out->has_heartbeat_ms ? out->heartbeat_ms : 10000;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    gt_info("registered with %s as %.*s", s->n->o.server, GT_STR_ARG(out->node_id));
}

/* A key is asked for before that of now ends, when somebody wants it, and in the place of a
 * borrowed one. */
bool session_renewal_due(const struct session *s)
{
    bool borrowed = !gt_str_starts(gt_str(s->self.access_key), GT_STR_LIT("GTNODE-"));
    int64_t left = s->self.key_expires_ms - node_now(s->n);
    bool asked = s->n->o.renew_key && !s->renewed;
    return borrowed || asked || (s->self.key_expires_ms && left < RENEW_BEFORE_MS);
}

/* What the loop is to remember of the node. */
static void adopt(struct session *s, const struct node_identity *id)
{
    struct registered *got = gt_new(struct registered);
    s->self = *id;
    *got = (struct registered){.id = *id, .astray = s->astray, .adopted = s->adopted};
    node_keys_set(s->n, id);
    node_post(s->n, on_registered, got);
}

/* -EAGAIN: it has a newer key now, and is to register once more with that: a session belongs to who
 * opened it. The key is on disk before it is used: the server lets the older one end then. */
static int register_in(struct session *s, struct api_client *c, struct gt_arena *a,
                       struct gt_err *err)
{
    struct agent_register_node_in in = {0};
    struct agent_register_node_out out = {0};
    describe_node(s, a, &in);
    int r = api_call(c, &agent_op_register_node, &in, a, &out, err);
    if (r < 0) {
        return r;
    }
    struct node_identity id = s->self;
    take_identity(&out, &id);
    bool renew = session_renewal_due(s);
    if (renew) {
        r = renew_key(c, &id, a, err);
        r = r < 0 ? r : node_identity_save(&s->n->o, &id, err);
    }
    if (r < 0) {
        return r;
    }
    s->renewed |= renew;
    note_history(s, &out);
    adopt(s, &id);
    if (renew) {
        snprintf(s->held, sizeof s->held, GT_STR_FMT, GT_STR_ARG(out.session));
        return -EAGAIN;
    }
    open_session(s, &out);
    return 0;
}

int session_register(struct session *s, struct api_client *c, struct gt_err *err)
{
    struct gt_arena a;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    int r = register_in(s, c, &a, err);
    gt_arena_fini(&a);
    return r;
}
