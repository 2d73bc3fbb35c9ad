/* Report and Heartbeat: one report is on its way at a time; what changed meanwhile is in the next.
 */
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/wire/json.h"
#include "node/agent/session_priv.h"
#include "node/agent/task.h"

#include <time.h>

enum { REPORT_AGAIN_MS = 300, REPORT_BATCH = 200 };

struct report {
    struct gt_arena arena;
    struct agent_report_in in;
    bool final[REPORT_BATCH];
};

void report_free(struct report *r)
{
    if (r) {
        gt_arena_fini(&r->arena);
        free(r);
    }
}

static void on_report_done(struct node *n, void *arg);

struct reported {
    struct report *report;
    bool ok;
};

static void say_if_refused(const struct agent_report_out *out, struct gt_str id)
{
    for (size_t i = 0; i < out->refused.n; i++) {
        if (gt_str_eq(out->refused.v[i].id, id)) {
            gt_debug("report on %.*s refused: %.*s", GT_STR_ARG(id),
                     GT_STR_ARG(out->refused.v[i].reason));
            return;
        }
    }
}

/* Sends the report, and hands it back to the loop. */
static int send_report(struct session *s, struct api_client *c, struct report *p,
                       struct gt_err *err)
{
    struct gt_arena a;
    struct agent_report_out out = {0};
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    int r = api_call(c, &agent_op_report, &p->in, &a, &out, err);
    for (size_t i = 0; r == 0 && i < p->in.tasks.n; i++) {
        say_if_refused(&out, p->in.tasks.v[i].id);
    }
    gt_arena_fini(&a);
    if (r < 0) {
        gt_debug("report: %s", err->msg);
        node_pause(&s->stop, REPORT_AGAIN_MS);
    }
    struct reported *done = gt_new(struct reported);
    *done = (struct reported){p, r == 0};
    node_post(s->n, on_report_done, done);
    return r;
}

static int beat(struct api_client *c, struct gt_str session, struct gt_err *err)
{
    struct gt_arena a;
    struct agent_heartbeat_in in = {.session = session};
    struct agent_heartbeat_out out;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    int r = api_call(c, &agent_op_heartbeat, &in, &a, &out, err);
    gt_arena_fini(&a);
    return r;
}

/* Waits, under the lock, for a report or until a heartbeat is due. */
static void await_report(struct session *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += s->heartbeat_ms / 1000;
    int waited = 0;
    while (!atomic_load(&s->stop) && waited == 0 && !(s->pending && s->id[0])) {
        waited = pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
}

/* The poll under way ends when its session did. */
static void recall(struct session *s, const char *id)
{
    pthread_mutex_lock(&s->lock);
    bool same = gt_streq(s->id, id);
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->recall, same);
}

static struct report *take_pending(struct session *s)
{
    pthread_mutex_lock(&s->lock);
    struct report *p = gt_steal_ptr(s->pending);
    pthread_mutex_unlock(&s->lock);
    return p;
}

/* One report or, when there is none, a heartbeat. The client is made when there is a session: with
 * it the node has a key of its own. What can't be sent stays pending. */
static void say(struct session *s, struct api_client **c, const char *id)
{
    struct gt_err err = GT_ERR_INIT;
    if (!*c && node_client_new(s->n, NULL, 30000, &s->stop, c, &err) < 0) {
        gt_debug("report: %s", err.msg);
        node_pause(&s->stop, REPORT_AGAIN_MS);
        return;
    }
    struct report *p = take_pending(s);
    int r = 0;
    if (p) {
        p->in.session = gt_str(id);
        r = send_report(s, *c, p, &err);
    } else if (!atomic_load(&s->stop)) {
        r = beat(*c, gt_str(id), &err);
    }
    if (r < 0 && session_over(*c)) {
        recall(s, id);
    }
}

void *session_report_loop(void *arg)
{
    struct session *s = arg;
    struct api_client *c = NULL;
    char id[sizeof s->id];
    while (!atomic_load(&s->stop)) {
        pthread_mutex_lock(&s->lock);
        await_report(s);
        memcpy(id, s->id, sizeof id);
        pthread_mutex_unlock(&s->lock);
        if (id[0]) {
            say(s, &c, id);
        }
    }
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
        report_free(p);
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

void session_report_all(struct node *n)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        ((struct task *)e->value)->dirty = true;
    }
    session_report_soon(n->session);
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
    report_free(p);
    free(d);
    session_report_soon(n->session);
}
