#include "control/core/core_priv.h"

#include "store/record/gen/rec_core.h"

/* A fixed seed: two cores with equal states must agree. */
static uint64_t entry_hash(const struct omap_entry *e)
{
    uint64_t key = gt_hash(e->data, e->key_len, 0x636f7265u);
    return gt_hash(omap_value(e).p, e->value_len, key);
}

void core_set(struct core *core, struct omap_entry *e)
{
    struct gt_str key = omap_key(e);
    struct omap_entry *old = e->deleted ? omap_del(&core->state, key) : omap_put(&core->state, e);
    struct gt_str before = old ? omap_value(old) : (struct gt_str){0};
    struct gt_str after = e->deleted ? (struct gt_str){0} : omap_value(e);
    core->hash -= old ? entry_hash(old) : 0;
    core->hash += e->deleted ? 0 : entry_hash(e);
    core->bytes -= old ? old->key_len + old->value_len : 0;
    core->bytes += e->deleted ? 0 : e->key_len + e->value_len;
    alarm_track(core, key, before, after);
    epoch_track(core, key, after);
    omap_entry_unref(old);
    if (e->deleted) {
        omap_entry_unref(e);
    }
}

static void encode_principal(struct core *core, const struct tx *tx)
{
    struct rec_core_principal p = {
        .kind = tx->principal.kind,
        .account = tx->principal.account,
        .region = tx->region,
        .key_id = tx->principal.key_id,
        .name = tx->principal.name,
        .arn = tx->principal.arn,
    };
    gt_buf_reset(&core->scratch);
    rec_encode(&rec_core_principal_desc, &p, &core->scratch);
}

static void append(struct core *core, struct tx *tx, struct gt_str label, struct gt_str input)
{
    if (tx->staged.count > core->writes_cap) {
        core->writes_cap = tx->staged.count * 2;
        core->writes = gt_realloc(core->writes, core->writes_cap * sizeof *core->writes);
    }
    size_t n = 0;
    struct omap_entry *e = omap_seek(&tx->staged, (struct gt_str){0}, false);
    for (; e; e = omap_seek(&tx->staged, omap_key(e), true)) {
        core->writes[n++] = (struct journal_write){
            .key = omap_key(e), .value = omap_value(e), .deleted = e->deleted};
    }
    encode_principal(core, tx);
    journal_append(core->journal, &(struct journal_entry){
                                      .revision = core->revision + 1,
                                      .time = tx->now,
                                      .seed = tx->seed,
                                      .principal = gt_buf_view(&core->scratch),
                                      .label = label,
                                      .input = input,
                                      .writes = core->writes,
                                      .n_writes = n,
                                  });
}

void core_commit(struct core *core, struct tx *tx, struct gt_str label, struct gt_str input)
{
    if (tx->staged.count == 0) {
        return;
    }
    append(core, tx, label, input);
    core->revision++;
    struct omap staged = tx->staged;
    tx->staged = (struct omap){0};
    /* First the whole new state, then those who look at it. */
    struct omap_entry *e = omap_seek(&staged, (struct gt_str){0}, false);
    for (; e; e = omap_seek(&staged, omap_key(e), true)) {
        e->create = e->create ? e->create : core->revision;
        e->modify = core->revision;
        e->refs++;
        core_set(core, e);
    }
    for (e = omap_seek(&staged, (struct gt_str){0}, false); e;
         e = omap_seek(&staged, omap_key(e), true)) {
        core_dispatch_watches(core, e->data);
        if (core->options.on_write) {
            core->options.on_write(core->options.on_write_arg, core->revision, e->data);
        }
    }
    omap_fini(&staged);
}
