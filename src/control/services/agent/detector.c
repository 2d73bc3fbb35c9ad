#include "control/services/agent/detector.h"

#include "lib/base/mem.h"
#include "lib/base/table.h"

#include <pthread.h>

enum { AGAIN_MS = 1000 };

struct seen {
    char node[DETECTOR_NODE_MAX];
    int64_t heard_at;
    int64_t lost_at;  /* when it was reported so */
    int64_t again_at; /* the core did not take it */
    enum detector_state state;
    bool heard;
    bool counted; /* lost, and among those for whom the brake was put on */
    bool let_go;  /* silent, and an operator has said that it is gone */
};

struct detector {
    pthread_mutex_t lock; /* everything below */
    struct detector_options o;
    struct gt_table index; /* id -> struct seen */
    struct seen **v;
    size_t n, cap;
    int64_t looked_at;
    int64_t counts_from; /* what was lost before an operator's word counts no more */
    struct detector_brake brake;
};

struct detector *detector_new(const struct detector_options *o)
{
    struct detector *d = gt_new(struct detector);
    d->o = *o;
    d->looked_at = d->counts_from = INT64_MIN / 2;
    gt_table_init(&d->index);
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void detector_free(struct detector *d)
{
    if (!d) {
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i]);
    }
    free(d->v);
    gt_table_fini(&d->index);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static struct seen *entry_of(struct detector *d, struct gt_str node)
{
    struct seen *s = gt_table_get(&d->index, node);
    if (!s && node.n && node.n < DETECTOR_NODE_MAX) {
        s = gt_new(struct seen);
        memcpy(s->node, node.p, node.n);
        gt_table_put(&d->index, node, s);
        if (d->n == d->cap) {
            d->cap = d->cap ? d->cap * 2 : 16;
            d->v = gt_realloc(d->v, d->cap * sizeof(struct seen *));
        }
        d->v[d->n++] = s;
    }
    return s;
}

void detector_heard(struct detector *d, struct gt_str node, int64_t now)
{
    pthread_mutex_lock(&d->lock);
    struct seen *s = entry_of(d, node);
    if (s) {
        s->heard_at = GT_MAX(s->heard_at, now);
        s->heard = true;
        s->let_go = false;
    }
    pthread_mutex_unlock(&d->lock);
}

/* What it said since this process started is newer. */
static void recall(struct detector *d, struct seen *s, enum detector_state state, int64_t lost_at,
                   int64_t now)
{
    s->state = state;
    s->lost_at = lost_at;
    s->counted = state == DETECTOR_LOST && now - lost_at < d->o.brake_window_ms;
    if (!s->heard) {
        s->heard_at = state == DETECTOR_LIVE ? now : now - d->o.lost_after_ms - 1;
    }
    if (state == DETECTOR_HELD && !d->brake.on) { /* it was on when the server ended */
        d->brake = (struct detector_brake){.on = true, .since = lost_at};
    }
}

void detector_known(struct detector *d, struct gt_str node, enum detector_state state,
                    int64_t lost_at, int64_t now)
{
    pthread_mutex_lock(&d->lock);
    struct seen *s = entry_of(d, node);
    if (s) {
        recall(d, s, state, lost_at, now);
    }
    pthread_mutex_unlock(&d->lock);
}

void detector_forget(struct detector *d, struct gt_str node)
{
    pthread_mutex_lock(&d->lock);
    struct seen *s = gt_table_del(&d->index, node);
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++) {
        if (d->v[i] != s) {
            d->v[n++] = d->v[i];
        }
    }
    d->n = n;
    free(s);
    pthread_mutex_unlock(&d->lock);
}

static bool silent(const struct detector *d, const struct seen *s, int64_t now)
{
    return now - s->heard_at > d->o.lost_after_ms;
}

