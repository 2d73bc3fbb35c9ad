#include "node/shim/shim_priv.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    PIPE_BYTES = 1 << 20,    /* what a container writes before it waits for us */
    GRACE_MS = 2000,         /* for processes left behind in a namespace not the container's own */
    DROPPED_EVERY_MS = 1000, /* events at first; doubles while nothing is acknowledged */
    REST_MS = 10000, /* how long the last output waits for a full disk, when none may be dropped */
    DROPPED_SELDOM_MS = 3600 * 1000,
    REMOVE_EVERY_MS = 50,
    RELEASE_MS = 10000, /* after the last start, children parked for more are let go */
};

struct container *task_find(struct shim_server *s, const char *id)
{
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS; i++) {
        if (s->containers[i].state != SLOT_FREE && strcmp(s->containers[i].id, id) == 0) {
            return &s->containers[i];
        }
    }
    return NULL;
}

static bool id_ok(const char *id)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    return *id && *id != '.' && strspn(id, good) == strlen(id);
}

int task_configure(struct shim_server *s, const struct shim_task *t, const void *limits,
                   struct gt_err *err)
{
    if (s->task[0]) {
        return gt_err_set(err, GT_ERR_EXISTS, "this shim has task '%s' already", s->task);
    }
    if (!id_ok(t->id) || t->spool_dir[0] != '/') {
        return gt_err_set(err, GT_ERR_INVALID, "task '%s' or spool folder '%s' is no good", t->id,
                          t->spool_dir);
    }
    int r = 0;
    if (limits) {
        struct gt_arena arena;
        struct rt_limits l;
        gt_arena_init(&arena, 65536);
        r = rt_limits_decode(limits, t->limits_n, &arena, &l, err);
        r = r < 0 ? r : cgroup_limit(s->task_cg, &l, err);
        gt_arena_fini(&arena);
    }
    if (r == 0) {
        snprintf(s->task, sizeof s->task, "%s", t->id);
        snprintf(s->spool_dir, sizeof s->spool_dir, "%s", t->spool_dir);
    }
    return r;
}

static void event(struct shim_server *s, const struct container *c, struct shim_event e)
{
    snprintf(e.container, sizeof e.container, "%s", c->id);
    event_record(s, &e);
}

/* --- children made ahead */

static int new_cgroup(struct shim_server *s, struct cgroup **ret, struct gt_err *err)
{
    char path[256];
    snprintf(path, sizeof path, "%s/task/c%u", s->cgroup_path, s->next_cgroup++);
    return cgroup_create(s->sys, path, ret, err);
}

static int park_one(struct shim_server *s, struct parked *p, struct gt_err *err)
{
    struct rt_spec spec;
    rt_spec_defaults(&spec);
    struct rt_world world = rt_world_of(&spec);
    int r = new_cgroup(s, &p->cg, err);
    r = r < 0 ? r : cgroup_devices(p->cg, &spec, err);
    r = r < 0 ? r : rt_park(&world, s->sys, p->cg, NULL, &p->child, err);
    if (r < 0) {
        if (p->cg) {
            cgroup_remove(p->cg, NULL);
            cgroup_close(p->cg);
        }
        return r;
    }
    cgroup_oom_fd(p->cg, NULL);
    p->used = true;
    return 0;
}

bool task_park(struct shim_server *s)
{
    for (unsigned i = 0; i < s->want_parked; i++) {
        struct gt_err err = GT_ERR_INIT;
        if (s->parked[i].used) {
            continue;
        }
        memset(&s->parked[i], 0, sizeof s->parked[i]);
        if (park_one(s, &s->parked[i], &err) < 0) {
            gt_warn("park a child: %s", err.msg);
            s->want_parked = i;
        }
        return i + 1 < s->want_parked;
    }
    return false;
}

/* They read the end of their sockets and go; on_child_end() puts their cgroups away. */
static void release_parked(struct shim_server *s)
{
    for (unsigned i = 0; i < SHIM_MAX_PARKED; i++) {
        if (s->parked[i].used) {
            rt_child_close(&s->parked[i].child);
        }
    }
}

