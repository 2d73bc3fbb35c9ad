/*
 * `gantry doctor`'s network part: looks, then tries. The trial is the real thing under a random
 * instance name: two tasks, and TCP connections (a packet there and one back) from task to task,
 * from the host's 127.0.0.1 through a port mapping, and from a task through the same.
 */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 2000 /* ms for a connection */

struct check {
    net_check_fn *fn;
    void *arg;
    int bad;
};

static void report(struct check *c, enum net_check_level level, const char *what,
                   const char *advice)
{
    c->bad += level == NET_CHECK_BAD;
    c->fn(c->arg, level, what, advice);
}

/* --- sockets inside namespaces: a child enters, opens, and sends the descriptor back ---------- */

static void __attribute__((noreturn)) child_socket(int ns_fd, int to)
{
    int fd = -1;
    if (setns(ns_fd, CLONE_NEWNET) == 0) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control.space;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    _exit(sendmsg(to, &m, MSG_NOSIGNAL) == 1 ? 0 : 1);
}

/* A TCP socket of a namespace; -1: of this one. */
static int socket_in(int ns_fd)
{
    if (ns_fd < 0) {
        return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    int pair[2], fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        child_socket(ns_fd, pair[1]);
    }
    close(pair[1]);
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.space};
    if (child > 0 && recvmsg(pair[0], &m, MSG_CMSG_CLOEXEC) == 1) {
        const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_type == SCM_RIGHTS) {
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
        }
    }
    close(pair[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    return fd;
}

static struct sockaddr_in address_of(const char *dotted, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(dotted), .sin_port = htons(port)};
}

static bool connects(int ns_fd, const char *dotted, uint16_t port)
{
    gt_auto_close int fd = socket_in(ns_fd);
    struct sockaddr_in a = address_of(dotted, port);
    if (fd < 0 || (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)) {
        return false;
    }
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int result = -1;
    socklen_t len = sizeof result;
    return poll(&p, 1, PATIENCE) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len) == 0 &&
           result == 0;
}

/* --- looking --------------------------------------------------------------------------------- */

static bool file_is(const char *path, char first)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    return gt_file_read(AT_FDCWD, path, &b, NULL) == 0 && b.n > 0 && b.p[0] == first;
}

static void look(struct check *c, const char *bridge)
{
    if (file_is("/proc/sys/net/ipv4/ip_forward", '1')) {
        report(c, NET_CHECK_OK, "this host forwards IPv4 packets", NULL);
    } else if (access("/proc/sys/net/ipv4/ip_forward", W_OK) == 0) {
        report(c, NET_CHECK_NOTE, "net.ipv4.ip_forward is off; the agent turns it on", NULL);
    } else {
        report(c, NET_CHECK_BAD, "net.ipv4.ip_forward is off and cannot be changed here",
               "sysctl -w net.ipv4.ip_forward=1");
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    if (gt_file_read(AT_FDCWD, "/proc/net/ip_tables_names", &b, NULL) == 0 && b.n > 0 &&
        strstr(b.p, "filter")) {
        report(c, NET_CHECK_NOTE,
               "iptables-legacy rules are loaded; nftables rules cannot overrule what they drop",
               "use iptables-nft (update-alternatives --config iptables), or accept the bridge's "
               "traffic in FORWARD");
    }
    char advice[256];
    if (net_foreign_advice(bridge, advice, sizeof advice)) {
        report(c, NET_CHECK_NOTE, "firewalld filters this host and may reject tasks' traffic",
               advice);
    }
}

/* --- trying ---------------------------------------------------------------------------------- */

static const char *advice_for(const struct gt_err *err)
{
    switch (err->sys_errno) {
    case EPERM:
    case EACCES:
        return "run as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN";
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
        return "the kernel lacks a feature: it needs veth, bridge, network namespaces and nftables "
               "with nat (modprobe veth bridge nf_tables nft_chain_nat nft_masq nft_fib_inet)";
    default:
        return err->kind == GT_ERR_IO && strncmp(err->msg, "nftables", 8) == 0
                   ? "nftables needs nat, maps, fib and conntrack (modprobe nf_tables "
                     "nft_chain_nat nft_masq nft_fib_inet nft_ct nft_reject_inet)"
                   : NULL;
    }
}

static void try_paths(struct check *c, const struct net *n, const struct net_attachment *server,
                      const struct net_attachment *other, uint16_t port)
{
    gt_auto_close int listener = socket_in(server->netns_fd);
    struct sockaddr_in a = address_of("0.0.0.0", 80);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(listener, 8) < 0) {
        report(c, NET_CHECK_BAD, "cannot listen inside a task's namespace", NULL);
        return;
    }
    bool direct = connects(other->netns_fd, server->address, 80);
    report(c, direct ? NET_CHECK_OK : NET_CHECK_BAD, "a packet from one task to another",
           direct ? NULL
                  : "a firewall drops traffic on bridges: look for chains with hook forward in "
                    "`nft list ruleset`, or set net.bridge.bridge-nf-call-iptables=0");
    bool host = connects(-1, "127.0.0.1", port);
    report(c, host ? NET_CHECK_OK : NET_CHECK_BAD,
           "a packet from this host's 127.0.0.1 through a port mapping",
           host ? NULL : "look for output or input chains that drop in `nft list ruleset`");
    bool hairpin = connects(other->netns_fd, n->gateway, port);
    report(c, hairpin ? NET_CHECK_OK : NET_CHECK_BAD, "a packet from a task through a port mapping",
           hairpin ? NULL : "look for forward chains that drop in `nft list ruleset`");
}

