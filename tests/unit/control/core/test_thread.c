#include "gt_test.h"

#include "control/core/thread.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "store/record/gen/rec_core.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[96];

static struct journal *open_sqlite(void)
{
    struct journal *j = NULL;
    struct gt_err err;
    strcpy(dir, "/tmp/gt-thread-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/core.db", dir);
    gt_assert_ok(sqlite_journal_open(path, NULL, &j, &err), err);
    return j;
}

static void remove_dir(void)
{
    gt_remove_tree(AT_FDCWD, dir, NULL);
}

/* Follows each write of "n/..." with one step, and has an alarm that counts. */
static enum step_result follow_step(struct tx *tx, const char *key)
{
    tx_mark(tx, tx_key(tx, "followed/%s", strrchr(key, '/') + 1));
    return STEP_DONE;
}

static void follow_watch(struct tx *tx, const char *changed,
                         void (*emit)(void *arg, const char *key), void *arg)
{
    if (strstr(changed, "/n/")) {
        emit(arg, changed);
    }
}

static enum step_result ring_step(struct tx *tx, const char *key)
{
    tx_mark(tx, tx_key(tx, "rang/%s", strrchr(key, '/') + 1));
    return STEP_DONE;
}

static const struct controller follow = {"follow", follow_watch, NULL, follow_step};
static const struct controller ring = {"ring", NULL, NULL, ring_step};
static const struct controller *const controllers[] = {&follow, &ring, NULL};
static const struct service service = {.name = "test", .controllers = controllers};
static const struct service *const services[] = {&service, NULL};

static struct core_thread *start(struct journal *j, const struct core_thread_options *options)
{
    struct core_thread *ct = NULL;
    struct gt_err err;
    gt_assert_ok(core_thread_start(j, services, NULL, options, &ct, &err), err);
    return ct;
}

static void request(struct core_request *rq, struct gt_arena *arena,
                    int (*fn)(struct tx *, void *, struct gt_err *), void *arg)
{
    *rq = (struct core_request){
        .call = {.fn = fn,
                 .arg = arg,
                 .arena = arena,
                 .principal = {.kind = PRINCIPAL_ROOT, .account = GT_STR_LIT("1")},
                 .region = GT_STR_LIT("r")},
        .class = CORE_API,
    };
}

static int add(struct tx *tx, void *arg, struct gt_err *err)
{
    const char *key = tx_key(tx, "n/%d", *(int *)arg);
    struct rec_core_alarm *r = tx_get(tx, key, &rec_core_alarm_desc), zero = {0};
    r = r ? r : &zero;
    r->when++;
    tx_put(tx, key, &rec_core_alarm_desc, r);
    return (int)r->when;
}

static int look(struct tx *tx, void *arg, struct gt_err *err)
{
    const struct rec_core_alarm *r =
        tx_get(tx, tx_key(tx, "n/%d", *(int *)arg), &rec_core_alarm_desc);
    return r ? (int)r->when : 0;
}

static int call(struct core_thread *ct, int (*fn)(struct tx *, void *, struct gt_err *), void *arg)
{
    struct gt_arena arena;
    struct core_request rq;
    gt_arena_init(&arena, 1 << 20);
    request(&rq, &arena, fn, arg);
    if (!core_thread_run(ct, &rq)) {
        rq.call.result = -EAGAIN;
    }
    gt_arena_fini(&arena);
    return rq.call.result;
}

enum { WORKERS = 4, CALLS = 300 };

struct worker {
    pthread_t thread;
    struct core_thread *ct;
    int id;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 1; i <= CALLS; i++) {
        assert_int_equal(call(w->ct, add, &w->id), i);
        assert_int_equal(call(w->ct, look, &w->id), i);
    }
    return NULL;
}

struct watched {
    atomic_ullong last;
    atomic_int n;
};

static void on_key(void *arg, uint64_t revision, const char *key)
{
    struct watched *w = arg;
    assert_true(revision >= atomic_load(&w->last));
    assert_memory_equal(key, "1/r/n/", 6);
    atomic_store(&w->last, revision);
    atomic_fetch_add(&w->n, 1);
}

