/* Untrusted text is a pointer and a length; it need not end in NUL and may be empty (p NULL). */
#ifndef GT_LIB_BASE_STR_H
#define GT_LIB_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct gt_str {
    const char *p;
    size_t n;
};

#define GT_STR_LIT(s) ((struct gt_str){(s), sizeof(s) - 1})
#define GT_STR_FMT "%.*s"
#define GT_STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct gt_str gt_str(const char *s)
{
    return (struct gt_str){s, s ? strlen(s) : 0};
}

static inline struct gt_str gt_str_n(const char *p, size_t n)
{
    return (struct gt_str){p, n};
}

static inline bool gt_str_eq(struct gt_str a, struct gt_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool gt_str_is(struct gt_str a, const char *lit)
{
    return gt_str_eq(a, gt_str(lit));
}

static inline bool gt_str_starts(struct gt_str a, struct gt_str prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

static inline int gt_str_cmp(struct gt_str a, struct gt_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

/* The parts one after the other, in `to`; p NULL: they do not fit into `room` bytes. */
static inline struct gt_str gt_str_concat(const struct gt_str *parts, size_t n_parts, char *to,
                                          size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].n > room - n) {
            return (struct gt_str){0};
        }
        if (parts[i].n) {
            memcpy(to + n, parts[i].p, parts[i].n);
        }
        n += parts[i].n;
    }
    return gt_str_n(to, n);
}

static inline bool gt_streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

#endif
