#include "node/agent/session.h"

#include "lib/base/clock.h"
#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/wire/json.h"
#include "node/agent/attributes.h"
#include "node/agent/peers.h"
#include "node/agent/polled.h"
#include "node/agent/standing.h"
#include "node/agent/task.h"

#include <errno.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { POLL_WAIT_MS = 25000, REPORT_AGAIN_MS = 300, REPORT_BATCH = 200 };
/* Of a key's time, when a newer one is asked for: two thirds of its 90 days. */
#define RENEW_BEFORE_MS (60 * 24 * 3600 * (int64_t)1000)

struct report {
    struct gt_arena arena;
    struct agent_report_in in;
    bool final[REPORT_BATCH];
};

struct session {
    struct node *n;
    pthread_t poller, reporter;
    atomic_bool stop;
    atomic_bool recall;        /* ends the poll under way: the session is over, or all is */
    struct node_identity self; /* the poller's own: the loop's follows it */
    char agent_id[33];         /* of this process */
    bool renewed;              /* with --renew-key: it was done */
    bool astray, adopted;      /* ... likewise: what the last registration said */
    pthread_mutex_t lock;      /* everything below */
    pthread_cond_t changed;
    char id[SESSION_ID_MAX];   /* of the session; "" while there is none */
    char held[SESSION_ID_MAX]; /* the last one that it had; "": none yet */
    int64_t heartbeat_ms;
    struct standing standing;
    struct report *pending; /* handed over by the loop, taken by the reporter */
    bool sending;           /* loop only: a report is on its way */
};

static void pause_ms(struct session *s, int64_t ms)
{
    for (; ms > 0 && !atomic_load(&s->stop); ms -= 50) {
        uv_sleep((unsigned)GT_MIN(ms, (int64_t)50));
    }
}

/* --- registration */

struct registered {
    struct node_identity id;
    bool astray, adopted;
};

/* Who has an older state than what runs here is told all of it. */
static void report_all(struct node *n)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        ((struct task *)e->value)->dirty = true;
    }
    session_report_soon(n->session);
}

