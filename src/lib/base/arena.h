/*
 * An arena: everything that one request, parse or controller step allocates, freed at once.
 *
 * It has a hard cap in bytes. An allocation over the cap returns NULL from the gt_arena_try_*
 * functions, for sizes that come from outside; the others abort, for sizes that were checked.
 * Memory is zeroed. Nothing in an arena may outlive it. Not for use by two threads at once.
 */
#ifndef GT_LIB_BASE_ARENA_H
#define GT_LIB_BASE_ARENA_H

#include "lib/base/str.h"

#include <stdarg.h>
#include <stddef.h>

struct gt_arena_chunk;
struct gt_arena {
    struct gt_arena_chunk *chunk; /* newest first */
    size_t used, cap;             /* bytes handed out, and the most that may be */
};

void gt_arena_init(struct gt_arena *a, size_t cap);
void gt_arena_fini(struct gt_arena *a);
/* Frees all but one chunk and starts anew: for a worker's arena that serves request after request.
 */
void gt_arena_reset(struct gt_arena *a);

/* Frees what was allocated since the mark: for a loop over many things of which few are kept. */
struct gt_arena_mark {
    struct gt_arena_chunk *chunk;
    size_t chunk_used, used;
};
struct gt_arena_mark gt_arena_mark(const struct gt_arena *a);
void gt_arena_release(struct gt_arena *a, struct gt_arena_mark m);

void *gt_arena_alloc(struct gt_arena *a, size_t n) __attribute__((returns_nonnull));
void *gt_arena_try_alloc(struct gt_arena *a, size_t n);
char *gt_arena_strdup(struct gt_arena *a, const char *s) __attribute__((returns_nonnull));
/* A copy of the text with a NUL after it. */
char *gt_arena_str(struct gt_arena *a, struct gt_str s) __attribute__((returns_nonnull));
/* prefix + formatted rest */
char *gt_arena_vprintf(struct gt_arena *a, struct gt_str prefix, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0), returns_nonnull));
char *gt_arena_printf(struct gt_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));

#define gt_arena_new(a, type) ((type *)gt_arena_alloc((a), sizeof(type)))
#define gt_arena_array(a, type, n) ((type *)gt_arena_alloc((a), sizeof(type) * (n)))

#endif
