/* Between a task and its shim: what the shim says, and how long it is listened to. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/wire/utf8.h"
#include "node/agent/control.h"
#include "node/agent/logs.h"
#include "node/agent/task.h"

#include <stdio.h>

static struct container *by_runtime_id(struct task *t, const char *id)
{
    for (size_t i = 0; i < t->n_containers; i++) {
        if (gt_streq(t->containers[i].runtime_id, id)) {
            return &t->containers[i];
        }
    }
    return NULL;
}

static void on_started(struct container *c, const struct shim_created *created)
{
    c->request = 0;
    c->state = CONTAINER_RUNNING;
    c->pid = created->pid;
    c->started_ms = created->started_ms ? created->started_ms : gt_clock_real_ms();
    snprintf(c->cgroup, sizeof c->cgroup, "%s", created->cgroup);
    health_start(c);
}

static const char *start_error_name(const struct gt_err *err)
{
    return err->sys_errno == ENOSPC || err->sys_errno == ENOMEM ? "CannotCreateContainerError"
                                                                : "CannotStartContainerError";
}

void container_not_started(struct container *c, const struct gt_err *err)
{
    c->request = 0;
    c->state = CONTAINER_STOPPED;
    c->start_failed = true;
    c->stopped_ms = gt_clock_real_ms();
    snprintf(c->reason, sizeof c->reason, "%s: %s", start_error_name(err), err->msg);
    wire_utf8_clean(c->reason);
    if (container_essential(c)) {
        task_fail(c->task, "TaskFailedToStart", "%s", c->reason);
    } else { /* the others go on, but for those that depend on it: order_start() */
        gt_info("task %s: %s: %s", c->task->id, c->name, c->reason);
    }
}

static void on_exited(struct container *c, const struct shim_event *e)
{
    c->state = CONTAINER_STOPPED;
    c->has_exit = true;
    c->exit_code = e->exit_code;
    c->oom = e->oom;
    c->stopped_ms = e->time_ms;
    c->started_ms = c->started_ms ? c->started_ms : e->time_ms; /* ahead of CREATE's reply */
    c->pid = 0;
    if (c->oom) {
        snprintf(c->reason, sizeof c->reason,
                 "OutOfMemoryError: Container killed due to memory usage");
    }
    log_stream_poke(c->log, e->offset);
    if (container_essential(c) && !c->task->desired_stop) {
        task_fail(c->task, "EssentialContainerExited", "Essential container in task exited");
    }
}

static void on_event(struct task *t, const struct shim_event *e)
{
    struct container *c = by_runtime_id(t, e->container);
    if (!c) {
        return;
    }
    switch ((enum shim_event_type)e->type) {
    case SHIM_EVENT_STARTED:
        c->pid = e->pid;
        c->started_ms = c->started_ms ? c->started_ms : e->time_ms;
        break;
    case SHIM_EVENT_EXITED:
        if (c->state != CONTAINER_STOPPED) {
            on_exited(c, e);
            task_changed(t);
        }
        break;
    case SHIM_EVENT_EXEC_EXITED:
        health_exec_exited(c, e->exec, e->exit_code);
        control_exec_exited(t->node->control, t->id, e->exec, e->exit_code);
        break;
    case SHIM_EVENT_DROPPED:
        gt_warn("task %s: %s wrote faster than its logs could be shipped: %llu bytes dropped",
                t->id, c->name, (unsigned long long)(e->offset - c->dropped));
        c->dropped = e->offset;
        break;
    case SHIM_EVENT_WARNING:
        gt_warn("task %s: %s: %s", t->id, c->name, e->text);
        break;
    case SHIM_EVENT_OOM:
        c->oom = true;
        break;
    case SHIM_EVENT_NONE:
    default:
        break;
    }
}

static void on_reply(struct task *t, struct shim_reply *r)
{
    if (control_exec_reply(t->node->control, t->id, r)) {
        return;
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        if (c->health.request == (int64_t)r->id && r->err.sys_errno) {
            health_exec_refused(c, &r->err);
            break;
        }
        if (c->state != CONTAINER_CREATING || c->request != (int64_t)r->id) {
            continue;
        }
        if (r->err.kind != GT_ERR_NONE || r->err.sys_errno) {
            container_not_started(c, &r->err);
        } else {
            on_started(c, &r->created);
        }
        task_changed(t);
        break;
    }
    gt_closep(&r->fd);
}

void task_shim_lost(struct task *t, const char *how)
{
    t->shim_dead = true;
    shim_close(task_detach_shim(t));
    int64_t now = gt_clock_real_ms();
    bool ran = false;
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        log_stream_over(c->log);
        if (c->state == CONTAINER_RUNNING || c->state == CONTAINER_CREATING) {
            ran = true;
            c->state = CONTAINER_STOPPED;
            c->stopped_ms = now;
            c->has_exit = true;
            c->exit_code = 137;
            snprintf(c->reason, sizeof c->reason, "The process that ran the container was killed");
        }
    }
    if (ran || !t->started_ms) {
        task_fail(t, t->started_ms ? "EssentialContainerExited" : "TaskFailedToStart",
                  "The process that ran the task's containers (gantry-shim) %s", how);
    }
    task_changed(t);
}

void task_drain_shim(struct task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct shim_reply r;
    while (t->shim) {
        int got = shim_recv(t->shim, &r, &err);
        if (got == 0) {
            break;
        }
        if (got < 0) {
            task_shim_lost(t, "was killed");
            break;
        }
        if (r.type == SHIM_EVENT) {
            on_event(t, &r.event);
        } else {
            on_reply(t, &r);
        }
    }
}

static void on_readable(uv_poll_t *p, int status, int events)
{
    struct task *t = p->data;
    task_drain_shim(t);
    task_step(t);
}

void task_attach_shim(struct task *t)
{
    t->poll = gt_new(uv_poll_t);
    t->poll->data = t;
    uv_poll_init(&t->node->loop, t->poll, shim_fd(t->shim));
    uv_poll_start(t->poll, UV_READABLE, on_readable);
}

static void free_handle(uv_handle_t *h)
{
    free(h);
}

/* Closing the handle makes libuv forget the descriptor by its number, so it must be closed before
 * the descriptor is: later the number is another task's. */
struct shim *task_detach_shim(struct task *t)
{
    if (t->poll) {
        uv_close((uv_handle_t *)gt_steal_ptr(t->poll), free_handle);
    }
    control_task_gone(t->node->control, t->id);
    return gt_steal_ptr(t->shim);
}
