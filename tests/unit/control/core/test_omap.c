#include "gt_test.h"

#include "control/core/omap.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"

enum { KEYS = 3000, ROUNDS = 40000 };

static struct gt_str key_of(unsigned i, char to[32])
{
    return gt_str_n(to, (size_t)snprintf(to, 32, "k/%u/%c", i * 7919 % KEYS, 'a' + (int)(i % 3)));
}

/* What the map should hold, in an array that is searched in full. */
static struct omap_entry *model[KEYS];

static struct omap_entry *model_seek(struct gt_str key, bool after)
{
    struct omap_entry *best = NULL;
    for (unsigned i = 0; i < KEYS; i++) {
        struct omap_entry *e = model[i];
        int c = e ? gt_str_cmp(omap_key(e), key) : -1;
        if (e && (c > 0 || (c == 0 && !after)) &&
            (!best || gt_str_cmp(omap_key(e), omap_key(best)) < 0)) {
            best = e;
        }
    }
    return best;
}

struct walk {
    const struct omap *m;
    struct omap_entry *next; /* who should come */
    unsigned left;
};

static bool is_next(void *arg, struct omap_entry *e)
{
    struct walk *w = arg;
    assert_ptr_equal(e, w->next);
    w->next = omap_seek(w->m, omap_key(e), true);
    return --w->left > 0;
}

static void walk(const struct omap *m, struct gt_str key, bool after, unsigned max)
{
    struct walk w = {.m = m, .next = omap_seek(m, key, after), .left = max};
    omap_walk(m, key, after, is_next, &w);
    assert_true(w.left == 0 || !w.next);
}

GT_TEST(agrees_with_a_list)
{
    struct omap m = {0};
    struct gt_prng rng = {1};
    char text[32];
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = (unsigned)gt_prng_below(&rng, KEYS);
        struct gt_str key = key_of(i, text);
        /* Grow in the first half, shrink in the second. */
        bool put = gt_prng_below(&rng, 10) < (round < ROUNDS / 2 ? 7u : 2u);
        if (put) {
            struct omap_entry *e = omap_entry_new(key, key);
            struct omap_entry *old = omap_put(&m, e);
            assert_ptr_equal(old, model[i]);
            omap_entry_unref(old);
            model[i] = e;
        } else {
            struct omap_entry *old = omap_del(&m, key);
            assert_ptr_equal(old, model[i]);
            omap_entry_unref(old);
            model[i] = NULL;
        }
        key = key_of((unsigned)gt_prng_below(&rng, KEYS), text);
        if (round % 50 == 0) {
            assert_ptr_equal(omap_seek(&m, key, false), model_seek(key, false));
            assert_ptr_equal(omap_seek(&m, key, true), model_seek(key, true));
            walk(&m, key, round % 100 == 0, round % 70 + 1);
        }
    }
    size_t n = 0;
    struct omap_entry *last = NULL;
    for (struct omap_entry *e = omap_seek(&m, (struct gt_str){0}, false); e;
         e = omap_seek(&m, omap_key(e), true)) {
        assert_true(!last || gt_str_cmp(omap_key(last), omap_key(e)) < 0);
        assert_ptr_equal(omap_get(&m, omap_key(e)), e);
        last = e;
        n++;
    }
    assert_int_equal(n, m.count);
    walk(&m, (struct gt_str){0}, false, KEYS + 1);
    for (unsigned i = 0; i < KEYS; i++) {
        omap_entry_unref(omap_del(&m, key_of(i, text)));
    }
    assert_int_equal(m.count, 0);
    assert_null(m.root);
    omap_fini(&m);
}

GT_RUN(GT_CASE(agrees_with_a_list))
