#include "node/link/link_priv.h"

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICK 250 /* ms */

struct link_server {
    struct loop loop;
    struct index index;
    struct http_server http;
    struct dns_proxy dns;
    struct loop_source signals, netns;
    char netns_name[64];
    int lock;
};

static int take_lock(const char *run_dir, struct gt_err *err)
{
    gt_auto_free char *folder = gt_asprintf("%s/link", run_dir);
    gt_auto_free char *path = gt_asprintf("%s/lock", folder);
    int r = gt_mkdirs(folder, 0700, err);
    if (r < 0) {
        return r;
    }
    gt_auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open \"%s\"", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        return gt_err_errno(err, EBUSY, "another gantry-link serves \"%s\"", run_dir);
    }
    char pid[16];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0) {
        return gt_err_errno(err, errno, "write \"%s\"", path);
    }
    return gt_steal_fd(&fd);
}

static int listen_on(int type, uint32_t address, uint16_t port, struct gt_err *err)
{
    gt_auto_close int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = address, .sin_port = htons(port)};
    if (fd < 0) {
        return gt_err_errno(err, errno, "make a socket");
    }
    if (type == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    }
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        (type == SOCK_STREAM && listen(fd, 256) < 0)) {
        return gt_err_errno(err, errno, "listen on port %u", port);
    }
    return gt_steal_fd(&fd);
}

struct listeners {
    int http, udp, tcp;
};

static int listen_all(const struct link_options *o, struct listeners *to, struct gt_err *err)
{
    uint32_t address = o->address ? inet_addr(o->address) : INADDR_ANY;
    uint16_t http = o->http_port ? o->http_port : 80, dns = o->dns_port ? o->dns_port : 53;
    if ((to->http = listen_on(SOCK_STREAM, address, http, err)) < 0) {
        return to->http;
    }
    if ((to->udp = listen_on(SOCK_DGRAM, address, dns, err)) < 0) {
        return to->udp;
    }
    to->tcp = listen_on(SOCK_STREAM, address, dns, err);
    return to->tcp < 0 ? to->tcp : 0;
}

/* Opens the listening sockets inside the namespace, and comes back. */
static int listen_inside(const struct link_options *o, struct listeners *to, struct gt_err *err)
{
    if (!o->netns) {
        return listen_all(o, to, err);
    }
    gt_auto_close int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    gt_auto_close int there = open(o->netns, O_RDONLY | O_CLOEXEC);
    if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0) {
        return gt_err_errno(err, errno, "enter network namespace \"%s\"", o->netns);
    }
    int r = listen_all(o, to, err);
    if (setns(home, CLONE_NEWNET) < 0) {
        return gt_err_errno(err, errno, "come back from network namespace \"%s\"", o->netns);
    }
    return r;
}

/* From here on: no capabilities, none to be had, and no file is written. What the kernel does not
 * know is left out. */
static void give_up_rights(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    }
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    if (syscall(SYS_capset, &head, none) < 0) {
        gt_warn("capabilities stay: %s", strerror(errno));
    }
    const struct landlock_ruleset_attr rules = {
        .handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                             LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                             LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                             LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                             LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                             LANDLOCK_ACCESS_FS_MAKE_SYM};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (fd >= 0) {
        if (syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
            gt_debug("landlock: %s", strerror(errno));
        }
        close(fd);
    }
}

static void on_signal(struct loop_source *s, uint32_t events)
{
    GT_CONTAINER_OF(s, struct link_server, signals)->loop.stop = true;
}

/* The agent removes the namespace's file before it makes another. */
static void on_netns(struct loop_source *s, uint32_t events)
{
    struct link_server *server = GT_CONTAINER_OF(s, struct link_server, netns);
    char buf[4096] __attribute__((aligned(8)));
    ssize_t n = read(s->fd, buf, sizeof buf);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *e = (const void *)(buf + at);
        at += (ssize_t)(sizeof *e + e->len);
        if (e->len > 0 && gt_streq(e->name, server->netns_name)) {
            gt_info("the network namespace was removed");
            server->loop.stop = true;
        }
    }
}

static int watch_netns(struct link_server *s, const char *netns)
{
    gt_auto_free char *folder = gt_strdup(netns);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder || strlen(slash + 1) >= sizeof s->netns_name) {
        return -EINVAL;
    }
    *slash = '\0';
    snprintf(s->netns_name, sizeof s->netns_name, "%s", slash + 1);
    s->netns.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (s->netns.fd < 0 || inotify_add_watch(s->netns.fd, folder, IN_DELETE) < 0) {
        return -errno;
    }
    return loop_add(&s->loop, &s->netns, EPOLLIN);
}

static int watch_others(struct link_server *s, const char *netns, struct gt_err *err)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    s->signals = (struct loop_source){.fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK),
                                      .on = on_signal};
    int r = s->signals.fd < 0 ? -errno : loop_add(&s->loop, &s->signals, EPOLLIN);
    s->netns = (struct loop_source){.fd = -1, .on = on_netns};
    if (r == 0 && netns) {
        r = watch_netns(s, netns);
    }
    return r < 0 ? gt_err_errno(err, r, "watch for the end") : 0;
}

static bool tick(void *arg)
{
    struct link_server *s = arg;
    bool http = http_server_tick(&s->http), dns = dns_proxy_tick(&s->dns);
    return http || dns;
}

static int open_all(struct link_server *s, const struct link_options *o, struct gt_err *err)
{
    struct listeners l = {-1, -1, -1};
    s->lock = take_lock(o->run_dir, err);
    int r = s->lock < 0 ? s->lock : loop_open(&s->loop);
    r = r < 0 ? r : index_open(&s->index, &s->loop, o->run_dir, err);
    r = r < 0 ? r : listen_inside(o, &l, err);
    r = r < 0 ? r : watch_others(s, o->netns, err);
    r = r < 0 ? r : http_server_open(&s->http, &s->loop, &s->index, l.http);
    return r < 0
               ? r
               : dns_proxy_open(&s->dns, &s->loop,
                                o->resolv_conf ? o->resolv_conf : "/etc/resolv.conf", l.udp, l.tcp);
}

int link_serve(const struct link_options *o, struct gt_err *err)
{
    struct link_server *s = gt_new(struct link_server);
    int r = open_all(s, o, err);
    if (r < 0) {
        /* The process ends: what was opened goes with it. */
        free(s);
        return r;
    }
    give_up_rights();
    gt_info("serving");
    r = loop_run(&s->loop, tick, s, TICK);
    http_server_close(&s->http);
    dns_proxy_close(&s->dns);
    index_close(&s->index);
    loop_remove(&s->loop, &s->signals);
    loop_remove(&s->loop, &s->netns);
    loop_close(&s->loop);
    gt_closep(&s->lock);
    free(s);
    return r < 0 ? gt_err_errno(err, r, "wait for events") : 0;
}
