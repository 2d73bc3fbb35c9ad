/* The state machine of a task: look at how things are, do what comes next. */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/wire/utf8.h"
#include "node/agent/logs.h"
#include "node/agent/session.h"
#include "node/agent/task.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    STOP_TIMEOUT_S = 30,
    /* A shim that has not started or killed a container by then is stuck itself. */
    CREATE_LIMIT_MS = 120000,
    KILL_LIMIT_MS = 10000,
};

void task_changed(struct task *t)
{
    t->dirty = true;
    if (t->phase != TASK_STOPPED && t->prepared && !t->cleaning) {
        task_write_metadata(t);
    }
    session_report_soon(t->node->session);
}

void task_fail(struct task *t, const char *stop_code, const char *fmt, ...)
{
    if (t->stop_code || t->desired_stop) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->stopped_reason, sizeof t->stopped_reason, fmt, ap);
    va_end(ap);
    wire_utf8_clean(t->stopped_reason); /* names from archives are bytes */
    t->stop_code = stop_code;
    gt_info("task %s ends: %s", t->id, t->stopped_reason);
    task_save(t, NULL);
    t->dirty = true;
}

void task_desired(struct task *t, const struct agent_task *in)
{
    if (gt_str_is(in->desired_status, "STOPPED") && !t->desired_stop) {
        t->desired_stop = true;
        gt_debug("task %s is to stop", t->id);
    }
    t->sequence = GT_MAX(t->sequence, in->sequence);
    task_step(t);
}

/* --- starting */

static int take_shim(struct task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct rt_limits limits;
    gt_auto_free char *spool = task_dir(t, "spool");
    task_limits(t, &limits);
    int r = task_save(t, &err);
    if (r == 0) {
        r = shim_take(t->node->pool, &t->node->shim_opts, t->id, spool, &limits, &t->shim, &err);
    }
    if (r < 0) {
        task_fail(t, "TaskFailedToStart", "CannotCreateContainerError: %s", err.msg);
        return r;
    }
    task_attach_shim(t);
    return 0;
}

static void create(struct container *c)
{
    struct task *t = c->task;
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    struct rt_spec spec;
    gt_arena_init(&a, 4 * 1024 * 1024);
    int64_t id = container_spec(c, &a, &spec, &err);
    if (id == 0) {
        id = shim_send_create(t->shim, c->runtime_id, &spec, -1, /* start= */ true, &err);
    }
    gt_arena_fini(&a);
    c->created_ms = gt_clock_real_ms();
    if (id < 0) {
        container_not_started(c, &err);
        task_changed(t);
        return;
    }
    c->request = id;
    c->state = CONTAINER_CREATING;
}

static const char *condition_text(const struct container *c, const struct container *dep)
{
    for (size_t i = 0; i < c->def->depends_on.n; i++) {
        if (gt_str_is(c->def->depends_on.v[i].container_name, dep->name)) {
            return gt_str_is(c->def->depends_on.v[i].condition, "HEALTHY")   ? "become healthy"
                   : gt_str_is(c->def->depends_on.v[i].condition, "SUCCESS") ? "exit with code 0"
                                                                             : "start";
        }
    }
    return "start";
}

/* A dependency that takes longer than its startTimeout to be what others wait for. */
static bool too_late(const struct container *c, int64_t now)
{
    for (size_t i = 0; i < c->def->depends_on.n; i++) {
        char name[256];
        snprintf(name, sizeof name, GT_STR_FMT, GT_STR_ARG(c->def->depends_on.v[i].container_name));
        struct container *dep = task_container(c->task, name);
        if (dep && dep->def->has_start_timeout && dep->created_ms &&
            now >= dep->created_ms + dep->def->start_timeout * 1000) {
            return true;
        }
    }
    return false;
}

static void start_containers(struct task *t, int64_t now)
{
    for (size_t i = 0; i < t->n_containers && !t->stop_code; i++) {
        struct container *c = &t->containers[i];
        const struct container *why = NULL;
        if (c->state != CONTAINER_NONE) {
            continue;
        }
        enum order_verdict v = order_start(t, c, &why);
        if (v == ORDER_WAIT && too_late(c, now)) {
            task_fail(t, "TaskFailedToStart", "Container %s timed out waiting for its dependencies",
                      c->name);
        } else if (v == ORDER_NEVER) {
            task_fail(t, "TaskFailedToStart", "Container %s depends on %s, which did not %s",
                      c->name, why->name, condition_text(c, why));
        } else if (v == ORDER_GO) {
            if (!t->shim && !t->shim_dead && take_shim(t) < 0) {
                return;
            }
            create(c);
        }
    }
}

/* RUNNING: every container has started, if only for a moment; those that are not essential may have
 * failed to. */
static void check_running(struct task *t)
{
    if (t->started_ms) {
        return;
    }
    int64_t latest = 0;
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *c = &t->containers[i];
        if (c->state == CONTAINER_NONE || c->state == CONTAINER_CREATING ||
            (c->start_failed && container_essential(c))) {
            return;
        }
        latest = GT_MAX(latest, c->started_ms);
    }
    t->started_ms = latest;
    task_save(t, NULL);
    task_changed(t);
}

/* --- stopping */

