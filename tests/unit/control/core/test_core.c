#include "gt_test.h"

#include "control/core/core.h"
#include "store/record/gen/rec_common.h"
#include "store/record/gen/rec_core.h"

/* Records of the core's own serve as payload: core_alarm holds one number. */
static void put(struct tx *tx, const char *key, int64_t n)
{
    tx_put(tx, key, &rec_core_alarm_desc, &(struct rec_core_alarm){.when = n});
}

static int64_t get(struct tx *tx, const char *key)
{
    struct rec_core_alarm *r = tx_get(tx, key, &rec_core_alarm_desc);
    return r ? r->when : -1;
}

/* A controller that keeps "sum/<group>" equal to the number of keys under "item/<group>/". */
static unsigned sum_steps;

static void sum_watch(struct tx *tx, const char *changed, void (*emit)(void *arg, const char *key),
                      void *arg)
{
    const char *items = tx_key(tx, "item/");
    if (strncmp(changed, items, strlen(items)) == 0) {
        const char *group = changed + strlen(items);
        emit(arg, tx_key(tx, "sum/%.*s", (int)strcspn(group, "/"), group));
    }
}

static enum step_result sum_step(struct tx *tx, const char *key)
{
    const char *group = key + strlen(tx_key(tx, "sum/"));
    sum_steps++;
    put(tx, key, (int64_t)tx_count(tx, tx_key(tx, "item/%s/", group)) + 1);
    return STEP_DONE;
}

/* A controller that counts down "down/<x>" by one each step. */
static enum step_result down_step(struct tx *tx, const char *key)
{
    int64_t n = get(tx, key);
    if (n > 1) {
        put(tx, key, n - 1);
    }
    return STEP_AGAIN;
}

static enum step_result clock_step(struct tx *tx, const char *key)
{
    put(tx, tx_key(tx, "rang"), tx_now(tx));
    return STEP_DONE;
}

static const struct controller sum = {.name = "sum", .watch = sum_watch, .step = sum_step};
static const struct controller down = {.name = "down", .all = "down/", .step = down_step};
static const struct controller clock_ = {.name = "clock", .step = clock_step};
static const struct controller *const controllers[] = {&sum, &down, &clock_, NULL};
static const struct service service = {.name = "test", .controllers = controllers};
static const struct service *const services[] = {&service, NULL};

struct fixture {
    struct journal *journal;
    struct core *core;
    struct gt_arena arena;
};

static void set_up(struct fixture *f, struct journal *j)
{
    struct gt_err err;
    f->journal = j;
    gt_arena_init(&f->arena, 1 << 22);
    gt_assert_ok(core_new(j, services, &(struct core_options){.seed = 5}, &f->core, &err), err);
}

static void tear_down(struct fixture *f)
{
    core_free(f->core);
    journal_close(f->journal);
    gt_arena_fini(&f->arena);
}

static struct core_call do_call(struct fixture *f, int (*fn)(struct tx *, void *, struct gt_err *),
                                void *arg, int64_t now)
{
    struct core_call c = {
        .fn = fn,
        .arg = arg,
        .principal = {.kind = PRINCIPAL_ROOT, .account = GT_STR_LIT("000000000000")},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &f->arena,
        .label = GT_STR_LIT("test"),
    };
    core_apply(f->core, &c, now);
    return c;
}

static int write_some(struct tx *tx, void *arg, struct gt_err *err)
{
    assert_string_equal(tx_key(tx, "a/%d", 1), "000000000000/us-east-1/a/1");
    assert_string_equal(tx_arn(tx, "ecs", "cluster/%s", "x"),
                        "arn:aws:ecs:us-east-1:000000000000:cluster/x");
    put(tx, tx_key(tx, "a/1"), 1);
    put(tx, tx_key(tx, "a/2"), 2);
    put(tx, tx_key(tx, "a/3"), 3);
    tx_mark(tx, tx_key(tx, "b/1"));
    uint64_t create = 9, modify = 9;
    assert_true(tx_revisions(tx, tx_key(tx, "a/1"), &create, &modify));
    assert_true(create == 0 && modify == 0);
    assert_int_equal(tx_revision(tx), 1);
    return 0;
}

