#include "lib/base/table.h"

#include "lib/base/mem.h"
#include "lib/base/rand.h"

enum { FIRST_SLOTS = 16 };

static inline uint64_t fold(uint64_t h, uint64_t w)
{
    unsigned __int128 m = (unsigned __int128)(h ^ w) * 0xa0761d6478bd642fu;
    return (uint64_t)m ^ (uint64_t)(m >> 64) ^ 0xe7037ed1a0b428dbu;
}

/* A multiply-fold hash over 8 bytes at a time, seeded; not for anything that needs cryptography. */
uint64_t gt_hash(const void *p, size_t n, uint64_t seed)
{
    const unsigned char *b = p;
    uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15u), w = 0;
    for (; n >= 8; b += 8, n -= 8) { /* apart from the rest: a copy of fixed size is one load */
        memcpy(&w, b, 8);
        h = fold(h, w);
    }
    if (n) {
        w = 0;
        memcpy(&w, b, n);
        h = fold(h, w);
    }
    return h ^ (h >> 32);
}

void gt_table_init(struct gt_table *t)
{
    *t = (struct gt_table){.mask = FIRST_SLOTS - 1, .seed = gt_rand_u64()};
    t->slots = gt_new_array(struct gt_table_entry *, FIRST_SLOTS);
}

void gt_table_fini(struct gt_table *t)
{
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while (t->slots && (e = gt_table_next(t, &it))) {
        free(e);
    }
    free(t->slots);
    *t = (struct gt_table){0};
}

static struct gt_table_entry **find(const struct gt_table *t, struct gt_str key, uint64_t hash)
{
    struct gt_table_entry **at = &t->slots[hash & t->mask];
    while (*at && !((*at)->hash == hash && gt_str_eq(gt_str_n((*at)->key, (*at)->key_len), key))) {
        at = &(*at)->next;
    }
    return at;
}

void *gt_table_get(const struct gt_table *t, struct gt_str key)
{
    struct gt_table_entry *e = *find(t, key, gt_hash(key.p, key.n, t->seed));
    return e ? e->value : NULL;
}

static void grow(struct gt_table *t)
{
    size_t slots = (t->mask + 1) * 2;
    struct gt_table_entry **fresh = gt_new_array(struct gt_table_entry *, slots);
    for (size_t i = 0; i <= t->mask; i++) {
        struct gt_table_entry *e = t->slots[i];
        while (e) {
            struct gt_table_entry *next = e->next;
            e->next = fresh[e->hash & (slots - 1)];
            fresh[e->hash & (slots - 1)] = e;
            e = next;
        }
    }
    free(t->slots);
    t->slots = fresh;
    t->mask = slots - 1;
}

void *gt_table_put(struct gt_table *t, struct gt_str key, void *value)
{
    uint64_t hash = gt_hash(key.p, key.n, t->seed);
    struct gt_table_entry **at = find(t, key, hash);
    if (*at) {
        void *old = (*at)->value;
        (*at)->value = value;
        return old;
    }
    if (t->count > t->mask) {
        grow(t);
        at = find(t, key, hash);
    }
    struct gt_table_entry *e = gt_malloc(sizeof *e + key.n + 1);
    *e = (struct gt_table_entry){.hash = hash, .value = value, .key_len = (uint32_t)key.n};
    if (key.n) {
        memcpy(e->key, key.p, key.n);
    }
    e->key[key.n] = '\0';
    *at = e;
    t->count++;
    return NULL;
}

void *gt_table_del(struct gt_table *t, struct gt_str key)
{
    struct gt_table_entry **at = find(t, key, gt_hash(key.p, key.n, t->seed));
    struct gt_table_entry *e = *at;
    if (!e) {
        return NULL;
    }
    void *old = e->value;
    *at = e->next;
    t->count--;
    free(e);
    return old;
}

struct gt_table_entry *gt_table_next(const struct gt_table *t, struct gt_table_iter *it)
{
    while (!it->next) {
        if (it->slot > t->mask) {
            return NULL;
        }
        it->next = t->slots[it->slot++];
    }
    struct gt_table_entry *e = it->next;
    it->next = e->next;
    return e;
}