/* A parked child that fits, or a fresh one. */
static int get_child(struct shim_server *s, const struct rt_spec *spec, struct container *c,
                     struct gt_err *err)
{
    struct rt_spec plain;
    rt_spec_defaults(&plain);
    struct rt_world world = rt_world_of(spec), usual = rt_world_of(&plain);
    bool fits = rt_world_equal(&world, &usual) && spec->pid.kind == RT_NS_NEW;
    for (unsigned i = 0; fits && i < SHIM_MAX_PARKED; i++) {
        struct parked *p = &s->parked[i];
        if (p->used && p->child.sock >= 0) {
            c->child = p->child;
            c->cg = p->cg;
            p->used = false;
            return spec->devices.n ? cgroup_devices(c->cg, spec, err) : 0;
        }
    }
    int r = new_cgroup(s, &c->cg, err);
    r = r < 0 ? r : cgroup_devices(c->cg, spec, err);
    if (r < 0) {
        return r;
    }
    cgroup_oom_fd(c->cg, NULL);
    return rt_park(&world, s->sys, c->cg, spec, &c->child, err);
}

/* --- starting */

static void add_stream(struct shim_server *s, struct container *c, unsigned which, int fd, bool tty)
{
    c->streams[which] = (struct stream){.fd = fd, .number = which + 1, .terminal = tty};
    fcntl(fd, F_SETFL, O_NONBLOCK);
    watch(s, fd, WATCH_STREAM, (unsigned)(c - s->containers) * 2 + which, EPOLLIN);
}

static int open_pipes(struct shim_server *s, struct container *c, struct rt_io *io,
                      struct gt_err *err)
{
    int *const ends[2] = {&io->out, &io->err};
    for (unsigned i = 0; i < 2; i++) {
        int fd[2];
        if (pipe2(fd, O_CLOEXEC) < 0) {
            return gt_err_errno(err, errno, "make a pipe for the output");
        }
        fcntl(fd[0], F_SETPIPE_SZ, PIPE_BYTES);
        *ends[i] = fd[1];
        add_stream(s, c, i, fd[0], false);
    }
    return 0;
}

/* Everything of a slot that is not needed once its container has ended. */
static void close_streams(struct shim_server *s, struct container *c)
{
    for (unsigned i = 0; i < 2; i++) {
        if (c->streams[i].fd >= 0) {
            unwatch(s, c->streams[i].fd);
            gt_closep(&c->streams[i].fd);
        }
    }
}

static void release_cgroup(struct shim_server *s, struct container *c)
{
    (void)s;
    if (c->cg && cgroup_remove(c->cg, NULL) != -EBUSY) {
        cgroup_close(c->cg);
        c->cg = NULL;
    }
}

static void unwatch_oom(struct shim_server *s, struct container *c)
{
    int fd = c->cg ? cgroup_oom_fd(c->cg, NULL) : -1;
    if (fd >= 0) {
        unwatch(s, fd);
    }
}

static int start_child(struct shim_server *s, struct container *c, const struct rt_spec *spec,
                       const void *bytes, size_t n, const int *fds, unsigned n_fds, bool wait,
                       struct gt_err *err)
{
    struct rt_io io = {-1, -1, -1};
    char path[sizeof s->spool_dir + SHIM_ID_SIZE + 8];
    int r = 0;
    if (!spec->log_none) {
        snprintf(path, sizeof path, "%s/%s.log", s->spool_dir, c->id);
        r = spool_open(&c->spool, path, spec->log_spool_max, spec->log_nonblocking, err);
    }
    r = r < 0 ? r : get_child(s, spec, c, err);
    r = r < 0 ? r : cgroup_limit(c->cg, &spec->limits, err);
    if (r == 0 && !spec->log_none && !spec->tty) {
        r = open_pipes(s, c, &io, err);
    }
    io.in = spec->stdin_open && n_fds ? fds[0] : -1;
    r = r < 0 ? r : rt_launch(&c->child, spec, bytes, n, &io, wait, err);
    gt_closep(&io.out);
    gt_closep(&io.err);
    return r;
}

