#include "node/shim/shim_client_priv.h"

#include "lib/base/clock.h"
#include "lib/base/list.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_MS = 30000 };

struct queued {
    struct gt_list link;
    struct shim_reply message;
};

struct shim {
    int fd;
    uint32_t next_id;
    struct shim_state hello;
    struct gt_list queue; /* events and replies that came while another reply was waited for */
    char *bytes;          /* of the last message received */
};

static int send_all(struct shim *s, const struct shim_hdr *h, const struct iovec *parts, int n,
                    const int *fds, unsigned n_fds, struct gt_err *err)
{
    char control[CMSG_SPACE(sizeof(int) * 3)];
    struct iovec iov[4] = {{(void *)(uintptr_t)h, sizeof *h}};
    for (int i = 0; i < n; i++) {
        iov[i + 1] = parts[i];
    }
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n + 1};
    if (n_fds) {
        memset(control, 0, sizeof control);
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    /* Room for a megabyte of requests: a shim that leaves them lying is stopped or stuck. */
    while (sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return gt_err_errno(err, errno == ECONNRESET ? EPIPE : errno, "ask the shim");
        }
    }
    return 0;
}

/* Returns the request's id. */
static int64_t request(struct shim *s, uint32_t type, const struct iovec *parts, int n,
                       const int *fds, unsigned n_fds, struct gt_err *err)
{
    struct shim_hdr h = {.type = type, .id = ++s->next_id};
    size_t sum = 0;
    for (int i = 0; i < n; i++) {
        sum += parts[i].iov_len;
    }
    if (sum > SHIM_MSG_MAX) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "a request of %zu bytes", sum);
    }
    h.n = (uint32_t)sum;
    int r = send_all(s, &h, parts, n, fds, n_fds, err);
    return r < 0 ? r : (int64_t)h.id;
}

/* One message into s->bytes: 1, 0 nothing, -EPIPE. */
static int receive(struct shim *s, struct shim_hdr *h, int *fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov[2] = {{h, sizeof *h}, {s->bytes, SHIM_MSG_MAX}};
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
    *fd = -1;
    ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL; c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && *fd < 0) {
            memcpy(fd, CMSG_DATA(c), sizeof *fd);
        }
    }
    if (n < (ssize_t)sizeof *h || h->n != (size_t)n - sizeof *h) {
        gt_closep(fd);
        return -EPIPE;
    }
    s->bytes[h->n] = '\0';
    return 1;
}

static int reply_error(struct shim *s, const struct shim_hdr *h, struct gt_err *err)
{
    int r = gt_err_errno(err, h->result, "x");
    if (err) {
        snprintf(err->msg, sizeof err->msg, "%.*s", (int)GT_MIN(h->n, sizeof err->msg - 1),
                 s->bytes);
    }
    return r;
}

/* A message as the loop sees it. The descriptor goes with it. */
static void as_message(struct shim *s, const struct shim_hdr *h, int fd, struct shim_reply *ret)
{
    *ret = (struct shim_reply){.type = h->type, .id = h->id, .fd = fd};
    if (h->type == SHIM_EVENT && h->n == sizeof ret->event) {
        memcpy(&ret->event, s->bytes, sizeof ret->event);
    } else if (h->result < 0) {
        reply_error(s, h, &ret->err);
    } else if (h->n == sizeof ret->created) {
        memcpy(&ret->created, s->bytes, sizeof ret->created);
    }
}

/* Waits for the reply to `id`; what else comes is kept for shim_recv(): events, and the replies to
 * what was sent without waiting. The payload is in s->bytes. */
