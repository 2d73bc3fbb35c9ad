#include "lib/http/server_clock.h"

#include "lib/base/clock.h"
#include "lib/base/mem.h"

/* time(2), which dates answers, follows the kernel's ticks: a second begins up to one late. */
enum { SECOND_MS = 1000, TICK_MS = 10 };

void server_clock_heard(struct server_clock *c, int64_t date, int64_t sent, int64_t received)
{
    int64_t low = date - received, high = date + SECOND_MS + TICK_MS - sent;
    if (low >= high) {
        return; /* the local clock was set back during the call */
    }
    pthread_mutex_lock(&c->lock);
    if (c->heard && GT_MAX(low, c->low) < GT_MIN(high, c->high)) {
        low = GT_MAX(low, c->low);
        high = GT_MIN(high, c->high);
    }
    c->low = low;
    c->high = high;
    c->heard = true;
    pthread_mutex_unlock(&c->lock);
}

int64_t server_clock_ahead(struct server_clock *c)
{
    pthread_mutex_lock(&c->lock);
    bool right = !c->heard || (c->low <= 0 && c->high > 0);
    int64_t ahead = right ? 0 : c->low + (c->high - c->low) / 2;
    pthread_mutex_unlock(&c->lock);
    return ahead;
}

int64_t server_clock_now(struct server_clock *c)
{
    return gt_clock_real_ms() + server_clock_ahead(c);
}
