#include "node/agent/session.h"

#include "lib/base/clock.h"
#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "node/agent/polled.h"
#include "node/agent/session_priv.h"

#include <errno.h>
#include <stdio.h>

enum { POLL_WAIT_MS = 25000 };

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

bool session_over(const struct api_client *c)
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
    p->anew = at->epoch && at->epoch != p->out.epoch;
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
    if (p->anew) { /* what it is told is said anew, too */
        at->revision = 0;
        begin_walk(at);
    }
    node_post(s->n, polled_take, p);
    return 0;
}

/* One turn of the conversation: registers if need be, and polls. -EAGAIN: with another key. */
static int turn(struct session *s, struct api_client *c, struct progress *at, bool *ret_registering,
                struct gt_err *err)
{
    int r = 0;
    *ret_registering = !s->id[0] || session_renewal_due(s);
    if (*ret_registering) {
        at->revision = at->epoch = 0;
        begin_walk(at);
        r = session_register(s, c, err);
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
            node_pause(&s->stop, 100); /* the old goes first: it may hold the same address */
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
        node_pause(&s->stop, pause);
    }
    gt_table_fini(&at.told);
    api_client_free(c);
    return NULL;
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
    GT_ASSERT(pthread_create(&s->reporter, NULL, session_report_loop, s) == 0);
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
    report_free(s->pending);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    free(s);
}
