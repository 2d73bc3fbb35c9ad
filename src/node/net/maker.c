/*
 * The child that makes network namespaces.
 *
 * The agent has threads, and a thread that changes its namespace is a trap for every other that
 * expects to share it. So a child is forked that has one thread, makes as many namespaces as are
 * wanted, and exits. For each it sends back one message over a socketpair: a result, and with it
 * two descriptors: the namespace, and an rtnetlink socket inside it.
 *
 * Between fork() and _exit() only async-signal-safe calls: another thread of the parent may have
 * held any lock. Everything that needs memory is prepared by the parent.
 */
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct report {
    int errnum; /* 0: done, and two descriptors follow */
    char step[40];
};

static const struct {
    const char *path, *value;
} settings[] = {
    /* Tasks have IPv4 only: lo keeps ::1, interfaces that come later get nothing. */
    {"/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"},
    /* The host is the gateway for published ports of neighbours too; there is no better way. */
    {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0"},
    {"/proc/sys/net/ipv4/conf/default/accept_redirects", "0"},
    /* As docker has it: a container's user may use any port and ping. */
    {"/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
    {"/proc/sys/net/ipv4/ping_group_range", "0 2147483647"},
};

static void apply_settings(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        int fd = open(settings[i].path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            ssize_t ignored = write(fd, settings[i].value, strlen(settings[i].value));
            (void)ignored; /* a kernel without IPv6 lacks the first */
            close(fd);
        }
    }
}

static int loopback_up(int nl)
{
    struct {
        struct nlmsghdr h;
        struct ifinfomsg m;
    } request = {
        .h = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST},
        .m = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP},
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n = sendto(nl, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return n == (ssize_t)sizeof request ? 0 : -1;
}

/* Returns what did not work, with errno, or NULL. */
static const char *make_one(const char *path, int fds[2])
{
    if (unshare(CLONE_NEWNET) < 0) {
        return "make a network namespace";
    }
    fds[1] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    if (fds[1] < 0 || bind(fds[1], (struct sockaddr *)&any, sizeof any) < 0) {
        return "open its netlink socket";
    }
    if (loopback_up(fds[1]) < 0) {
        return "start its loopback";
    }
    apply_settings();
    fds[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fds[0] < 0) {
        return "open its descriptor";
    }
    int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file < 0) {
        return "make its file";
    }
    close(file);
    if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0) {
        return "mount it on its file";
    }
    return NULL;
}

static void send_report(int to, const struct report *r, const int fds[2])
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)r, .iov_len = sizeof *r};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (r->errnum == 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control.space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(2 * sizeof(int));
        memcpy(CMSG_DATA(c), fds, 2 * sizeof(int));
    }
    ssize_t ignored = sendmsg(to, &m, MSG_NOSIGNAL);
    (void)ignored; /* the parent sees the end of the stream */
}

static void __attribute__((noreturn)) run_child(int to, const char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int fds[2] = {-1, -1};
        struct report r = {0};
        const char *step = make_one(paths[i], fds);
        if (step) {
            r.errnum = errno;
            strncpy(r.step, step, sizeof r.step - 1);
            umount2(paths[i], MNT_DETACH);
            unlink(paths[i]);
        }
        send_report(to, &r, fds);
        if (fds[0] >= 0) {
            close(fds[0]);
        }
        if (fds[1] >= 0) {
            close(fds[1]);
        }
        if (step) {
            break;
        }
    }
    _exit(0);
}

static int receive(int from, struct net_made *to, struct gt_err *err)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct report r = {0};
    struct iovec part = {.iov_base = &r, .iov_len = sizeof r};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.space};
    ssize_t n;
    do {
        n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof r) {
        return gt_err_errno(err, n < 0 ? errno : EPIPE,
                            "hear from the child that makes namespaces");
    }
    if (r.errnum) {
        return gt_err_errno(err, r.errnum, "%.*s", (int)sizeof r.step, r.step);
    }
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
        return gt_err_set(err, GT_ERR_LIMIT, "no descriptors left for another network namespace");
    }
    int fds[2];
    memcpy(fds, CMSG_DATA(c), sizeof fds);
    *to = (struct net_made){.ns_fd = fds[0], .nl_fd = fds[1]};
    return 0;
}

/* Makes up to n namespaces, mounted on paths[]. Returns how many; 0 is never returned. */
int net_make_namespaces(const char *const *paths, size_t n, struct net_made *made,
                        struct gt_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return gt_err_errno(err, errno, "make a socketpair");
    }
    pid_t child = fork();
    if (child == 0) {
        run_child(pair[1], paths, n);
    }
    int saved = errno;
    close(pair[1]);
    if (child < 0) {
        close(pair[0]);
        return gt_err_errno(err, saved, "fork");
    }
    size_t done = 0;
    int r = 0;
    while (done < n && (r = receive(pair[0], &made[done], err)) == 0) {
        done++;
    }
    close(pair[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    return done > 0 ? (int)done : r;
}
