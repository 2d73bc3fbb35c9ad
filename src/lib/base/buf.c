#include "lib/base/buf.h"

#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST = 128 }; /* bytes, the NUL included */

void gt_buf_fini(struct gt_buf *b)
{
    free(b->p);
    *b = GT_BUF_INIT(b->max);
}

void gt_buf_reset(struct gt_buf *b)
{
    b->n = 0;
    b->overflow = false;
    if (b->p) {
        b->p[0] = '\0';
    }
}

char *gt_buf_grow(struct gt_buf *b, size_t n)
{
    if (n > b->max || b->n > b->max - n) {
        b->overflow = true;
        return NULL;
    }
    size_t need = b->n + n + 1;
    if (need > b->cap) {
        size_t cap = GT_MAX(GT_MAX(need, b->cap * 2), (size_t)FIRST);
        b->p = gt_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void gt_buf_puts(struct gt_buf *b, const char *s)
{
    gt_buf_add(b, s, strlen(s));
}

void gt_buf_str(struct gt_buf *b, struct gt_str s)
{
    gt_buf_add(b, s.p, s.n);
}

void gt_buf_int(struct gt_buf *b, int64_t v)
{
    char text[24], *p = text + sizeof text;
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (v < 0) {
        *--p = '-';
    }
    gt_buf_add(b, p, (size_t)(text + sizeof text - p));
}

void gt_buf_printf(struct gt_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    char text[256]; /* most is short: formatting it twice to know its length costs more */
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    GT_ASSERT(n >= 0);
    if ((size_t)n < sizeof text) {
        gt_buf_add(b, text, (size_t)n);
    } else {
        char *to = gt_buf_reserve(b, (size_t)n);
        if (to) {
            vsnprintf(to, (size_t)n + 1, fmt, again);
            b->n += (size_t)n;
        }
    }
    va_end(again);
}

void gt_buf_consume(struct gt_buf *b, size_t n)
{
    GT_ASSERT(n <= b->n);
    if (n) {
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
        b->p[b->n] = '\0';
    }
}

char *gt_buf_steal(struct gt_buf *b)
{
    char *p = b->p ? b->p : gt_strdup("");
    *b = GT_BUF_INIT(b->max);
    return p;
}