static void stop_container(struct container *c, int64_t now)
{
    struct task *t = c->task;
    if (c->kill_deadline_ms == 0) {
        int64_t timeout = c->def->has_stop_timeout ? c->def->stop_timeout : STOP_TIMEOUT_S;
        c->kill_deadline_ms = now + timeout * 1000;
        shim_send_signal(t->shim, c->runtime_id, "",
                         stop_signal(c->image ? c->image->stop_signal : NULL), NULL);
    } else if (now >= c->kill_deadline_ms && !c->killed) {
        c->killed = true;
        shim_send_kill_all(t->shim, c->runtime_id, NULL);
    }
}

/* As ECS counts: when the first essential container stopped. Absent where none ever ran. */
static int64_t execution_stopped(const struct task *t)
{
    int64_t at = 0;
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *c = &t->containers[i];
        if (container_essential(c) && !c->start_failed && (!at || c->stopped_ms < at)) {
            at = c->stopped_ms;
        }
    }
    return at;
}

static void stop_containers(struct task *t, int64_t now)
{
    bool done = true;
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        if (c->state == CONTAINER_NONE) {
            c->state = CONTAINER_STOPPED;
            c->start_failed = true;
        } else if (c->state == CONTAINER_RUNNING && t->shim && order_stop(t, c)) {
            stop_container(c, now);
        }
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        done &= t->containers[i].state == CONTAINER_STOPPED;
    }
    if (done) {
        t->phase = TASK_CLEANING;
        t->cleaning_ms = gt_clock_real_ms();
        t->execution_stopped_ms = execution_stopped(t);
        task_save(t, NULL); /* before the shim goes, who also knows the exit codes */
    }
}

/* When to give up on the shim for this container; INT64_MAX: it does what it should. */
static int64_t give_up_at(const struct container *c)
{
    if (c->state == CONTAINER_CREATING) {
        return c->created_ms + CREATE_LIMIT_MS;
    }
    return c->state == CONTAINER_RUNNING && c->killed ? c->kill_deadline_ms + KILL_LIMIT_MS
                                                      : INT64_MAX;
}

static void check_shim(struct task *t, int64_t now)
{
    for (size_t i = 0; t->shim && i < t->n_containers; i++) {
        if (now >= give_up_at(&t->containers[i])) {
            gt_warn("task %s: gantry-shim does not answer", t->id);
            task_shim_lost(t, "did not answer");
        }
    }
}

/* --- the whole */

int64_t task_deadline(const struct task *t)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *c = &t->containers[i];
        at = GT_MIN(at, health_deadline(c));
        at = t->shim ? GT_MIN(at, give_up_at(c)) : at;
        if (t->phase == TASK_STOPPING && c->kill_deadline_ms && !c->killed &&
            c->state == CONTAINER_RUNNING) {
            at = GT_MIN(at, c->kill_deadline_ms);
        }
        if (t->phase == TASK_STOPPING && c->state == CONTAINER_RUNNING && !c->kill_deadline_ms &&
            order_stop(t, c)) {
            at = 0; /* it came up while others were asked to stop */
        }
        if (t->phase == TASK_ACTIVE && !t->started_ms && c->def->has_start_timeout &&
            c->created_ms) {
            at = GT_MIN(at, c->created_ms + c->def->start_timeout * 1000);
        }
    }
    if (t->phase == TASK_CLEANING && !t->cleaning) {
        at = GT_MIN(at, t->cleaning_ms + TASK_DRAIN_MS);
    }
    return at;
}

static void on_timer(uv_timer_t *timer)
{
    task_step(timer->data);
}

static void set_timer(struct task *t)
{
    int64_t at = task_deadline(t);
    if (!t->timer) {
        t->timer = gt_new(uv_timer_t);
        uv_timer_init(&t->node->loop, t->timer);
        t->timer->data = t;
    }
    if (at == INT64_MAX) {
        uv_timer_stop(t->timer);
        return;
    }
    int64_t now = gt_clock_real_ms();
    uv_update_time(&t->node->loop);
    uv_timer_start(t->timer, on_timer, at > now ? (uint64_t)(at - now) : 1, 0);
}

void task_step(struct task *t)
{
    int64_t now = gt_clock_real_ms();
    check_shim(t, now);
    if (t->phase == TASK_ACTIVE) {
        check_running(t); /* also of what has ended already */
    }
    bool end = t->desired_stop || t->stop_code || t->forgotten;
    if (end && t->preparing) {
        atomic_store(&t->give_up, true);
    }
    if (end && t->phase < TASK_STOPPING && !t->preparing) {
        t->phase = TASK_STOPPING;
        t->stopping_ms = now;
        task_changed(t);
    }
    if (t->phase == TASK_PREPARING && !t->preparing) {
        if (t->prepared) {
            t->phase = TASK_ACTIVE;
        } else {
            task_prepare(t);
        }
    }
    if (t->phase == TASK_ACTIVE) {
        start_containers(t, now);
        check_running(t);
        for (size_t i = 0; i < t->n_containers; i++) {
            health_step(&t->containers[i], now);
        }
        if (t->stop_code) {
            t->phase = TASK_STOPPING;
            t->stopping_ms = now;
            task_changed(t);
        }
    }
    if (t->phase == TASK_STOPPING) {
        stop_containers(t, now);
    }
    if (t->phase == TASK_CLEANING) {
        task_clean(t, now);
    }
    if (t->phase == TASK_STOPPED && t->forgotten) {
        task_forget(t);
        return;
    }
    set_timer(t);
}

void task_step_all(struct node *n)
{
    size_t count = 0;
    struct task **all = gt_new_array(struct task *, n->tasks.count); /* steps remove tasks */
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        all[count++] = e->value;
    }
    for (size_t i = 0; i < count; i++) {
        task_step(all[i]);
    }
    free(all);
}
