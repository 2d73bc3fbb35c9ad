#include "node/shim/shim_priv.h"

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct exec *exec_find(struct shim_server *s, unsigned container, const char *id)
{
    for (unsigned i = 0; i < SHIM_MAX_EXECS; i++) {
        struct exec *e = &s->execs[i];
        if (e->used && e->container == container && strcmp(e->id, id) == 0) {
            return e;
        }
    }
    return NULL;
}

static struct exec *free_slot(struct shim_server *s)
{
    for (unsigned i = 0; i < SHIM_MAX_EXECS; i++) {
        if (!s->execs[i].used) {
            return &s->execs[i];
        }
    }
    return NULL;
}

static int launch(struct shim_server *s, struct container *c, const struct shim_create *req,
                  const void *spec, const int *fds, unsigned n_fds, struct rt_child *child,
                  struct gt_err *err)
{
    struct gt_arena arena;
    struct rt_exec e;
    gt_arena_init(&arena, 4UL * RT_SPEC_MAX_BYTES);
    int r = rt_exec_decode(spec, req->spec_n, &arena, &e, err);
    if (r == 0 && !e.tty && n_fds != 3) {
        r = gt_err_set(err, GT_ERR_INVALID, "%u of 3 standard streams given", n_fds);
    }
    if (r == 0) {
        struct rt_io io = {-1, -1, -1};
        if (!e.tty) {
            io = (struct rt_io){fds[0], fds[1], fds[2]};
        }
        r = rt_exec_start(c->child.pidfd, s->sys, c->cg, &e, &io, child, err);
    }
    gt_arena_fini(&arena);
    return r;
}

int exec_start(struct shim_server *s, const struct shim_create *req, const void *spec,
               const int *fds, unsigned n_fds, struct owed owed, struct gt_err *err)
{
    struct container *c = task_find(s, req->container);
    if (!c || c->state != SLOT_RUNNING) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "container '%s' is not running", req->container);
    }
    unsigned index = (unsigned)(c - s->containers);
    struct exec *e = free_slot(s);
    if (!e || exec_find(s, index, req->exec)) {
        return gt_err_set(err, e ? GT_ERR_EXISTS : GT_ERR_LIMIT,
                          e ? "process '%s' exists already" : "too many processes besides '%s'",
                          e ? req->exec : req->container);
    }
    memset(e, 0, sizeof *e);
    e->tty_master = -1;
    e->container = index;
    snprintf(e->id, sizeof e->id, "%s", req->exec);
    int r = launch(s, c, req, spec, fds, n_fds, &e->child, err);
    if (r < 0) {
        return r;
    }
    e->used = true;
    e->owed = owed;
    watch(s, e->child.sock, WATCH_EXEC, (unsigned)(e - s->execs), EPOLLIN);
    return 0;
}

static void settle(struct shim_server *s, struct exec *e)
{
    if (e->child.sock >= 0) {
        return;
    }
    if (!e->replied) {
        e->replied = true;
        e->failed = e->failed || !e->exec_seen;
        if (e->failed && e->err.kind == GT_ERR_NONE) {
            gt_err_set(&e->err, GT_ERR_INTERNAL, "the process died before it could start");
        }
        struct shim_created made = {.pid = e->child.pid, .started_ms = gt_clock_real_ms()};
        snprintf(made.cgroup, sizeof made.cgroup, "%s",
                 s->containers[e->container].cg ? cgroup_path(s->containers[e->container].cg) : "");
        client_reply(s, &e->owed, e->failed ? &e->err : NULL, &made, sizeof made, e->tty_master);
        gt_closep(&e->tty_master);
    }
    if (!e->status_known) {
        return;
    }
    if (!e->failed) {
        struct shim_event ev = {.type = SHIM_EVENT_EXEC_EXITED,
                                .pid = e->child.pid,
                                .exit_code = exit_code_of(e->status)};
        snprintf(ev.container, sizeof ev.container, "%s", s->containers[e->container].id);
        snprintf(ev.exec, sizeof ev.exec, "%s", e->id);
        event_record(s, &ev);
    }
    rt_child_close(&e->child);
    e->used = false;
}

void exec_child(struct shim_server *s, unsigned index)
{
    struct exec *e = &s->execs[index];
    struct rt_report r;
    int fd, got = 0;
    while (e->used && e->child.sock >= 0 && (got = rt_child_report(&e->child, &r, &fd)) > 0) {
        if (r.kind == RT_REPORT_ERROR) {
            e->failed = true;
            gt_err_errno(&e->err, r.sys_errno, "x");
            snprintf(e->err.msg, sizeof e->err.msg, "%s", r.text);
        } else if (r.kind == RT_REPORT_EXEC) {
            e->exec_seen = true;
        } else if (r.kind == RT_REPORT_TTY) {
            gt_closep(&e->tty_master);
            e->tty_master = gt_steal_fd(&fd);
        }
        gt_closep(&fd);
    }
    if (e->used && e->child.sock >= 0 && got < 0) {
        unwatch(s, e->child.sock);
        gt_closep(&e->child.sock);
        settle(s, e);
    }
}

void exec_exited(struct shim_server *s, struct exec *e, int status)
{
    e->status = status;
    e->status_known = true;
    exec_child(s, (unsigned)(e - s->execs));
    if (e->used && e->child.sock >= 0) {
        unwatch(s, e->child.sock);
        gt_closep(&e->child.sock);
    }
    if (e->used) {
        settle(s, e);
    }
}