/* A start that came to nothing before the child knew of it. */
static void abandon(struct shim_server *s, struct container *c)
{
    close_streams(s, c);
    rt_child_close(&c->child); /* it reads the end of its socket and goes */
    spool_close(&c->spool);
    if (c->cg) {
        cgroup_kill(c->cg, NULL);
        cgroup_remove(c->cg, NULL);
        cgroup_close(c->cg);
    }
    memset(c, 0, sizeof *c);
}

int task_create(struct shim_server *s, const struct shim_create *req, const void *bytes,
                const int *fds, unsigned n_fds, struct owed owed, struct gt_err *err)
{
    if (!s->task[0] || !id_ok(req->container) || task_find(s, req->container)) {
        return gt_err_set(err, s->task[0] ? GT_ERR_EXISTS : GT_ERR_INVALID,
                          "container '%s' exists, has no good name, or comes before its task",
                          req->container);
    }
    struct container *c = NULL;
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS && !c; i++) {
        c = s->containers[i].state == SLOT_FREE ? &s->containers[i] : NULL;
    }
    if (!c) {
        return gt_err_set(err, GT_ERR_LIMIT, "a task has at most %d containers",
                          SHIM_MAX_CONTAINERS);
    }
    memset(c, 0, sizeof *c);
    snprintf(c->id, sizeof c->id, "%s", req->container);
    c->child = RT_CHILD_NONE;
    c->streams[0].fd = c->streams[1].fd = c->spool.fd = -1;
    c->owed.client = SHIM_NOBODY;
    struct gt_arena arena;
    struct rt_spec spec;
    gt_arena_init(&arena, 4UL * RT_SPEC_MAX_BYTES);
    int r = rt_spec_decode(bytes, req->spec_n, &arena, &spec, err);
    if (r == 0) {
        r = start_child(s, c, &spec, bytes, req->spec_n, fds, n_fds,
                        !(req->flags & SHIM_CREATE_START), err);
        c->own_pid_ns = spec.pid.kind == RT_NS_NEW;
        c->tty = spec.tty;
    }
    gt_arena_fini(&arena);
    if (r < 0) {
        abandon(s, c);
        return r;
    }
    unsigned index = (unsigned)(c - s->containers);
    c->state = SLOT_CREATING;
    c->owed = owed;
    c->created_ms = gt_clock_real_ms();
    c->pid = c->child.pid;
    watch(s, c->child.sock, WATCH_CHILD, index, EPOLLIN);
    int oom = cgroup_oom_fd(c->cg, NULL);
    if (oom >= 0) {
        watch(s, oom, WATCH_OOM, index,
              cgroup_sys_mode(s->sys) == CGROUP_V2 ? EPOLLPRI | EPOLLET : EPOLLIN);
    }
    return 0;
}

static void reply_created(struct shim_server *s, struct container *c)
{
    struct shim_created made = {.pid = c->pid, .started_ms = c->started_ms};
    snprintf(made.cgroup, sizeof made.cgroup, "%s", c->cg ? cgroup_path(c->cg) : "");
    client_reply(s, &c->owed, c->failed ? &c->err : NULL, &made, sizeof made, -1);
}

int task_start(struct shim_server *s, const char *id, struct owed owed, struct gt_err *err)
{
    struct container *c = task_find(s, id);
    if (!c || c->state != SLOT_CREATED) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "no container '%s' waits to be started", id);
    }
    int r = rt_go(&c->child, err);
    if (r == 0) {
        c->owed = owed;
        c->state = SLOT_CREATING;
    }
    return r;
}

/* The child's socket has ended: exec worked, or it died. */
static void started(struct shim_server *s, struct container *c)
{
    unwatch(s, c->child.sock);
    gt_closep(&c->child.sock);
    if (c->failed || !c->exec_seen) {
        c->failed = true;
        if (c->err.kind == GT_ERR_NONE) {
            gt_err_set(&c->err, GT_ERR_INTERNAL,
                       "the container's first process died before it could start");
        }
        return; /* the rest when it is reaped */
    }
    c->state = SLOT_RUNNING;
    c->started_ms = gt_clock_real_ms();
    event(s, c,
          (struct shim_event){.type = SHIM_EVENT_STARTED, .pid = c->pid, .time_ms = c->started_ms});
    reply_created(s, c);
    s->release_ms = gt_clock_mono_ms() + RELEASE_MS;
}