static void many_workers(struct journal *j)
{
    struct core_thread *ct = start(j, &(struct core_thread_options){.retention = {.every = 200}});
    struct watched seen = {0};
    struct core_watch *watch = core_thread_watch(ct, "1/r/n/", on_key, &seen);
    struct worker w[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        w[i] = (struct worker){.ct = ct, .id = i};
        pthread_create(&w[i].thread, NULL, work, &w[i]);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(w[i].thread, NULL);
    }
    while (atomic_load(&seen.n) < WORKERS * CALLS) {
        usleep(1000);
    }
    core_thread_unwatch(ct, watch);
    struct core_thread_stats stats;
    core_thread_stats(ct, &stats);
    assert_int_equal(stats.calls, WORKERS * CALLS * 2);
    assert_int_equal(stats.unanswered[CORE_API], 0);
    core_thread_stop(ct);
    assert_int_equal(atomic_load(&seen.n), WORKERS * CALLS);
}

GT_TEST(many_workers_memory)
{
    struct journal *j = memory_journal_new();
    many_workers(j);
    journal_close(j);
}

GT_TEST(many_workers_sqlite)
{
    struct journal *j = open_sqlite();
    many_workers(j);
    journal_close(j);
    struct gt_err err;
    gt_assert_ok(sqlite_journal_open(path, NULL, &j, &err), err);
    struct core *core = NULL;
    gt_assert_ok(core_new(j, services, NULL, &core, &err), err);
    const char *key;
    struct gt_str value;
    assert_true(core_next_key(core, "1/r/followed/", NULL, &key, &value));
    assert_true(core_next_key(core, "1/r/n/3", NULL, &key, &value));
    core_free(core);
    journal_close(j);
    remove_dir();
}

static int set_alarm(struct tx *tx, void *arg, struct gt_err *err)
{
    tx_alarm_set(tx, "ring", tx_key(tx, "bell/x"), tx_now(tx) + 20);
    return 0;
}

static int rang(struct tx *tx, void *arg, struct gt_err *err)
{
    if (!tx_exists(tx, tx_key(tx, "rang/x")) && !tx_wait_over(tx)) {
        tx_wait(tx, tx_key(tx, "rang/"), tx_now(tx) + *(int *)arg);
        return 0;
    }
    return tx_wait_over(tx) ? 2 : 1;
}

/* It never does. */
static int rang_twice(struct tx *tx, void *arg, struct gt_err *err)
{
    if (!tx_wait_over(tx)) {
        tx_wait(tx, tx_key(tx, "rang-twice/"), tx_now(tx) + *(int *)arg);
        return 0;
    }
    return 2;
}

GT_TEST(alarms_and_long_polls)
{
    struct journal *j = open_sqlite();
    struct core_thread *ct = start(j, NULL);
    int64_t begin = gt_clock_mono_ms();
    assert_int_equal(call(ct, rang, &(int){30}), 2);
    assert_in_range(gt_clock_mono_ms() - begin, 29, 900);
    assert_int_equal(call(ct, set_alarm, NULL), 0);
    begin = gt_clock_mono_ms();
    assert_int_equal(call(ct, rang, &(int){20000}), 1);
    assert_in_range(gt_clock_mono_ms() - begin, 0, 5000);
    core_thread_stop(ct);
    journal_close(j);
    remove_dir();
}

static int64_t stepping_clock(void *arg)
{
    return gt_clock_real_ms() + atomic_load((atomic_llong *)arg);
}

