#include "lib/wire/timestamp.h"

#include <errno.h>
#include <time.h>

struct scan {
    const char *p, *end;
};

/* Exactly n digits; -1 when they are not there. */
static int take_digits(struct scan *s, int n)
{
    int v = 0;
    if (s->end - s->p < n) {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char c = *s->p++;
        if (c < '0' || c > '9') {
            return -1;
        }
        v = v * 10 + (c - '0');
    }
    return v;
}

static bool take(struct scan *s, char c)
{
    if (s->p < s->end && *s->p == c) {
        s->p++;
        return true;
    }
    return false;
}

static int fraction_ms(struct scan *s)
{
    int ms = 0, weight = 100;
    if (!take(s, '.')) {
        return 0;
    }
    const char *start = s->p;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++, weight /= 10) {
        ms += (*s->p - '0') * weight;
    }
    return s->p == start ? -1 : ms;
}

/* "Z" or "+hh:mm": minutes east; false when neither is there. */
static bool take_zone(struct scan *s, int *ret_minutes)
{
    *ret_minutes = 0;
    if (take(s, 'Z') || take(s, 'z')) {
        return true;
    }
    int sign = take(s, '+') ? 1 : take(s, '-') ? -1 : 0;
    int h = take_digits(s, 2);
    take(s, ':');
    int m = take_digits(s, 2);
    *ret_minutes = sign * (h * 60 + m);
    return sign != 0 && h >= 0 && h < 24 && m >= 0 && m < 60;
}

int wire_time_parse(struct gt_str text, int64_t *ret_ms)
{
    struct scan s = {text.p, text.p + text.n};
    struct tm tm = {0};
    int zone;

    tm.tm_year = take_digits(&s, 4) - 1900;
    bool extended = take(&s, '-');
    tm.tm_mon = take_digits(&s, 2) - 1;
    if (extended && !take(&s, '-')) {
        return -EINVAL;
    }
    tm.tm_mday = take_digits(&s, 2);
    if (!take(&s, 'T') && !take(&s, 't')) {
        return -EINVAL;
    }
    tm.tm_hour = take_digits(&s, 2);
    bool colons = take(&s, ':');
    tm.tm_min = take_digits(&s, 2);
    if (colons && !take(&s, ':')) {
        return -EINVAL;
    }
    tm.tm_sec = take_digits(&s, 2);
    int ms = fraction_ms(&s);
    if (!take_zone(&s, &zone) || s.p != s.end || ms < 0 || tm.tm_year < -1900 || tm.tm_mon < 0 ||
        tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_hour > 23 ||
        tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60) {
        return -EINVAL;
    }
    int mday = tm.tm_mday;
    tm.tm_sec = tm.tm_sec == 60 ? 59 : tm.tm_sec; /* a leap second has no number of its own */
    time_t t = timegm(&tm);
    if (tm.tm_mday != mday) { /* the 31st of a month that has 30 days */
        return -EINVAL;
    }
    *ret_ms = ((int64_t)t - zone * 60) * 1000 + ms;
    return 0;
}

static void split(int64_t ms, int64_t *sec, int *rest)
{
    *sec = ms / 1000;
    *rest = (int)(ms % 1000);
    if (*rest < 0) {
        *rest += 1000;
        *sec -= 1;
    }
}

void wire_time_put_unix(int64_t ms, struct gt_buf *to)
{
    uint64_t abs = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    int rest = (int)(abs % 1000);

    if (ms < 0) {
        gt_buf_putc(to, '-');
    }
    gt_buf_int(to, (int64_t)(abs / 1000));
    if (rest == 0) {
        return;
    }
    char digits[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10),
                     (char)('0' + rest % 10)};
    size_t n = sizeof digits;
    while (digits[n - 1] == '0') {
        n--;
    }
    gt_buf_add(to, digits, n);
}

void wire_time_put_iso(int64_t ms, struct gt_buf *to)
{
    int64_t sec;
    int rest;
    struct tm tm;

    split(ms, &sec, &rest);
    time_t t = (time_t)sec;
    gmtime_r(&t, &tm);
    gt_buf_printf(to, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                  tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (rest) {
        gt_buf_printf(to, ".%03d", rest);
    }
    gt_buf_putc(to, 'Z');
}
