#include "control/core/core_priv.h"

#include "lib/base/limits.h"
#include "store/record/gen/rec_common.h"
#include "store/record/record.h"

#include <stdarg.h>

void tx_begin(struct tx *tx, struct core *core, const struct principal *principal,
              struct gt_str region, struct gt_arena *arena, uint64_t seed)
{
    *tx = (struct tx){
        .core = core,
        .principal = *principal,
        .account = principal->account,
        .region = region,
        .arena = arena,
        .now = core->time,
        .seed = seed,
        .random = {.state = seed},
    };
}

void tx_end(struct tx *tx)
{
    struct omap_entry *e = omap_seek(&tx->staged, (struct gt_str){0}, false);
    for (; e; e = omap_seek(&tx->staged, omap_key(e), true)) {
        views_change(tx->core, e->data, e, omap_get(&tx->core->state, omap_key(e)));
    }
    omap_fini(&tx->staged);
}

int64_t tx_now(const struct tx *tx)
{
    return tx->now;
}

uint64_t tx_random(struct tx *tx)
{
    return gt_prng_next(&tx->random);
}

char *tx_hex_id(struct tx *tx, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *id = gt_arena_alloc(tx->arena, n + 1);
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 16 == 0) {
            word = tx_random(tx);
        }
        id[i] = digits[word & 15];
        word >>= 4;
    }
    return id;
}

const struct principal *tx_principal(const struct tx *tx)
{
    return &tx->principal;
}

struct gt_str tx_account(const struct tx *tx)
{
    return tx->account;
}

struct gt_str tx_region(const struct tx *tx)
{
    return tx->region;
}

struct gt_arena *tx_arena(struct tx *tx)
{
    return tx->arena;
}

uint64_t tx_revision(const struct tx *tx)
{
    return tx->core->revision + 1;
}

enum { PREFIX_MAX = 192 };

char *tx_key(struct tx *tx, const char *fmt, ...)
{
    char prefix[PREFIX_MAX];
    const struct gt_str slash = GT_STR_LIT("/");
    const struct gt_str parts[] = {tx->account, slash, tx->region, slash};
    struct gt_str start = gt_str_concat(parts, GT_ARRAY_LEN(parts), prefix, sizeof prefix);
    GT_ASSERT(start.p);
    va_list ap;
    va_start(ap, fmt);
    char *key = gt_arena_vprintf(tx->arena, start, fmt, ap);
    va_end(ap);
    return key;
}

char *tx_arn(struct tx *tx, const char *service, const char *fmt, ...)
{
    char prefix[PREFIX_MAX];
    const struct gt_str colon = GT_STR_LIT(":");
    const struct gt_str parts[] = {
        GT_STR_LIT("arn:aws:"), gt_str(service), colon, tx->region, colon, tx->account, colon};
    struct gt_str start = gt_str_concat(parts, GT_ARRAY_LEN(parts), prefix, sizeof prefix);
    GT_ASSERT(start.p);
    va_list ap;
    va_start(ap, fmt);
    char *arn = gt_arena_vprintf(tx->arena, start, fmt, ap);
    va_end(ap);
    return arn;
}

/* The entry as this transaction sees it; NULL when there is none. */
static struct omap_entry *look(struct tx *tx, struct gt_str key)
{
    struct omap_entry *e = tx->staged.root ? omap_get(&tx->staged, key) : NULL;
    if (e) {
        return e->deleted ? NULL : e;
    }
    return omap_get(&tx->core->state, key);
}

void *tx_get(struct tx *tx, const char *key, const struct rec_desc *desc)
{
    struct omap_entry *e = look(tx, gt_str(key));
    if (!e) {
        return NULL;
    }
    /* The record's text points into the bytes: the entry may go before the answer is encoded. */
    char *bytes = gt_arena_alloc(tx->arena, e->value_len);
    memcpy(bytes, omap_value(e).p, e->value_len);
    void *rec;
    struct gt_err err;
    int r = rec_decode(desc, gt_str_n(bytes, e->value_len), tx->arena, &rec, &err);
    GT_ASSERT(r == 0); /* the journal checks what comes from outside: this is a wrong desc */
    return rec;
}

