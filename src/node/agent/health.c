/* healthCheck of a container definition: an exec in the container every `interval`. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "node/agent/task.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int64_t seconds(bool has, int64_t v, int64_t otherwise)
{
    return (has ? v : otherwise) * 1000;
}

static int64_t interval_ms(const struct container *c)
{
    const struct ecs_health_check *h = c->def->health_check;
    return seconds(h->has_interval, h->interval, 30);
}

const char *health_name(enum health_state s)
{
    static const char *const names[] = {"", "UNKNOWN", "HEALTHY", "UNHEALTHY"};
    return names[s];
}

static bool checked(const struct container *c)
{
    const struct ecs_health_check *h = c->def->health_check;
    return h && h->command.n > 0 && !gt_str_is(h->command.v[0], "NONE");
}

void health_start(struct container *c)
{
    if (!checked(c)) {
        return;
    }
    int64_t now = gt_clock_real_ms();
    c->health.state = HEALTH_UNKNOWN;
    c->health.since_ms = now;
    c->health.next_ms = now + GT_MIN(interval_ms(c), (int64_t)1000);
}

static void judge(struct container *c, bool ok)
{
    const struct ecs_health_check *h = c->def->health_check;
    int64_t now = gt_clock_real_ms();
    enum health_state before = c->health.state;
    c->health.running = false;
    c->health.next_ms = now + interval_ms(c);
    if (ok) {
        c->health.fails = 0;
        c->health.state = HEALTH_HEALTHY;
    } else if (now - c->started_ms > seconds(h->has_start_period, h->start_period, 0)) {
        /* Failures within startPeriod do not count. */
        if (++c->health.fails >= (h->has_retries ? h->retries : 3)) {
            c->health.state = HEALTH_UNHEALTHY;
        }
    }
    if (c->health.state != before) {
        c->health.since_ms = now;
        task_changed(c->task);
    }
}

static void run_check(struct container *c, int64_t now)
{
    const struct ecs_health_check *h = c->def->health_check;
    struct gt_arena a;
    struct rt_spec spec;
    struct rt_exec e = {0};
    struct gt_err err = GT_ERR_INIT;
    char id[32];
    gt_arena_init(&a, 4 * 1024 * 1024);
    snprintf(id, sizeof id, "health-%u", ++c->health.round);
    int r = container_spec(c, &a, &spec, &err);
    if (r == 0) {
        bool shell = gt_str_is(h->command.v[0], "CMD-SHELL");
        size_t n = h->command.n - 1 + (shell ? 2 : 0), at = 0;
        const char **argv = gt_arena_array(&a, const char *, n + 1);
        if (shell) {
            argv[at++] = "/bin/sh";
            argv[at++] = "-c";
        }
        for (size_t i = 1; i < h->command.n; i++) {
            argv[at++] = gt_arena_str(&a, h->command.v[i]);
        }
        rt_exec_from_spec(&e, &spec);
        e.argv = (struct rt_strs){argv, (uint32_t)at};
        e.env = spec.env;
        e.cwd = spec.cwd;
        e.user = spec.user;
        gt_auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        int stdio[3] = {null, null, null};
        int64_t sent = shim_send_exec(c->task->shim, c->runtime_id, id, &e, stdio, &err);
        r = sent < 0 ? (int)sent : 0;
        c->health.request = sent;
    }
    gt_arena_fini(&a);
    if (r < 0) {
        gt_warn("task %s: health check of %s: %s", c->task->id, c->name, err.msg);
        judge(c, false);
        return;
    }
    c->health.running = true;
    c->health.deadline_ms = now + seconds(h->has_timeout, h->timeout, 5);
}

void health_step(struct container *c, int64_t now)
{
    if (c->health.state == HEALTH_NONE || c->state != CONTAINER_RUNNING || !c->task->shim) {
        return;
    }
    if (c->health.running && now >= c->health.deadline_ms) {
        char id[32];
        snprintf(id, sizeof id, "health-%u", c->health.round);
        shim_send_signal(c->task->shim, c->runtime_id, id, SIGKILL, NULL);
        judge(c, false);
    } else if (!c->health.running && now >= c->health.next_ms) {
        run_check(c, now);
    }
}

void health_exec_exited(struct container *c, const char *exec_id, int exit_code)
{
    char id[32];
    snprintf(id, sizeof id, "health-%u", c->health.round);
    if (c->health.running && gt_streq(id, exec_id)) {
        c->health.last_exit = exit_code;
        judge(c, exit_code == 0);
    }
}

void health_exec_refused(struct container *c, const struct gt_err *why)
{
    if (c->health.running) {
        gt_debug("task %s: health check of %s: %s", c->task->id, c->name, why->msg);
        judge(c, false);
    }
}

int64_t health_deadline(const struct container *c)
{
    if (c->health.state == HEALTH_NONE || c->state != CONTAINER_RUNNING) {
        return INT64_MAX;
    }
    return c->health.running ? c->health.deadline_ms : c->health.next_ms;
}
