#include "control/core/core_priv.h"

#include "lib/base/limits.h"
#include "lib/wire/json.h"
#include "store/record/record.h"

#include <stdio.h>

static struct core *make(struct journal *journal, const struct service *const *services,
                         const struct core_options *options)
{
    static const struct service *const none[] = {NULL};
    struct core *core = gt_new(struct core);
    core->journal = journal;
    core->services = services ? services : none;
    core->options = options ? *options : (struct core_options){0};
    core->scratch = GT_BUF_INIT(GT_LIMIT_RECORD);
    core->input = GT_BUF_INIT(GT_LIMIT_API_BODY);
    dirty_init(&core->dirty);
    gt_arena_init(&core->arena, GT_LIMIT_API_ARENA);
    return core;
}

int core_new(struct journal *journal, const struct service *const *services,
             const struct core_options *options, struct core **ret, struct gt_err *err)
{
    gt_auto(core) struct core *core = make(journal, services, options);
    struct journal_reader reader = core_reader(core);
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

int core_open_at(struct journal *journal, const struct service *const *services,
                 const struct core_options *options, uint64_t revision, struct core **ret,
                 struct gt_err *err)
{
    gt_auto(core) struct core *core = make(journal, services, options);
    struct journal_reader reader = core_reader(core);
    int r = journal_state_at(journal, revision, &reader, err);
    if (r < 0) {
        return r;
    }
    core->read_only = "what was cannot be changed";
    core->past = true;
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
    gt_buf_fini(&core->input);
    free(core->epochs);
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
    if (call->change) {
        return call->change->fn(tx, call->in, call->out, &call->err);
    }
    return call->op ? call->op->core(tx, call->in, call->out, &call->err)
                    : call->fn(tx, call->arg, &call->err);
}

/* What the journal keeps of a call is enough to run it once more: its name, and its input,
 * which is made anew from `in` where there is no text of it. */
static void commit(struct core *core, struct tx *tx, const struct core_call *call)
{
    const struct wire_op *op = call->op ? call->op->op : NULL;
    gt_buf_reset(&core->input);
    if (call->change) {
        rec_encode(call->change->in, call->in, &core->input);
        core_commit(core, tx, gt_str(call->change->label), gt_buf_view(&core->input));
        return;
    }
    if (!op) {
        core_commit(core, tx, call->label, call->input);
        return;
    }
    char label[128];
    int n = snprintf(label, sizeof label, "%s.%s", op->service->name, op->name);
    GT_ASSERT(n > 0 && (size_t)n < sizeof label);
    struct gt_str input = call->input;
    if (!input.n) {
        wire_json_encode(op->in, call->in, &core->input);
        input = gt_buf_view(&core->input);
    }
    core_commit(core, tx, gt_str_n(label, (size_t)n), input);
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
        call->result = gt_err_set(&call->err, core->past ? GT_ERR_INVALID : GT_ERR_UNAVAILABLE,
                                  "%s", core->read_only);
    } else if (call->result >= 0) {
        commit(core, &tx, call);
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

uint64_t core_bytes(const struct core *core)
{
    return core->bytes;
}

uint64_t core_hash(const struct core *core)
{
    return core->hash;
}

bool core_get(const struct core *core, const char *key, struct gt_str *ret_value)
{
    const struct omap_entry *e = omap_get(&core->state, gt_str(key));
    if (e) {
        *ret_value = omap_value(e);
    }
    return e;
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
