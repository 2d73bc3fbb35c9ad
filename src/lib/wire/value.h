/* Access to members of generated structs by descriptor, for the codecs. */
#ifndef GT_LIB_WIRE_VALUE_H
#define GT_LIB_WIRE_VALUE_H

#include "lib/base/arena.h"
#include "lib/wire/wire.h"

/* Scalars with a has_ flag: integer, long, timestamp, boolean, double. */
static inline bool wire_type_has_flag(enum wire_type t)
{
    return t >= WIRE_INTEGER && t <= WIRE_DOUBLE;
}

/* The value of a member as its descriptor's size has it; structures are followed. NULL: absent.
 * An empty list or map without `has` is absent. */
static inline const void *wire_member_value(const struct wire_member *m, const void *in)
{
    const char *at = (const char *)in + m->offset;
    enum wire_type t = m->shape->type;
    if (t == WIRE_STRUCTURE) {
        return *(const void *const *)(const void *)at;
    }
    if (wire_type_has_flag(t)) {
        return *(const bool *)((const char *)in + m->has_offset) ? at : NULL;
    }
    if (t == WIRE_LIST || t == WIRE_MAP) {
        const struct wire_list *list = (const void *)at;
        return list->has || list->n > 0 ? at : NULL;
    }
    return ((const struct gt_str *)(const void *)at)->p ? at : NULL;
}

/* Where the value of a member goes: allocates a structure, sets the has_ flag. NULL: the arena
 * is full. */
static inline void *wire_member_place(const struct wire_member *m, void *out,
                                      struct gt_arena *arena)
{
    char *at = (char *)out + m->offset;
    enum wire_type t = m->shape->type;
    if (t == WIRE_STRUCTURE) {
        void *child = gt_arena_try_alloc(arena, m->shape->size);
        *(void **)(void *)at = child;
        return child;
    }
    if (wire_type_has_flag(t)) {
        *(bool *)((char *)out + m->has_offset) = true;
    }
    return at;
}

/* Undoes wire_member_place: the member is absent again. */
static inline void wire_member_clear(const struct wire_member *m, void *out)
{
    size_t n = m->shape->type == WIRE_STRUCTURE ? sizeof(void *) : m->shape->size;
    memset((char *)out + m->offset, 0, n);
    if (wire_type_has_flag(m->shape->type)) {
        *(bool *)((char *)out + m->has_offset) = false;
    }
}

/* Room for one more element at the end of a list or map, zeroed; `cap` is kept by the caller.
 * NULL: the arena is full. */
static inline void *wire_list_grow(const struct wire_shape *shape, struct wire_list *list,
                                   size_t *cap, struct gt_arena *arena)
{
    if (list->n == *cap) {
        size_t more = *cap ? *cap * 2 : 4;
        char *v = gt_arena_try_alloc(arena, more * shape->elem_size);
        if (!v) {
            return NULL;
        }
        if (list->n) {
            memcpy(v, list->v, list->n * shape->elem_size);
        }
        list->v = v;
        *cap = more;
    }
    return (char *)list->v + list->n++ * shape->elem_size;
}

#endif
