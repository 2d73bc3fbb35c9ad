/*
 * gantry-shim: the parent of one task's containers. It outlives the agent that made it and ends
 * only when told, or when killed; its containers end with it. It has one thread, no library but
 * libc, and after set-up takes no memory that it does not give back at once.
 *
 * usage: gantry-shim CGROUP PARKED DESCRIPTORS
 *
 * Descriptor 3 is the listening socket, 4 the folder of its own (both made by shim_client.c).
 * CGROUP is the path of a cgroup for it alone: "shim" below it is where it lives, "task" where its
 * containers do, so that the task's limits are not its own. DESCRIPTORS is the soft limit of open
 * files, for it and its containers; 0: as inherited.
 */
#include "node/shim/shim_priv.h"

#include "lib/base/descriptors.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node/runtime/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FD_LISTEN = 3, FD_FOLDER = 4 };

static struct shim_server server;

static int control(struct shim_server *s, int op, int fd, enum watch_kind kind, unsigned index,
                   uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.u32 = (uint32_t)kind << 16 | index};
    return epoll_ctl(s->epoll, op, fd, &ev) < 0 ? -errno : 0;
}

int watch(struct shim_server *s, int fd, enum watch_kind kind, unsigned index, uint32_t events)
{
    return control(s, EPOLL_CTL_ADD, fd, kind, index, events);
}

void rewatch(struct shim_server *s, int fd, enum watch_kind kind, unsigned index, uint32_t events)
{
    /* A hang-up cannot be masked: a stream that is left alone leaves the set. */
    if (events == 0) {
        unwatch(s, fd);
    } else if (control(s, EPOLL_CTL_ADD, fd, kind, index, events) == -EEXIST) {
        control(s, EPOLL_CTL_MOD, fd, kind, index, events);
    }
}

void unwatch(struct shim_server *s, int fd)
{
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void on_child_end(struct shim_server *s, pid_t pid, int status)
{
    for (unsigned i = 0; i < SHIM_MAX_CONTAINERS; i++) {
        struct container *c = &s->containers[i];
        if (c->state != SLOT_FREE && !c->status_known && c->child.pid == pid) {
            task_exited(s, c, status);
            return;
        }
    }
    for (unsigned i = 0; i < SHIM_MAX_EXECS; i++) {
        if (s->execs[i].used && !s->execs[i].status_known && s->execs[i].child.pid == pid) {
            exec_exited(s, &s->execs[i], status);
            return;
        }
    }
    for (unsigned i = 0; i < SHIM_MAX_PARKED; i++) {
        struct parked *p = &s->parked[i];
        if (p->used && p->child.pid == pid) {
            struct rt_report r = {.text = "it said nothing"};
            int fd = -1;
            if (p->child.sock >= 0) {
                rt_child_report(&p->child, &r, &fd);
            }
            gt_closep(&fd);
            if (p->child.sock >= 0) {
                gt_warn("a parked child ended: %s", r.text);
            }
            p->used = false;
            rt_child_close(&p->child);
            cgroup_remove(p->cg, NULL);
            cgroup_close(p->cg);
        }
    }
}

static void on_signals(struct shim_server *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
            s->shutdown_owed.client = SHIM_NOBODY;
            task_shutdown(s);
        }
    }
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        on_child_end(s, pid, status);
    }
}

static void on_event(struct shim_server *s, uint32_t data)
{
    unsigned index = data & 0xffff;
    switch ((enum watch_kind)(data >> 16)) {
    case WATCH_SIGNALS:
        on_signals(s);
        return;
    case WATCH_LISTEN:
        client_accept(s);
        return;
    case WATCH_CLIENT:
        client_read(s, index);
        return;
    case WATCH_CHILD:
        task_child(s, index);
        return;
    case WATCH_EXEC:
        exec_child(s, index);
        return;
    case WATCH_STREAM:
        task_stream(s, index);
        return;
    case WATCH_OOM:
        task_oom(s, index);
        return;
    }
}

