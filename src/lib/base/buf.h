/*
 * A growing byte buffer with a maximum. `p` is always NUL-terminated once anything was added
 * (the NUL is not counted). Going over the maximum sets `overflow`, drops the addition, and keeps
 * the rest: a writer may add without looking and check once at the end with gt_buf_ok().
 */
#ifndef GT_LIB_BASE_BUF_H
#define GT_LIB_BASE_BUF_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gt_buf {
    char *p;
    size_t n, cap, max;
    bool overflow;
};

#define GT_BUF_INIT(max_) ((struct gt_buf){.max = (max_)})

void gt_buf_fini(struct gt_buf *b);
void gt_buf_reset(struct gt_buf *b); /* empties, keeps the memory */
void gt_buf_puts(struct gt_buf *b, const char *s);
void gt_buf_str(struct gt_buf *b, struct gt_str s);
void gt_buf_int(struct gt_buf *b, int64_t v); /* in decimal digits */
void gt_buf_printf(struct gt_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *gt_buf_grow(struct gt_buf *b, size_t n);   /* gt_buf_reserve() when there is no room */
void gt_buf_consume(struct gt_buf *b, size_t n); /* drops n bytes at the front */
char *gt_buf_steal(struct gt_buf *b);            /* the caller frees it; never NULL */

/* Makes room for n more bytes and returns where they go (the caller then adds to b->n), or NULL
 * when that would exceed the maximum. */
static inline char *gt_buf_reserve(struct gt_buf *b, size_t n)
{
    bool room = n < b->cap - b->n && n <= b->max - b->n;
    return room ? b->p + b->n : gt_buf_grow(b, n);
}

static inline void gt_buf_add(struct gt_buf *b, const void *p, size_t n)
{
    char *to = gt_buf_reserve(b, n);
    if (to) {
        if (n) {
            memcpy(to, p, n);
        }
        to[n] = '\0';
        b->n += n;
    }
}

static inline void gt_buf_putc(struct gt_buf *b, char c)
{
    gt_buf_add(b, &c, 1);
}

static inline bool gt_buf_ok(const struct gt_buf *b)
{
    return !b->overflow;
}

static inline struct gt_str gt_buf_view(const struct gt_buf *b)
{
    return gt_str_n(b->p, b->n);
}

#define gt_auto_buf __attribute__((cleanup(gt_buf_fini)))

#endif