static int read_some(struct tx *tx, void *arg, struct gt_err *err)
{
    put(tx, tx_key(tx, "a/15"), 15);
    tx_delete(tx, tx_key(tx, "a/2"));
    put(tx, tx_key(tx, "a/1"), 11);
    static const int64_t expect[] = {11, 15, 3};
    size_t n = 0;
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "a/"), NULL);
    for (const char *key; (key = tx_next(&c)); n++) {
        assert_int_equal(get(tx, key), expect[n]);
        tx_delete(tx, key); /* the cursor goes on from where it was */
    }
    assert_int_equal(n, 3);
    assert_int_equal(tx_count(tx, tx_key(tx, "a/")), 0);
    assert_true(tx_exists(tx, tx_key(tx, "b/1")));
    assert_null(tx_get(tx, tx_key(tx, "a/1"), &rec_core_alarm_desc));
    return gt_err_set(err, GT_ERR_CONFLICT, "changed my mind");
}

static int check_after(struct tx *tx, void *arg, struct gt_err *err)
{
    uint64_t create, modify;
    assert_int_equal(tx_count(tx, tx_key(tx, "a/")), 3);
    assert_true(tx_revisions(tx, tx_key(tx, "a/1"), &create, &modify));
    assert_true(create == 1 && modify == 1);
    put(tx, tx_key(tx, "a/1"), 1); /* what is there already */
    put(tx, tx_key(tx, "a/9"), 1);
    tx_delete(tx, tx_key(tx, "a/9"));
    tx_delete(tx, tx_key(tx, "never"));
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "a/"), tx_key(tx, "a/1"));
    assert_string_equal(tx_next(&c), tx_key(tx, "a/2"));
    return 7;
}

GT_TEST(transactions)
{
    struct fixture f;
    set_up(&f, memory_journal_new());
    struct core_call c = do_call(&f, write_some, NULL, 1000);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.revision, 1);
    uint64_t hash = core_hash(f.core);
    c = do_call(&f, read_some, NULL, 900);
    assert_int_equal(c.result, -EBUSY);
    assert_string_equal(c.err.msg, "changed my mind");
    assert_int_equal(core_time(f.core), 1000);
    c = do_call(&f, check_after, NULL, 1100);
    assert_int_equal(c.result, 7);
    assert_int_equal(c.revision, 1); /* it wrote nothing after all */
    assert_true(core_hash(f.core) == hash);
    tear_down(&f);
}

static int too_much(struct tx *tx, void *arg, struct gt_err *err)
{
    for (int i = 0; i < 20001; i++) {
        tx_mark(tx, gt_arena_printf(tx_arena(tx), "x/y/%d", i));
    }
    return 0;
}

static int too_long(struct tx *tx, void *arg, struct gt_err *err)
{
    char key[2000];
    memset(key, 'x', sizeof key);
    key[sizeof key - 1] = '\0';
    tx_mark(tx, key);
    return 0;
}

/* Each record that it looks at costs it a tenth of its arena. */
static int look_at_all(struct tx *tx, void *arg, struct gt_err *err)
{
    size_t *seen = arg;
    bool thrifty = *seen;
    *seen = 0;
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "many/"), NULL);
    for (const char *key; (key = tx_next(&c)); ++*seen) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        assert_int_equal(get(tx, key), 1);
        gt_arena_alloc(tx_arena(tx), tx_arena(tx)->cap / 10);
        if (thrifty) {
            gt_arena_release(tx_arena(tx), mark);
        }
    }
    return 0;
}

static int put_many(struct tx *tx, void *arg, struct gt_err *err)
{
    for (int i = 0; i < 100; i++) {
        put(tx, tx_key(tx, "many/%03d", i), 1);
    }
    return 0;
}

GT_TEST(walks_that_see_too_much_end_the_transaction)
{
    struct fixture f;
    set_up(&f, memory_journal_new());
    assert_int_equal(do_call(&f, put_many, NULL, 1).result, 0);
    size_t seen = 1;
    assert_int_equal(do_call(&f, look_at_all, &seen, 1).result, 0);
    assert_int_equal(seen, 100);
    seen = 0;
    gt_arena_reset(&f.arena);
    assert_int_equal(do_call(&f, look_at_all, &seen, 1).result, -EDQUOT);
    assert_true(seen > 5 && seen < 10);
    tear_down(&f);
}