static void on_registered(struct node *n, void *arg)
{
    struct registered *r = arg;
    struct gt_err err = GT_ERR_INIT;
    bool first = !n->id.subnet[0];
    n->id = r->id;
    if (node_identity_save(&n->o, &n->id, &err) < 0) {
        gt_error("%s", err.msg);
    }
    if (first && node_net_open(n, &err) < 0) {
        gt_error("the node's network: %s", err.msg);
    }
    n->astray = r->astray;
    n->walked = false;
    if (r->astray || r->adopted) {
        report_all(n);
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
static bool renewal_due(const struct session *s)
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
    bool renew = renewal_due(s);
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

static int do_register(struct session *s, struct api_client *c, struct gt_err *err)
{
    struct gt_arena a;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    int r = register_in(s, c, &a, err);
    gt_arena_fini(&a);
    return r;
}

/* --- poll */

/* How far the poller is with what the server has to say: see agent.h of the server's side. */
struct progress {
    int64_t epoch, revision; /* of the last answer; epoch 0: the server has none */
    char more[128];          /* where the walk goes on; "": a new one begins */
    struct gt_table told;    /* ids of the tasks that came in it so far */
};

static void begin_walk(struct progress *at)
{
    gt_table_fini(&at->told);
    gt_table_init(&at->told);
    at->more[0] = '\0';
}

/* What ran here was given to others: it ends. */
static void clear_tasks(struct session *s)
{
    struct polled *p = gt_new(struct polled);
    gt_arena_init(&p->arena, GT_LIMIT_API_ARENA);
    gt_table_init(&p->all);
    WIRE_SET(&p->out, full, true);
    node_post(s->n, polled_take, p);
}

static bool is(const struct api_client *c, const char *exception)
{
    return c && gt_streq(api_client_exception(c), exception);
}

static bool session_over(const struct api_client *c)
{
    return is(c, "StaleSessionException") || is(c, "UnknownNodeException") ||
           is(c, "UnrecognizedClientException");
}

/* The reporter heard that the session is over, while the poll still waits. */
static bool recalled(struct session *s)
{
    if (atomic_load(&s->stop) || !atomic_exchange(&s->recall, false)) {
        return false;
    }
    pthread_mutex_lock(&s->lock);
    s->id[0] = '\0';
    pthread_mutex_unlock(&s->lock);
    return true;
}

/* Once for each change. `err` NULL: all is well. */
static void stand(struct session *s, const struct api_client *c, const struct gt_err *err,
                  bool registering)
{
    struct standing now = {.kind = STANDING_GOOD};
    if (err) {
        standing_judge(c ? api_client_exception(c) : "", err, registering, s->n->o.state_dir, &now);
    }
    pthread_mutex_lock(&s->lock);
    bool changed = now.kind != s->standing.kind;
    s->standing = now;
    pthread_mutex_unlock(&s->lock);
    if (changed && err && !atomic_load(&s->stop)) {
        now.kind == STANDING_AWAY ? gt_warn("%s", now.text) : gt_error("%s", now.text);
    }
}

void session_standing(struct session *s, struct standing *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = s->standing;
    pthread_mutex_unlock(&s->lock);
}

/* With the key of the first registration it may have another of its own, when that of before is not
 * taken any more. */
static bool borrow_key(struct session *s)
{
    struct gt_err none = GT_ERR_INIT;
    struct node_identity id = s->self;
    if (!s->n->o.key_file || !gt_str_starts(gt_str(id.access_key), GT_STR_LIT("GTNODE-")) ||
        node_key_file_read(s->n->o.key_file, id.access_key, sizeof id.access_key, id.secret_key,
                           sizeof id.secret_key, &none) < 0) {
        return false;
    }
    gt_info("the server does not take this node's key; registering with '%s'", s->n->o.key_file);
    s->self = id;
    node_keys_set(s->n, &id);
    return true;
}

/* A walk is through, and with it an adoption. */
static void remember(struct session *s, struct polled *p)
{
    if (s->astray || !p->out.epoch) {
        return;
    }
    p->remember = true;
    p->epoch = s->self.epoch = p->out.epoch;
    p->revision = s->self.revision = p->out.revision;
    s->adopted = false;
}

static int do_poll(struct session *s, struct api_client *c, struct progress *at, struct gt_err *err)
{
    struct polled *p = gt_new(struct polled);
    p->ended = ended_count(&s->n->ended);
    struct agent_poll_in in = {.session = gt_str(s->id)};
    WIRE_SET(&in, revision, at->revision);
    if (at->epoch) {
        WIRE_SET(&in, epoch, at->epoch);
    }
    WIRE_SET(&in, wait_ms, POLL_WAIT_MS);
    if (at->more[0]) {
        in.more = gt_str(at->more);
    }
    gt_arena_init(&p->arena, GT_LIMIT_API_ARENA);
    gt_table_init(&p->all);
    int r = api_call(c, &agent_op_poll, &in, &p->arena, &p->out, err);
    if (r == 0 && p->out.more.n >= sizeof at->more) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "poll: the server's position is too long");
    }
    if (r < 0) {
        polled_free(p);
        return r;
    }
    at->revision = p->out.revision;
    at->epoch = p->out.epoch;
    p->adopted = s->adopted;
    for (size_t i = 0; i < p->out.tasks.n; i++) {
        gt_table_put(&at->told, p->out.tasks.v[i].id, s);
    }
    if (p->out.full) {
        struct gt_table empty = p->all;
        p->all = at->told;
        at->told = empty;
    }
    if (p->out.more.n) {
        snprintf(at->more, sizeof at->more, GT_STR_FMT, GT_STR_ARG(p->out.more));
    } else {
        begin_walk(at);
        remember(s, p);
    }
    node_post(s->n, polled_take, p);
    return 0;
}

/* One turn of the conversation: registers if need be, and polls. -EAGAIN: with another key. */
static int turn(struct session *s, struct api_client *c, struct progress *at, bool *ret_registering,
                struct gt_err *err)
{
    int r = 0;
    *ret_registering = !s->id[0] || renewal_due(s);
    if (*ret_registering) {
        at->revision = at->epoch = 0;
        begin_walk(at);
        r = do_register(s, c, err);
    }
    if (r == 0) {
        *ret_registering = false;
        r = do_poll(s, c, at, err);
    }
    return r;
}