static int await(struct shim *s, int64_t id, struct shim_hdr *h, int *fd, struct gt_err *err)
{
    int64_t deadline = gt_clock_mono_ms() + TIMEOUT_MS;
    int own = -1, *got = fd ? fd : &own;
    if (id < 0) {
        return (int)id;
    }
    for (;;) {
        int r = receive(s, h, got);
        if (r < 0) {
            return gt_err_errno(err, EPIPE, "the shim is gone");
        }
        if (r == 0) {
            struct pollfd p = {.fd = s->fd, .events = POLLIN};
            int64_t left = deadline - gt_clock_mono_ms();
            if (left <= 0) {
                return gt_err_errno(err, ETIMEDOUT, "the shim does not answer");
            }
            poll(&p, 1, (int)left);
            continue;
        }
        if (h->type == SHIM_REPLY && h->id == (uint32_t)id) {
            gt_closep(&own);
            return h->result < 0 ? reply_error(s, h, err) : 0;
        }
        struct queued *q = gt_new(struct queued);
        as_message(s, h, *got, &q->message);
        *got = -1;
        gt_list_push_back(&s->queue, &q->link);
    }
}

/* --- connecting */

static int connect_in(const char *folder, struct gt_err *err)
{
    gt_auto_close int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return gt_err_errno(err, errno, "open '%s'", folder);
    }
    gt_auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/" SHIM_SOCKET, dir);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        return gt_err_errno(err, errno, "connect to the shim in '%s'", folder);
    }
    int size = 1 << 20; /* a burst of events while we are busy; capped by the system */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return gt_steal_fd(&fd);
}

int shim_connect(const char *folder, struct shim **ret, struct gt_err *err)
{
    int fd = connect_in(folder, err);
    if (fd < 0) {
        return fd;
    }
    struct shim *s = gt_new(struct shim);
    s->fd = fd;
    s->bytes = gt_malloc(SHIM_MSG_MAX + 1);
    gt_list_init(&s->queue);
    struct shim_hello hello = {SHIM_PROTO_VERSION, 1};
    struct iovec part = {&hello, sizeof hello};
    struct shim_hdr h = {0};
    int r = await(s, request(s, SHIM_HELLO, &part, 1, NULL, 0, err), &h, NULL, err);
    if (r == 0 && h.n != sizeof s->hello) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "the shim's greeting is %u bytes long", h.n);
    }
    if (r < 0) {
        shim_close(s);
        return r;
    }
    memcpy(&s->hello, s->bytes, sizeof s->hello);
    *ret = s;
    return 0;
}

void shim_close(struct shim *s)
{
    if (!s) {
        return;
    }
    gt_list_for_each (it, next, &s->queue) {
        struct queued *q = gt_list_entry(it, struct queued, link);
        gt_closep(&q->message.fd);
        free(q);
    }
    gt_closep(&s->fd);
    free(s->bytes);
    free(s);
}

int shim_fd(const struct shim *s)
{
    return s->fd;
}

const struct shim_state *shim_hello_state(const struct shim *s)
{
    return &s->hello;
}

/* --- requests */

static int copy_id(char to[static SHIM_ID_SIZE], const char *id, struct gt_err *err)
{
    if (strlen(id ? id : "") >= SHIM_ID_SIZE) {
        return gt_err_set(err, GT_ERR_INVALID, "id '%s' is too long", id);
    }
    snprintf(to, SHIM_ID_SIZE, "%s", id ? id : "");
    return 0;
}

int shim_set_task(struct shim *s, const char *task_id, const char *spool_dir,
                  const struct rt_limits *limits, struct gt_err *err)
{
    struct shim_task t = {0};
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(4096);
    int r = copy_id(t.id, task_id, err);
    if (r == 0 &&
        (size_t)snprintf(t.spool_dir, sizeof t.spool_dir, "%s", spool_dir) >= sizeof t.spool_dir) {
        r = gt_err_set(err, GT_ERR_INVALID, "spool folder '%s' is too long", spool_dir);
    }
    if (r == 0 && limits) {
        r = rt_limits_encode(limits, &bytes, err);
    }
    t.limits_n = (uint32_t)bytes.n;
    struct iovec parts[2] = {{&t, sizeof t}, {bytes.p, bytes.n}};
    struct shim_hdr h;
    return r < 0 ? r : await(s, request(s, SHIM_TASK, parts, 2, NULL, 0, err), &h, NULL, err);
}

