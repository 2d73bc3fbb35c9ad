#include "control/server/bulk.h"

#include "lib/base/mem.h"

#include <pthread.h>

enum { STACK = 256 * 1024 };

struct bulk {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct bulk_job *first, **end;
    unsigned waiting, max_waiting, n;
    bool stop;
    pthread_t threads[];
};

static void *work(void *arg)
{
    struct bulk *b = arg;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->first && !b->stop) {
            pthread_cond_wait(&b->more, &b->lock);
        }
        struct bulk_job *job = b->first;
        if (!job) {
            break;
        }
        b->first = job->next;
        if (!b->first) {
            b->end = &b->first;
        }
        b->waiting--;
        pthread_mutex_unlock(&b->lock);
        job->run(job);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

struct bulk *bulk_new(unsigned threads, unsigned max_waiting)
{
    struct bulk *b = gt_calloc(1, sizeof *b + threads * sizeof(pthread_t));
    pthread_attr_t attr;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->more, NULL);
    b->end = &b->first;
    b->max_waiting = max_waiting;
    b->n = threads;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    for (unsigned i = 0; i < threads; i++) {
        GT_ASSERT(pthread_create(&b->threads[i], &attr, work, b) == 0);
    }
    pthread_attr_destroy(&attr);
    return b;
}

bool bulk_submit(struct bulk *b, struct bulk_job *job, bool urgent)
{
    pthread_mutex_lock(&b->lock);
    bool ok = urgent || (b->waiting < b->max_waiting && !b->stop);
    if (ok) {
        job->next = NULL;
        *b->end = job;
        b->end = &job->next;
        b->waiting++;
        pthread_cond_signal(&b->more);
    }
    pthread_mutex_unlock(&b->lock);
    return ok;
}

void bulk_free(struct bulk *b)
{
    if (!b) {
        return;
    }
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->more);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->n; i++) {
        pthread_join(b->threads[i], NULL);
    }
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->more);
    free(b);
}