/* Lost, and not long ago: its tasks may just be being replaced. */
static bool lost_lately(const struct detector *d, const struct seen *s, int64_t now)
{
    return s->state == DETECTOR_LOST && !s->let_go && silent(d, s, now) &&
           (d->brake.on ? s->counted
                        : s->lost_at > GT_MAX(now - d->o.brake_window_ms, d->counts_from));
}

static void put_brake(struct detector *d, int64_t now)
{
    int64_t missing = 0, of = 0, held = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct seen *s = d->v[i];
        bool late = silent(d, s, now), lost = lost_lately(d, s, now);
        bool here = s->state != DETECTOR_LOST && !s->let_go;
        held += late && here;
        missing += (late && here) || lost;
        of += here || lost || !late;
    }
    bool on = held && of >= d->o.brake_from && missing * 100 > d->o.brake_percent * of;
    if (on && !d->brake.on) {
        for (size_t i = 0; i < d->n; i++) {
            d->v[i]->counted = lost_lately(d, d->v[i], now);
        }
        d->brake = (struct detector_brake){.on = true, .since = now};
    }
    if (on && !d->brake.of) {
        d->brake.silent = missing;
        d->brake.of = of;
    }
    d->brake.on = on;
}

/* So long a stop of this process says nothing of the nodes. */
static void forgive(struct detector *d, int64_t now)
{
    if (d->looked_at > 0 && now - d->looked_at > d->o.lost_after_ms / 2) {
        for (size_t i = 0; i < d->n; i++) {
            if (d->v[i]->state == DETECTOR_LIVE) {
                d->v[i]->heard_at = now;
            }
        }
    }
    d->looked_at = now;
}

static enum detector_state verdict(const struct detector *d, const struct seen *s, int64_t now)
{
    if (!silent(d, s, now)) {
        return DETECTOR_LIVE;
    }
    return s->state != DETECTOR_LOST && d->brake.on && !s->let_go ? DETECTOR_HELD : DETECTOR_LOST;
}

size_t detector_look(struct detector *d, int64_t now, struct detector_change *to, size_t max)
{
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    forgive(d, now);
    put_brake(d, now);
    for (size_t i = 0; i < d->n && n < max; i++) {
        const struct seen *s = d->v[i];
        enum detector_state want = verdict(d, s, now);
        if (want != s->state && now >= s->again_at) {
            memcpy(to[n].node, s->node, sizeof s->node);
            to[n++].state = want;
        }
    }
    pthread_mutex_unlock(&d->lock);
    return n;
}

void detector_told(struct detector *d, const struct detector_change *c, bool taken, int64_t now)
{
    pthread_mutex_lock(&d->lock);
    struct seen *s = gt_table_get(&d->index, gt_str(c->node));
    if (s && taken) {
        s->state = c->state;
        s->again_at = 0;
        s->lost_at = c->state == DETECTOR_LIVE ? 0 : now;
        s->counted = false;
    } else if (s) {
        s->again_at = now + AGAIN_MS;
    }
    pthread_mutex_unlock(&d->lock);
}

void detector_release(struct detector *d, int64_t now)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n; i++) {
        d->v[i]->let_go = d->v[i]->state == DETECTOR_HELD;
    }
    d->brake = (struct detector_brake){0};
    d->counts_from = now;
    pthread_mutex_unlock(&d->lock);
}

void detector_gone(struct detector *d, struct gt_str node)
{
    pthread_mutex_lock(&d->lock);
    struct seen *s = gt_table_get(&d->index, node);
    if (s) {
        s->let_go = true;
    }
    pthread_mutex_unlock(&d->lock);
}

struct detector_brake detector_brake(struct detector *d)
{
    pthread_mutex_lock(&d->lock);
    struct detector_brake b = d->brake;
    pthread_mutex_unlock(&d->lock);
    return b;
}

int64_t detector_heard_at(struct detector *d, struct gt_str node)
{
    pthread_mutex_lock(&d->lock);
    const struct seen *s = gt_table_get(&d->index, node);
    int64_t at = s && s->heard ? s->heard_at : -1;
    pthread_mutex_unlock(&d->lock);
    return at;
}
