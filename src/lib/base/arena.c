#include "lib/base/arena.h"

#include "lib/base/mem.h"

#include <stdint.h>
#include <stdio.h>

struct gt_arena_chunk {
    struct gt_arena_chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
};

enum { FIRST_CHUNK = 4096, LARGEST_CHUNK = 256 * 1024 };

void gt_arena_init(struct gt_arena *a, size_t cap)
{
    *a = (struct gt_arena){.cap = cap};
}

static void free_from(struct gt_arena_chunk *c)
{
    while (c) {
        struct gt_arena_chunk *next = c->next;
        free(c);
        c = next;
    }
}

void gt_arena_fini(struct gt_arena *a)
{
    free_from(a->chunk);
    a->chunk = NULL;
    a->used = 0;
}

void gt_arena_reset(struct gt_arena *a)
{
    if (a->chunk) {
        free_from(a->chunk->next);
        a->chunk->next = NULL;
        a->chunk->used = 0;
        if (a->chunk->size > LARGEST_CHUNK) {
            gt_arena_fini(a);
        }
    }
    a->used = 0;
}

struct gt_arena_mark gt_arena_mark(const struct gt_arena *a)
{
    return (struct gt_arena_mark){a->chunk, a->chunk ? a->chunk->used : 0, a->used};
}

void gt_arena_release(struct gt_arena *a, struct gt_arena_mark m)
{
    while (a->chunk != m.chunk) {
        struct gt_arena_chunk *next = a->chunk->next;
        free(a->chunk);
        a->chunk = next;
    }
    if (a->chunk) {
        a->chunk->used = m.chunk_used;
    }
    a->used = m.used;
}

static struct gt_arena_chunk *add_chunk(struct gt_arena *a, size_t need)
{
    size_t size = a->chunk ? GT_MIN(a->chunk->size * 2, (size_t)LARGEST_CHUNK) : FIRST_CHUNK;
    size = GT_MAX(size, need);
    struct gt_arena_chunk *c = gt_malloc(sizeof *c + size);
    c->next = a->chunk;
    c->used = 0;
    c->size = size;
    a->chunk = c;
    return c;
}

void *gt_arena_try_alloc(struct gt_arena *a, size_t n)
{
    if (n > a->cap || a->used > a->cap - n) {
        return NULL;
    }
    size_t need = (n + 15) & ~(size_t)15;
    struct gt_arena_chunk *c = a->chunk;
    if (!c || c->size - c->used < need) {
        c = add_chunk(a, need);
    }
    void *p = c->data + c->used;
    c->used += need;
    a->used += need;
    return memset(p, 0, need);
}

void *gt_arena_alloc(struct gt_arena *a, size_t n)
{
    void *p = gt_arena_try_alloc(a, n);
    GT_ASSERT(p != NULL);
    return p;
}

char *gt_arena_strdup(struct gt_arena *a, const char *s)
{
    return gt_arena_str(a, gt_str(s));
}

char *gt_arena_str(struct gt_arena *a, struct gt_str s)
{
    char *p = gt_arena_alloc(a, s.n + 1);
    if (s.n) {
        memcpy(p, s.p, s.n);
    }
    return p;
}

char *gt_arena_vprintf(struct gt_arena *a, struct gt_str prefix, const char *fmt, va_list ap)
{
    char text[256]; /* most is short: formatting it twice to know its length costs more */
    va_list again;
    va_copy(again, ap);
    int r = vsnprintf(text, sizeof text, fmt, ap);
    GT_ASSERT(r >= 0);
    size_t n = (size_t)r;
    char *p = gt_arena_alloc(a, prefix.n + n + 1);
    if (prefix.n) {
        memcpy(p, prefix.p, prefix.n);
    }
    if (n < sizeof text) {
        memcpy(p + prefix.n, text, n);
    } else {
        vsnprintf(p + prefix.n, n + 1, fmt, again);
    }
    va_end(again);
    return p;
}

char *gt_arena_printf(struct gt_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *p = gt_arena_vprintf(a, (struct gt_str){0}, fmt, ap);
    va_end(ap);
    return p;
}
