#include "control/core/thread_priv.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <semaphore.h>
#include <time.h>
#include <unistd.h>

enum {
    LIMIT_AGENT = 4096,
    LIMIT_API = 2048,
    LIMIT_BACKGROUND = 512,
    LIMIT_PARKED = 20000,
    /* One turn with the role: how much of each class, so that none starves. */
    TURN_AGENT = 64,
    TURN_API = 64,
    TURN_BACKGROUND = 8,
    TURN_STEPS = 32,
    /* Controllers stop when the journal is so many revisions behind. */
    BACKLOG = 4096,
    LONGEST_SLEEP_MS = 1000,
    PAST_EVERY_MS = 30000, /* how often it is asked what of the past may go */
};

static const size_t turn[CORE_CLASSES] = {TURN_AGENT, TURN_API, TURN_BACKGROUND};

/* By who has the role, or holds the lock while nobody has it. */
static int64_t clock_now(struct core_thread *ct)
{
    int64_t real =
        ct->options.clock ? ct->options.clock(ct->options.clock_arg) : gt_clock_real_ms();
    return core_clock_read(&ct->clock, real, gt_clock_mono_ms());
}

/* ---- running one call; the caller has the role ---- */

static void on_write(void *arg, uint64_t revision, const char *key)
{
    struct core_thread *ct = arg;
    parking_written(&ct->parking, key);
    gate_written(&ct->gate, revision, key);
}

static void forget_unanswered(void *arg, struct core_request *rq)
{
    struct core_thread *ct = arg;
    atomic_fetch_sub(&ct->unanswered[rq->class], 1);
}

enum outcome { OUT_ANSWERED, OUT_AT_GATE, OUT_PARKED };

static enum outcome run_request(struct core_thread *ct, struct core_request *rq)
{
    core_apply(ct->core, &rq->call, clock_now(ct));
    if (rq->call.wait_prefix && ct->parking.n < ct->options.limit_parked) {
        parking_put(&ct->parking, rq);
        forget_unanswered(ct, rq); /* counts again when it is woken */
        return OUT_PARKED;
    }
    if (rq->call.wait_prefix) { /* nowhere to wait: an early answer */
        rq->call.wait_over = true;
        core_apply(ct->core, &rq->call, clock_now(ct));
    }
    return gate_pass(&ct->gate, rq) ? OUT_ANSWERED : OUT_AT_GATE;
}

static void answer(struct core_thread *ct, struct core_request *rq)
{
    forget_unanswered(ct, rq);
    rq->done(rq);
}

/* ---- the core's own thread ---- */

/* Takes up to `max` of a class off its queue, into `to`. The lock is held. */
static size_t take_class(struct core_thread *ct, enum core_class class, struct gt_list *to)
{
    size_t n = 0;
    while (n < turn[class] && !gt_list_empty(&ct->queue[class])) {
        struct gt_list *it = ct->queue[class].next;
        gt_list_remove(it);
        gt_list_push_back(to, it);
        n++;
    }
    ct->queued -= n;
    return n;
}

static void run_list(struct core_thread *ct, struct gt_list *list)
{
    while (!gt_list_empty(list)) {
        struct core_request *rq = gt_list_entry(list->next, struct core_request, link);
        gt_list_remove(&rq->link);
        if (run_request(ct, rq) == OUT_ANSWERED) {
            answer(ct, rq);
        }
    }
}

static void run_woken(struct core_thread *ct)
{
    struct gt_list now;
    gt_list_init(&now);
    pthread_mutex_lock(&ct->lock);
    while (!gt_list_empty(&ct->parking.woken)) {
        struct core_request *rq = gt_list_entry(ct->parking.woken.next, struct core_request, link);
        gt_list_remove(&rq->link);
        atomic_fetch_add(&ct->unanswered[rq->class], 1);
        gt_list_push_back(&now, &rq->link);
    }
    pthread_mutex_unlock(&ct->lock);
    run_list(ct, &now);
}