/* Neither an alarm nor a long poll waits until the clock is where it was. */
GT_TEST(a_clock_that_steps_back_delays_nothing)
{
    atomic_llong ahead = 0;
    struct core_thread_options o = {.clock = stepping_clock, .clock_arg = &ahead};
    struct journal *j = memory_journal_new();
    struct core_thread *ct = start(j, &o);
    assert_int_equal(call(ct, set_alarm, NULL), 0);
    atomic_store(&ahead, -3600000);
    int64_t begin = gt_clock_mono_ms();
    assert_int_equal(call(ct, rang, &(int){20000}), 1);
    assert_int_equal(call(ct, rang_twice, &(int){30}), 2);
    assert_in_range(gt_clock_mono_ms() - begin, 29, 5000);
    core_thread_stop(ct);
    struct journal *copy = memory_journal_copy(j, UINT64_MAX);
    journal_close(j);
    j = copy;
    ct = start(j, &o); /* the core's time is ahead of the clock from the beginning */
    begin = gt_clock_mono_ms();
    assert_int_equal(call(ct, rang_twice, &(int){30}), 2);
    assert_in_range(gt_clock_mono_ms() - begin, 29, 5000);
    core_thread_stop(ct);
    journal_close(j);
}

static atomic_int done_calls;

static void on_done(struct core_request *rq)
{
    atomic_fetch_add(&done_calls, 1);
}

static int never(struct tx *tx, void *arg, struct gt_err *err)
{
    if (!tx_wait_over(tx)) {
        tx_wait(tx, "never/", INT64_MAX);
    }
    return 5;
}

GT_TEST(stop_answers_who_waits)
{
    struct journal *j = memory_journal_new();
    struct core_thread *ct = start(j, &(struct core_thread_options){.limit_parked = 2});
    struct gt_arena arena[3];
    struct core_request rq[3];
    atomic_store(&done_calls, 0);
    for (int i = 0; i < 3; i++) {
        gt_arena_init(&arena[i], 1 << 20);
        request(&rq[i], &arena[i], never, NULL);
        rq[i].done = on_done;
        enum core_submitted s = core_thread_submit(ct, &rq[i]);
        while (i == 2 && s == CORE_PENDING && atomic_load(&done_calls) == 0) {
            usleep(1000); /* no room to wait: answered early */
        }
    }
    core_thread_stop(ct);
    assert_in_range(atomic_load(&done_calls), 2, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rq[i].call.result, 5);
        gt_arena_fini(&arena[i]);
    }
    journal_close(j);
}

/* Writers that do not wait: a commit's answers leave together, none before it is durable, each
 * once; and stopping in the middle of it answers all. */
enum { WRITERS = 3, IN_FLIGHT = 400 };

struct writer {
    pthread_t thread;
    struct core_thread *ct;
    int id;
    struct gt_arena arena[IN_FLIGHT];
    struct core_request rq[IN_FLIGHT];
    atomic_int answered[IN_FLIGHT];
    atomic_int early;
};

static void on_written(struct core_request *rq)
{
    struct writer *w = rq->owner;
    struct core_thread_stats stats;
    core_thread_stats(w->ct, &stats);
    if (stats.durable < rq->call.revision || rq->call.result <= 0) {
        atomic_fetch_add(&w->early, 1);
    }
    atomic_fetch_add(&w->answered[rq - w->rq], 1);
}

static void *write_much(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < IN_FLIGHT; i++) {
        gt_arena_init(&w->arena[i], 1 << 20);
        request(&w->rq[i], &w->arena[i], add, &w->id);
        w->rq[i].done = on_written;
        w->rq[i].owner = w;
        if (core_thread_submit(w->ct, &w->rq[i]) == CORE_ANSWERED) {
            on_written(&w->rq[i]);
        }
    }
    return NULL;
}