bool tx_exists(struct tx *tx, const char *key)
{
    return look(tx, gt_str(key)) != NULL;
}

bool tx_revisions(struct tx *tx, const char *key, uint64_t *ret_create, uint64_t *ret_modify)
{
    struct omap_entry *e = look(tx, gt_str(key));
    if (!e) {
        return false;
    }
    *ret_create = e->create;
    *ret_modify = e->modify;
    return true;
}

struct tx_cursor tx_scan(struct tx *tx, const char *prefix, const char *after)
{
    return (struct tx_cursor){.tx = tx,
                              .prefix = gt_arena_strdup(tx->arena, prefix),
                              .at = after ? gt_arena_strdup(tx->arena, after) : NULL};
}

/* The next entry in the union of state and staged writes. */
static struct omap_entry *seek(struct tx *tx, struct gt_str key, bool after)
{
    for (;;) {
        struct omap_entry *base = omap_seek(&tx->core->state, key, after);
        struct omap_entry *own = tx->staged.root ? omap_seek(&tx->staged, key, after) : NULL;
        if (!own) {
            return base;
        }
        int c = base ? gt_str_cmp(omap_key(base), omap_key(own)) : 1;
        if (c < 0) {
            return base;
        }
        if (!own->deleted) {
            return own;
        }
        key = omap_key(own);
        after = true;
    }
}

static struct omap_entry *cursor_seek(struct tx *tx, struct gt_str prefix, struct gt_str at,
                                      bool has_at)
{
    bool after = has_at && gt_str_cmp(at, prefix) >= 0;
    struct omap_entry *e = seek(tx, after ? at : prefix, after);
    return e && gt_str_starts(omap_key(e), prefix) ? e : NULL;
}

/* An eighth is left for what the handler does with the record that it stands on: of a request's
 * arena, eight of the largest. */
enum { WALK_SHARE = 8 };

/* False: the arena has no room for what the caller wants to do with one more. */
static bool may_go_on(struct tx *tx)
{
    const struct gt_arena *a = tx->arena;
    if (a->cap - a->used < a->cap / WALK_SHARE) {
        gt_err_set(&tx->broken, GT_ERR_LIMIT, "one call would look at too much");
        return false;
    }
    return true;
}

static const char *stand_on(struct tx_cursor *c, const struct omap_entry *e)
{
    c->at = e ? gt_arena_str(c->tx->arena, omap_key(e)) : c->at;
    return e ? c->at : NULL;
}

const char *tx_next(struct tx_cursor *c)
{
    if (!may_go_on(c->tx)) {
        return NULL;
    }
    return stand_on(c, cursor_seek(c->tx, gt_str(c->prefix), gt_str(c->at), c->at != NULL));
}

struct since {
    struct gt_str prefix;
    uint64_t revision;
    struct omap_entry *found;
};

static bool is_older(void *arg, struct omap_entry *e)
{
    struct since *s = arg;
    if (!gt_str_starts(omap_key(e), s->prefix)) {
        return false;
    }
    s->found = e->modify > s->revision ? e : NULL;
    return !s->found;
}

const char *tx_next_since(struct tx_cursor *c, uint64_t revision)
{
    struct tx *tx = c->tx;
    struct since s = {.prefix = gt_str(c->prefix), .revision = revision};
    struct gt_str at = gt_str(c->at);
    if (!may_go_on(tx)) {
        return NULL;
    }
    if (!tx->staged.root) {
        bool after = c->at && gt_str_cmp(at, s.prefix) >= 0;
        omap_walk(&tx->core->state, after ? at : s.prefix, after, is_older, &s);
        return stand_on(c, s.found);
    }
    bool has_at = c->at != NULL;
    struct omap_entry *e;
    while ((e = cursor_seek(tx, s.prefix, at, has_at)) && e->modify && e->modify <= revision) {
        at = omap_key(e);
        has_at = true;
    }
    return stand_on(c, e);
}