static void look_after_snapshots(struct core_thread *ct)
{
    struct gt_err err = GT_ERR_INIT;
    if (core_snapshot_reap(ct->core, &err)) {
        if (err.kind != GT_ERR_NONE) {
            gt_warn("snapshot given up: %s", err.msg);
        }
        ct->past_looked_at = 0;
    }
    int64_t now = clock_now(ct);
    bool due = core_revision(ct->core) - ct->past_revision >= ct->options.retention.every;
    if (!due && now - ct->past_looked_at < PAST_EVERY_MS && now >= ct->past_looked_at) {
        return;
    }
    ct->past_looked_at = now;
    ct->past_revision = core_revision(ct->core);
    struct journal_mark marks[JOURNAL_SNAPSHOTS_MAX];
    struct retention_state s = {.snapshots = marks,
                                .revision = core_revision(ct->core),
                                .state_bytes = core_bytes(ct->core),
                                .now = now};
    uint64_t entries, snapshots;
    s.n = journal_snapshots(ct->journal, marks, &s.bytes);
    retention_forget(&ct->options.retention, &s, &entries, &snapshots);
    if (entries > ct->forgotten) {
        ct->forgotten = entries;
        journal_forget(ct->journal, entries, snapshots);
    }
    if (retention_snapshot_due(&ct->options.retention, &s)) {
        core_snapshot(ct->core);
    }
}

/* As soon as something can be written. */
static void begin_epoch(struct core_thread *ct, bool room)
{
    if (ct->options.build && room && !ct->begun) {
        core_begin_epoch(ct->core, ct->options.build, clock_now(ct));
        ct->begun = true;
    }
}

/* Without room on the disk the next commit would end the process, and the one after its restart
 * again: refuse to write, answer reads, and look again every second. */
static void look_at_room(struct core_thread *ct, int64_t now)
{
    if (now - ct->room_looked_at < LONGEST_SLEEP_MS && now >= ct->room_looked_at) {
        return;
    }
    ct->room_looked_at = now;
    bool full = !journal_has_room(ct->journal);
    if (full != ct->full) {
        ct->full = full;
        core_set_read_only(ct->core, full ? "no room on the server's disk" : NULL);
        if (full) {
            gt_error("no room on the disk of the journal: read only until there is");
        } else {
            gt_info("there is room on the journal's disk again");
            begin_epoch(ct, /* room= */ true);
        }
    }
}

/* One turn with the role. Returns when to come back at the latest: 0 at once. */
static int64_t run_turn(struct core_thread *ct, struct gt_list *taken)
{
    run_list(ct, taken);
    int64_t now = clock_now(ct);
    look_at_room(ct, now);
    parking_expire(&ct->parking, now);
    bool behind = ct->full || core_revision(ct->core) - gate_revision(&ct->gate) > BACKLOG;
    size_t steps = behind ? 0 : core_step_controllers(ct->core, now, TURN_STEPS);
    run_woken(ct);
    look_after_snapshots(ct);
    gate_deliver(&ct->gate);

    pthread_mutex_lock(&ct->lock);
    ct->stats.steps += steps;
    ct->stats.revision = core_revision(ct->core);
    ct->stats.keys = core_keys(ct->core);
    ct->stats.parked = ct->parking.n;
    ct->stalled = behind && !ct->full;
    pthread_mutex_unlock(&ct->lock);
    if ((!behind && core_has_work(ct->core)) || !gt_list_empty(&ct->parking.woken)) {
        return 0;
    }
    int64_t alarm = ct->full ? INT64_MAX : core_next_alarm(ct->core);
    return GT_MIN(GT_MIN(alarm, ct->parking.next), now + LONGEST_SLEEP_MS);
}

static void sleep_until(struct core_thread *ct, int64_t when)
{
    int64_t ms = when - clock_now(ct);
    if (ms <= 0) {
        return;
    }
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ms = GT_MIN(ms, (int64_t)LONGEST_SLEEP_MS);
    ts.tv_sec += ms / 1000;
    ts.tv_nsec += ms % 1000 * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&ct->wake, &ct->lock, &ts);
}

