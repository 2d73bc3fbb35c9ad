#include "node/agent/control.h"

#include "lib/base/limits.h"
#include "lib/base/list.h"
#include "lib/base/log.h"
#include "lib/wire/utf8.h"
#include "node/agent/images.h"
#include "node/agent/session.h"
#include "node/agent/standing.h"
#include "node/agent/task.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE_MAX = 64 * 1024, MAX_CONNECTIONS = 64, IMAGES_AT_ONCE = 100 };

struct connection {
    struct gt_list link;
    struct control *c;
    uv_poll_t poll;
    int fd;
    char task[128], container[160], exec[32];
    int64_t request;
    bool waiting, running;
};

struct control {
    struct node *n;
    uv_poll_t poll;
    int fd;
    char *path;
    struct gt_list connections;
    unsigned count, execs;
};

static void send_json(int fd, json_t *o, int pass_fd)
{
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    GT_ASSERT(text != NULL);
    struct iovec iov = {text, strlen(text)};
    char room[CMSG_SPACE(sizeof(int))];
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pass_fd >= 0) {
        memset(room, 0, sizeof room);
        m.msg_control = room;
        m.msg_controllen = sizeof room;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &pass_fd, sizeof(int));
    }
    if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        gt_debug("agent.sock: %s", strerror(errno));
    }
    free(text);
}

static void send_error(int fd, const char *why)
{
    char text[512];
    snprintf(text, sizeof text, "%s", why);
    wire_utf8_clean(text);
    send_json(fd, json_pack("{s:s}", "error", text), -1);
}

static void on_closed(uv_handle_t *h)
{
    struct connection *k = h->data;
    close(k->fd);
    free(k);
}

static void hang_up(struct connection *k)
{
    if (k->running) {
        struct task *t = gt_table_get(&k->c->n->tasks, gt_str(k->task));
        if (t && t->shim) {
            shim_send_signal(t->shim, k->container, k->exec, SIGKILL, NULL);
        }
    }
    gt_list_remove(&k->link);
    k->c->count--;
    uv_poll_stop(&k->poll);
    uv_close((uv_handle_t *)&k->poll, on_closed);
}

/* --- exec */

static struct container *choose(struct task *t, const char *name)
{
    if (name[0]) {
        return task_container(t, name);
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        if (t->containers[i].state == CONTAINER_RUNNING) {
            return &t->containers[i];
        }
    }
    return NULL;
}

static int send_exec(struct connection *k, struct container *c, json_t *o, const int *fds,
                     struct gt_err *err)
{
    struct gt_arena a;
    struct rt_spec spec;
    struct rt_exec e = {0};
    gt_arena_init(&a, 8 * 1024 * 1024);
    int64_t r = container_spec(c, &a, &spec, err);
    const json_t *command = json_object_get(o, "command");
    size_t n = json_array_size(command);
    const char **argv = gt_arena_array(&a, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *arg = json_string_value(json_array_get(command, i));
        argv[i] = arg ? arg : "";
    }
    if (r == 0) {
        rt_exec_from_spec(&e, &spec);
        e.argv = (struct rt_strs){argv, (uint32_t)n};
        e.env = spec.env;
        if (json_is_true(json_object_get(o, "tty"))) {
            e.tty = true;
            e.tty_rows = (uint32_t)json_integer_value(json_object_get(o, "rows"));
            e.tty_cols = (uint32_t)json_integer_value(json_object_get(o, "cols"));
            const char **env = gt_arena_array(&a, const char *, e.env.n + 2);
            memcpy(env, spec.env.v, sizeof *env * spec.env.n);
            env[e.env.n] = "TERM=xterm";
            e.env = (struct rt_strs){env, spec.env.n + 1};
        }
        e.cwd = spec.cwd;
        e.user = spec.user;
        r = shim_send_exec(c->task->shim, c->runtime_id, k->exec, &e, e.tty ? NULL : fds, err);
    }
    gt_arena_fini(&a);
    k->request = r;
    return r < 0 ? (int)r : 0;
}

static void do_exec(struct connection *k, json_t *o, const int *fds, size_t n_fds)
{
    struct node *n = k->c->n;
    struct gt_err err = GT_ERR_INIT;
    const char *id = json_string_value(json_object_get(o, "task"));
    const char *name = json_string_value(json_object_get(o, "container"));
    struct task *t = id ? gt_table_get(&n->tasks, gt_str(id)) : NULL;
    struct container *c = t ? choose(t, name ? name : "") : NULL;
    if (!t) {
        send_error(k->fd, "no such task on this node");
    } else if (!c || c->state != CONTAINER_RUNNING || !t->shim) {
        send_error(k->fd, "no such container is running in this task");
    } else if (json_array_size(json_object_get(o, "command")) == 0) {
        send_error(k->fd, "no command");
    } else if (!json_is_true(json_object_get(o, "tty")) && n_fds != 3) {
        send_error(k->fd, "standard input, output and error are wanted as descriptors");
    } else {
        snprintf(k->task, sizeof k->task, "%s", t->id);
        snprintf(k->container, sizeof k->container, "%s", c->runtime_id);
        snprintf(k->exec, sizeof k->exec, "exec-%u", ++k->c->execs);
        if (send_exec(k, c, o, fds, &err) < 0) {
            send_error(k->fd, err.msg);
        } else {
            k->waiting = true;
        }
    }
}