size_t tx_count(struct tx *tx, const char *prefix)
{
    size_t n = 0;
    struct gt_str p = gt_str(prefix), at = {0};
    struct omap_entry *e;
    while ((e = cursor_seek(tx, p, at, n != 0))) {
        at = omap_key(e);
        n++;
    }
    return n;
}

size_t tx_bound(const struct tx *tx, size_t usual)
{
    unsigned by = tx->core->options.tight;
    size_t n = by ? usual / by : usual;
    return n ? n : 1;
}

/* `base`: what the state has under this key. */
static void stage(struct tx *tx, struct omap_entry *e, const struct omap_entry *base)
{
    struct omap_entry *old = omap_put(&tx->staged, e);
    views_change(tx->core, e->data, old ? old : base, e);
    omap_entry_unref(old);
    if (tx->staged.count > GT_LIMIT_TX_WRITES) {
        gt_err_set(&tx->broken, GT_ERR_LIMIT, "one call would change more than %d records",
                   GT_LIMIT_TX_WRITES);
    }
}

static void unstage(struct tx *tx, struct gt_str key, const struct omap_entry *base)
{
    struct omap_entry *old = omap_del(&tx->staged, key);
    if (old) {
        views_change(tx->core, old->data, old, base);
        omap_entry_unref(old);
    }
}

static bool may_write(struct tx *tx, struct gt_str key)
{
    GT_ASSERT(!tx->read_only && key.n > 0);
    if (tx->broken.kind != GT_ERR_NONE) {
        return false;
    }
    if (key.n > GT_LIMIT_KEY) {
        gt_err_set(&tx->broken, GT_ERR_INVALID, "a name is too long");
        return false;
    }
    return true;
}

void tx_put(struct tx *tx, const char *key, const struct rec_desc *desc, const void *rec)
{
    struct gt_str k = gt_str(key);
    if (!may_write(tx, k)) {
        return;
    }
    struct gt_buf *scratch = &tx->core->scratch;
    gt_buf_reset(scratch);
    rec_encode(desc, rec, scratch);
    if (!gt_buf_ok(scratch)) {
        gt_err_set(&tx->broken, GT_ERR_LIMIT, "a %s of more than %lu bytes", desc->name,
                   GT_LIMIT_RECORD);
        return;
    }
    struct omap_entry *base = omap_get(&tx->core->state, k);
    if (base && gt_str_eq(omap_value(base), gt_buf_view(scratch))) {
        unstage(tx, k, base); /* as it was: nothing to write */
        return;
    }
    struct omap_entry *e = omap_entry_new(k, gt_buf_view(scratch));
    e->create = base ? base->create : 0;
    stage(tx, e, base);
}

void tx_mark(struct tx *tx, const char *key)
{
    static const struct rec_mark mark;
    tx_put(tx, key, &rec_mark_desc, &mark);
}

void tx_delete(struct tx *tx, const char *key)
{
    struct gt_str k = gt_str(key);
    if (!may_write(tx, k)) {
        return;
    }
    const struct omap_entry *base = omap_get(&tx->core->state, k);
    if (!base) {
        unstage(tx, k, NULL);
        return;
    }
    struct omap_entry *e = omap_entry_new(k, (struct gt_str){0});
    e->deleted = true;
    stage(tx, e, base);
}

void tx_wait(struct tx *tx, const char *prefix, int64_t until)
{
    tx->wait_prefix = gt_arena_strdup(tx->arena, prefix);
    tx->wait_until = until;
}

bool tx_wait_over(const struct tx *tx)
{
    return tx->wait_over;
}
