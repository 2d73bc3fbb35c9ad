/*
 * An ordered map from key to an encoded record: a B+tree over bytewise order.
 *
 * An entry is one piece of memory with key and value in it and is never changed once it is in the
 * core's state, but for its revisions at the moment of commit. It is counted, so that a snapshot
 * can hold on to entries while the map goes on; the counts belong to the core's thread.
 * Nodes that become empty go, others are not merged: maps of this kind grow and shrink by chance,
 * and half-full leaves cost less than the code that would join them.
 */
#ifndef GT_CONTROL_CORE_OMAP_H
#define GT_CONTROL_CORE_OMAP_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct omap_entry {
    uint64_t create, modify;
    uint32_t refs;
    uint32_t key_len, value_len;
    bool deleted; /* only in a transaction's own map: the key is to go */
    char data[];  /* key, NUL, value */
};

struct omap_node;
struct omap {
    struct omap_node *root; /* NULL: empty */
    size_t count;
};

/* With one reference. `value` may be empty. */
struct omap_entry *omap_entry_new(struct gt_str key, struct gt_str value);
void omap_entry_unref(struct omap_entry *e);

static inline struct gt_str omap_key(const struct omap_entry *e)
{
    return gt_str_n(e->data, e->key_len);
}

static inline struct gt_str omap_value(const struct omap_entry *e)
{
    return gt_str_n(e->data + e->key_len + 1, e->value_len);
}

void omap_fini(struct omap *m);
struct omap_entry *omap_get(const struct omap *m, struct gt_str key);
/* The first entry with a key >= `key`, or > `key` when `after`; NULL: none. */
struct omap_entry *omap_seek(const struct omap *m, struct gt_str key, bool after);
/* Visits the entries from there on in order, until `visit` says false; O(1) for each of them. It
 * may not change the map. */
typedef bool omap_visit(void *arg, struct omap_entry *e);
void omap_walk(const struct omap *m, struct gt_str key, bool after, omap_visit *visit, void *arg);
/* Takes over the caller's reference; gives back the entry that had this key, or NULL. */
struct omap_entry *omap_put(struct omap *m, struct omap_entry *e);
struct omap_entry *omap_del(struct omap *m, struct gt_str key);

#endif
