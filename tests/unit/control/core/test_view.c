/* A view shows what the transaction at hand sees, and is the same when it was made anew. */
#include "gt_test.h"

#include "control/core/core.h"
#include "control/core/view.h"
#include "lib/base/rand.h"
#include "store/record/gen/rec_core.h"
#include "store/record/record.h"

/* How many records lie under item/ and more/, and the sum of their numbers. */
struct totals {
    int64_t n, sum;
    struct gt_arena arena;
};
static int opened, closed;

static void *totals_open(void)
{
    struct totals *t = gt_new(struct totals);
    gt_arena_init(&t->arena, 1 << 20);
    opened++;
    return t;
}

static int64_t number(struct totals *t, struct gt_str value)
{
    void *rec;
    assert_int_equal(rec_decode(&rec_core_alarm_desc, value, &t->arena, &rec, NULL), 0);
    return ((struct rec_core_alarm *)rec)->when;
}

static void totals_change(void *data, const char *key, struct gt_str before, struct gt_str after)
{
    struct totals *t = data;
    assert_true(strstr(key, "/item/") || strstr(key, "/more/"));
    assert_true(before.p || after.p);
    t->n += (after.p != NULL) - (before.p != NULL);
    t->sum += after.p ? number(t, after) : 0;
    t->sum -= before.p ? number(t, before) : 0;
    gt_arena_reset(&t->arena);
}

static void totals_close(void *data)
{
    struct totals *t = data;
    gt_arena_fini(&t->arena);
    free(t);
    closed++;
}

static const char *const under[] = {"item/", "more/", NULL};
static const struct core_view totals = {under, totals_open, totals_change, totals_close};

static void put(struct tx *tx, const char *key, int64_t n)
{
    tx_put(tx, key, &rec_core_alarm_desc, &(struct rec_core_alarm){.when = n});
}

static void expect(struct tx *tx, int64_t n, int64_t sum)
{
    const struct totals *t = tx_view(tx, &totals);
    assert_int_equal(t->n, n);
    assert_int_equal(t->sum, sum);
}

struct fixture {
    struct journal *journal;
    struct core *core;
    struct gt_arena arena;
    const char *account;
};

static void start(struct fixture *f)
{
    struct gt_err err;
    gt_assert_ok(core_new(f->journal, NULL, NULL, &f->core, &err), err);
    opened = closed = 0;
}

static void set_up(struct fixture *f)
{
    f->journal = memory_journal_new();
    f->account = "000000000000";
    gt_arena_init(&f->arena, 1 << 22);
    start(f);
}

static void tear_down(struct fixture *f)
{
    core_free(f->core);
    assert_int_equal(closed, opened);
    journal_close(f->journal);
    gt_arena_fini(&f->arena);
}

static int call(struct fixture *f, int (*fn)(struct tx *, void *, struct gt_err *), void *arg)
{
    struct core_call c = {
        .fn = fn,
        .arg = arg,
        .principal = {.kind = PRINCIPAL_ROOT, .account = gt_str(f->account)},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &f->arena,
        .label = GT_STR_LIT("test"),
    };
    core_apply(f->core, &c, 1);
    return c.result;
}

static int put_two(struct tx *tx, void *arg, struct gt_err *err)
{
    put(tx, tx_key(tx, "item/1"), 1);
    put(tx, tx_key(tx, "more/2"), 20);
    put(tx, tx_key(tx, "else/3"), 300);
    return 0;
}

static int expect_two(struct tx *tx, void *arg, struct gt_err *err)
{
    expect(tx, 2, 21);
    return 0;
}

static int change_and_fail(struct tx *tx, void *arg, struct gt_err *err)
{
    put(tx, tx_key(tx, "item/1"), 5);
    expect(tx, 2, 25);
    put(tx, tx_key(tx, "item/1"), 6);
    expect(tx, 2, 26);
    put(tx, tx_key(tx, "item/3"), 100);
    expect(tx, 3, 126);
    tx_delete(tx, tx_key(tx, "more/2"));
    expect(tx, 2, 106);
    tx_delete(tx, tx_key(tx, "item/3"));
    expect(tx, 1, 6);
    put(tx, tx_key(tx, "more/2"), 3);
    expect(tx, 2, 9);
    put(tx, tx_key(tx, "item/1"), 1); /* as it was */
    expect(tx, 2, 4);
    tx_delete(tx, tx_key(tx, "item/1"));
    expect(tx, 1, 3);
    put(tx, tx_key(tx, "else/3"), 4);
    expect(tx, 1, 3);
    return gt_err_set(err, GT_ERR_INVALID, "no");
}

