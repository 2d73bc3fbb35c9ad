/* From the journal to the state: a snapshot's keys, then the writes of the entries after it. */
#include "control/core/core_priv.h"

#include "lib/base/limits.h"

static int recover_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    struct core *core = arg;
    core->revision = revision;
    core->time = time;
    return 0;
}

static int check_size(const struct core *core, struct gt_err *err)
{
    uint64_t max = core->options.max_bytes;
    return max && core->bytes > max
               ? gt_err_set(err, GT_ERR_LIMIT,
                            "the state has more than %llu MiB: it is not held in memory twice",
                            (unsigned long long)max >> 20)
               : 0;
}

static int recover_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    struct core *core = arg;
    if (item->key.n == 0 || item->key.n > GT_LIMIT_KEY) {
        return gt_err_set(err, GT_ERR_CORRUPT, "a key of %zu bytes in the snapshot", item->key.n);
    }
    struct omap_entry *e = omap_entry_new(item->key, item->value);
    e->create = item->create;
    e->modify = item->modify;
    core_set(core, e);
    gt_arena_reset(&core->arena);
    return check_size(core, err);
}

int core_take_entry(void *arg, const struct journal_entry *entry, struct gt_err *err)
{
    struct core *core = arg;
    if (entry->revision != core->revision + 1) {
        return gt_err_set(err, GT_ERR_CORRUPT, "journal entry %llu follows %llu",
                          (unsigned long long)entry->revision, (unsigned long long)core->revision);
    }
    for (size_t i = 0; i < entry->n_writes; i++) {
        const struct journal_write *w = &entry->writes[i];
        if (w->key.n == 0 || w->key.n > GT_LIMIT_KEY) {
            return gt_err_set(err, GT_ERR_CORRUPT, "a key of %zu bytes in entry %llu", w->key.n,
                              (unsigned long long)entry->revision);
        }
        struct omap_entry *old = omap_get(&core->state, w->key);
        struct omap_entry *e = omap_entry_new(w->key, w->value);
        e->deleted = w->deleted;
        e->create = old ? old->create : entry->revision;
        e->modify = entry->revision;
        views_change(core, e->data, old, e); /* in a replay there may be some */
        core_set(core, e);
    }
    core->revision = entry->revision;
    core->time = GT_MAX(core->time, entry->time);
    gt_arena_reset(&core->arena);
    return check_size(core, err);
}

struct journal_reader core_reader(struct core *core)
{
    return (struct journal_reader){recover_start, recover_item, core_take_entry, core};
}
