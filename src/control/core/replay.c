#include "control/core/replay.h"

#include "control/core/core_priv.h"
#include "lib/base/limits.h"
#include "lib/wire/json.h"
#include "store/record/gen/rec_core.h"

#include <errno.h>
#include <stdio.h>

struct replay {
    struct core *core;
    const struct core_replay_options *options;
    struct core_replayed *result;
    struct gt_arena arena;
};

__attribute__((format(printf, 4, 5))) static void
differs(struct replay *r, const struct journal_entry *e, struct gt_str key, const char *fmt, ...)
{
    struct core_difference d = {.revision = e->revision, .label = e->label, .key = key};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d.what, sizeof d.what, fmt, ap);
    va_end(ap);
    r->result->differ++;
    if (r->options->differs) {
        r->options->differs(r->options->arg, &d);
    }
}

/* --- running an entry */

static const struct service_op *find_op(const struct core *core, struct gt_str label)
{
    const char *dot = label.n ? memchr(label.p, '.', label.n) : NULL;
    if (!dot) {
        return NULL;
    }
    struct gt_str service = gt_str_n(label.p, (size_t)(dot - label.p));
    struct gt_str name = gt_str_n(dot + 1, label.n - service.n - 1);
    for (size_t i = 0; core->services[i]; i++) {
        const struct service *s = core->services[i];
        for (size_t k = 0; gt_str_is(service, s->name) && k < s->n_ops; k++) {
            if (s->ops[k].core && gt_str_is(name, s->ops[k].op->name)) {
                return &s->ops[k];
            }
        }
    }
    return NULL;
}

static const struct service_change *find_change(const struct core *core, struct gt_str label)
{
    for (size_t i = 0; core->services[i]; i++) {
        const struct service_change *const *c = core->services[i]->changes;
        for (; c && *c; c++) {
            if (gt_str_is(label, (*c)->label)) {
                return *c;
            }
        }
    }
    return NULL;
}

static int begin(struct replay *r, const struct journal_entry *e, struct tx *tx, struct gt_err *err)
{
    void *rec;
    int n = rec_decode(&rec_core_principal_desc, e->principal, &r->arena, &rec, err);
    if (n < 0) {
        return n;
    }
    const struct rec_core_principal *p = rec;
    struct principal who = {.kind = (enum principal_kind)p->kind,
                            .account = p->account,
                            .key_id = p->key_id,
                            .name = p->name,
                            .arn = p->arn};
    tx_begin(tx, r->core, &who, p->region, &r->arena, e->seed);
    return 0;
}

static int run_op(struct replay *r, const struct service_op *op, struct gt_str input, struct tx *tx,
                  struct gt_err *err)
{
    void *in = gt_arena_alloc(&r->arena, op->op->in->size);
    void *out = gt_arena_alloc(&r->arena, op->op->out->size);
    int n = wire_json_decode(op->op->in, input, &r->arena, in, err);
    return n < 0 ? n : op->core(tx, in, out, err);
}

static int run_change(struct replay *r, const struct service_change *c, struct gt_str input,
                      struct tx *tx, struct gt_err *err)
{
    void *in;
    int n = rec_decode(c->in, input, &r->arena, &in, err);
    return n < 0 ? n : c->fn(tx, in, NULL, err);
}

/* What the entry stands for, into tx->staged. -ENOSYS: this build has nothing of that name. */
static int run(struct replay *r, const struct journal_entry *e, struct tx *tx, struct gt_err *err)
{
    int n = begin(r, e, tx, err);
    if (n < 0) {
        return n;
    }
    const struct controller *c = core_find_controller(r->core, e->label);
    const struct service_op *op = find_op(r->core, e->label);
    const struct service_change *change = find_change(r->core, e->label);
    if (gt_str_is(e->label, CORE_EPOCH_LABEL)) {
        n = core_write_epoch(tx, e->input);
    } else if (op) {
        n = run_op(r, op, e->input, tx, err);
    } else if (change) {
        n = run_change(r, change, e->input, tx, err);
    } else if (c && tx->principal.kind == PRINCIPAL_INTERNAL) {
        const char *key = gt_arena_str(&r->arena, e->input);
        core_internal_begin(tx, r->core, key, e->seed);
        core_run_step(tx, c, key);
        n = 0;
    } else {
        gt_err_set(err, GT_ERR_UNSUPPORTED, "there is nothing of that name in this build");
        return -ENOSYS;
    }
    if (n >= 0 && tx->broken.kind != GT_ERR_NONE) {
        *err = tx->broken;
        n = gt_err_code(err);
    }
    return n;
}