GT_TEST(sees_what_is_staged_and_forgets_what_fails)
{
    struct fixture f;
    set_up(&f);
    assert_int_equal(call(&f, put_two, NULL), 0);
    assert_int_equal(call(&f, expect_two, NULL), 0);
    assert_true(call(&f, change_and_fail, NULL) < 0);
    assert_int_equal(call(&f, expect_two, NULL), 0);
    assert_int_equal(opened, 1);
    tear_down(&f);
}

/* The first one to ask has changed something before. */
GT_TEST(begins_in_the_middle_of_a_transaction)
{
    struct fixture f;
    set_up(&f);
    assert_int_equal(call(&f, put_two, NULL), 0);
    assert_true(call(&f, change_and_fail, NULL) < 0);
    assert_int_equal(call(&f, expect_two, NULL), 0);
    struct journal *copy = memory_journal_copy(f.journal, core_revision(f.core));
    core_free(f.core);
    journal_close(f.journal);
    f.journal = copy;
    start(&f);
    assert_int_equal(call(&f, expect_two, NULL), 0);
    tear_down(&f);
}

static int put_one(struct tx *tx, void *arg, struct gt_err *err)
{
    put(tx, tx_key(tx, "item/1"), 1000);
    expect(tx, 3, 1021);
    return 0;
}

static int refuse_more(struct tx *tx, void *arg, struct gt_err *err)
{
    put(tx, tx_key(tx, "item/7"), 7);
    char *key = gt_arena_alloc(tx_arena(tx), 2000);
    memset(key, 'k', 1999);
    put(tx, key, 1); /* breaks the transaction, whatever this returns */
    return 0;
}

GT_TEST(is_of_all_accounts)
{
    struct fixture f;
    set_up(&f);
    assert_int_equal(call(&f, put_two, NULL), 0);
    f.account = "000000000001";
    assert_int_equal(call(&f, put_one, NULL), 0);
    assert_true(call(&f, refuse_more, NULL) < 0);
    core_set_read_only(f.core, "no room");
    assert_true(call(&f, put_two, NULL) < 0);
    core_set_read_only(f.core, NULL);
    assert_int_equal(call(&f, put_one, NULL), 0); /* what is there already */
    tear_down(&f);
}

struct dice {
    struct gt_prng rng;
};

static int change_at_random(struct tx *tx, void *arg, struct gt_err *err)
{
    struct dice *r = arg;
    for (uint64_t k = gt_prng_below(&r->rng, 8); k > 0; k--) {
        int i = (int)gt_prng_below(&r->rng, 6);
        char *key = tx_key(tx, "%s/%d", i % 2 ? "item" : "more", i);
        if (gt_prng_below(&r->rng, 3)) {
            put(tx, key, (int64_t)gt_prng_below(&r->rng, 4));
        } else {
            tx_delete(tx, key);
        }
    }
    int64_t n = 0, sum = 0;
    for (const char *const *u = under; *u; u++) {
        struct tx_cursor c = tx_scan(tx, tx_key(tx, "%s", *u), NULL);
        for (const char *key; (key = tx_next(&c)); n++) {
            sum += ((struct rec_core_alarm *)tx_get(tx, key, &rec_core_alarm_desc))->when;
        }
    }
    expect(tx, n, sum);
    return gt_prng_below(&r->rng, 2) ? gt_err_set(err, GT_ERR_INVALID, "no") : 0;
}

GT_TEST(agrees_with_the_records)
{
    struct fixture f;
    set_up(&f);
    struct dice r = {.rng = {3}};
    for (int i = 0; i < 3000; i++) {
        call(&f, change_at_random, &r);
        gt_arena_reset(&f.arena);
    }
    assert_int_equal(opened, 1);
    tear_down(&f);
}

GT_RUN(GT_CASE(sees_what_is_staged_and_forgets_what_fails),
       GT_CASE(begins_in_the_middle_of_a_transaction), GT_CASE(is_of_all_accounts),
       GT_CASE(agrees_with_the_records))