bool control_exec_reply(struct control *c, const char *task_id, struct shim_reply *r)
{
    if (!c) {
        return false;
    }
    gt_list_for_each (it, tmp, &c->connections) {
        struct connection *k = gt_list_entry(it, struct connection, link);
        if (!k->waiting || !gt_streq(k->task, task_id) || k->request != (int64_t)r->id) {
            continue;
        }
        k->waiting = false;
        if (r->err.kind != GT_ERR_NONE || r->err.sys_errno) {
            wire_utf8_clean(r->err.msg);
            json_t *o = json_pack("{s:s, s:i}", "error", r->err.msg, "exitCode",
                                  r->err.sys_errno == ENOENT ? 127 : 126);
            send_json(k->fd, o, -1);
        } else {
            k->running = true;
            send_json(k->fd, json_pack("{s:i}", "pid", r->created.pid), r->fd);
        }
        gt_closep(&r->fd);
        return true;
    }
    return false;
}

void control_exec_exited(struct control *c, const char *task_id, const char *exec_id, int exit_code)
{
    if (!c) {
        return;
    }
    gt_list_for_each (it, tmp, &c->connections) {
        struct connection *k = gt_list_entry(it, struct connection, link);
        if (k->running && gt_streq(k->task, task_id) && gt_streq(k->exec, exec_id)) {
            k->running = false;
            send_json(k->fd, json_pack("{s:i}", "exitCode", exit_code), -1);
        }
    }
}

void control_task_gone(struct control *c, const char *task_id)
{
    if (!c) {
        return;
    }
    gt_list_for_each (it, tmp, &c->connections) {
        struct connection *k = gt_list_entry(it, struct connection, link);
        if (!gt_streq(k->task, task_id)) {
            continue;
        }
        if (k->running) {
            send_json(k->fd, json_pack("{s:i}", "exitCode", 137), -1);
        } else if (k->waiting) {
            /* It may have begun: as for one that certainly has. */
            send_json(k->fd, json_pack("{s:s, s:i}", "error", "the task ended", "exitCode", 137),
                      -1);
        }
        k->waiting = k->running = false;
    }
}

/* --- the rest */

static void do_images(struct connection *k)
{
    struct image **images = NULL;
    size_t n = 0;
    struct gt_err err = GT_ERR_INIT;
    if (image_list(k->c->n->images, &images, &n, &err) < 0) {
        send_error(k->fd, err.msg);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:I}", "name", images[i]->name, "digest",
                                        images[i]->digest, "size", (json_int_t)images[i]->size,
                                        "pulledAt", (json_int_t)images[i]->pulled_ms));
        image_unref(images[i]);
        if (json_array_size(list) == IMAGES_AT_ONCE && i + 1 < n) {
            send_json(k->fd, json_pack("{s:o, s:b}", "images", list, "more", 1), -1);
            list = json_array();
        }
    }
    free(images);
    send_json(k->fd, json_pack("{s:o, s:b}", "images", list, "more", 0), -1);
}

/* Removing trees takes a while: apart, with a descriptor of its own, for the connection may end. */
struct removal {
    struct image_store *images;
    char *name; /* NULL: all that are unused */
    int fd;
    unsigned gone;
    int r;
    struct gt_err err;
};

static void removal_work(void *arg)
{
    struct removal *k = arg;
    if (k->name) {
        k->r = image_remove(k->images, k->name, &k->err);
        k->gone = k->r == 0;
    } else {
        k->gone = images_prune(k->images);
    }
}

static void removal_done(struct node *n, void *arg)
{
    struct removal *k = arg;
    if (k->r < 0) {
        send_error(k->fd, k->err.msg);
    } else {
        send_json(k->fd, json_pack("{s:i}", "removed", (int)k->gone), -1);
    }
    close(k->fd);
    free(k->name);
    free(k);
}

static void do_remove(struct connection *k, const char *name)
{
    int fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
    if (!k->c->n->ready || fd < 0) {
        gt_closep(&fd);
        send_error(k->fd, "the agent is not ready yet: it looks for its tasks");
        return;
    }
    struct removal *w = gt_new(struct removal);
    *w = (struct removal){
        .images = k->c->n->images, .name = name ? gt_strdup(name) : NULL, .fd = fd};
    node_work_apart(k->c->n, removal_work, removal_done, w, NULL);
}