/* --- comparing */

static struct gt_str key_of(const struct omap_entry *e)
{
    return e ? omap_key(e) : (struct gt_str){0};
}

/* Both are in the order of their keys. */
static void compare(struct replay *r, const struct journal_entry *e, const struct omap *staged)
{
    struct omap_entry *own = omap_seek(staged, (struct gt_str){0}, false);
    for (size_t i = 0; i < e->n_writes; i++) {
        const struct journal_write *w = &e->writes[i];
        int c = own ? gt_str_cmp(key_of(own), w->key) : 1;
        if (c < 0) {
            differs(r, e, key_of(own), "is written now, and was not");
            return;
        }
        if (c > 0) {
            differs(r, e, w->key, "was written, and is not now");
            return;
        }
        if (own->deleted != w->deleted) {
            differs(r, e, w->key,
                    own->deleted ? "is deleted now, and was written"
                                 : "is written now, and was deleted");
            return;
        }
        if (!own->deleted && !gt_str_eq(omap_value(own), w->value)) {
            differs(r, e, w->key, "has another value: %u bytes, recorded are %zu", own->value_len,
                    w->value.n);
            return;
        }
        own = omap_seek(staged, key_of(own), true);
    }
    if (own) {
        differs(r, e, key_of(own), "is written now, and was not");
    }
}

static bool ours(const struct replay *r, const struct journal_entry *e)
{
    const char *build = r->options->build;
    if (gt_str_is(e->label, CORE_EPOCH_LABEL)) {
        return r->options->all || (build && gt_str_is(e->input, build));
    }
    return r->options->all || (build && gt_streq(r->core->build, build));
}

static int replay_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    struct replay *r = arg;
    if (r->options->to && e->revision > r->options->to) {
        return 0;
    }
    if (!ours(r, e)) {
        r->result->other_build++;
        return core_take_entry(r->core, e, err);
    }
    struct tx tx = {0};
    struct gt_err why = GT_ERR_INIT;
    r->core->time = GT_MAX(r->core->time, e->time);
    if (run(r, e, &tx, &why) < 0) {
        differs(r, e, (struct gt_str){0}, "%s", why.msg);
    } else {
        compare(r, e, &tx.staged);
    }
    r->result->executed++;
    tx_end(&tx);
    gt_arena_reset(&r->arena);
    return core_take_entry(r->core, e, err);
}

int core_replay(struct journal *journal, const struct service *const *services,
                const struct core_replay_options *options, struct core_replayed *ret,
                struct gt_err *err)
{
    *ret = (struct core_replayed){0};
    struct replay r = {.options = options, .result = ret};
    struct journal_span *span = gt_new(struct journal_span);
    int n = journal_span(journal, span, err);
    ret->from = journal_span_begin(span);
    uint64_t to = options->to ? options->to : GT_MAX(span->last.revision, ret->from);
    free(span);
    ret->from = GT_MIN(ret->from, to);
    n = n < 0 ? n : core_open_at(journal, services, NULL, ret->from, &r.core, err);
    if (n < 0) {
        return n;
    }
    r.core->options.tight = options->tight;
    struct core_replay_options bounded = *options;
    bounded.to = to; /* a server may go on writing meanwhile */
    r.options = &bounded;
    gt_arena_init(&r.arena, GT_LIMIT_API_ARENA);
    n = journal_read(journal, core_revision(r.core), replay_entry, &r, err);
    ret->to = core_revision(r.core);
    ret->hash = core_hash(r.core);
    ret->keys = core_keys(r.core);
    gt_arena_fini(&r.arena);
    core_free(r.core);
    struct core *recorded = NULL;
    n = n < 0 ? n : core_open_at(journal, services, NULL, to, &recorded, err);
    if (n == 0) {
        ret->recorded = core_hash(recorded);
    }
    core_free(recorded);
    return n;
}
