#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/link/link_priv.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

static void drop(struct index *x, const char *id)
{
    gt_list_for_each (node, next, &x->tasks) {
        struct index_task *t = gt_list_entry(node, struct index_task, node);
        if (gt_streq(t->id, id)) {
            gt_list_remove(node);
            free(t);
        }
    }
}

static void copy(struct gt_str s, char *to, size_t cap)
{
    /* Too long to be one of ours: an empty entry matches nothing. */
    snprintf(to, cap, "%.*s", s.n < cap ? (int)s.n : 0, s.n ? s.p : "");
}

static void load(struct index *x, const char *id)
{
    drop(x, id);
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(LINK_STATE_MAX);
    struct link_task state;
    if (strlen(id) >= sizeof((struct index_task *)0)->id ||
        gt_file_read(x->dir, id, &bytes, NULL) < 0 ||
        link_state_decode(gt_buf_view(&bytes), &state, NULL) < 0) {
        return;
    }
    struct index_task *t = gt_new(struct index_task);
    snprintf(t->id, sizeof t->id, "%s", id);
    char address[16];
    copy(state.address, address, sizeof address);
    if (state.address.n > 0 && inet_pton(AF_INET, address, &t->address) != 1) {
        free(t); /* must not pass for a host mode task */
        return;
    }
    t->n_endpoints = state.n_containers;
    for (size_t i = 0; i < state.n_containers; i++) {
        copy(state.containers[i].endpoint, t->endpoints[i], sizeof t->endpoints[i]);
    }
    t->n_credentials = state.n_credentials;
    for (size_t i = 0; i < state.n_credentials; i++) {
        copy(state.credentials[i].id, t->credentials[i], sizeof t->credentials[i]);
    }
    gt_list_push_back(&x->tasks, &t->node);
}

static void load_all(struct index *x)
{
    gt_list_for_each (node, next, &x->tasks) {
        gt_list_remove(node);
        free(gt_list_entry(node, struct index_task, node));
    }
    int fd = openat(x->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] != '.') {
            load(x, e->d_name);
        }
    }
    if (d) {
        closedir(d);
    } else if (fd >= 0) {
        close(fd);
    }
}

static void on_inotify(struct loop_source *s, uint32_t events)
{
    struct index *x = (struct index *)s;
    char buf[8192] __attribute__((aligned(8)));
    ssize_t n;
    while ((n = read(s->fd, buf, sizeof buf)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *e = (const void *)(buf + at);
            at += (ssize_t)(sizeof *e + e->len);
            if (e->mask & IN_Q_OVERFLOW) {
                load_all(x);
            } else if (e->len == 0 || e->name[0] == '.') {
                continue;
            } else if (e->mask & (IN_DELETE | IN_MOVED_FROM)) {
                drop(x, e->name);
            } else {
                load(x, e->name);
            }
        }
    }
}

int index_open(struct index *x, struct loop *l, const char *run_dir, struct gt_err *err)
{
    *x = (struct index){.source = {.fd = -1, .on = on_inotify}, .loop = l, .dir = -1};
    gt_list_init(&x->tasks);
    gt_auto_free char *path = gt_asprintf("%s/link/tasks", run_dir);
    int r = gt_mkdirs(path, 0700, err);
    if (r < 0) {
        return r;
    }
    x->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    x->source.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (x->dir < 0 || x->source.fd < 0 ||
        inotify_add_watch(x->source.fd, path, IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0) {
        return gt_err_errno(err, errno, "watch \"%s\"", path);
    }
    load_all(x);
    return loop_add(l, &x->source, EPOLLIN);
}

void index_close(struct index *x)
{
    gt_list_for_each (node, next, &x->tasks) {
        free(gt_list_entry(node, struct index_task, node));
    }
    gt_list_init(&x->tasks);
    loop_remove(x->loop, &x->source);
    gt_closep(&x->dir);
}

/* Ids are secrets of tasks in host mode: the time to compare says nothing about them. */
static bool same(const char *known, struct gt_str given)
{
    size_t n = strlen(known);
    if (n == 0 || n != given.n) {
        return false;
    }
    unsigned char difference = 0;
    for (size_t i = 0; i < n; i++) {
        difference |= (unsigned char)(known[i] ^ given.p[i]);
    }
    return difference == 0;
}

static bool knows(const struct index_task *t, bool credentials, struct gt_str id)
{
    bool found = false;
    for (size_t i = 0; i < (credentials ? t->n_credentials : t->n_endpoints); i++) {
        found |= same(credentials ? t->credentials[i] : t->endpoints[i], id);
    }
    return found;
}

const struct index_task *index_by_address(const struct index *x, uint32_t address)
{
    gt_list_for_each (node, next, &x->tasks) {
        const struct index_task *t = gt_list_entry(node, struct index_task, node);
        if (t->address == address && address) {
            return t;
        }
    }
    return NULL;
}

static const struct index_task *find(const struct index *x, uint32_t from, bool credentials,
                                     struct gt_str id)
{
    const struct index_task *own = index_by_address(x, from);
    if (own) {
        return knows(own, credentials, id) ? own : NULL;
    }
    gt_list_for_each (node, next, &x->tasks) {
        const struct index_task *t = gt_list_entry(node, struct index_task, node);
        if (!t->address && knows(t, credentials, id)) {
            return t;
        }
    }
    return NULL;
}

const struct index_task *index_by_endpoint(const struct index *x, uint32_t from, struct gt_str id)
{
    return find(x, from, /* credentials= */ false, id);
}

const struct index_task *index_by_credentials(const struct index *x, uint32_t from,
                                              struct gt_str id)
{
    return find(x, from, /* credentials= */ true, id);
}

int index_read(const struct index *x, const struct index_task *t, struct gt_buf *bytes,
               struct link_task *ret)
{
    int r = gt_file_read(x->dir, t->id, bytes, NULL);
    return r < 0 ? r : link_state_decode(gt_buf_view(bytes), ret, NULL);
}
