/* The journal run once more; states of the past; epochs. */
#include "gt_test.h"

#include "control/core/replay.h"
#include "control/core/retention.h"
#include "store/record/gen/rec_core.h"

static int64_t get(struct tx *tx, const char *key)
{
    const struct rec_core_alarm *r = tx_get(tx, key, &rec_core_alarm_desc);
    return r ? r->when : 0;
}

static void put(struct tx *tx, const char *key, int64_t n)
{
    tx_put(tx, key, &rec_core_alarm_desc, &(struct rec_core_alarm){.when = n});
}

static int64_t twist; /* another build's idea of adding */

/* Adds to "n", notes a random number, and rings in ten seconds. */
static int add(struct tx *tx, const void *arg, void *out, struct gt_err *err)
{
    const struct rec_core_alarm *in = arg;
    put(tx, tx_key(tx, "n"), get(tx, tx_key(tx, "n")) + in->when + twist);
    put(tx, tx_key(tx, "random"), (int64_t)(tx_random(tx) >> 1));
    tx_alarm_set(tx, "bell", tx_key(tx, "bell"), tx_now(tx) + 10000);
    return in->when < 0 ? gt_err_set(err, GT_ERR_INVALID, "less than nothing") : 0;
}

static const struct service_change change = {"test.Add", &rec_core_alarm_desc, add};
static const struct service_change *const changes[] = {&change, NULL};

static enum step_result ring(struct tx *tx, const char *key)
{
    put(tx, key, tx_now(tx));
    return STEP_DONE;
}

static const struct controller bell = {.name = "bell", .step = ring};
static const struct controller *const controllers[] = {&bell, NULL};
static const struct service service = {
    .name = "test", .controllers = controllers, .changes = changes};
static const struct service *const services[] = {&service, NULL};

static struct core *open_core(struct journal *j)
{
    struct core *core = NULL;
    struct gt_err err;
    gt_assert_ok(core_new(j, services, &(struct core_options){.seed = 7}, &core, &err), err);
    return core;
}

static void call(struct core *core, int64_t n, int64_t now)
{
    struct gt_arena arena;
    gt_arena_init(&arena, 1 << 20);
    struct core_call c = {
        .change = &change,
        .in = &(struct rec_core_alarm){.when = n},
        .principal = {.kind = PRINCIPAL_ROOT, .account = GT_STR_LIT("000000000000")},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &arena};
    core_apply(core, &c, now);
    assert_int_equal(c.result, n < 0 ? -EINVAL : 0);
    gt_arena_fini(&arena);
}

/* Revisions 1 (epoch) to 21: calls, and the alarms that they set. */
static struct core *work(struct journal *j, const char *build)
{
    struct core *core = open_core(j);
    core_begin_epoch(core, build, 1000);
    for (int64_t i = 1; i <= 10; i++) {
        call(core, i, i * 20000);
        call(core, -1, i * 20000 + 1); /* refused: no entry */
        core_step_controllers(core, i * 20000 + 15000, 10);
    }
    assert_int_equal(core_revision(core), 21);
    return core;
}

static struct core_difference first;
static char first_key[64];

static void differs(void *arg, const struct core_difference *d)
{
    if (!first.revision) {
        first = *d;
        snprintf(first_key, sizeof first_key, GT_STR_FMT, GT_STR_ARG(d->key));
    }
}

static struct core_replayed replay(struct journal *j, struct core_replay_options o)
{
    struct core_replayed got;
    struct gt_err err;
    o.differs = differs;
    first = (struct core_difference){0};
    gt_assert_ok(core_replay(j, services, &o, &got, &err), err);
    return got;
}

GT_TEST(the_same_comes_of_it)
{
    struct journal *j = memory_journal_new();
    struct core *core = work(j, "a");
    struct core_replayed got = replay(j, (struct core_replay_options){.build = "a"});
    assert_int_equal(got.executed, 21);
    assert_int_equal(got.other_build, 0);
    assert_int_equal(got.differ, 0);
    assert_true(got.hash == core_hash(core) && got.recorded == got.hash);
    assert_int_equal(got.keys, core_keys(core));
    got = replay(j, (struct core_replay_options){.build = "a", .to = 7});
    assert_int_equal(got.to, 7);
    assert_int_equal(got.executed, 7);
    assert_true(got.hash != core_hash(core) && got.recorded == got.hash);
    core_free(core);
    journal_close(j);
}

