#include "node/agent/peers.h"

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/http/api_client.h"
#include "node/agent/session.h"
#include "node/agent/task.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

enum { WAIT_MS = 25000, RETRY_MS = 1000, APART_MS = 1000, POSITION_MAX = 300 };

/* --- what the operator said, and what follows from the host ------------------------------- */

int peers_check(const struct agent_options *o, struct gt_err *err)
{
    struct in_addr a;
    if (net_overlay_parse(gt_str(o->overlay)) < 0) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "--overlay '%s' is none of auto, routes, vxlan, none", o->overlay);
    }
    if (o->address && inet_pton(AF_INET, o->address, &a) != 1) {
        return gt_err_set(err, GT_ERR_INVALID, "--address '%s' is not an IPv4 address", o->address);
    }
    return 0;
}

enum net_overlay peers_overlay(const struct agent_options *o)
{
    int overlay = net_overlay_parse(gt_str(o->overlay));
    return overlay < 0 ? NET_OVERLAY_AUTO : (enum net_overlay)overlay;
}

uint32_t peers_vni(const char *cluster_id)
{
    char digits[7];
    snprintf(digits, sizeof digits, "%s", cluster_id);
    uint32_t vni = (uint32_t)strtoul(digits, NULL, 16);
    return cluster_id[0] ? GT_MAX(vni, 1U) : 0;
}

/* From which of its addresses this host would send there; nothing is sent. */
static bool local_address(const struct sockaddr_in *there, struct in_addr *ret)
{
    gt_auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in here = {0};
    socklen_t n = sizeof here;
    if (fd < 0 || connect(fd, (const struct sockaddr *)there, sizeof *there) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &n) < 0) {
        return false;
    }
    *ret = here.sin_addr;
    return ntohl(here.sin_addr.s_addr) >> 24 != 127;
}

/* "https://host:port/" */
static bool server_address(const char *url, struct sockaddr_in *ret)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    gt_auto_free char *name = gt_strdup(host);
    name[strcspn(name, ":/")] = '\0';
    const struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, "4566", &want, &found) != 0) {
        return false;
    }
    memcpy(ret, found->ai_addr, sizeof *ret);
    freeaddrinfo(found);
    return true;
}

bool peers_address(const struct agent_options *o, char to[static 16])
{
    struct sockaddr_in there;
    struct in_addr mine;
    if (o->address) {
        snprintf(to, 16, "%s", o->address);
        return true;
    }
    bool found = server_address(o->server, &there) && local_address(&there, &mine);
    if (!found) { /* the server is on this machine: by where everybody else is */
        there = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(4566)};
        inet_pton(AF_INET, "192.0.2.1", &there.sin_addr); /* TEST-NET-1: nobody's */
        found = local_address(&there, &mine);
    }
    return found && inet_ntop(AF_INET, &mine, to, 16);
}

void peers_describe(const struct agent_options *o, struct gt_arena *a,
                    struct agent_register_node_in *in)
{
    char address[16];
    if (peers_address(o, address)) {
        in->address = gt_str(gt_arena_strdup(a, address));
    }
    in->overlay = gt_str(net_overlay_name(peers_overlay(o)));
}

/* --- the table, as it comes --------------------------------------------------------------- */

struct table {
    struct node *n;
    struct gt_arena arena;
    char address[16]; /* this host's */
    struct net_peer *v;
    size_t count;
    struct gt_err err; /* of making it so */
    int r;
};

struct peers {
    struct node *n;
    pthread_t thread;
    atomic_bool stop;
    char session[SESSION_ID_MAX]; /* what follows belongs to it */
    int64_t revision;             /* of the table that was taken last; -1: none */
    char more[POSITION_MAX];
    struct table *coming;
    char said[512]; /* the warning that was logged last; the loop's */
};

static void table_free(struct table *t)
{
    if (t) {
        gt_arena_fini(&t->arena);
        free(t);
    }
}

static void begin(struct peers *p)
{
    table_free(p->coming);
    p->coming = gt_new(struct table);
    p->coming->n = p->n;
    p->coming->err = GT_ERR_INIT;
    gt_arena_init(&p->coming->arena, GT_LIMIT_API_ARENA);
    p->more[0] = '\0';
}

