#include "lib/base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *must(void *p)
{
    if (!p) {
        static const char text[] = "gantry: out of memory\n";
        ssize_t ignored = write(2, text, sizeof text - 1);
        (void)ignored;
        abort();
    }
    return p;
}

void *gt_malloc(size_t n)
{
    return must(malloc(n ? n : 1));
}

void *gt_calloc(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *gt_realloc(void *p, size_t n)
{
    return must(realloc(p, n ? n : 1));
}

char *gt_strdup(const char *s)
{
    return must(strdup(s));
}

char *gt_strndup(const char *s, size_t n)
{
    return must(strndup(s, n));
}

void *gt_memdup(const void *p, size_t n)
{
    void *copy = gt_malloc(n);
    if (n) {
        memcpy(copy, p, n);
    }
    return copy;
}

char *gt_asprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return must(n < 0 ? NULL : s);
}

void gt_freep(void *p)
{
    void **pp = p;
    free(*pp);
    *pp = NULL;
}

void gt_closep(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
        *fd = -1;
    }
}

void gt_assert_fail(const char *cond, const char *file, int line)
{
    fprintf(stderr, "gantry: %s:%d: broken promise: %s\n", file, line, cond);
    abort();
}