static void loop(struct shim_server *s)
{
    for (;;) {
        struct epoll_event events[16];
        int wait = task_tick(s);
        bool idle_work = s->refill && !s->task[0];
        int n = epoll_wait(s->epoll, events, GT_ARRAY_LEN(events), idle_work ? 0 : wait);
        if (n == 0 && idle_work) {
            s->refill = task_park(s);
        }
        /* One event of this round may close what another is about, and its slot may have a new
         * user: handlers look before they act, and never block. */
        for (int i = 0; i < n; i++) {
            on_event(s, events[i].data.u32);
        }
    }
}

static int set_up_signals(struct shim_server *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? -errno : 0;
}

static int set_up_cgroups(struct shim_server *s, const char *path, struct gt_err *err)
{
    char sub[256];
    snprintf(s->cgroup_path, sizeof s->cgroup_path, "%s", path);
    int r = gt_file_replace(AT_FDCWD, SHIM_CGROUP_FILE, path, strlen(path), 0600, err);
    r = r < 0 ? r : cgroup_sys_open(NULL, -1, &s->sys, err);
    r = r < 0 ? r : cgroup_create(s->sys, path, &s->all, err);
    snprintf(sub, sizeof sub, "%s/task", s->cgroup_path);
    r = r < 0 ? r : cgroup_create(s->sys, sub, &s->task_cg, err);
    snprintf(sub, sizeof sub, "%s/shim", s->cgroup_path);
    struct cgroup *own = NULL;
    r = r < 0 ? r : cgroup_create(s->sys, sub, &own, err);
    r = r < 0 ? r : cgroup_attach(own, 0, err);
    cgroup_close(own);
    return r;
}

static int set_up(struct shim_server *s, char **argv, struct gt_err *err)
{
    umask(077);
    prctl(PR_SET_NAME, "gantry-shim");
    prctl(PR_SET_DUMPABLE, 0);
    uint64_t descriptors = strtoull(argv[3], NULL, 10);
    if (descriptors) {
        gt_descriptors_set(descriptors);
    }
    gt_file_poke(AT_FDCWD, "/proc/self/oom_score_adj", "-900", NULL); /* where it is allowed */
    if (fchdir(FD_FOLDER) < 0) {
        return gt_err_errno(err, errno, "enter the shim's folder");
    }
    k_close_range(FD_FOLDER, ~0U, 0);
    for (unsigned i = 0; i < SHIM_MAX_CLIENTS; i++) {
        s->clients[i].fd = -1;
    }
    s->listen = FD_LISTEN;
    fcntl(FD_LISTEN, F_SETFD, FD_CLOEXEC);
    fcntl(FD_LISTEN, F_SETFL, O_NONBLOCK);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->events_fd = open(SHIM_EVENTS_FILE, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int r = set_up_signals(s);
    if (s->epoll < 0 || s->events_fd < 0 || r < 0) {
        return gt_err_errno(err, r < 0 ? r : errno, "set up");
    }
    watch(s, s->signals, WATCH_SIGNALS, 0, EPOLLIN);
    watch(s, s->listen, WATCH_LISTEN, 0, EPOLLIN);
    s->want_parked = (unsigned)GT_MIN(strtoul(argv[2], NULL, 10), (unsigned long)SHIM_MAX_PARKED);
    s->refill = s->want_parked > 0;
    return set_up_cgroups(s, argv[1], err);
}

int main(int argc, char **argv)
{
    struct gt_err err = GT_ERR_INIT;
    gt_log_init("shim");
    if (argc != 4) {
        gt_error("usage: gantry-shim CGROUP PARKED DESCRIPTORS (started by the agent)");
        return 2;
    }
    /* Not a child of who started it, and of a session of its own: it is nobody's to reap or to hang
     * up. */
    pid_t pid = fork();
    if (pid != 0) {
        return pid < 0;
    }
    setsid();
    if (set_up(&server, argv, &err) < 0) {
        gt_error("%s", err.msg);
        return 1;
    }
    loop(&server);
}