GT_TEST(another_build_is_applied_or_found_out)
{
    struct journal *j = memory_journal_new();
    struct core *core = work(j, "a");
    uint64_t hash = core_hash(core);
    core_free(core);
    twist = 1;
    struct core_replayed got = replay(j, (struct core_replay_options){.build = "b"});
    assert_int_equal(got.executed, 0);
    assert_int_equal(got.other_build, 21);
    assert_int_equal(got.differ, 0);
    assert_true(got.hash == hash);
    got = replay(j, (struct core_replay_options){.build = "b", .all = true});
    twist = 0;
    assert_int_equal(got.differ, 10); /* each on the recorded state before it */
    assert_int_equal(first.revision, 2);
    assert_true(gt_str_is(first.label, "test.Add"));
    assert_string_equal(first_key, "000000000000/us-east-1/n");
    assert_true(got.hash == hash);
    journal_close(j);
}

GT_TEST(from_a_snapshot_when_entries_are_forgotten)
{
    struct journal *j = memory_journal_new();
    struct core *core = work(j, "a");
    struct gt_err err;
    assert_true(core_snapshot(core));
    assert_true(core_snapshot_reap(core, &err));
    journal_forget(j, UINT64_MAX, 0);
    call(core, 5, 500000);
    struct core_replayed got = replay(j, (struct core_replay_options){.build = "a"});
    assert_int_equal(got.from, 21);
    assert_int_equal(got.executed, 1);
    assert_int_equal(got.differ, 0);
    assert_true(got.hash == core_hash(core));
    core_free(core);
    journal_close(j);
}

static int read_n(struct tx *tx, void *arg, struct gt_err *err)
{
    *(int64_t *)arg = get(tx, tx_key(tx, "n"));
    return 0;
}

GT_TEST(a_state_of_the_past_can_be_asked_and_not_changed)
{
    struct journal *j = memory_journal_new();
    struct core *core = work(j, "a"), *past = NULL;
    struct gt_err err;
    struct gt_arena arena;
    int64_t n = 0;
    gt_arena_init(&arena, 1 << 20);
    gt_assert_ok(core_open_at(j, services, NULL, 6, &past, &err), err);
    struct core_call c = {
        .fn = read_n,
        .arg = &n,
        .principal = {.kind = PRINCIPAL_ROOT, .account = GT_STR_LIT("000000000000")},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &arena};
    core_apply(past, &c, core_time(past));
    assert_int_equal(c.result, 0);
    assert_int_equal(n, 1 + 2 + 3);
    c.fn = NULL;
    c.change = &change;
    c.in = &(struct rec_core_alarm){.when = 1};
    core_apply(past, &c, core_time(past));
    assert_int_equal(c.err.kind, GT_ERR_INVALID);
    assert_int_equal(core_open_at(j, services, NULL, 22, &past, &err), -ENOENT);
    gt_arena_fini(&arena);
    core_free(past);
    core_free(core);
    journal_close(j);
}

struct known {
    int64_t epoch;
    uint64_t revision;
    bool yes;
};

static int ask(struct tx *tx, void *arg, struct gt_err *err)
{
    struct known *k = arg;
    if (!k->epoch) {
        k->epoch = tx_epoch(tx);
    }
    k->yes = tx_knows(tx, k->epoch, k->revision);
    return 0;
}

static bool knows(struct core *core, int64_t *epoch, uint64_t revision)
{
    struct gt_arena arena;
    gt_arena_init(&arena, 1 << 20);
    struct known k = {.epoch = *epoch, .revision = revision};
    struct core_call c = {.fn = ask, .arg = &k, .arena = &arena};
    core_apply(core, &c, 0);
    gt_arena_fini(&arena);
    *epoch = k.epoch;
    return k.yes;
}