GT_TEST(limits_end_the_transaction)
{
    struct fixture f;
    set_up(&f, memory_journal_new());
    assert_int_equal(do_call(&f, too_much, NULL, 1).result, -EDQUOT);
    assert_int_equal(do_call(&f, too_long, NULL, 1).result, -EINVAL);
    assert_int_equal(core_keys(f.core), 0);
    tear_down(&f);
}

static int put_items(struct tx *tx, void *arg, struct gt_err *err)
{
    tx_mark(tx, tx_key(tx, "item/g/1"));
    tx_mark(tx, tx_key(tx, "item/g/2"));
    tx_mark(tx, tx_key(tx, "item/h/1"));
    put(tx, tx_key(tx, "down/x"), 4);
    tx_alarm_set(tx, "clock", tx_key(tx, "any"), 5000);
    tx_alarm_set(tx, "clock", tx_key(tx, "other"), 9000);
    tx_alarm_set(tx, "clock", tx_key(tx, "other"), 6000);
    tx_alarm_set(tx, "clock", tx_key(tx, "third"), 5500);
    tx_alarm_clear(tx, "clock", tx_key(tx, "third"));
    return 0;
}

static int check_sums(struct tx *tx, void *arg, struct gt_err *err)
{
    assert_int_equal(get(tx, tx_key(tx, "sum/g")), 3);
    assert_int_equal(get(tx, tx_key(tx, "sum/h")), 2);
    return (int)get(tx, tx_key(tx, "rang"));
}

GT_TEST(controllers_and_alarms)
{
    struct fixture f;
    set_up(&f, memory_journal_new());
    sum_steps = 0;
    do_call(&f, put_items, NULL, 1000);
    assert_true(core_has_work(f.core));
    assert_int_equal(core_step_controllers(f.core, 1000, 1), 1);
    assert_int_equal(core_step_controllers(f.core, 1000, 100), 1); /* no key twice */
    assert_int_equal(sum_steps, 2);
    assert_int_equal(do_call(&f, check_sums, NULL, 1000).result, -1);
    assert_true(core_next_alarm(f.core) == 5000);
    assert_int_equal(core_step_controllers(f.core, 4999, 100), 0);
    assert_int_equal(core_step_controllers(f.core, 5000, 100), 1);
    assert_int_equal(do_call(&f, check_sums, NULL, 5000).result, 5000);
    assert_true(core_next_alarm(f.core) == 6000);

    /* A crash now: another core from the same journal agrees, and starts what `all` names. */
    struct fixture g;
    set_up(&g, memory_journal_copy(f.journal, core_revision(f.core)));
    assert_true(core_hash(g.core) == core_hash(f.core));
    assert_int_equal(core_revision(g.core), core_revision(f.core));
    assert_true(core_next_alarm(g.core) == 6000);
    assert_int_equal(core_step_controllers(g.core, 5000, 100), 4); /* 4 -> 1, then nothing */
    assert_int_equal(core_step_controllers(g.core, 6000, 100), 1);
    assert_true(core_next_alarm(g.core) == INT64_MAX);
    tear_down(&g);
    tear_down(&f);
}

static int put_number(struct tx *tx, void *arg, struct gt_err *err)
{
    int64_t *n = arg;
    put(tx, tx_key(tx, "n/%lld", (long long)(*n % 50)), *n);
    if (*n % 7 == 0) {
        tx_delete(tx, tx_key(tx, "n/%lld", (long long)((*n + 1) % 50)));
    }
    put(tx, tx_key(tx, "random"), (int64_t)(tx_random(tx) >> 1));
    tx_alarm_set(tx, "clock", tx_key(tx, "n"), 1000 + *n);
    return 0;
}

GT_TEST(same_inputs_same_state_and_snapshots)
{
    struct fixture f, g;
    set_up(&f, memory_journal_new());
    set_up(&g, memory_journal_new());
    for (int64_t i = 0; i < 300; i++) {
        do_call(&f, put_number, &i, i);
        do_call(&g, put_number, &i, i);
        if (i == 150) {
            struct gt_err err;
            assert_true(core_snapshot(g.core));
            assert_true(core_snapshot_reap(g.core, &err));
            assert_int_equal(err.kind, GT_ERR_NONE);
            journal_forget(g.journal, UINT64_MAX, UINT64_MAX);
        }
    }
    assert_true(core_hash(f.core) == core_hash(g.core));
    struct fixture h;
    set_up(&h, memory_journal_copy(g.journal, UINT64_MAX));
    assert_true(core_hash(f.core) == core_hash(h.core));
    assert_int_equal(core_revision(h.core), core_revision(f.core));
    assert_true(core_next_alarm(h.core) == core_next_alarm(f.core));
    tear_down(&f);
    tear_down(&g);
    tear_down(&h);
}