/* What a refusal means for the conversation. */
static void take_refusal(struct session *s, const struct api_client *c, struct progress *at)
{
    if (session_over(c)) {
        pthread_mutex_lock(&s->lock);
        s->id[0] = '\0';
        pthread_mutex_unlock(&s->lock);
    } else if (is(c, "NodeFencedException")) {
        clear_tasks(s);
    } else if (is(c, "InvalidParameterException")) {
        begin_walk(at); /* the server came back older than the walk */
    }
}

static void *poll_loop(void *arg)
{
    struct session *s = arg;
    struct api_client *c = NULL;
    struct progress at = {0};
    int64_t pause = 0;
    gt_table_init(&at.told);
    while (!atomic_load(&s->stop)) {
        struct gt_err err = GT_ERR_INIT;
        bool registering = false;
        int r = c ? 0 : node_client_new(s->n, NULL, POLL_WAIT_MS + 15000, &s->recall, &c, &err);
        if (r == 0 && s->id[0] && !s->adopted && atomic_load(&s->n->clearing)) {
            pause_ms(s, 100); /* nothing new before the old is gone: it may hold the same address */
            continue;
        }
        r = r < 0 ? r : turn(s, c, &at, &registering, &err);
        if (r == 0) {
            stand(s, c, NULL, false);
            pause = 0;
            continue;
        }
        bool other_key = r == -EAGAIN && registering && err.kind == GT_ERR_NONE;
        if (other_key || (is(c, "UnrecognizedClientException") && borrow_key(s))) {
            api_client_free(gt_steal_ptr(c));
            continue;
        }
        if (recalled(s)) {
            continue;
        }
        take_refusal(s, c, &at);
        stand(s, c, &err, registering);
        pause = standing_pause(s->standing.kind, pause);
        pause_ms(s, pause);
    }
    gt_table_fini(&at.told);
    api_client_free(c);
    return NULL;
}

/* --- reports */

static void on_report_done(struct node *n, void *arg);

struct reported {
    struct report *report;
    bool ok;
};

static bool was_refused(const struct agent_report_out *out, struct gt_str id)
{
    for (size_t i = 0; i < out->refused.n; i++) {
        if (gt_str_eq(out->refused.v[i].id, id)) {
            gt_debug("report on %.*s refused: %.*s", GT_STR_ARG(id),
                     GT_STR_ARG(out->refused.v[i].reason));
            return true;
        }
    }
    return false;
}

static void *report_loop(void *arg)
{
    struct session *s = arg;
    struct api_client *c = NULL;
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->stop)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += s->heartbeat_ms / 1000;
        int waited = 0;
        while (!atomic_load(&s->stop) && waited == 0 && !(s->pending && s->id[0])) {
            waited = pthread_cond_timedwait(&s->changed, &s->lock, &until);
        }
        char id[sizeof s->id];
        memcpy(id, s->id, sizeof id);
        struct report *p = id[0] ? gt_steal_ptr(s->pending) : NULL;
        pthread_mutex_unlock(&s->lock);

        struct gt_err err = GT_ERR_INIT;
        int r = 0;
        if (!c && id[0]) { /* with a session there is the node's own key */
            r = node_client_new(s->n, NULL, 30000, &s->stop, &c, &err);
        }
        struct gt_arena a;
        gt_arena_init(&a, GT_LIMIT_API_ARENA);
        if (r == 0 && p) {
            struct agent_report_out out = {0};
            p->in.session = gt_str(id);
            r = api_call(c, &agent_op_report, &p->in, &a, &out, &err);
            for (size_t i = 0; r == 0 && i < p->in.tasks.n; i++) {
                (void)was_refused(&out, p->in.tasks.v[i].id);
            }
            if (r < 0) {
                gt_debug("report: %s", err.msg);
                pause_ms(s, REPORT_AGAIN_MS);
            }
            struct reported *done = gt_new(struct reported);
            *done = (struct reported){p, r == 0};
            node_post(s->n, on_report_done, done);
        } else if (r == 0 && id[0] && !atomic_load(&s->stop)) {
            struct agent_heartbeat_in in = {.session = gt_str(id)};
            struct agent_heartbeat_out out;
            r = api_call(c, &agent_op_heartbeat, &in, &a, &out, &err);
        }
        if (r < 0 && session_over(c)) {
            pthread_mutex_lock(&s->lock);
            bool same = gt_streq(s->id, id);
            pthread_mutex_unlock(&s->lock);
            atomic_store(&s->recall, same);
        }
        gt_arena_fini(&a);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    api_client_free(c);
    return NULL;
}