/* What was seen of a history that a restored backup cut off is not taken for this one's, not even
 * when this one has come further. */
GT_TEST(a_cut_off_history_is_known_as_such)
{
    struct journal *j = memory_journal_new();
    struct core *core = work(j, "a");
    int64_t one = 0, two = 0, three = 0;
    assert_true(knows(core, &one, 21));
    assert_false(knows(core, &one, 22));
    struct journal *backup = memory_journal_copy(j, 9), *again = memory_journal_copy(j, 21);
    core_free(core);
    core = open_core(again);
    core_begin_epoch(core, "a", 0);
    assert_true(knows(core, &two, 22));
    assert_true(two != one);
    assert_true(knows(core, &one, 21));
    assert_false(knows(core, &one, 22)); /* that is the second's */
    core_free(core);

    core = open_core(backup);
    core_begin_epoch(core, "a", 0);
    for (int i = 0; i < 50; i++) {
        call(core, 1, 0);
    }
    assert_true(knows(core, &three, 60));
    assert_true(knows(core, &one, 9));
    assert_false(knows(core, &one, 10));
    assert_false(knows(core, &two, 22));
    core_free(core);
    journal_close(backup);
    journal_close(again);
    journal_close(j);
}

static void forget(const struct retention *r, const struct retention_state *s, uint64_t entries,
                   uint64_t snapshots)
{
    uint64_t e, n;
    retention_forget(r, s, &e, &n);
    assert_int_equal(e, entries);
    assert_int_equal(n, snapshots);
}

GT_TEST(retention_by_age_and_size)
{
    struct retention r = {
        .age_ms = 1000, .bytes = 500, .snapshots = 2, .every = 100, .every_bytes = 60};
    const struct journal_mark m[] = {{10, 100, 100, 0},
                                     {20, 200, 200, 0},
                                     {30, 300, 300, 0},
                                     {40, 400, 400, 0},
                                     {50, 500, 450, 0}};
    struct retention_state s = {.snapshots = m, .n = 5, .revision = 55, .bytes = 500, .now = 600};
    forget(&r, &s, 0, 0); /* young and small */
    s.now = 1250;
    forget(&r, &s, 20, 0); /* at 200 and before is too old */
    s.now = 5000;
    forget(&r, &s, 50, 30); /* the newest is what is left, and two behind it */
    s.now = 600;
    s.bytes = 750;
    forget(&r, &s, 30, 0); /* 450 bytes after revision 30 */
    s.bytes = 5000;
    forget(&r, &s, 50, 30); /* never more than a snapshot covers */
    s.n = 0;
    forget(&r, &s, 0, 0);

    s = (struct retention_state){.snapshots = m, .n = 5, .revision = 55, .bytes = 500, .now = 600};
    assert_false(retention_snapshot_due(&r, &s));
    s.bytes = 510;
    assert_true(retention_snapshot_due(&r, &s)); /* by bytes */
    s.bytes = 500;
    s.now = 625;
    assert_true(retention_snapshot_due(&r, &s)); /* by age */
    s.revision = 50;
    assert_false(retention_snapshot_due(&r, &s)); /* nothing came since */
    s.now = 600;
    s.revision = 150;
    assert_true(retention_snapshot_due(&r, &s));
    s.state_bytes = 200;
    assert_false(retention_snapshot_due(&r, &s)); /* as much to write for 50 bytes of entries */
    s.bytes = 550;
    assert_true(retention_snapshot_due(&r, &s));
    s.bytes = 500;
    s.now = 625;
    assert_true(retention_snapshot_due(&r, &s)); /* old */
}

GT_RUN(GT_CASE(the_same_comes_of_it), GT_CASE(another_build_is_applied_or_found_out),
       GT_CASE(from_a_snapshot_when_entries_are_forgotten),
       GT_CASE(a_state_of_the_past_can_be_asked_and_not_changed),
       GT_CASE(a_cut_off_history_is_known_as_such), GT_CASE(retention_by_age_and_size))