static int64_t send_spec(struct shim *s, uint32_t type, struct shim_create *c,
                         const struct gt_buf *spec, const int *fds, unsigned n_fds,
                         struct gt_err *err)
{
    c->spec_n = (uint32_t)spec->n;
    struct iovec parts[2] = {{c, sizeof *c}, {spec->p, spec->n}};
    return request(s, type, parts, 2, fds, n_fds, err);
}

int64_t shim_send_create(struct shim *s, const char *container, const struct rt_spec *spec,
                         int stdin_fd, bool start, struct gt_err *err)
{
    struct shim_create c = {.flags = start ? SHIM_CREATE_START : 0};
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(RT_SPEC_MAX_BYTES);
    int r = copy_id(c.container, container, err);
    r = r < 0 ? r : rt_spec_check(spec, err);
    r = r < 0 ? r : rt_spec_encode(spec, &bytes, err);
    return r < 0 ? r : send_spec(s, SHIM_CREATE, &c, &bytes, &stdin_fd, stdin_fd >= 0 ? 1 : 0, err);
}

int64_t shim_send_exec(struct shim *s, const char *container, const char *exec_id,
                       const struct rt_exec *e, const int stdio[3], struct gt_err *err)
{
    struct shim_create c = {0};
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(RT_SPEC_MAX_BYTES);
    int r = copy_id(c.container, container, err);
    r = r < 0 ? r : copy_id(c.exec, exec_id, err);
    r = r < 0 ? r : rt_exec_encode(e, &bytes, err);
    return r < 0 ? r : send_spec(s, SHIM_EXEC, &c, &bytes, stdio, stdio && !e->tty ? 3 : 0, err);
}

static int take_created(struct shim *s, const struct shim_hdr *h, struct shim_created *ret,
                        struct gt_err *err)
{
    if (h->n != sizeof *ret) {
        return gt_err_set(err, GT_ERR_CORRUPT, "the shim's reply is %u bytes long", h->n);
    }
    memcpy(ret, s->bytes, sizeof *ret);
    ret->cgroup[sizeof ret->cgroup - 1] = '\0';
    return 0;
}

int shim_create(struct shim *s, const char *container, const struct rt_spec *spec, int stdin_fd,
                bool start, struct shim_created *ret, struct gt_err *err)
{
    struct shim_hdr h;
    int64_t id = shim_send_create(s, container, spec, stdin_fd, start, err);
    int r = await(s, id, &h, NULL, err);
    return r < 0 ? r : take_created(s, &h, ret, err);
}

int shim_exec(struct shim *s, const char *container, const char *exec_id, const struct rt_exec *e,
              const int stdio[3], int *tty_master, struct shim_created *ret, struct gt_err *err)
{
    struct shim_hdr h;
    gt_auto_close int fd = -1;
    int r = await(s, shim_send_exec(s, container, exec_id, e, stdio, err), &h, &fd, err);
    r = r < 0 ? r : take_created(s, &h, ret, err);
    if (tty_master) {
        *tty_master = r < 0 ? -1 : gt_steal_fd(&fd);
    }
    return r;
}

static int64_t send_target(struct shim *s, uint32_t type, struct shim_target *t,
                           const char *container, struct gt_err *err)
{
    int r = copy_id(t->container, container, err);
    struct iovec part = {t, sizeof *t};
    return r < 0 ? r : request(s, type, &part, 1, NULL, 0, err);
}

static int simple(struct shim *s, uint32_t type, struct shim_target *t, const char *container,
                  struct gt_err *err)
{
    struct shim_hdr h;
    return await(s, send_target(s, type, t, container, err), &h, NULL, err);
}

int shim_start(struct shim *s, const char *container, struct gt_err *err)
{
    struct shim_target t = {0};
    return simple(s, SHIM_START, &t, container, err);
}

