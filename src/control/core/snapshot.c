/*
 * A snapshot holds on to every entry of the state as it is, by reference, and is read by the
 * journal's thread while the core goes on: entries do not change, and only the core's thread counts
 * references. `finished` is the hand-over back.
 */
#include "control/core/core_priv.h"

#include <stdatomic.h>

struct core_snapshot_state {
    struct omap_entry **entries;
    struct journal_item *items;
    size_t n, next;
    struct gt_err err;
    atomic_bool finished;
};

static bool next_item(void *arg, struct journal_item *item)
{
    struct core_snapshot_state *s = arg;
    if (s->next == s->n) {
        return false;
    }
    /* Revisions were copied: the core may have moved an entry's since. */
    *item = s->items[s->next++];
    return true;
}

static void done(void *arg, const struct gt_err *err)
{
    struct core_snapshot_state *s = arg;
    if (err) {
        s->err = *err;
    }
    atomic_store_explicit(&s->finished, true, memory_order_release);
}

static bool hold(void *arg, struct omap_entry *e)
{
    struct core_snapshot_state *s = arg;
    e->refs++;
    s->items[s->n] = (struct journal_item){omap_key(e), omap_value(e), e->create, e->modify};
    s->entries[s->n++] = e;
    return true;
}

bool core_snapshot(struct core *core)
{
    if (core->snapshot || core->revision == 0) {
        return false;
    }
    struct core_snapshot_state *s = gt_new(struct core_snapshot_state);
    s->entries = gt_new_array(struct omap_entry *, core->state.count + 1);
    s->items = gt_new_array(struct journal_item, core->state.count + 1);
    omap_walk(&core->state, (struct gt_str){0}, false, hold, s);
    core->snapshot = s;
    struct journal_snapshot js = {
        .revision = core->revision, .time = core->time, .next = next_item, .done = done, .arg = s};
    if (!journal_snapshot(core->journal, &js)) {
        core_snapshot_drop(core);
        return false;
    }
    return true;
}

void core_snapshot_drop(struct core *core)
{
    struct core_snapshot_state *s = core->snapshot;
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        omap_entry_unref(s->entries[i]);
    }
    free(s->entries);
    free(s->items);
    free(s);
    core->snapshot = NULL;
}

bool core_snapshot_reap(struct core *core, struct gt_err *err)
{
    struct core_snapshot_state *s = core->snapshot;
    if (!s || !atomic_load_explicit(&s->finished, memory_order_acquire)) {
        return false;
    }
    *err = s->err;
    core_snapshot_drop(core);
    return true;
}
