#include "lib/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const names[] = {"debug", "info", "warn", "error"};
static const char *component = "gantry";
static enum gt_log_level threshold = GT_LOG_INFO;

void gt_log_init(const char *name)
{
    component = name;
    const char *want = getenv("GANTRY_LOG");
    for (int i = 0; want && i < 4; i++) {
        if (strcmp(want, names[i]) == 0) {
            threshold = (enum gt_log_level)i;
        }
    }
}

void gt_log_set_level(enum gt_log_level level)
{
    threshold = level;
}

bool gt_log_enabled(enum gt_log_level level)
{
    return level >= threshold;
}

static size_t escape(char *to, size_t cap, const char *from)
{
    size_t n = 0;
    for (; *from && n + 5 < cap; from++) {
        unsigned char c = (unsigned char)*from;
        if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(to + n, cap - n, "\\x%02x", c);
        } else {
            to[n++] = (char)c;
        }
    }
    return n;
}

void gt_log(enum gt_log_level level, const char *fmt, ...)
{
    if (!gt_log_enabled(level)) {
        return;
    }
    char text[2048], line[4608];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);

    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %-5s %s: ", now.tv_nsec / 1000000,
                          names[level], component);
    n += escape(line + n, sizeof line - n - 1, text);
    line[n++] = '\n';
    /* One write, so that lines of several threads do not mix. Nobody is left to tell if it fails.
     */
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
