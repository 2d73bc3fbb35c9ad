/* What a seed makes of the world, and the list of what happens to it. */
#include "lib/base/mem.h"
#include "trial_priv.h"

static const struct {
    const char *name;
    int64_t mean;
    bool node;
    void (*play)(struct trial *t, unsigned node);
} kinds[ACT_KINDS] = {
#define X(name, mean, node, fn) {#name, mean, node, fn},
    ACTS(X)
#undef X
};

static struct plan make_plan(struct trial *t)
{
    static const unsigned tight[] = {1, 1, 100, 500, 20000};
    struct plan p = {
        .nodes = (unsigned)between(t, 1, 6),
        .tight = tight[between(t, 0, GT_ARRAY_LEN(tight) - 1)],
        .duration_ms = between(t, 20, 60) * 1000,
        .pace = 100,
        .awsvpc = chance(t, 50),
        .restless = chance(t, 60),
        .night = chance(t, 25),
    };
    if (t->options.seed % 500 == 499) {
        p.nodes = (unsigned)between(t, 1000, 5000);
        p.duration_ms = 15000;
        p.tight = 1;
        p.restless = p.night = false;
    } else if (chance(t, 3)) {
        p.nodes = (unsigned)between(t, 20, 100);
    }
    if (chance(t, 20)) {
        p.pace = between(t, 2, 6) * 100; /* few things go wrong, so that long ones come to an end */
    }
    return p;
}

static void add(struct trial *t, struct act a, size_t *cap)
{
    if (t->n_acts == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        t->acts = gt_realloc(t->acts, *cap * sizeof *t->acts);
    }
    t->acts[t->n_acts++] = a;
}

static int compare(const void *a, const void *b)
{
    const struct act *x = a, *y = b;
    return x->at != y->at ? (x->at < y->at ? -1 : 1) : (x->seed < y->seed ? -1 : x->seed > y->seed);
}

void schedule_plan(struct trial *t)
{
    t->dice.state = t->options.seed * 0x9e3779b97f4a7c15u + 1;
    t->plan = make_plan(t);
    size_t cap = 0;
    for (int kind = 0; kind < ACT_KINDS; kind++) {
        /* A few nodes share what happens to nodes; many do not get more of it than some do. */
        int64_t shared = kinds[kind].node ? GT_MIN(t->plan.nodes, 8u) : 1;
        int64_t mean = GT_MAX(kinds[kind].mean * t->plan.pace / 100 / shared, (int64_t)1);
        for (int64_t at = between(t, 1, 2 * mean); at < t->plan.duration_ms;
             at += between(t, 1, 2 * mean)) {
            add(t,
                (struct act){.at = at,
                             .kind = (enum act_kind)kind,
                             .node = (unsigned)between(t, 0, t->plan.nodes - 1),
                             .seed = gt_prng_next(&t->dice)},
                &cap);
        }
    }
    qsort(t->acts, t->n_acts, sizeof *t->acts, compare);
    t->result.acts = t->n_acts;
}

static void play(void *arg, uint64_t i, uint64_t unused)
{
    struct trial *t = arg;
    const struct act *a = &t->acts[i];
    if (t->calm) {
        return;
    }
    t->dice.state = a->seed;
    trace(t, "%zu: %s node %u", (size_t)i, kinds[a->kind].name, a->node);
    kinds[a->kind].play(t, a->node);
}

void schedule_acts(struct trial *t)
{
    size_t n = t->options.keep ? t->options.n_keep : t->n_acts;
    for (size_t k = 0; k < n; k++) {
        size_t i = t->options.keep ? t->options.keep[k] : k;
        if (i < t->n_acts) {
            sim_at(&t->w, t->acts[i].at, play, t, i, 0);
        }
    }
}