/* By the server's clock. */
static void date_report(struct agent_task_report *r, int64_t ahead)
{
    r->pull_started_at += r->has_pull_started_at ? ahead : 0;
    r->pull_stopped_at += r->has_pull_stopped_at ? ahead : 0;
    r->started_at += r->has_started_at ? ahead : 0;
    r->stopping_at += r->has_stopping_at ? ahead : 0;
    r->execution_stopped_at += r->has_execution_stopped_at ? ahead : 0;
}

static void build_report(struct session *s, struct report *p)
{
    struct agent_task_report_list *l = &p->in.tasks;
    l->v = gt_arena_array(&p->arena, struct agent_task_report, REPORT_BATCH);
    l->has = true;
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; l->n < REPORT_BATCH && (e = gt_table_next(&s->n->tasks, &it));) {
        struct task *t = e->value;
        if (!t->dirty || t->forgotten) {
            continue;
        }
        struct agent_task_report *r = &l->v[l->n];
        task_report(t, &p->arena, r);
        date_report(r, server_clock_ahead(&s->n->clock));
        /* The task may change or go while the report is under way. */
        r->id = gt_str(gt_arena_strdup(&p->arena, t->id));
        p->final[l->n++] = t->phase == TASK_STOPPED;
        t->dirty = false;
    }
}

void session_report_soon(struct session *s)
{
    if (!s || s->sending || !s->n->ready) {
        return;
    }
    struct report *p = gt_new(struct report);
    gt_arena_init(&p->arena, GT_LIMIT_API_ARENA);
    build_report(s, p);
    if (p->in.tasks.n == 0) {
        gt_arena_fini(&p->arena);
        free(p);
        return;
    }
    /* Texts in the report point into tasks: take a copy by way of the codec. */
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_API_BODY);
    wire_json_encode(&agent_report_in_shape, &p->in, &text);
    struct gt_str mine = gt_str_n(gt_arena_str(&p->arena, gt_buf_view(&text)), text.n);
    p->in = (struct agent_report_in){0};
    struct gt_err err = GT_ERR_INIT;
    GT_ASSERT(wire_json_decode(&agent_report_in_shape, mine, &p->arena, &p->in, &err) == 0);
    s->sending = true;
    pthread_mutex_lock(&s->lock);
    s->pending = p;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static void on_report_done(struct node *n, void *arg)
{
    struct reported *d = arg;
    struct report *p = d->report;
    n->session->sending = false;
    for (size_t i = 0; i < p->in.tasks.n; i++) {
        struct task *t = gt_table_get(&n->tasks, p->in.tasks.v[i].id);
        if (!t) {
            continue;
        }
        if (!d->ok) {
            t->dirty = true;
        } else if (p->final[i]) {
            ended_add(&n->ended, gt_str(t->id));
            task_forget(t); /* the server knows: nothing of it is needed here any more */
        }
    }
    gt_arena_fini(&p->arena);
    free(p);
    free(d);
    session_report_soon(n->session);
}

struct session *session_new(struct node *n)
{
    struct session *s = gt_new(struct session);
    s->n = n;
    s->heartbeat_ms = 10000;
    unsigned char id[16];
    gt_rand_bytes(id, sizeof id);
    gt_hex_encode(id, sizeof id, s->agent_id);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t steady; /* the host's clock may step */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &steady);
    pthread_condattr_destroy(&steady);
    n->session = s;
    s->self = n->id;
    GT_ASSERT(pthread_create(&s->poller, NULL, poll_loop, s) == 0);
    GT_ASSERT(pthread_create(&s->reporter, NULL, report_loop, s) == 0);
    return s;
}

bool session_current(struct session *s, char to[static SESSION_ID_MAX])
{
    pthread_mutex_lock(&s->lock);
    memcpy(to, s->id, sizeof s->id);
    pthread_mutex_unlock(&s->lock);
    return to[0] != '\0';
}

void session_free(struct session *s)
{
    if (!s) {
        return;
    }
    atomic_store(&s->stop, true);
    atomic_store(&s->recall, true); /* after stop: see recalled() */
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->poller, NULL);
    pthread_join(s->reporter, NULL);
    if (s->pending) {
        gt_arena_fini(&s->pending->arena);
        free(s->pending);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}
