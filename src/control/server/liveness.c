#include "control/server/liveness.h"

#include "control/server/server_priv.h"
#include "control/services/agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/table.h"
#include "lib/wire/gen/agent.h"
#include "store/record/gen/rec_ecs.h"

#include <pthread.h>
#include <stdio.h>

enum { LOOK_MS = 500, BRAKE_FROM = 4 };

struct seen {
    int64_t at; /* monotonic ms; 0: not yet */
    bool lost;
    bool refused; /* the core did not take the last change: said in the log */
    char node[128];
};

struct liveness {
    struct server *s;
    int64_t lost_after_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    struct gt_table nodes; /* id -> struct seen */
    bool stop, braked;
};

/* Under the lock. A new one was not heard yet. */
static struct seen *entry_of(struct liveness *l, struct gt_str node)
{
    struct seen *seen = gt_table_get(&l->nodes, node);
    if (!seen) {
        seen = gt_new(struct seen);
        memcpy(seen->node, node.p, node.n);
        gt_table_put(&l->nodes, node, seen);
    }
    return seen;
}

void liveness_heard(struct liveness *l, struct gt_str node)
{
    if (!node.n || node.n >= sizeof((struct seen *)0)->node) {
        return;
    }
    pthread_mutex_lock(&l->lock);
    entry_of(l, node)->at = gt_clock_mono_ms();
    pthread_mutex_unlock(&l->lock);
}

/* --- what the core knows */

struct listing {
    struct gt_arena *arena;
    struct seen *v;
    size_t n;
};

/* In the arena of the call, which outlives it. */
static int list_nodes(struct tx *tx, void *arg, struct gt_err *err)
{
    struct listing *l = arg;
    char *prefix = tx_key(tx, "ecs/node/");
    size_t max = tx_count(tx, prefix);
    l->v = gt_arena_array(l->arena, struct seen, max);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; l->n < max && (key = tx_next(&c));) {
        const struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
        if (n && n->id.n < sizeof l->v->node) {
            struct seen *to = &l->v[l->n++];
            memcpy(to->node, n->id.p, n->id.n);
            to->lost = n->lost;
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
                                       .label = op ? gt_str(op->op->name) : GT_STR_LIT("liveness")},
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

static void report(struct liveness *l, const struct seen *seen)
{
    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    int r;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    if (seen->lost) {
        struct agent_node_lost_in in = {.node_id = gt_str(seen->node)};
        struct agent_node_lost_out out = {0};
        r = call(l, agent_op(&agent_op_node_lost), &in, &out, NULL, NULL, &a, &err);
    } else {
        struct agent_node_back_in in = {.node_id = gt_str(seen->node)};
        struct agent_node_back_out out = {0};
        r = call(l, agent_op(&agent_op_node_back), &in, &out, NULL, NULL, &a, &err);
    }
    gt_arena_fini(&a);
    if (r < 0 && !seen->refused) {
        gt_warn("node %s is %s: %s", seen->node, seen->lost ? "lost" : "back", err.msg);
    } else if (r == 0 && seen->lost) {
        gt_warn("node %s was not heard for %lld ms and counts as lost", seen->node,
                (long long)l->lost_after_ms);
    } else if (r == 0) {
        gt_info("node %s is back", seen->node);
    }
    /* What is not taken now (the core may be read only), the next look says again. */
    bool again = r < 0 && err.kind != GT_ERR_NOT_FOUND;
    pthread_mutex_lock(&l->lock);
    struct seen *s = entry_of(l, gt_str(seen->node));
    s->refused = again;
    s->lost = again ? !seen->lost : seen->lost;
    pthread_mutex_unlock(&l->lock);
}

/* Copies of those whose state changed, at most max. */
static size_t changes(struct liveness *l, struct seen *to, size_t max)
{
    int64_t now = gt_clock_mono_ms();
    size_t n = 0, late = 0, live = 0;
    struct gt_table_iter it = {0};
    pthread_mutex_lock(&l->lock);
    for (struct gt_table_entry *e; (e = gt_table_next(&l->nodes, &it));) {
        const struct seen *s = e->value;
        live += !s->lost;
        late += !s->lost && now - s->at > l->lost_after_ms;
    }
    bool brake = live >= BRAKE_FROM && late * 2 > live;
    if (brake && !l->braked) {
        gt_error("%zu of %zu nodes are silent at once: nothing is replaced until some are heard",
                 late, live);
    }
    l->braked = brake;
    it = (struct gt_table_iter){0};
    for (struct gt_table_entry *e; n < max && (e = gt_table_next(&l->nodes, &it));) {
        struct seen *s = e->value;
        bool lost = now - s->at > l->lost_after_ms;
        if (lost != s->lost && !(lost && brake)) {
            s->lost = lost;
            to[n++] = *s;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return n;
}

/* Those that the core counts as lost are so here, too, until they are heard; the others have all
 * the time once more. */
static void recall_nodes(struct liveness *l)
{
    struct gt_arena a;
    struct listing known = {.arena = &a};
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    struct gt_err err = GT_ERR_INIT;
    if (call(l, NULL, NULL, NULL, list_nodes, &known, &a, &err) < 0) {
        gt_warn("liveness: %s", err.msg);
    }
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < known.n; i++) {
        struct seen *s = entry_of(l, gt_str(known.v[i].node));
        s->lost = known.v[i].lost;
        if (!s->at) { /* not heard since the server started */
            s->at = gt_clock_mono_ms() - (s->lost ? l->lost_after_ms + 1 : 0);
        }
    }
    pthread_mutex_unlock(&l->lock);
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
        struct seen changed[64];
        size_t n = changes(l, changed, GT_ARRAY_LEN(changed));
        for (size_t i = 0; i < n; i++) {
            report(l, &changed[i]);
        }
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

struct liveness *liveness_start(struct server *s, int64_t lost_after_ms)
{
    struct liveness *l = gt_new(struct liveness);
    l->s = s;
    l->lost_after_ms = lost_after_ms;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->end, NULL);
    gt_table_init(&l->nodes);
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
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&l->nodes, &it));) {
        free(e->value);
    }
    gt_table_fini(&l->nodes);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->end);
    free(l);
}