static void try_tasks(struct check *c, struct net *n)
{
    struct gt_err err = GT_ERR_INIT;
    struct net_port port = {.proto = NET_TCP, .container_port = 80};
    const struct net_task one = {.id = "server", .mode = NET_BRIDGE, .ports = &port, .n_ports = 1};
    const struct net_task two = {.id = "client", .mode = NET_BRIDGE};
    struct net_attachment server = {.netns_fd = -1}, client = {.netns_fd = -1};
    if (net_attach(n, &one, &server, &err) < 0 || net_attach(n, &two, &client, &err) < 0) {
        report(c, NET_CHECK_BAD, err.msg, advice_for(&err));
    } else {
        try_paths(c, n, &server, &client, port.host_port);
    }
    gt_closep(&server.netns_fd);
    gt_closep(&client.netns_fd);
    if (!n->bridge_filter) {
        report(c, NET_CHECK_NOTE,
               "the kernel has no nftables for bridges: tasks could use each other's addresses",
               "a kernel with CONFIG_NF_TABLES_BRIDGE");
    }
}

int net_check(const char *run_dir, net_check_fn *fn, void *arg)
{
    struct check c = {.fn = fn, .arg = arg};
    struct gt_err err = GT_ERR_INIT;
    if (geteuid() != 0) {
        report(&c, NET_CHECK_BAD, "not root: the network cannot be tried", "run as root");
        return c.bad;
    }
    char name[16];
    snprintf(name, sizeof name, "chk%06x", (unsigned)(gt_rand_u64() & 0xffffff));
    gt_auto_free char *run = gt_asprintf("%s/net-check-%s", run_dir, name);
    look(&c, "gt-gantry");
    const struct net_options o = {.name = name, .run_dir = run, .pool = 1};
    struct net *n = NULL;
    if (net_open(&o, &n, &err) < 0) {
        report(&c, NET_CHECK_BAD, err.msg, advice_for(&err));
        net_destroy(name, run, NULL); /* what was made before that */
    } else {
        report(&c, NET_CHECK_OK, "bridge, veth, namespaces and nftables with nat", NULL);
        try_tasks(&c, n);
        if (net_close(n, &err) < 0) {
            report(&c, NET_CHECK_NOTE, err.msg, NULL);
        }
    }
    gt_remove_tree(AT_FDCWD, run, NULL);
    return c.bad;
}