static int refuse(struct tx *tx, const struct service_op *op, const void *in, struct gt_err *err)
{
    return tx_principal(tx)->kind == PRINCIPAL_ROOT ? 0
                                                    : gt_err_set(err, GT_ERR_DENIED, "not for you");
}

static int mark_handler(struct tx *tx, const void *in, void *out, struct gt_err *err)
{
    tx_mark(tx, tx_key(tx, "handled"));
    return 0;
}

GT_TEST(authorization_comes_first)
{
    struct gt_err err;
    struct gt_arena arena;
    gt_arena_init(&arena, 1 << 20);
    struct journal *j = memory_journal_new();
    struct core *core;
    gt_assert_ok(core_new(j, NULL, &(struct core_options){.authorize = refuse}, &core, &err), err);
    struct service_op op = {.core = mark_handler};
    struct core_call c = {.op = &op,
                          .arena = &arena,
                          .region = GT_STR_LIT("r"),
                          .principal = {.kind = PRINCIPAL_NODE, .account = GT_STR_LIT("1")}};
    core_apply(core, &c, 1);
    assert_int_equal(c.result, -EACCES);
    assert_int_equal(core_keys(core), 0);
    c.principal.kind = PRINCIPAL_ROOT;
    core_apply(core, &c, 1);
    assert_int_equal(c.result, 0);
    assert_int_equal(core_keys(core), 1);
    core_free(core);
    journal_close(j);
    gt_arena_fini(&arena);
}

static int wait_for_it(struct tx *tx, void *arg, struct gt_err *err)
{
    if (!tx_exists(tx, tx_key(tx, "it")) && !tx_wait_over(tx)) {
        tx_wait(tx, tx_key(tx, "it"), 77);
        return 0;
    }
    return 1;
}

GT_TEST(waiting)
{
    struct fixture f;
    set_up(&f, memory_journal_new());
    struct core_call c = do_call(&f, wait_for_it, NULL, 1);
    assert_string_equal(c.wait_prefix, "000000000000/us-east-1/it");
    assert_int_equal(c.wait_until, 77);
    c.wait_over = true;
    core_apply(f.core, &c, 77);
    assert_null(c.wait_prefix);
    assert_int_equal(c.result, 1);
    tear_down(&f);
}

/* arg: how many calls came before. Each writes one key, number 1 to 3. */
static int write_one(struct tx *tx, void *arg, struct gt_err *err)
{
    put(tx, tx_key(tx, "n/%d", ++*(int *)arg), 1);
    return 0;
}

static void walk_since(struct tx *tx, uint64_t revision, const char *want)
{
    char got[16] = {0};
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "n/"), NULL);
    for (const char *key; (key = tx_next_since(&c, revision));) {
        strncat(got, strrchr(key, '/') + 1, 1);
    }
    assert_string_equal(got, want);
}

static int look_since(struct tx *tx, void *arg, struct gt_err *err)
{
    walk_since(tx, 0, "123");
    walk_since(tx, 1, "23");
    walk_since(tx, 2, "3");
    walk_since(tx, 3, "");
    put(tx, tx_key(tx, "n/2"), 5);
    walk_since(tx, 2, "23");
    tx_delete(tx, tx_key(tx, "n/3"));
    put(tx, tx_key(tx, "n/4"), 5);
    walk_since(tx, 2, "24");
    return 0;
}

GT_TEST(walks_over_what_changed)
{
    struct fixture f;
    set_up(&f, memory_journal_new());
    int n = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(do_call(&f, write_one, &n, 1).result, 0);
    }
    assert_int_equal(do_call(&f, look_since, NULL, 1).result, 0);
    tear_down(&f);
}

GT_RUN(GT_CASE(walks_over_what_changed), GT_CASE(transactions), GT_CASE(limits_end_the_transaction),
       GT_CASE(walks_that_see_too_much_end_the_transaction), GT_CASE(controllers_and_alarms),
       GT_CASE(same_inputs_same_state_and_snapshots), GT_CASE(authorization_comes_first),
       GT_CASE(waiting))