static void do_tasks(struct connection *k)
{
    json_t *tasks = json_array();
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&k->c->n->tasks, &it));) {
        const struct task *t = e->value;
        gt_auto_free char *spool = task_dir(t, "spool");
        json_t *containers = json_array();
        for (size_t i = 0; i < t->n_containers; i++) {
            gt_auto_free char *path = gt_asprintf("%s/%s.log", spool, t->containers[i].runtime_id);
            json_array_append_new(
                containers,
                json_pack("{s:s, s:b, s:i, s:s, s:I}", "name", t->containers[i].name, "running",
                          t->containers[i].state == CONTAINER_RUNNING, "pid", t->containers[i].pid,
                          "spool", path, "from", (json_int_t)t->containers[i].spool_from));
        }
        json_array_append_new(tasks, json_pack("{s:s, s:s, s:o}", "id", t->id, "status",
                                               task_last_status(t), "containers", containers));
    }
    send_json(k->fd, json_pack("{s:o}", "tasks", tasks), -1);
}

static void do_status(struct connection *k)
{
    struct node *n = k->c->n;
    struct standing now;
    session_standing(n->session, &now);
    send_json(k->fd,
              json_pack("{s:s, s:s, s:s, s:s}", "standing", standing_name(now.kind), "text",
                        now.text, "server", n->o.server, "node", n->id.node_id),
              -1);
}

static void handle(struct connection *k, const char *text, size_t n, const int *fds, size_t n_fds)
{
    json_t *o = json_loadb(text, n, 0, NULL);
    const char *op = json_string_value(json_object_get(o, "op"));
    if (!op) {
        send_error(k->fd, "not a request");
    } else if (k->waiting || k->running) {
        send_error(k->fd, "this connection is in use");
    } else if (gt_streq(op, "exec")) {
        do_exec(k, o, fds, n_fds);
    } else if (gt_streq(op, "images")) {
        do_images(k);
    } else if (gt_streq(op, "image-prune")) {
        do_remove(k, NULL);
    } else if (gt_streq(op, "image-remove") && json_string_value(json_object_get(o, "image"))) {
        do_remove(k, json_string_value(json_object_get(o, "image")));
    } else if (gt_streq(op, "status")) {
        do_status(k);
    } else if (gt_streq(op, "tasks")) {
        do_tasks(k);
    } else {
        send_error(k->fd, "unknown operation");
    }
    json_decref(o);
}

static void on_message(uv_poll_t *p, int status, int events)
{
    struct connection *k = p->data;
    char room[CMSG_SPACE(3 * sizeof(int))];
    gt_auto_free char *text = gt_malloc(MESSAGE_MAX);
    struct iovec iov = {text, MESSAGE_MAX};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    ssize_t n = recvmsg(k->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    int fds[3] = {-1, -1, -1};
    size_t n_fds = 0;
    for (struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
            n_fds = GT_MIN((h->cmsg_len - CMSG_LEN(0)) / sizeof(int), (size_t)3);
            memcpy(fds, CMSG_DATA(h), n_fds * sizeof(int));
        }
    }
    if (n <= 0) {
        hang_up(k);
    } else {
        handle(k, text, (size_t)n, fds, n_fds);
    }
    for (size_t i = 0; i < n_fds; i++) {
        gt_closep(&fds[i]);
    }
}

static void on_connect(uv_poll_t *p, int status, int events)
{
    struct control *c = p->data;
    int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct ucred who;
    socklen_t n = sizeof who;
    if (c->count >= MAX_CONNECTIONS || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
        (who.uid != geteuid() && who.uid != 0)) {
        close(fd);
        return;
    }
    struct connection *k = gt_new(struct connection);
    k->c = c;
    k->fd = fd;
    k->poll.data = k;
    c->count++;
    gt_list_push_back(&c->connections, &k->link);
    uv_poll_init(&c->n->loop, &k->poll, fd);
    uv_poll_start(&k->poll, UV_READABLE, on_message);
}

int control_new(struct node *n, struct control **ret, struct gt_err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    gt_auto_free char *path = gt_asprintf("%s/agent.sock", n->o.run_dir);
    if (strlen(path) >= sizeof sa.sun_path) {
        return gt_err_set(err, GT_ERR_INVALID, "the path '%s' is too long for a socket", path);
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    gt_auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(path);
    mode_t old = umask(0177);
    int r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sa, sizeof sa);
    umask(old);
    if (r < 0 || listen(fd, 16) < 0) {
        return gt_err_errno(err, errno, "listen on '%s'", path);
    }
    struct control *c = gt_new(struct control);
    c->n = n;
    c->fd = gt_steal_fd(&fd);
    c->path = gt_steal_ptr(path);
    c->poll.data = c;
    gt_list_init(&c->connections);
    uv_poll_init(&n->loop, &c->poll, c->fd);
    uv_poll_start(&c->poll, UV_READABLE, on_connect);
    *ret = c;
    return 0;
}

void control_free(struct control *c)
{
    if (!c) {
        return;
    }
    uv_poll_stop(&c->poll);
    gt_list_for_each (it, tmp, &c->connections) {
        struct connection *k = gt_list_entry(it, struct connection, link);
        k->running = false;
        hang_up(k);
    }
    unlink(c->path);
    close(c->fd);
    free(c->path);
    /* the poll handle is inside: freed with the loop by the caller's exit */
}