static void on_report(struct shim_server *s, struct container *c, const struct rt_report *r,
                      int *fd)
{
    switch ((enum rt_report_kind)r->kind) {
    case RT_REPORT_WARNING: {
        struct shim_event e = {.type = SHIM_EVENT_WARNING};
        snprintf(e.text, sizeof e.text, "%.*s", (int)sizeof e.text - 1, r->text);
        event(s, c, e);
        return;
    }
    case RT_REPORT_ERROR:
        c->failed = true;
        gt_err_errno(&c->err, r->sys_errno, "x");
        snprintf(c->err.msg, sizeof c->err.msg, "%s", r->text);
        return;
    case RT_REPORT_TTY:
        if (c->streams[0].fd < 0 && *fd >= 0) {
            add_stream(s, c, 0, gt_steal_fd(fd), true);
        }
        return;
    case RT_REPORT_READY:
        c->state = SLOT_CREATED;
        reply_created(s, c);
        return;
    case RT_REPORT_EXEC:
        c->exec_seen = true;
        return;
    }
}

void task_child(struct shim_server *s, unsigned index)
{
    struct container *c = &s->containers[index];
    struct rt_report r;
    int fd, got = 0;
    while (c->child.sock >= 0 && (got = rt_child_report(&c->child, &r, &fd)) > 0) {
        on_report(s, c, &r, &fd);
        gt_closep(&fd);
    }
    if (c->child.sock >= 0 && got < 0) {
        started(s, c);
    }
}

/* --- output */

static void told_dropped(struct shim_server *s, struct container *c, int64_t now, bool last)
{
    if (c->spool.dropped == c->dropped_told || (!last && now < c->dropped_next_ms)) {
        return;
    }
    /* The file of events must not grow with every second that an agent is away. */
    c->dropped_wait_ms =
        GT_MIN(GT_MAX(2 * c->dropped_wait_ms, DROPPED_EVERY_MS), DROPPED_SELDOM_MS);
    c->dropped_next_ms = now + c->dropped_wait_ms;
    c->dropped_told = c->spool.dropped;
    event(s, c, (struct shim_event){.type = SHIM_EVENT_DROPPED, .offset = c->spool.dropped});
}

static void pump(struct shim_server *s, struct container *c, unsigned which, bool final)
{
    struct stream *st = &c->streams[which];
    int fd = st->fd;
    if (fd < 0 || c->spool.fd < 0) {
        return;
    }
    int64_t now = gt_clock_mono_ms();
    unsigned index = (unsigned)(c - s->containers) * 2 + which;
    st->retry_ms = 0;
    switch (stream_pump(st, &c->spool, now, final)) {
    case STREAM_OPEN:
        break;
    case STREAM_PAUSED:
        st->retry_ms = INT64_MAX;
        rewatch(s, fd, WATCH_STREAM, index, 0);
        break;
    case STREAM_LATER:
        rewatch(s, fd, WATCH_STREAM, index, 0);
        break;
    case STREAM_CLOSED: /* closing took it out of the epoll set */
        break;
    }
    told_dropped(s, c, now, false);
}

/* After a pause: look again, whether or not there is something. */
static void resume(struct shim_server *s, struct container *c, unsigned which)
{
    struct stream *st = &c->streams[which];
    if (st->fd >= 0) {
        st->retry_ms = 0;
        rewatch(s, st->fd, WATCH_STREAM, (unsigned)(c - s->containers) * 2 + which, EPOLLIN);
    }
}

void task_stream(struct shim_server *s, unsigned index)
{
    pump(s, &s->containers[index / 2], index % 2, false);
}

void task_acked(struct shim_server *s, struct container *c, uint64_t offset)
{
    spool_ack(&c->spool, offset);
    if (c->dropped_wait_ms > DROPPED_EVERY_MS) {
        c->dropped_next_ms -= c->dropped_wait_ms - DROPPED_EVERY_MS;
        c->dropped_wait_ms = 0;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (c->streams[i].retry_ms == INT64_MAX) {
            resume(s, c, i);
        }
    }
}