static void *thread_main(void *arg)
{
    struct core_thread *ct = arg;
    pthread_mutex_lock(&ct->lock);
    ct->wanted = true;
    while (!(ct->stopping && ct->queued == 0 && !ct->running)) {
        if (ct->running) {
            ct->wanted = true;
            pthread_cond_wait(&ct->wake, &ct->lock);
            continue;
        }
        if (!ct->wanted && ct->queued == 0 && clock_now(ct) < ct->next_turn) {
            sleep_until(ct, ct->next_turn);
            continue;
        }
        struct gt_list taken;
        gt_list_init(&taken);
        for (enum core_class c = 0; c < CORE_CLASSES; c++) {
            take_class(ct, c, &taken);
        }
        ct->running = true;
        ct->wanted = false;
        pthread_mutex_unlock(&ct->lock);
        int64_t next = run_turn(ct, &taken);
        pthread_mutex_lock(&ct->lock);
        ct->running = false;
        ct->next_turn = next;
    }
    ct->running = true; /* for good: nobody may take the role any more */
    pthread_mutex_unlock(&ct->lock);
    return NULL;
}

/* ---- from outside ---- */

/* After a call on a foreign thread: is there something for the core's own? The role is held. */
static bool has_more(struct core_thread *ct)
{
    return (core_has_work(ct->core) && !ct->full) || !gt_list_empty(&ct->parking.woken) ||
           core_revision(ct->core) - ct->past_revision >= ct->options.retention.every;
}

enum core_submitted core_thread_submit(struct core_thread *ct, struct core_request *rq)
{
    pthread_mutex_lock(&ct->lock);
    if (ct->stopping || atomic_load(&ct->unanswered[rq->class]) >= ct->options.limit[rq->class]) {
        ct->stats.throttled++;
        pthread_mutex_unlock(&ct->lock);
        return CORE_THROTTLED;
    }
    atomic_fetch_add(&ct->unanswered[rq->class], 1);
    ct->stats.calls++;
    if (ct->running || ct->wanted || ct->queued > 0) {
        gt_list_push_back(&ct->queue[rq->class], &rq->link);
        ct->queued++;
        if (!ct->running) {
            pthread_cond_signal(&ct->wake);
        }
        pthread_mutex_unlock(&ct->lock);
        return CORE_PENDING;
    }
    ct->running = true;
    ct->stats.inline_calls++;
    pthread_mutex_unlock(&ct->lock);

    enum core_class class = rq->class;
    enum outcome out = run_request(ct, rq); /* at the gate, rq may be gone already */
    bool more = has_more(ct);
    int64_t deadline = GT_MIN(core_next_alarm(ct->core), ct->parking.next);
    gate_deliver(&ct->gate);

    pthread_mutex_lock(&ct->lock);
    ct->running = false;
    if (out == OUT_ANSWERED) {
        atomic_fetch_sub(&ct->unanswered[class], 1);
    }
    ct->wanted = ct->wanted || more;
    if (ct->wanted || ct->queued > 0 || deadline < ct->next_turn) {
        ct->next_turn = GT_MIN(ct->next_turn, deadline);
        pthread_cond_signal(&ct->wake);
    }
    pthread_mutex_unlock(&ct->lock);
    return out == OUT_ANSWERED ? CORE_ANSWERED : CORE_PENDING;
}

static void post(struct core_request *rq)
{
    sem_post(rq->owner);
}

bool core_thread_run(struct core_thread *ct, struct core_request *rq)
{
    sem_t answered;
    sem_init(&answered, 0, 0);
    rq->done = post;
    rq->owner = &answered;
    enum core_submitted s = core_thread_submit(ct, rq);
    if (s == CORE_PENDING) {
        while (sem_wait(&answered) != 0) {
        }
    }
    sem_destroy(&answered);
    return s != CORE_THROTTLED;
}

static void on_durable(void *arg, uint64_t revision)
{
    struct core_thread *ct = arg;
    gate_durable(&ct->gate, revision);
    pthread_mutex_lock(&ct->lock);
    if (ct->stalled) {
        ct->stalled = false;
        ct->wanted = true;
        pthread_cond_signal(&ct->wake);
    }
    pthread_mutex_unlock(&ct->lock);
}