static void writers(struct journal *j)
{
    struct core_thread *ct = start(j, NULL);
    struct watched seen = {0};
    struct core_watch *watch = core_thread_watch(ct, "1/r/n/", on_key, &seen);
    struct writer *w = gt_new_array(struct writer, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        w[i].ct = ct;
        w[i].id = i;
        pthread_create(&w[i].thread, NULL, write_much, &w[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(w[i].thread, NULL);
    }
    core_thread_unwatch(ct, watch);
    int told = atomic_load(&seen.n);
    core_thread_stop(ct); /* some have no answer yet */
    assert_int_equal(atomic_load(&seen.n), told);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(atomic_load(&w[i].early), 0);
        for (int k = 0; k < IN_FLIGHT; k++) {
            assert_int_equal(atomic_load(&w[i].answered[k]), 1);
            gt_arena_fini(&w[i].arena[k]);
        }
    }
    free(w);
}

GT_TEST(answers_leave_once_and_durable)
{
    struct journal *j = open_sqlite();
    writers(j);
    journal_close(j);
    remove_dir();
    j = memory_journal_new();
    writers(j);
    journal_close(j);
}

/* A handler that lasts, so that others queue up behind it. */
static atomic_int hold;

static int slow(struct tx *tx, void *arg, struct gt_err *err)
{
    while (atomic_load(&hold)) {
        usleep(1000);
    }
    return 0;
}

static void *run_slow(void *arg)
{
    assert_int_equal(call(arg, slow, NULL), 0);
    return NULL;
}

GT_TEST(a_full_queue_refuses)
{
    struct journal *j = memory_journal_new();
    struct core_thread *ct = start(j, &(struct core_thread_options){.limit = {1, 3, 1}});
    pthread_t thread;
    atomic_store(&hold, 1);
    atomic_store(&done_calls, 0);
    pthread_create(&thread, NULL, run_slow, ct);
    struct core_thread_stats stats;
    do {
        core_thread_stats(ct, &stats);
    } while (stats.unanswered[CORE_API] == 0);
    struct gt_arena arena[4];
    struct core_request rq[4];
    int one = 1;
    for (int i = 0; i < 4; i++) {
        gt_arena_init(&arena[i], 1 << 20);
        request(&rq[i], &arena[i], look, &one);
        rq[i].done = on_done;
        rq[i].class = i == 3 ? CORE_AGENT : CORE_API;
        assert_int_equal(core_thread_submit(ct, &rq[i]), i == 2 ? CORE_THROTTLED : CORE_PENDING);
    }
    atomic_store(&hold, 0);
    pthread_join(thread, NULL);
    core_thread_stop(ct);
    assert_int_equal(atomic_load(&done_calls), 3);
    for (int i = 0; i < 4; i++) {
        gt_arena_fini(&arena[i]);
    }
    journal_close(j);
}

GT_TEST(without_room_it_only_reads)
{
    struct journal *j = memory_journal_new();
    struct core_thread *ct = start(j, NULL);
    int n = 1, r = 0;
    assert_int_equal(call(ct, add, &n), 1);
    core_thread_stop(ct);
    struct journal *copy = memory_journal_copy(j, UINT64_MAX);
    journal_close(j);
    memory_journal_set_room(copy, false);
    ct = start(copy, NULL);
    for (int i = 0; i < 1000 && r != -ECONNREFUSED; i++) { /* it looks when it starts */
        r = call(ct, add, &n);
        usleep(1000);
    }
    assert_int_equal(r, -ECONNREFUSED);
    assert_true(call(ct, look, &n) >= 1);
    core_thread_stop(ct);
    memory_journal_set_room(copy, true);
    journal_close(copy);
}

/* In a child: a commit that fails ends the process, and nobody was answered. */
GT_TEST(a_failed_commit_ends_the_process)
{
    for (long nth = 1; nth <= 4; nth++) {
        struct journal *j = open_sqlite();
        journal_close(j);
        pid_t pid = fork();
        if (pid == 0) {
            struct gt_err err;
            int null = open("/dev/null", O_WRONLY);
            dup2(null, 2);
            if (sqlite_journal_open(path, NULL, &j, &err) < 0) {
                _exit(1);
            }
            struct core_thread *ct = start(j, NULL);
            usleep(20000); /* past the housekeeping of the start */
            gt_fail_nth(nth);
            call(ct, add, &(int){1});
            _exit(2);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), CORE_EXIT_JOURNAL);
        remove_dir();
    }
}

GT_RUN(GT_CASE(many_workers_memory), GT_CASE(many_workers_sqlite), GT_CASE(alarms_and_long_polls),
       GT_CASE(stop_answers_who_waits), GT_CASE(answers_leave_once_and_durable),
       GT_CASE(a_clock_that_steps_back_delays_nothing), GT_CASE(a_full_queue_refuses),
       GT_CASE(without_room_it_only_reads), GT_CASE(a_failed_commit_ends_the_process))
