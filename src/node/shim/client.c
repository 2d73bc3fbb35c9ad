#include "node/shim/shim_priv.h"

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node/runtime/kernel.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FDS = 3 };

static void drop_client(struct shim_server *s, struct client *c)
{
    if (c->fd >= 0) {
        unwatch(s, c->fd);
        gt_closep(&c->fd);
        c->generation++;
    }
}

void client_accept(struct shim_server *s)
{
    gt_auto_close int fd = accept4(s->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        return;
    }
    for (unsigned i = 0; i < SHIM_MAX_CLIENTS; i++) {
        struct client *c = &s->clients[i];
        if (c->fd < 0) {
            c->fd = gt_steal_fd(&fd);
            c->subscribed = false;
            watch(s, c->fd, WATCH_CLIENT, i, EPOLLIN);
            return;
        }
    }
}

/* Never waits: a client that does not read is disconnected, and finds the events in the file. */
static void send_message(struct shim_server *s, struct client *c, const struct shim_hdr *h,
                         const void *payload, int fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov[2] = {{(void *)(uintptr_t)h, sizeof *h}, {(void *)(uintptr_t)payload, h->n}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = h->n ? 2 : 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    if (sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        drop_client(s, c);
    }
}

void client_event(struct shim_server *s, const struct shim_event *e)
{
    struct shim_hdr h = {.type = SHIM_EVENT, .n = sizeof *e};
    for (unsigned i = 0; i < SHIM_MAX_CLIENTS; i++) {
        if (s->clients[i].fd >= 0 && s->clients[i].subscribed) {
            send_message(s, &s->clients[i], &h, e, -1);
        }
    }
}

struct owed client_owe(struct shim_server *s, unsigned client, uint32_t id)
{
    return (struct owed){(int)client, s->clients[client].generation, id};
}

void client_reply(struct shim_server *s, struct owed *owed, const struct gt_err *err,
                  const void *payload, uint32_t n, int fd)
{
    int to = owed->client;
    owed->client = SHIM_NOBODY;
    if (to < 0 || s->clients[to].fd < 0 || s->clients[to].generation != owed->generation) {
        return;
    }
    struct shim_hdr h = {.type = SHIM_REPLY, .id = owed->id, .n = n};
    if (err && err->kind != GT_ERR_NONE) {
        h.result = gt_err_code(err);
        h.n = (uint32_t)strlen(err->msg);
        payload = err->msg;
        fd = -1;
    }
    send_message(s, &s->clients[to], &h, payload, fd);
}

static void fill_state(struct shim_server *s, struct shim_state *st)
{
    memset(st, 0, sizeof *st);
    st->version = SHIM_PROTO_VERSION;
    st->pid = getpid();
    st->last_seq = s->last_seq;
    snprintf(st->task, sizeof st->task, "%s", s->task);
    snprintf(st->cgroup, sizeof st->cgroup, "%s", s->cgroup_path);
    snprintf(st->spool_dir, sizeof st->spool_dir, "%s", s->spool_dir);
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS; i++) {
        st->n_containers += s->containers[i].state != SLOT_FREE;
    }
    for (unsigned i = 0; i < SHIM_MAX_PARKED; i++) {
        st->n_parked += s->parked[i].used;
    }
}

static void reply_state(struct shim_server *s, struct owed *owed)
{
    struct {
        struct shim_state state;
        struct shim_container containers[SHIM_MAX_CONTAINERS];
    } all;
    fill_state(s, &all.state);
    unsigned n = 0;
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS; i++) {
        if (s->containers[i].state != SLOT_FREE) {
            task_describe(&s->containers[i], &all.containers[n++]);
        }
    }
    client_reply(s, owed, NULL, &all, (uint32_t)(sizeof all.state + n * sizeof all.containers[0]),
                 -1);
}

/* --- requests. Each gets its payload, already long enough; 1 means that the reply comes later. */

struct request {
    const struct shim_hdr *h;
    char *payload; /* h->n bytes and room for a NUL */
    int fds[MAX_FDS];
    unsigned n_fds;
    struct owed owed;
};