/* --- ending */

static void count_oom(struct shim_server *s, struct container *c)
{
    uint64_t kills = 0;
    if (c->cg && cgroup_oom_kills(c->cg, &kills, NULL) == 0 && kills > c->oom_seen) {
        c->oom_seen = kills;
        event(s, c, (struct shim_event){.type = SHIM_EVENT_OOM, .pid = c->pid});
    }
}

void task_oom(struct shim_server *s, unsigned index)
{
    struct container *c = &s->containers[index];
    uint64_t n;
    int fd = c->cg ? cgroup_oom_fd(c->cg, NULL) : -1;
    if (fd >= 0 && cgroup_sys_mode(s->sys) != CGROUP_V2) {
        ssize_t ignored = read(fd, &n, sizeof n);
        (void)ignored;
    }
    count_oom(s, c);
}

static void finish(struct shim_server *s, struct container *c)
{
    for (unsigned i = 0; i < 2 && c->spool.fd >= 0; i++) {
        pump(s, c, i, true);
        stream_discard(&c->streams[i], &c->spool);
    }
    close_streams(s, c);
    spool_end(&c->spool);
    told_dropped(s, c, gt_clock_mono_ms(), true);
    unwatch_oom(s, c);
    gt_closep(&c->child.pidfd);
    if (c->failed) {
        /* It never ran: who asked hears why, and the slot is free again. */
        reply_created(s, c);
        spool_close(&c->spool);
        if (c->cg) {
            cgroup_kill(c->cg, NULL);
            cgroup_remove(c->cg, NULL);
            cgroup_close(c->cg);
        }
        memset(c, 0, sizeof *c);
        return;
    }
    c->exit_code = exit_code_of(c->status);
    c->state = SLOT_EXITED;
    event(s, c,
          (struct shim_event){.type = SHIM_EVENT_EXITED,
                              .pid = c->pid,
                              .time_ms = c->exited_ms,
                              .exit_code = c->exit_code,
                              .oom = c->oom_seen > 0,
                              .offset = c->spool.written});
    release_cgroup(s, c);
}

/* What is in the pipes at the end. False: the disk is full, and bytes must not be dropped. */
static bool take_rest(struct shim_server *s, struct container *c)
{
    bool all = true;
    for (unsigned i = 0; i < 2; i++) {
        pump(s, c, i, true);
        all &= c->streams[i].fd < 0 || c->spool.nonblocking || c->streams[i].retry_ms == 0;
    }
    return all;
}

static bool is_empty(struct container *c)
{
    bool populated = false;
    return !c->cg || cgroup_populated(c->cg, &populated, NULL) < 0 || !populated;
}

void task_exited(struct shim_server *s, struct container *c, int status)
{
    if (c->child.sock >= 0) {
        task_child(s, (unsigned)(c - s->containers)); /* what it said before it ended */
    }
    if (c->child.sock >= 0) { /* kept open by a descendant that is about to go, too */
        c->failed = c->failed || !c->exec_seen;
        started(s, c);
    }
    c->status = status;
    c->status_known = true;
    c->exited_ms = gt_clock_real_ms();
    count_oom(s, c);
    if (!c->own_pid_ns && c->cg && !is_empty(c)) {
        /* Others of its namespace live on, but what it left behind goes. */
        cgroup_kill(c->cg, NULL);
        c->state = SLOT_ENDING;
        c->deadline_ms = gt_clock_mono_ms() + GRACE_MS;
        return;
    }
    if (!take_rest(s, c)) {
        c->state = SLOT_ENDING;
        c->deadline_ms = gt_clock_mono_ms();
        return;
    }
    finish(s, c);
}

