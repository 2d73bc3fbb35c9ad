/*
 * A hash table from bytes to a pointer: the way from an id to an object with one owner.
 *
 * Keys are copied. Values belong to the caller. The hash is seeded for each table, so that keys
 * from outside cannot be chosen to collide. The order of iteration means nothing; code that must
 * be deterministic sorts or uses an ordered map. Removing while iterating is allowed for the
 * element just visited.
 */
#ifndef GT_LIB_BASE_TABLE_H
#define GT_LIB_BASE_TABLE_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gt_table_entry {
    struct gt_table_entry *next;
    uint64_t hash;
    void *value;
    uint32_t key_len;
    char key[]; /* NUL after it */
};

struct gt_table {
    struct gt_table_entry **slots;
    size_t count, mask;
    uint64_t seed;
};

void gt_table_init(struct gt_table *t);
void gt_table_fini(struct gt_table *t); /* frees keys, not values */
void *gt_table_get(const struct gt_table *t, struct gt_str key);
void *gt_table_put(struct gt_table *t, struct gt_str key, void *value); /* returns the old value */
void *gt_table_del(struct gt_table *t, struct gt_str key);              /* returns the old value */

struct gt_table_iter {
    size_t slot;
    struct gt_table_entry *next;
};
/* for (struct gt_table_iter it = { 0 }; (e = gt_table_next(t, &it));) ... */
struct gt_table_entry *gt_table_next(const struct gt_table *t, struct gt_table_iter *it);

uint64_t gt_hash(const void *p, size_t n, uint64_t seed);

#endif