static int on_hello(struct shim_server *s, struct request *r, struct gt_err *err)
{
    const struct shim_hello *hello = (const void *)r->payload;
    if (hello->version != SHIM_PROTO_VERSION) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED, "protocol version %u, this shim has %u",
                          hello->version, SHIM_PROTO_VERSION);
    }
    s->clients[r->owed.client].subscribed = hello->subscribe == 1;
    struct shim_state st;
    fill_state(s, &st);
    client_reply(s, &r->owed, NULL, &st, sizeof st, -1);
    return 1;
}

static int on_task(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_task *t = (void *)r->payload;
    if (t->limits_n != r->h->n - sizeof *t) {
        return gt_err_set(err, GT_ERR_MALFORMED, "the limits are %u bytes long", t->limits_n);
    }
    t->id[sizeof t->id - 1] = t->spool_dir[sizeof t->spool_dir - 1] = '\0';
    return task_configure(s, t, t->limits_n ? t + 1 : NULL, err);
}

static int check_create(const struct request *r, struct shim_create *c, struct gt_err *err)
{
    if (c->spec_n != r->h->n - sizeof *c) {
        return gt_err_set(err, GT_ERR_MALFORMED, "the specification is %u bytes long", c->spec_n);
    }
    c->container[sizeof c->container - 1] = c->exec[sizeof c->exec - 1] = '\0';
    return 0;
}

static int on_create(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_create *c = (void *)r->payload;
    int e = check_create(r, c, err);
    e = e < 0 ? e : task_create(s, c, c + 1, r->fds, r->n_fds, r->owed, err);
    return e < 0 ? e : 1;
}

static int on_exec(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_create *c = (void *)r->payload;
    int e = check_create(r, c, err);
    e = e < 0 ? e : exec_start(s, c, c + 1, r->fds, r->n_fds, r->owed, err);
    return e < 0 ? e : 1;
}

static struct shim_target *target(struct request *r)
{
    struct shim_target *t = (void *)r->payload;
    t->container[sizeof t->container - 1] = t->exec[sizeof t->exec - 1] = '\0';
    return t;
}

static struct container *running(struct shim_server *s, const char *id, struct gt_err *err)
{
    struct container *c = task_find(s, id);
    if (!c || (c->state != SLOT_RUNNING && c->state != SLOT_CREATED)) {
        gt_err_set(err, GT_ERR_NOT_FOUND, "no container '%s' is running", id);
        return NULL;
    }
    return c;
}

static int on_start(struct shim_server *s, struct request *r, struct gt_err *err)
{
    int e = task_start(s, target(r)->container, r->owed, err);
    return e < 0 ? e : 1;
}

static int on_signal(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_target *t = target(r);
    struct container *c = running(s, t->container, err);
    if (!c) {
        return gt_err_code(err);
    }
    int pidfd = c->child.pidfd;
    if (t->exec[0]) {
        struct exec *e = exec_find(s, (unsigned)(c - s->containers), t->exec);
        if (!e) {
            return gt_err_set(err, GT_ERR_NOT_FOUND, "no process '%s' is running", t->exec);
        }
        pidfd = e->child.pidfd;
    }
    int e = k_pidfd_send_signal(pidfd, t->number);
    return e < 0 ? gt_err_errno(err, e, "send signal %d to '%s'", t->number, t->container) : 0;
}

static int on_kill_all(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_target *t = target(r);
    if (!t->container[0]) {
        return cgroup_kill(s->task_cg, err);
    }
    struct container *c = task_find(s, t->container);
    if (!c || !c->cg) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "no container '%s' is running", t->container);
    }
    return cgroup_kill(c->cg, err);
}

static int on_freeze(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_target *t = target(r);
    struct container *c = running(s, t->container, err);
    return c ? cgroup_freeze(c->cg, t->number == 1, err) : gt_err_code(err);
}

static int on_resize(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_target *t = target(r);
    struct container *c = running(s, t->container, err);
    if (!c) {
        return gt_err_code(err);
    }
    struct winsize size = {.ws_row = (unsigned short)t->rows, .ws_col = (unsigned short)t->cols};
    if (!c->tty || ioctl(c->streams[0].fd, TIOCSWINSZ, &size) < 0) {
        return gt_err_set(err, GT_ERR_INVALID, "container '%s' has no terminal", t->container);
    }
    return 0;
}

