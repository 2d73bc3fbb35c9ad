#include "control/core/view.h"

#include "control/core/core_priv.h"

static bool concerns(const struct core_view *view, const char *key)
{
    const char *first = strchr(key, '/');
    const char *second = first ? strchr(first + 1, '/') : NULL;
    for (const char *const *u = view->under; second && *u; u++) {
        if (strncmp(second + 1, *u, strlen(*u)) == 0) {
            return true;
        }
    }
    return false;
}

void views_change(struct core *core, const char *key, const struct omap_entry *before,
                  const struct omap_entry *after)
{
    struct gt_str none = {0}, a = none, b = none;
    if (core->n_views && before && !before->deleted) {
        a = omap_value(before);
    }
    if (core->n_views && after && !after->deleted) {
        b = omap_value(after);
    }
    for (size_t i = 0; (a.p || b.p) && i < core->n_views; i++) {
        const struct open_view *v = &core->views[i];
        if (concerns(v->view, key)) {
            v->view->change(v->data, key, a, b);
        }
    }
}

static void read_one(void *arg, struct omap_entry *e)
{
    const struct open_view *v = arg;
    v->view->change(v->data, e->data, (struct gt_str){0}, omap_value(e));
}

/* What the transaction that asks first has changed by then. */
static void read_staged(struct tx *tx, const struct open_view *v)
{
    struct omap_entry *e = omap_seek(&tx->staged, (struct gt_str){0}, false);
    for (; e; e = omap_seek(&tx->staged, omap_key(e), true)) {
        const struct omap_entry *base = omap_get(&tx->core->state, omap_key(e));
        if (concerns(v->view, e->data)) {
            v->view->change(v->data, e->data, base ? omap_value(base) : (struct gt_str){0},
                            e->deleted ? (struct gt_str){0} : omap_value(e));
        }
    }
}

void *tx_view(struct tx *tx, const struct core_view *view)
{
    struct core *core = tx->core;
    for (size_t i = 0; i < core->n_views; i++) {
        if (core->views[i].view == view) {
            return core->views[i].data;
        }
    }
    GT_ASSERT(core->n_views < CORE_MAX_VIEWS);
    struct open_view *v = &core->views[core->n_views++];
    *v = (struct open_view){.view = view, .data = view->open()};
    for (const char *const *u = view->under; *u; u++) {
        core_each_under(core, *u, read_one, v);
    }
    read_staged(tx, v);
    return v->data;
}

void views_close(struct core *core)
{
    while (core->n_views) {
        const struct open_view *v = &core->views[--core->n_views];
        v->view->close(v->data);
    }
}
