#include "lib/base/mem.h"
#include "node/agent/node.h"

#include <time.h>

struct post {
    struct post *next;
    void (*fn)(struct node *n, void *arg);
    void *arg;
};

struct work {
    uv_work_t req;
    struct node *n;
    void (*work)(void *arg);
    void (*done)(struct node *n, void *arg);
    void *arg;
    atomic_bool *give_up;
};

static void on_wake(uv_async_t *a)
{
    struct node *n = a->data;
    pthread_mutex_lock(&n->post_lock);
    struct post *p = n->posts;
    n->posts = NULL;
    n->posts_end = &n->posts;
    pthread_mutex_unlock(&n->post_lock);
    while (p) {
        struct post *next = p->next;
        p->fn(n, p->arg);
        free(p);
        p = next;
    }
}

int node_loop_init(struct node *n, struct gt_err *err)
{
    pthread_mutex_init(&n->post_lock, NULL);
    pthread_mutex_init(&n->apart_lock, NULL);
    pthread_cond_init(&n->apart_free, NULL);
    n->posts_end = &n->posts;
    int r = uv_loop_init(&n->loop);
    if (r == 0) {
        r = uv_async_init(&n->loop, &n->wake, on_wake);
    }
    n->wake.data = n;
    return r < 0 ? gt_err_errno(err, r, "start the event loop") : 0;
}

void node_post(struct node *n, void (*fn)(struct node *n, void *arg), void *arg)
{
    struct post *p = gt_new(struct post);
    p->fn = fn;
    p->arg = arg;
    pthread_mutex_lock(&n->post_lock);
    *n->posts_end = p;
    n->posts_end = &p->next;
    pthread_mutex_unlock(&n->post_lock);
    uv_async_send(&n->wake);
}

static void on_work(uv_work_t *req)
{
    struct work *w = req->data;
    w->work(w->arg);
}

static void on_work_done(uv_work_t *req, int status)
{
    struct work *w = req->data;
    w->done(w->n, w->arg);
    free(w);
}

void node_work(struct node *n, void (*work)(void *arg), void (*done)(struct node *n, void *arg),
               void *arg)
{
    struct work *w = gt_new(struct work);
    *w = (struct work){.n = n, .work = work, .done = done, .arg = arg};
    w->req.data = w;
    uv_queue_work(&n->loop, &w->req, on_work, on_work_done);
}

/* -- on threads of their own -- */

static bool turn_comes(const struct work *w)
{
    return w->n->apart < NODE_WORK_APART || (w->give_up && atomic_load(w->give_up));
}

static void take_turn(struct work *w)
{
    pthread_mutex_lock(&w->n->apart_lock);
    while (!turn_comes(w)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++; /* nobody signals a change of give_up */
        pthread_cond_timedwait(&w->n->apart_free, &w->n->apart_lock, &until);
    }
    w->n->apart++;
    pthread_mutex_unlock(&w->n->apart_lock);
}

static void apart_done(struct node *n, void *arg)
{
    struct work *w = arg;
    w->done(n, w->arg);
    free(w);
}

static void *apart_thread(void *arg)
{
    struct work *w = arg;
    struct node *n = w->n;
    take_turn(w);
    w->work(w->arg);
    pthread_mutex_lock(&n->apart_lock);
    n->apart--;
    pthread_cond_signal(&n->apart_free);
    pthread_mutex_unlock(&n->apart_lock);
    node_post(n, apart_done, w);
    return NULL;
}

void node_work_apart(struct node *n, void (*work)(void *arg),
                     void (*done)(struct node *n, void *arg), void *arg, atomic_bool *give_up)
{
    struct work *w = gt_new(struct work);
    *w = (struct work){.n = n, .work = work, .done = done, .arg = arg, .give_up = give_up};
    w->req.data = w;
    pthread_t thread;
    if (pthread_create(&thread, NULL, apart_thread, w) == 0) {
        pthread_detach(thread);
    } else {
        uv_queue_work(&n->loop, &w->req, on_work, on_work_done);
    }
}
