#include "control/server/housekeeping.h"

#include "control/server/server_priv.h"
#include "control/services/logs/logs.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"

#include <pthread.h>
#include <time.h>

enum {
    FIRST_S = 60, /* after start */
    EVERY_S = 5 * 60,
};

struct housekeeping {
    struct server *s;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool stop;
};

static int on_core(void *arg, int (*fn)(struct tx *tx, void *arg, struct gt_err *err), void *fn_arg,
                   struct gt_err *err)
{
    struct server *s = arg;
    struct gt_arena arena;
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    struct core_request c = {.call = {.fn = fn,
                                      .arg = fn_arg,
                                      .principal = {.kind = PRINCIPAL_INTERNAL,
                                                    .account = gt_str(s->keys.account),
                                                    .name = GT_STR_LIT("housekeeping")},
                                      .region = gt_str(s->region),
                                      .arena = &arena,
                                      .label = GT_STR_LIT("housekeeping")},
                             .class = CORE_BACKGROUND};
    int r;
    if (!core_thread_run(s->core, &c)) {
        r = gt_err_set(err, GT_ERR_THROTTLED, "the core has no time for housekeeping");
    } else {
        r = c.call.result;
        if (r < 0 && err) {
            *err = c.call.err;
        }
    }
    gt_arena_fini(&arena);
    return r;
}

/* -- the thread -- */

/* False: it is time to end. */
static bool rest(struct housekeeping *h, int64_t until_ms)
{
    pthread_mutex_lock(&h->lock);
    while (!h->stop && gt_clock_mono_ms() < until_ms) {
        struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
        pthread_cond_timedwait(&h->end, &h->lock, &ts);
    }
    bool on = !h->stop;
    pthread_mutex_unlock(&h->lock);
    return on;
}

static void *keep_house(void *arg)
{
    struct housekeeping *h = arg;
    int64_t at = gt_clock_mono_ms() + FIRST_S * 1000;
    while (rest(h, at)) {
        struct gt_err err = GT_ERR_INIT;
        if (logs_tidy(h->s->logs, gt_clock_real_ms(), on_core, h->s, &err) < 0) {
            gt_warn("tidy up logs: %s", err.msg);
        }
        at = gt_clock_mono_ms() + EVERY_S * 1000;
    }
    return NULL;
}

struct housekeeping *housekeeping_start(struct server *s)
{
    struct housekeeping *h = gt_new(struct housekeeping);
    pthread_condattr_t clock;
    pthread_attr_t attr;
    h->s = s;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&h->end, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    GT_ASSERT(pthread_create(&h->thread, &attr, keep_house, h) == 0);
    pthread_attr_destroy(&attr);
    return h;
}

void housekeeping_stop(struct housekeeping *h)
{
    if (h == NULL) {
        return;
    }
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->end);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->end);
    free(h);
}
