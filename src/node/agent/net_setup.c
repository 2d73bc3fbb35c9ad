/* The node's network, the pools of ready things, and gantry-link's life. */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "node/agent/peers.h"
#include "node/agent/session.h"
#include "node/agent/task.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFILL_AFTER_MS = 30 };

int node_net_open(struct node *n, struct gt_err *err)
{
    struct net_options o = {.name = n->o.name,
                            .run_dir = n->o.run_dir,
                            .subnet = n->id.subnet[0] ? n->id.subnet : NULL,
                            .overlay = peers_overlay(&n->o),
                            .vni = peers_vni(n->id.cluster_id)};
    int r = net_open(&o, &n->net, err);
    if (r == 0) {
        r = node_recover(n, err);
    }
    if (r < 0) {
        return r;
    }
    n->ready = true;
    node_link_check(n);
    node_pool_refill(n);
    task_step_all(n);
    session_report_soon(n->session);
    return 0;
}

/* --- pools */

struct refill {
    struct node *n;
    struct gt_err err;
    int r;
};

static void refill_work(void *arg)
{
    struct refill *f = arg;
    f->r = net_refill(f->n->net, &f->err);
}

static void refill_done(struct node *n, void *arg)
{
    struct refill *f = arg;
    if (f->r < 0) {
        gt_warn("pool of network namespaces: %s", f->err.msg);
    }
    free(f);
    n->refilling = false;
}

void node_pool_refill(struct node *n)
{
    struct gt_err err = GT_ERR_INIT;
    if (n->pool && shim_pool_fill(n->pool, &err) < 0) {
        gt_warn("pool of shims: %s", err.msg);
    }
    if (n->net && !n->refilling) {
        struct refill *f = gt_new(struct refill);
        f->n = n;
        n->refilling = true;
        node_work(n, refill_work, refill_done, f);
    }
}

static void on_refill(uv_timer_t *timer)
{
    node_pool_refill(timer->data);
}

void node_pool_refill_soon(struct node *n)
{
    if (!uv_is_active((uv_handle_t *)&n->refill)) {
        uv_timer_start(&n->refill, on_refill, REFILL_AFTER_MS, 0);
    }
}

/* --- gantry-link: outlives the agent, found again by its pid file's lock */

static char *link_pid_path(const struct agent_options *o)
{
    return gt_asprintf("%s/link.pid", o->run_dir);
}

/* The pid of the process that holds the lock on the pid file; 0: none. */
static pid_t link_running(const struct agent_options *o)
{
    gt_auto_free char *path = link_pid_path(o);
    gt_auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) {
        return 0;
    }
    return lock.l_pid;
}

static void link_child(struct node *n, const char *exe, const char *pid_path)
{
    setsid();
    if (fork() != 0) {
        _exit(0);
    }
    /* The lock belongs to the process that takes it and stays over exec: no close-on-exec. */
    int fd = open(pid_path, O_RDWR | O_CREAT, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0) {
        _exit(1);
    }
    signal(SIGPIPE, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execl(exe, "gantry-link", "--run", n->o.run_dir, "--netns", net_link_netns(n->net), NULL);
    _exit(127);
}

void node_link_check(struct node *n)
{
    int64_t now = gt_clock_mono_ms();
    if (!n->net || now - n->link_started_ms < 500 || link_running(&n->o) > 0) {
        return;
    }
    n->link_started_ms = now;
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) {
        return;
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    gt_auto_free char *exe = gt_asprintf("%.*s/gantry-link", (int)(slash - self), self);
    gt_auto_free char *pid_path = link_pid_path(&n->o);
    /* Only async-signal-safe calls happen in the child of this threaded process. */
    pid_t pid = fork();
    if (pid == 0) {
        link_child(n, exe, pid_path);
    }
    if (pid > 0) {
        waitpid(pid, NULL, 0);
    }
}

void node_link_kill(const struct agent_options *o)
{
    pid_t pid = link_running(o);
    if (pid > 0) {
        kill(pid, SIGKILL);
    }
    gt_auto_free char *path = link_pid_path(o);
    unlink(path);
}
