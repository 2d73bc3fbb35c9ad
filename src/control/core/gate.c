/*
 * The gate between the core and the world. One thread delivers at a time, and goes on until
 * nothing is left that may leave: so events keep their order although both the journal's thread
 * and the core's find work here.
 */
#include "control/core/thread_priv.h"

void gate_init(struct gate *g, uint64_t durable)
{
    *g = (struct gate){.durable = durable};
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->idle, NULL);
    gt_list_init(&g->answers);
    gt_list_init(&g->events);
    prefix_table_init(&g->watches);
}

static void watch_unref(struct core_watch *w)
{
    if (--w->refs == 0) {
        free(w);
    }
}

void gate_fini(struct gate *g)
{
    GT_ASSERT(gt_list_empty(&g->answers));
    gt_list_for_each (it, next, &g->events) {
        struct watch_event *e = gt_list_entry(it, struct watch_event, link);
        watch_unref(e->watch);
        free(e);
    }
    prefix_table_fini(&g->watches);
    pthread_cond_destroy(&g->idle);
    pthread_mutex_destroy(&g->lock);
}

uint64_t gate_revision(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    uint64_t durable = g->durable;
    pthread_mutex_unlock(&g->lock);
    return durable;
}

bool gate_pass(struct gate *g, struct core_request *rq)
{
    pthread_mutex_lock(&g->lock);
    bool pass = rq->call.revision <= g->durable;
    if (!pass) {
        gt_list_push_back(&g->answers, &rq->link);
    }
    pthread_mutex_unlock(&g->lock);
    return pass;
}

struct written {
    struct gate *gate;
    uint64_t revision;
    const char *key;
};

static void add_events(void *arg, struct prefix_slot *slot)
{
    struct written *w = arg;
    size_t n = strlen(w->key) + 1;
    gt_list_for_each (it, next, &slot->items) {
        struct watch_event *e = gt_malloc(sizeof *e + n);
        e->watch = gt_list_entry(it, struct core_watch, link);
        e->watch->refs++;
        e->revision = w->revision;
        memcpy(e->key, w->key, n);
        gt_list_push_back(&w->gate->events, &e->link);
    }
}

void gate_written(struct gate *g, uint64_t revision, const char *key)
{
    pthread_mutex_lock(&g->lock);
    prefix_match(&g->watches, key, add_events, &(struct written){g, revision, key});
    pthread_mutex_unlock(&g->lock);
}

/* The next event that may leave; NULL: none. */
static struct watch_event *take_event(struct gate *g)
{
    if (gt_list_empty(&g->events)) {
        return NULL;
    }
    struct watch_event *e = gt_list_entry(g->events.next, struct watch_event, link);
    if (e->revision > g->durable) {
        return NULL;
    }
    gt_list_remove(&e->link);
    return e;
}

/* Moves what may leave to `to`: one lock for all of a commit's answers. */
static void take_answers(struct gate *g, struct gt_list *to)
{
    gt_list_init(to);
    gt_list_for_each (it, next, &g->answers) {
        if (gt_list_entry(it, struct core_request, link)->call.revision > g->durable) {
            return;
        }
        gt_list_remove(it);
        gt_list_push_back(to, it);
    }
}

/* Both are called and return with the lock held; false when there was nothing to deliver. */
static bool deliver_answers(struct gate *g)
{
    struct gt_list now;
    take_answers(g, &now);
    if (gt_list_empty(&now)) {
        return false;
    }
    pthread_mutex_unlock(&g->lock);
    gt_list_for_each (it, next, &now) {
        struct core_request *rq = gt_list_entry(it, struct core_request, link);
        gt_list_remove(it);
        g->answered(g->arg, rq);
        rq->done(rq); /* may free it */
    }
    pthread_mutex_lock(&g->lock);
    return true;
}

static bool deliver_event(struct gate *g)
{
    struct watch_event *e = take_event(g);
    if (!e) {
        return false;
    }
    bool gone = e->watch->gone;
    pthread_mutex_unlock(&g->lock);
    if (!gone) {
        e->watch->fn(e->watch->arg, e->revision, e->key);
    }
    pthread_mutex_lock(&g->lock);
    watch_unref(e->watch);
    free(e);
    return true;
}

static void deliver_locked(struct gate *g)
{
    if (g->delivering) {
        return;
    }
    g->delivering = true;
    g->deliverer = pthread_self();
    while (deliver_answers(g) || deliver_event(g)) {
    }
    g->delivering = false;
    pthread_cond_broadcast(&g->idle);
}

void gate_deliver(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    deliver_locked(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_durable(struct gate *g, uint64_t revision)
{
    pthread_mutex_lock(&g->lock);
    g->durable = GT_MAX(g->durable, revision);
    deliver_locked(g);
    pthread_mutex_unlock(&g->lock);
}

struct core_watch *core_thread_watch(struct core_thread *ct, const char *prefix, core_watch_fn *fn,
                                     void *arg)
{
    struct core_watch *w = gt_new(struct core_watch);
    w->fn = fn;
    w->arg = arg;
    w->refs = 1;
    pthread_mutex_lock(&ct->gate.lock);
    w->slot = prefix_add(&ct->gate.watches, prefix, &w->link);
    pthread_mutex_unlock(&ct->gate.lock);
    return w;
}

void core_thread_unwatch(struct core_thread *ct, struct core_watch *w)
{
    struct gate *g = &ct->gate;
    pthread_mutex_lock(&g->lock);
    prefix_remove(&g->watches, w->slot, &w->link);
    w->gone = true;
    while (g->delivering && !pthread_equal(g->deliverer, pthread_self())) {
        pthread_cond_wait(&g->idle, &g->lock);
    }
    watch_unref(w);
    pthread_mutex_unlock(&g->lock);
}
