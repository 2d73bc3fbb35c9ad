#include "lib/base/clock.h"

#include <stdio.h>
#include <time.h>

static struct timespec get(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t;
}

int64_t gt_clock_real_ms(void)
{
    struct timespec t = get(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t gt_clock_mono_ms(void)
{
    return gt_clock_mono_ns() / 1000000;
}

int64_t gt_clock_mono_ns(void)
{
    struct timespec t = get(CLOCK_MONOTONIC);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void gt_time_rfc3339(int64_t ms, char to[static 25])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char whole[20];
    gmtime_r(&s, &tm);
    if (strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        whole[0] = '\0'; /* a year over 9999 */
    }
    snprintf(to, 25, "%s.%03uZ", whole, (unsigned)(ms % 1000) % 1000);
}
