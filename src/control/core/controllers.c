#include "control/core/core_priv.h"

#include "lib/base/limits.h"
#include "lib/base/log.h"

const struct controller *core_find_controller(const struct core *core, struct gt_str name)
{
    for (size_t i = 0; core->services[i]; i++) {
        const struct controller *const *c = core->services[i]->controllers;
        for (; c && *c; c++) {
            if (gt_str_is(name, (*c)->name)) {
                return *c;
            }
        }
    }
    return NULL;
}

/* "<account>/<region>" of a key; empty for the core's own keys. */
static struct gt_str key_place(struct gt_str key)
{
    if (key.n && key.p[0] == '~') {
        return (struct gt_str){0};
    }
    const char *first = memchr(key.p, '/', key.n);
    const char *end = key.p + key.n;
    const char *second = first ? memchr(first + 1, '/', (size_t)(end - first - 1)) : NULL;
    return second ? gt_str_n(key.p, (size_t)(second - key.p)) : (struct gt_str){0};
}

/* What lies under <place>/<under>. */
static void each_in_place(struct core *core, struct gt_str place, const char *under,
                          void (*fn)(void *arg, struct omap_entry *e), void *arg)
{
    char prefix[GT_LIMIT_KEY];
    const struct gt_str parts[] = {place, GT_STR_LIT("/"), gt_str(under)};
    struct gt_str p = gt_str_concat(parts, GT_ARRAY_LEN(parts), prefix, sizeof prefix);
    GT_ASSERT(p.p);
    struct omap_entry *e = omap_seek(&core->state, p, false);
    while (e && gt_str_starts(omap_key(e), p)) {
        fn(arg, e);
        e = omap_seek(&core->state, omap_key(e), true);
    }
}

void core_each_under(struct core *core, const char *under,
                     void (*fn)(void *arg, struct omap_entry *e), void *arg)
{
    struct omap_entry *e = omap_seek(&core->state, (struct gt_str){0}, false);
    while (e) {
        struct gt_str place = key_place(omap_key(e));
        if (!place.n) {
            e = omap_seek(&core->state, omap_key(e), true);
            continue;
        }
        each_in_place(core, place, under, fn, arg);
        /* '0' is the byte after '/': on to the next account and region. */
        char next[GT_LIMIT_KEY + 1];
        memcpy(next, place.p, place.n);
        next[place.n] = '0';
        e = omap_seek(&core->state, gt_str_n(next, place.n + 1), false);
    }
}

struct emit_to {
    struct core *core;
    const struct controller *controller;
};

static void emit(void *arg, const char *key)
{
    struct emit_to *to = arg;
    dirty_push(&to->core->dirty, to->controller, key);
}

static void queue(void *arg, struct omap_entry *e)
{
    emit(arg, e->data);
}

void core_queue_all(struct core *core)
{
    for (size_t i = 0; core->services[i]; i++) {
        const struct controller *const *c = core->services[i]->controllers;
        for (; c && *c; c++) {
            if ((*c)->all) {
                core_each_under(core, (*c)->all, queue, &(struct emit_to){core, *c});
            }
        }
    }
}

/* A watch belongs to the place of the key that it looks at: tx_key() works for it. */
void core_internal_begin(struct tx *tx, struct core *core, const char *key, uint64_t seed)
{
    struct gt_str place = key_place(gt_str(key));
    const char *slash = place.n ? memchr(place.p, '/', place.n) : NULL;
    struct principal internal = {.kind = PRINCIPAL_INTERNAL, .name = GT_STR_LIT("core")};
    struct gt_str region = {0};
    if (slash) {
        internal.account = gt_str_n(place.p, (size_t)(slash - place.p));
        region = gt_str_n(slash + 1, place.n - internal.account.n - 1);
    }
    tx_begin(tx, core, &internal, region, &core->arena, seed);
}

void core_dispatch_watches(struct core *core, const char *key)
{
    if (key[0] == '~') {
        return;
    }
    struct tx tx;
    struct gt_arena_mark mark = gt_arena_mark(&core->arena); /* a commit may have many keys */
    core_internal_begin(&tx, core, key, 0);
    tx.read_only = true;
    for (size_t i = 0; core->services[i]; i++) {
        const struct controller *const *c = core->services[i]->controllers;
        for (; c && *c; c++) {
            if ((*c)->watch) {
                (*c)->watch(&tx, key, emit, &(struct emit_to){core, *c});
            }
        }
    }
    tx_end(&tx);
    gt_arena_release(&core->arena, mark);
}

enum step_result core_run_step(struct tx *tx, const struct controller *c, const char *key)
{
    tx->principal.name = gt_str(c->name);
    alarm_consume(tx, c->name, key);
    return c->step(tx, key);
}

static void step(struct core *core, const struct dirty *d)
{
    struct tx tx;
    core_internal_begin(&tx, core, d->key, gt_prng_next(&core->seeds));
    enum step_result r = core_run_step(&tx, d->controller, d->key);
    bool wrote = tx.staged.count > 0;
    if (tx.broken.kind != GT_ERR_NONE) {
        gt_error("controller \"%s\" at \"%s\": %s", d->controller->name, d->key, tx.broken.msg);
    } else {
        core_commit(core, &tx, gt_str(d->controller->name), gt_str(d->key));
        if (r == STEP_AGAIN && wrote) {
            dirty_push(&core->dirty, d->controller, d->key);
        }
    }
    tx_end(&tx);
    gt_arena_reset(&core->arena);
}

size_t core_step_controllers(struct core *core, int64_t now, size_t max)
{
    core->time = GT_MAX(core->time, now);
    if (core->read_only) {
        return 0;
    }
    alarm_fire(core, core->time);
    size_t n = 0;
    struct dirty *d;
    while (n < max && (d = dirty_pop(&core->dirty))) {
        step(core, d);
        free(d);
        n++;
    }
    return n;
}

bool core_has_work(const struct core *core)
{
    return !gt_list_empty(&core->dirty.list);
}
