#include "control/server/liveness.h"

#include "control/server/server_priv.h"
#include "control/services/agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/wire/gen/agent.h"
#include "store/record/gen/rec_ecs.h"

#include <pthread.h>

enum { LOOK_MS = 500 };

struct liveness {
    struct server *s;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool stop;
    struct detector *detector;
    bool braked; /* as the log says */
};

void liveness_heard(struct liveness *l, struct gt_str node)
{
    detector_heard(l->detector, node, gt_clock_mono_ms());
}

struct detector *liveness_detector(struct liveness *l)
{
    return l->detector;
}

/* --- what the core knows */

struct known {
    char node[DETECTOR_NODE_MAX];
    enum detector_state state;
    int64_t lost_at; /* wall clock */
};

struct listing {
    struct gt_arena *arena;
    struct known *v;
    size_t n;
};

/* In the arena of the call, which outlives it. */
static int list_nodes(struct tx *tx, void *arg, struct gt_err *err)
{
    struct listing *l = arg;
    char *prefix = tx_key(tx, "ecs/node/");
    size_t max = tx_count(tx, prefix);
    l->v = gt_arena_array(l->arena, struct known, max);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; l->n < max && (key = tx_next(&c));) {
        const struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
        if (n && n->id.n < DETECTOR_NODE_MAX) {
            struct known *to = &l->v[l->n++];
            memcpy(to->node, n->id.p, n->id.n);
            to->state = n->held ? DETECTOR_HELD : n->lost ? DETECTOR_LOST : DETECTOR_LIVE;
            to->lost_at = n->lost_at;
        }
    }
    return 0;
}

/* What the operation returned, or that the core does not take it. */
static int call(struct liveness *l, const struct service_op *op, const void *in, void *out,
                int (*fn)(struct tx *, void *, struct gt_err *), void *arg, struct gt_arena *a,
                struct gt_err *err)
{
    struct core_request rq = {.call = {.op = op,
                                       .in = in,
                                       .out = out,
                                       .fn = fn,
                                       .arg = arg,
                                       .principal = {.kind = PRINCIPAL_INTERNAL,
                                                     .account = gt_str(l->s->keys.account),
                                                     .name = GT_STR_LIT("liveness")},
                                       .region = gt_str(l->s->region),
                                       .arena = a,
                                       .label = GT_STR_LIT("liveness")},
                              .class = CORE_AGENT};
    if (!core_thread_run(l->s->core, &rq)) {
        return gt_err_set(err, GT_ERR_UNAVAILABLE, "the core does not take calls");
    }
    *err = rq.call.err;
    return rq.call.result;
}

static const struct service_op *agent_op(const struct wire_op *op)
{
    return &agent_control()->ops[op->index];
}

static int tell_core(struct liveness *l, const struct detector_change *c, struct gt_err *err)
{
    struct gt_arena a;
    int r;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    if (c->state == DETECTOR_LIVE) {
        struct agent_node_back_in in = {.node_id = gt_str(c->node)};
        struct agent_node_back_out out = {0};
        r = call(l, agent_op(&agent_op_node_back), &in, &out, NULL, NULL, &a, err);
    } else {
        struct agent_node_lost_in in = {.node_id = gt_str(c->node)};
        struct agent_node_lost_out out = {0};
        WIRE_SET(&in, held, c->state == DETECTOR_HELD);
        r = call(l, agent_op(&agent_op_node_lost), &in, &out, NULL, NULL, &a, err);
    }
    gt_arena_fini(&a);
    return r;
}

static void report(struct liveness *l, const struct detector_change *c)
{
    static const char *const said[] = {
        [DETECTOR_LIVE] = "is back",
        [DETECTOR_HELD] = "is not heard and held: its tasks are not replaced",
        [DETECTOR_LOST] = "is not heard and counts as lost",
    };
    struct gt_err err = GT_ERR_INIT;
    int r = tell_core(l, c, &err);
    bool gone = r < 0 && err.kind == GT_ERR_NOT_FOUND;
    if (r == 0) {
        gt_warn("node %s %s", c->node, said[c->state]);
    } else if (!gone) { /* the core may be read only, the node fenced */
        gt_debug("node %s %s: %s", c->node, said[c->state], err.msg);
    }
    if (gone) {
        detector_forget(l->detector, gt_str(c->node));
    } else {
        detector_told(l->detector, c, r == 0, gt_clock_mono_ms());
    }
}

static void say_brake(struct liveness *l)
{
    struct detector_brake b = detector_brake(l->detector);
    if (b.on && !l->braked) {
        gt_error(
            "%lld of %lld nodes are silent or were lost lately: the tasks of the silent ones are "
            "not replaced until enough are heard again, or `gantry nodes --release`",
            (long long)b.silent, (long long)b.of);
    } else if (!b.on && l->braked) {
        gt_warn("tasks of lost nodes are replaced again");
    }
    l->braked = b.on;
}

static void look_once(struct liveness *l)
{
    struct detector_change changed[64];
    size_t n;
    do {
        n = detector_look(l->detector, gt_clock_mono_ms(), changed, GT_ARRAY_LEN(changed));
        say_brake(l);
        pthread_mutex_lock(&l->lock);
        bool stop = l->stop;
        pthread_mutex_unlock(&l->lock);
        for (size_t i = 0; i < n && !stop; i++) {
            report(l, &changed[i]);
        }
        n = stop ? 0 : n;
    } while (n == GT_ARRAY_LEN(changed));
}

static void recall_nodes(struct liveness *l)
{
    struct gt_arena a;
    struct listing known = {.arena = &a};
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    struct gt_err err = GT_ERR_INIT;
    if (call(l, NULL, NULL, NULL, list_nodes, &known, &a, &err) < 0) {
        gt_warn("liveness: %s", err.msg);
    }
    int64_t now = gt_clock_mono_ms(), wall = gt_clock_real_ms();
    for (size_t i = 0; i < known.n; i++) {
        const struct known *k = &known.v[i];
        detector_known(l->detector, gt_str(k->node), k->state, now - (wall - k->lost_at), now);
    }
    l->braked = detector_brake(l->detector).on;
    if (l->braked) {
        gt_warn("nodes that fell silent together are held, as before this start");
    }
    gt_arena_fini(&a);
}

static void *look(void *arg)
{
    struct liveness *l = arg;
    recall_nodes(l);
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += (long)LOOK_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&l->end, &l->lock, &until);
        if (l->stop) {
            break;
        }
        pthread_mutex_unlock(&l->lock);
        look_once(l);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

struct liveness *liveness_start(struct server *s, const struct detector_options *o)
{
    struct liveness *l = gt_new(struct liveness);
    l->s = s;
    l->detector = detector_new(o);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->end, NULL);
    GT_ASSERT(pthread_create(&l->thread, NULL, look, l) == 0);
    return l;
}

void liveness_stop(struct liveness *l)
{
    if (!l) {
        return;
    }
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->end);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    detector_free(l->detector);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->end);
    free(l);
}