int64_t shim_send_signal(struct shim *s, const char *container, const char *exec, int signo,
                         struct gt_err *err)
{
    struct shim_target t = {.number = signo};
    int r = copy_id(t.exec, exec, err);
    return r < 0 ? r : send_target(s, SHIM_SIGNAL, &t, container, err);
}

int64_t shim_send_kill_all(struct shim *s, const char *container, struct gt_err *err)
{
    struct shim_target t = {0};
    return send_target(s, SHIM_KILL_ALL, &t, container, err);
}

int64_t shim_send_spool_ack(struct shim *s, const char *container, uint64_t offset,
                            struct gt_err *err)
{
    struct shim_target t = {.offset = offset};
    return send_target(s, SHIM_SPOOL_ACK, &t, container, err);
}

int shim_signal(struct shim *s, const char *container, const char *exec, int signo,
                struct gt_err *err)
{
    struct shim_hdr h;
    return await(s, shim_send_signal(s, container, exec, signo, err), &h, NULL, err);
}

int shim_kill_all(struct shim *s, const char *container, struct gt_err *err)
{
    struct shim_hdr h;
    return await(s, shim_send_kill_all(s, container, err), &h, NULL, err);
}

int shim_freeze(struct shim *s, const char *container, bool frozen, struct gt_err *err)
{
    struct shim_target t = {.number = frozen};
    return simple(s, SHIM_FREEZE, &t, container, err);
}

int shim_resize(struct shim *s, const char *container, unsigned rows, unsigned cols,
                struct gt_err *err)
{
    struct shim_target t = {.rows = rows, .cols = cols};
    return simple(s, SHIM_RESIZE, &t, container, err);
}

int shim_spool_ack(struct shim *s, const char *container, uint64_t offset, struct gt_err *err)
{
    struct shim_hdr h;
    return await(s, shim_send_spool_ack(s, container, offset, err), &h, NULL, err);
}

int shim_remove(struct shim *s, const char *container, struct gt_err *err)
{
    struct shim_target t = {0};
    return simple(s, SHIM_REMOVE, &t, container, err);
}

int shim_containers(struct shim *s, struct shim_container *to, unsigned max, struct gt_err *err)
{
    struct shim_hdr h;
    int r = await(s, request(s, SHIM_STATE, NULL, 0, NULL, 0, err), &h, NULL, err);
    if (r < 0) {
        return r;
    }
    unsigned n = h.n < sizeof(struct shim_state)
                     ? 0
                     : (unsigned)((h.n - sizeof(struct shim_state)) / sizeof *to);
    memcpy(to, s->bytes + sizeof(struct shim_state), GT_MIN(n, max) * sizeof *to);
    return (int)n;
}

int shim_shutdown(struct shim *s, struct gt_err *err)
{
    struct shim_hdr h;
    return await(s, request(s, SHIM_SHUTDOWN, NULL, 0, NULL, 0, err), &h, NULL, err);
}

/* --- what comes by itself */

static bool has_queued(const struct shim *s)
{
    return !gt_list_empty(&s->queue);
}

int shim_recv(struct shim *s, struct shim_reply *ret, struct gt_err *err)
{
    struct shim_hdr h;
    int fd = -1;
    if (has_queued(s)) {
        struct queued *q = gt_list_entry(s->queue.next, struct queued, link);
        *ret = q->message;
        gt_list_remove(&q->link);
        free(q);
        return 1;
    }
    memset(ret, 0, sizeof *ret);
    ret->fd = -1;
    int r = receive(s, &h, &fd);
    if (r <= 0) {
        return r < 0 ? gt_err_errno(err, EPIPE, "the shim is gone") : 0;
    }
    as_message(s, &h, fd, ret);
    return 1;
}

int shim_next_event(struct shim *s, struct shim_event *ret, struct gt_err *err)
{
    struct shim_reply reply;
    int r;
    while ((r = shim_recv(s, &reply, err)) > 0) {
        gt_closep(&reply.fd);
        if (reply.type == SHIM_EVENT) {
            *ret = reply.event;
            return 1;
        }
    }
    return r;
}