int task_remove(struct shim_server *s, const char *id, struct gt_err *err)
{
    struct container *c = task_find(s, id);
    if (!c || c->state != SLOT_EXITED) {
        return gt_err_set(err, c ? GT_ERR_CONFLICT : GT_ERR_NOT_FOUND,
                          c ? "container '%s' has not ended" : "no container '%s'", id);
    }
    char path[sizeof s->spool_dir + SHIM_ID_SIZE + 8];
    snprintf(path, sizeof path, "%s/%s.log", s->spool_dir, c->id);
    if (c->spool.fd >= 0) {
        unlink(path);
        spool_close(&c->spool);
    }
    release_cgroup(s, c);
    cgroup_close(c->cg);
    memset(c, 0, sizeof *c);
    return 0;
}

void task_describe(const struct container *c, struct shim_container *to)
{
    static const uint32_t states[] = {
        [SLOT_CREATING] = SHIM_CONTAINER_CREATING, [SLOT_CREATED] = SHIM_CONTAINER_CREATED,
        [SLOT_RUNNING] = SHIM_CONTAINER_RUNNING,   [SLOT_ENDING] = SHIM_CONTAINER_RUNNING,
        [SLOT_EXITED] = SHIM_CONTAINER_EXITED,
    };
    memset(to, 0, sizeof *to);
    snprintf(to->id, sizeof to->id, "%s", c->id);
    snprintf(to->cgroup, sizeof to->cgroup, "%s", c->cg ? cgroup_path(c->cg) : "");
    to->state = states[c->state];
    to->pid = c->pid;
    to->exit_code = c->exit_code;
    to->oom = c->oom_seen > 0;
    to->created_ms = c->created_ms;
    to->started_ms = c->started_ms;
    to->exited_ms = c->exited_ms;
    to->spool_written = c->spool.written;
    to->spool_acked = c->spool.acked;
    to->dropped_bytes = c->spool.dropped;
}

/* --- time */

static void sooner(int64_t *at, int64_t other)
{
    *at = GT_MIN(*at, other);
}

static int64_t tick_container(struct shim_server *s, struct container *c, int64_t now)
{
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < 2; i++) {
        struct stream *st = &c->streams[i];
        if (st->fd < 0 || st->retry_ms == 0 || st->retry_ms == INT64_MAX) {
            continue;
        }
        if (st->retry_ms > now) {
            sooner(&next, st->retry_ms);
            continue;
        }
        resume(s, c, i);
        pump(s, c, i, false);
        if (st->fd >= 0 && st->retry_ms && st->retry_ms != INT64_MAX) {
            sooner(&next, st->retry_ms);
        }
    }
    if (c->state == SLOT_ENDING) {
        bool over = is_empty(c) || now >= c->deadline_ms;
        bool waited = s->shutting_down || now >= c->deadline_ms + REST_MS;
        if (over && (waited || take_rest(s, c))) {
            finish(s, c);
        } else {
            sooner(&next, now + 5);
        }
    }
    if (c->state == SLOT_EXITED && c->cg) {
        release_cgroup(s, c);
        sooner(&next, c->cg ? now + REMOVE_EVERY_MS : INT64_MAX);
    }
    return next;
}

static bool all_ended(const struct shim_server *s)
{
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS; i++) {
        if (s->containers[i].state != SLOT_FREE &&
            (s->containers[i].state != SLOT_EXITED || s->containers[i].cg)) {
            return false;
        }
    }
    return true;
}

int task_tick(struct shim_server *s)
{
    int64_t now = gt_clock_mono_ms(), next = INT64_MAX;
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS; i++) {
        if (s->containers[i].state != SLOT_FREE) {
            sooner(&next, tick_container(s, &s->containers[i], now));
        }
    }
    if (s->release_ms && now >= s->release_ms) {
        s->release_ms = 0;
        release_parked(s);
    } else if (s->release_ms) {
        sooner(&next, s->release_ms);
    }
    if (s->shutting_down && all_ended(s)) {
        cgroup_remove(s->task_cg, NULL);
        client_reply(s, &s->shutdown_owed, NULL, NULL, 0, -1);
        _exit(0);
    }
    return next == INT64_MAX ? -1 : (int)GT_MAX(next - now, 0);
}

void task_shutdown(struct shim_server *s)
{
    s->shutting_down = true;
    release_parked(s);
    cgroup_kill(s->task_cg, NULL);
}
