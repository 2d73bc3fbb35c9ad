#include "control/core/core_priv.h"

#include "lib/base/limits.h"

static int recover_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    struct core *core = arg;
    core->revision = revision;
    core->time = time;
    return 0;
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
    return 0;
}

static int recover_entry(void *arg, const struct journal_entry *entry, struct gt_err *err)
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
        core_set(core, e);
    }
    core->revision = entry->revision;
    core->time = GT_MAX(core->time, entry->time);
    gt_arena_reset(&core->arena);
    return 0;
}

int core_new(struct journal *journal, const struct service *const *services,
             const struct core_options *options, struct core **ret, struct gt_err *err)
{
    static const struct service *const none[] = {NULL};
    gt_auto(core) struct core *core = gt_new(struct core);
    core->journal = journal;
    core->services = services ? services : none;
    core->options = options ? *options : (struct core_options){0};
    core->scratch = GT_BUF_INIT(GT_LIMIT_RECORD);
    dirty_init(&core->dirty);
    gt_arena_init(&core->arena, GT_LIMIT_API_ARENA);
    struct journal_reader reader = {recover_start, recover_item, recover_entry, core};
    int r = journal_recover(journal, &reader, err);
    if (r < 0) {
        return r;
    }
    /* A core that was started again must not draw the seeds of its first run once more; nor, as
     * the generator only counts its state up, come near them. */
    uint64_t seed = gt_hash(&core->options.seed, sizeof core->options.seed, 1);
    core->seeds.state = gt_hash(&core->revision, sizeof core->revision, seed);
    core_queue_all(core);
    *ret = gt_steal_ptr(core);
    return 0;
}

void core_free(struct core *core)
{
    if (!core) {
        return;
    }
    if (core->snapshot) {
        journal_cancel_snapshot(core->journal);
    }
    core_snapshot_drop(core);
    views_close(core);
    omap_fini(&core->state);
    omap_fini(&core->alarms);
    dirty_fini(&core->dirty);
    gt_buf_fini(&core->scratch);
    gt_arena_fini(&core->arena);
    free(core->writes);
    free(core);
}

static int run(struct core_call *call, struct tx *tx)
{
    core_authorize_fn *authorize = tx->core->options.authorize;
    if (call->op && authorize) {
        int r = authorize(tx, call->op, call->in, &call->err);
        if (r < 0) {
            return r;
        }
    }
    return call->op ? call->op->core(tx, call->in, call->out, &call->err)
                    : call->fn(tx, call->arg, &call->err);
}

void core_apply(struct core *core, struct core_call *call, int64_t now)
{
    core->time = GT_MAX(core->time, now);
    call->err = GT_ERR_INIT;
    call->wait_prefix = NULL;
    struct tx tx;
    tx_begin(&tx, core, &call->principal, call->region, call->arena, gt_prng_next(&core->seeds));
    tx.wait_over = call->wait_over;
    call->result = run(call, &tx);
    if (call->result >= 0 && tx.broken.kind != GT_ERR_NONE) {
        call->err = tx.broken;
        call->result = gt_err_code(&tx.broken);
    }
    if (call->result >= 0 && tx.wait_prefix && !tx.wait_over) {
        GT_ASSERT(tx.staged.count == 0); /* who waits has not written: see tx_wait() */
        call->wait_prefix = tx.wait_prefix;
        call->wait_until = tx.wait_until;
    } else if (call->result >= 0 && tx.staged.count && core->read_only) {
        call->result = gt_err_set(&call->err, GT_ERR_UNAVAILABLE, "%s", core->read_only);
    } else if (call->result >= 0) {
        core_commit(core, &tx, call->label, call->input);
    }
    tx_end(&tx);
    gt_arena_reset(&core->arena);
    call->revision = core->revision;
}

void core_set_read_only(struct core *core, const char *why)
{
    core->read_only = why;
}

uint64_t core_revision(const struct core *core)
{
    return core->revision;
}

int64_t core_time(const struct core *core)
{
    return core->time;
}

size_t core_keys(const struct core *core)
{
    return core->state.count;
}

uint64_t core_hash(const struct core *core)
{
    return core->hash;
}

bool core_next_key(const struct core *core, const char *prefix, const char *after,
                   const char **ret_key, struct gt_str *ret_value)
{
    struct gt_str p = gt_str(prefix);
    bool behind = after && gt_str_cmp(gt_str(after), p) >= 0;
    const struct omap_entry *e = omap_seek(&core->state, behind ? gt_str(after) : p, behind);
    if (!e || !gt_str_starts(omap_key(e), p)) {
        return false;
    }
    *ret_key = e->data;
    *ret_value = omap_value(e);
    return true;
}
