#include "lib/base/mem.h"
#include "node/agent/node.h"

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