static int on_state(struct shim_server *s, struct request *r, struct gt_err *err)
{
    (void)err;
    reply_state(s, &r->owed);
    return 1;
}

static int on_spool_ack(struct shim_server *s, struct request *r, struct gt_err *err)
{
    struct shim_target *t = target(r);
    struct container *c = task_find(s, t->container);
    if (!c) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "no container '%s'", t->container);
    }
    task_acked(s, c, t->offset);
    return 0;
}

static int on_remove(struct shim_server *s, struct request *r, struct gt_err *err)
{
    return task_remove(s, target(r)->container, err);
}

static int on_shutdown(struct shim_server *s, struct request *r, struct gt_err *err)
{
    (void)err;
    s->shutdown_owed = r->owed;
    task_shutdown(s);
    return 1;
}

static const struct {
    int (*handle)(struct shim_server *s, struct request *r, struct gt_err *err);
    size_t least;
} handlers[] = {
    [SHIM_HELLO] = {on_hello, sizeof(struct shim_hello)},
    [SHIM_TASK] = {on_task, sizeof(struct shim_task)},
    [SHIM_CREATE] = {on_create, sizeof(struct shim_create)},
    [SHIM_START] = {on_start, sizeof(struct shim_target)},
    [SHIM_SIGNAL] = {on_signal, sizeof(struct shim_target)},
    [SHIM_KILL_ALL] = {on_kill_all, sizeof(struct shim_target)},
    [SHIM_FREEZE] = {on_freeze, sizeof(struct shim_target)},
    [SHIM_EXEC] = {on_exec, sizeof(struct shim_create)},
    [SHIM_RESIZE] = {on_resize, sizeof(struct shim_target)},
    [SHIM_STATE] = {on_state, 0},
    [SHIM_SPOOL_ACK] = {on_spool_ack, sizeof(struct shim_target)},
    [SHIM_REMOVE] = {on_remove, sizeof(struct shim_target)},
    [SHIM_SHUTDOWN] = {on_shutdown, 0},
};

static void dispatch(struct shim_server *s, struct request *r)
{
    struct gt_err err = GT_ERR_INIT;
    uint32_t type = r->h->type;
    int e;
    if (type >= GT_ARRAY_LEN(handlers) || !handlers[type].handle) {
        e = gt_err_set(&err, GT_ERR_UNKNOWN_OPERATION, "message of unknown type %u", type);
    } else if (r->h->n < handlers[type].least) {
        e = gt_err_set(&err, GT_ERR_MALFORMED, "message of type %u is too short", type);
    } else if (s->shutting_down && type != SHIM_STATE && type != SHIM_HELLO) {
        e = gt_err_set(&err, GT_ERR_UNAVAILABLE, "the shim is shutting down");
    } else {
        e = handlers[type].handle(s, r, &err);
    }
    if (e <= 0) {
        client_reply(s, &r->owed, e < 0 ? &err : NULL, NULL, 0, -1);
    }
}

static void take_fds(struct msghdr *msg, struct request *r)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (r->n_fds < MAX_FDS) {
                r->fds[r->n_fds++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

void client_read(struct shim_server *s, unsigned index)
{
    static _Alignas(16) char bytes[sizeof(struct shim_hdr) + SHIM_MSG_MAX + 1];
    struct client *c = &s->clients[index];
    char control[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    struct iovec iov = {bytes, sizeof bytes - 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = c->fd < 0 ? 0 : recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    struct request r = {.h = (const struct shim_hdr *)bytes, .payload = bytes + sizeof *r.h};
    if (n > 0) {
        take_fds(&msg, &r);
    }
    if (n < (ssize_t)sizeof *r.h || msg.msg_flags & MSG_TRUNC ||
        r.h->n != (size_t)n - sizeof *r.h) {
        drop_client(s, c);
    } else {
        bytes[n] = '\0';
        r.owed = client_owe(s, index, r.h->id);
        dispatch(s, &r);
    }
    for (unsigned i = 0; i < r.n_fds; i++) {
        close(r.fds[i]);
    }
}