static void add(struct table *t, const struct agent_peer_list *l)
{
    struct net_peer *v = gt_arena_array(&t->arena, struct net_peer, t->count + l->n);
    if (t->count) {
        memcpy(v, t->v, t->count * sizeof *v);
    }
    t->v = v;
    for (size_t i = 0; i < l->n; i++) {
        const struct agent_peer *from = &l->v[i];
        int overlay = net_overlay_parse(from->overlay);
        v[t->count++] = (struct net_peer){
            .address = gt_arena_str(&t->arena, from->address),
            .subnet = gt_arena_str(&t->arena, from->subnet),
            .overlay = overlay < 0 ? NET_OVERLAY_AUTO : (enum net_overlay)overlay,
        };
    }
}

/* --- handing it over ---------------------------------------------------------------------- */

static void apply(void *arg)
{
    struct table *t = arg;
    t->r = net_peers_set(t->n->net, t->address, t->v, t->count, &t->err);
}

static void applied(struct node *n, void *arg)
{
    struct table *t = arg;
    const char *warning = t->r ? t->err.msg : "";
    if (warning[0] && !gt_streq(warning, n->peers->said)) {
        gt_warn("ways to other nodes: %s", warning);
    }
    snprintf(n->peers->said, sizeof n->peers->said, "%s", warning);
    table_free(t);
    node_pool_refill(n);
}

static void take(struct node *n, void *arg)
{
    if (n->net) {
        node_work(n, apply, applied, arg);
    } else {
        table_free(arg); /* it is told again */
    }
}

/* --- the thread --------------------------------------------------------------------------- */

static int ask(struct peers *p, struct api_client *c, struct gt_err *err)
{
    struct agent_peers_in in = {.session = gt_str(p->session)};
    struct agent_peers_out out = {0};
    WIRE_SET(&in, wait_ms, WAIT_MS);
    if (p->revision >= 0) {
        WIRE_SET(&in, revision, p->revision);
    }
    if (p->more[0]) {
        in.more = gt_str(p->more);
    }
    int r = api_call(c, &agent_op_peers, &in, &p->coming->arena, &out, err);
    if (r == 0 && out.more.n >= sizeof p->more) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "peers: the server's position is too long");
    }
    if (r < 0) {
        return r;
    }
    add(p->coming, &out.peers);
    snprintf(p->more, sizeof p->more, GT_STR_FMT, GT_STR_ARG(out.more));
    if (!out.more.n) {
        p->revision = out.revision;
        if (peers_address(&p->n->o, p->coming->address)) {
            node_post(p->n, take, gt_steal_ptr(p->coming));
        }
        begin(p);
    }
    return 0;
}

static void *peers_loop(void *arg)
{
    struct peers *p = arg;
    struct api_client *c = NULL;
    while (!atomic_load(&p->stop)) {
        char session[SESSION_ID_MAX];
        struct gt_err err = GT_ERR_INIT;
        if (!session_current(p->n->session, session)) {
            node_pause(&p->stop, 100);
            continue;
        }
        if (!gt_streq(session, p->session)) {
            snprintf(p->session, sizeof p->session, "%s", session);
            p->revision = -1;
            begin(p);
            api_client_free(gt_steal_ptr(c)); /* perhaps with another key now */
        }
        int r = c ? 0 : node_client_new(p->n, NULL, WAIT_MS + 15000, &p->stop, &c, &err);
        r = r < 0 ? r : ask(p, c, &err);
        if (r < 0) {
            gt_debug("peers: %s", err.msg); /* the poller warns of a server that is away */
            begin(p);
        }
        if (!p->more[0]) {
            node_pause(&p->stop,
                       r < 0 ? RETRY_MS : APART_MS); /* many nodes that come are one change */
        }
    }
    api_client_free(c);
    return NULL;
}

struct peers *peers_new(struct node *n)
{
    struct peers *p = gt_new(struct peers);
    p->n = n;
    begin(p);
    GT_ASSERT(pthread_create(&p->thread, NULL, peers_loop, p) == 0);
    return p;
}

void peers_free(struct peers *p)
{
    if (!p) {
        return;
    }
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    table_free(p->coming);
    free(p);
}