static void on_failed(void *arg, const struct gt_err *err)
{
    struct core_thread *ct = arg;
    if (ct->options.fatal) {
        ct->options.fatal(ct->options.fatal_arg, err);
    }
    gt_error("journal: %s: leaving, to recover from what is durable", err->msg);
    _exit(CORE_EXIT_JOURNAL);
}

static void fill_defaults(struct core_thread_options *o)
{
    static const size_t limit[] = {LIMIT_AGENT, LIMIT_API, LIMIT_BACKGROUND};
    for (int c = 0; c < CORE_CLASSES; c++) {
        o->limit[c] = o->limit[c] ? o->limit[c] : limit[c];
    }
    o->limit_parked = o->limit_parked ? o->limit_parked : LIMIT_PARKED;
    retention_fill(&o->retention);
}

static void thread_free(struct core_thread *ct)
{
    gate_fini(&ct->gate);
    parking_fini(&ct->parking);
    core_free(ct->core);
    pthread_cond_destroy(&ct->wake);
    pthread_mutex_destroy(&ct->lock);
    free(ct);
}

int core_thread_start(struct journal *journal, const struct service *const *services,
                      const struct core_options *core_options,
                      const struct core_thread_options *options, struct core_thread **ret,
                      struct gt_err *err)
{
    struct core_thread *ct = gt_new(struct core_thread);
    struct core_options co = core_options ? *core_options : (struct core_options){0};
    co.on_write = on_write;
    co.on_write_arg = ct;
    int r = core_new(journal, services, &co, &ct->core, err);
    if (r < 0) {
        free(ct);
        return r;
    }
    ct->journal = journal;
    ct->options = options ? *options : (struct core_thread_options){0};
    fill_defaults(&ct->options);
    struct journal_mark marks[JOURNAL_SNAPSHOTS_MAX];
    uint64_t bytes;
    size_t n = journal_snapshots(journal, marks, &bytes);
    ct->past_revision = n ? marks[n - 1].revision : 0;
    core_clock_init(&ct->clock, core_time(ct->core), gt_clock_mono_ms());
    gate_init(&ct->gate, core_revision(ct->core));
    ct->gate.answered = forget_unanswered;
    ct->gate.arg = ct;
    parking_init(&ct->parking);
    for (int c = 0; c < CORE_CLASSES; c++) {
        gt_list_init(&ct->queue[c]);
    }
    pthread_mutex_init(&ct->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ct->wake, &attr);
    pthread_condattr_destroy(&attr);
    journal_listen(journal, &(struct journal_events){on_durable, on_failed, ct});
    begin_epoch(ct, journal_has_room(journal));
    r = pthread_create(&ct->thread, NULL, thread_main, ct);
    if (r) {
        journal_listen(journal, &(struct journal_events){0});
        thread_free(ct);
        return gt_err_errno(err, r, "cannot start the core's thread");
    }
    *ret = ct;
    return 0;
}

void core_thread_stop(struct core_thread *ct)
{
    pthread_mutex_lock(&ct->lock);
    ct->stopping = true;
    ct->wanted = true;
    pthread_cond_signal(&ct->wake);
    pthread_mutex_unlock(&ct->lock);
    pthread_join(ct->thread, NULL);
    parking_expire(&ct->parking, INT64_MAX);
    run_woken(ct);
    struct gt_err err;
    if (journal_flush(ct->journal, &err) < 0) {
        on_failed(ct, &err);
    }
    gate_deliver(&ct->gate);
    /* The journal's thread may still be on its way out of on_durable. */
    journal_listen(ct->journal, &(struct journal_events){0});
    thread_free(ct);
}

void core_thread_stats(struct core_thread *ct, struct core_thread_stats *ret)
{
    pthread_mutex_lock(&ct->lock);
    *ret = ct->stats;
    ret->durable = gate_revision(&ct->gate);
    for (int c = 0; c < CORE_CLASSES; c++) {
        ret->unanswered[c] = atomic_load(&ct->unanswered[c]);
    }
    pthread_mutex_unlock(&ct->lock);
}
