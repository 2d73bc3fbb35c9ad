/*
 * Memory and descriptors that clean up after themselves at the end of a scope.
 *
 * Allocation never returns NULL: out of memory aborts. That is honest because every size that
 * comes from outside is capped (limits.h) before it gets here.
 */
#ifndef GT_LIB_BASE_MEM_H
#define GT_LIB_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

void *gt_malloc(size_t n) __attribute__((malloc, returns_nonnull));
void *gt_calloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *gt_realloc(void *p, size_t n) __attribute__((returns_nonnull));
char *gt_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *gt_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *gt_memdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));
char *gt_asprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

#define gt_new(type) ((type *)gt_calloc(1, sizeof(type)))
#define gt_new_array(type, n) ((type *)gt_calloc((n), sizeof(type)))

void gt_freep(void *p); /* p is the address of a pointer */
void gt_closep(int *fd);

#define gt_auto_free __attribute__((cleanup(gt_freep)))
#define gt_auto_close __attribute__((cleanup(gt_closep)))

/* gt_auto(name) for a type with a destructor that takes NULL:
 * GT_DEFINE_AUTO(journal, struct journal *, journal_close) makes gt_auto(journal). */
#define GT_DEFINE_AUTO(name, type, fn)                                                             \
    static inline void gt_auto_##name(type *p)                                                     \
    {                                                                                              \
        if (*p) {                                                                                  \
            fn(*p);                                                                                \
        }                                                                                          \
    }
#define gt_auto(name) __attribute__((cleanup(gt_auto_##name)))

static inline void *gt_steal(void *pp)
{
    void **p = (void **)pp;
    void *v = *p;
    *p = NULL;
    return v;
}
#define gt_steal_ptr(p) ((__typeof__(p))gt_steal(&(p)))

static inline int gt_steal_fd(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}

#define GT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define GT_CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))
#define GT_MIN(a, b) ((a) < (b) ? (a) : (b))
#define GT_MAX(a, b) ((a) > (b) ? (a) : (b))

/* For programming mistakes only; stays on in release builds. */
#define GT_ASSERT(cond)                                                                            \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            gt_assert_fail(#cond, __FILE__, __LINE__);                                             \
        }                                                                                          \
    } while (0)
void gt_assert_fail(const char *cond, const char *file, int line) __attribute__((noreturn));

#endif
