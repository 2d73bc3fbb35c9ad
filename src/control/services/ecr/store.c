#include "control/services/ecr/store.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/crypto/digest.h"

#include <time.h>

#define COLLECT_EVERY_S 3600

static void *collector(void *arg)
{
    struct ecr_store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        pthread_mutex_unlock(&s->lock);
        struct gt_err err = GT_ERR_INIT;
        int gone = registry_collect(s->registry, gt_clock_real_ms() - ECR_GRACE_MS, &err);
        if (gone < 0) {
            gt_warn("registry: collect: %s", err.msg);
        } else if (gone > 0) {
            gt_info("registry: collected %d blobs", gone);
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += COLLECT_EVERY_S;
        pthread_mutex_lock(&s->lock);
        while (!s->closing && pthread_cond_timedwait(&s->wake, &s->lock, &until) == 0) {
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void collector_start(struct ecr_store *s)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    GT_ASSERT(pthread_create(&s->collector, NULL, collector, s) == 0);
}

int ecr_store_open(const struct ecr_store_options *o, struct ecr_store **ret, struct gt_err *err)
{
    struct ecr_store *s = gt_new(struct ecr_store);
    int r = registry_open(o->dir, &s->registry, err);
    if (r < 0) {
        free(s);
        return r;
    }
    s->host = gt_strdup(o->host);
    s->tls = o->tls;
    memcpy(s->secret, o->secret, sizeof(s->secret));
    atomic_flag_clear(&s->orphans_dropped);
    collector_start(s);
    *ret = s;
    return 0;
}

void ecr_store_close(struct ecr_store *s)
{
    if (!s) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->collector, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    registry_close(s->registry);
    gt_wipe(s->secret, sizeof(s->secret));
    free(s->host);
    free(s);
}
