#include "node/runtime/container.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"
#include "node/runtime/cgroup_priv.h"
#include "node/runtime/child_priv.h"
#include "node/runtime/kernel.h"
#include "node/runtime/rootfs.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_FDS = 250 }; /* the kernel's limit for one message is 253 */

struct rt_world rt_world_of(const struct rt_spec *spec)
{
    return (struct rt_world){
        .new_pid = spec->pid.kind == RT_NS_NEW,
        .new_ipc = spec->ipc.kind == RT_NS_NEW,
        .new_uts = spec->uts.kind == RT_NS_NEW,
        .new_cgroup = spec->cgroup.kind == RT_NS_NEW,
        .privileged = spec->privileged,
        .default_masks = !spec->privileged && spec->masked.n == 0 && spec->readonly_paths.n == 0,
    };
}

bool rt_world_equal(const struct rt_world *a, const struct rt_world *b)
{
    return a->new_pid == b->new_pid && a->new_ipc == b->new_ipc && a->new_uts == b->new_uts &&
           a->new_cgroup == b->new_cgroup && a->privileged == b->privileged &&
           a->default_masks == b->default_masks;
}

/* --- messages between parent and child */

static int send_fds(int sock, const void *head, size_t head_n, const void *body, size_t body_n,
                    const int *fds, unsigned n_fds)
{
    char control[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    struct iovec iov[2] = {{(void *)(uintptr_t)head, head_n}, {(void *)(uintptr_t)body, body_n}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body_n ? 2 : 1};
    if (n_fds) {
        memset(control, 0, CMSG_SPACE(sizeof(int) * n_fds));
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    for (;;) {
        if (sendmsg(sock, &msg, MSG_NOSIGNAL) >= 0) {
            return 0;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

/* Returns the length; the descriptors (at most max) and how many there are. */
static ssize_t recv_fds(int sock, void *to, size_t n, int flags, int *fds, unsigned max,
                        unsigned *n_fds)
{
    char control[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    struct iovec iov = {to, n};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *n_fds = 0;
    ssize_t got;
    do {
        got = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return -errno;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        unsigned have = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < have; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            if (*n_fds < max) {
                fds[(*n_fds)++] = fd;
            } else {
                close(fd);
            }
        }
    }
    return msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EMSGSIZE : got;
}

void child_send(int sock, const struct rt_report *r, int fd)
{
    send_fds(sock, r, sizeof *r, NULL, 0, &fd, fd >= 0 ? 1 : 0);
}

void child_die(int sock, struct gt_err *err)
{
    struct rt_report r = {.kind = RT_REPORT_ERROR, .sys_errno = -gt_err_code(err)};
    snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, err->msg);
    child_send(sock, &r, -1);
    _exit(err->sys_errno == EACCES || err->sys_errno == ENOEXEC ? 126 : 127);
}

void child_warn(int sock, const char *fmt, ...)
{
    struct rt_report r = {.kind = RT_REPORT_WARNING};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r.text, sizeof r.text, fmt, ap);
    va_end(ap);
    child_send(sock, &r, -1);
}

int rt_child_report(struct rt_child *child, struct rt_report *ret, int *fd)
{
    unsigned n_fds;
    *fd = -1;
    ssize_t n = recv_fds(child->sock, ret, sizeof *ret, MSG_DONTWAIT, fd, 1, &n_fds);
    if (n == -EAGAIN) {
        return 0;
    }
    if (n != (ssize_t)sizeof *ret) {
        gt_closep(fd);
        return -EPIPE;
    }
    ret->text[sizeof ret->text - 1] = '\0';
    return 1;
}

void rt_child_close(struct rt_child *child)
{
    gt_closep(&child->sock);
    gt_closep(&child->pidfd);
}

/* --- the child */

/* What the parent has open is none of the child's business: closes all but these and 0 to 2. */
static void keep_only(int *keep, unsigned n)
{
    unsigned from = 3;
    for (;;) {
        unsigned least = ~0U;
        for (unsigned i = 0; i < n; i++) {
            if (keep[i] >= (int)from && (unsigned)keep[i] < least) {
                least = (unsigned)keep[i];
            }
        }
        if (from < least) {
            k_close_range(from, least - 1 + (least == ~0U), 0);
        }
        if (least == ~0U) {
            return;
        }
        from = least + 1;
    }
}

static void child_begin(void)
{
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "gantry-child");
    setsid();
    umask(0); /* folders made for mounts and working directories have the modes that are said */
}

static void wait_go(int sock)
{
    struct rt_report ready = {.kind = RT_REPORT_READY};
    child_send(sock, &ready, -1);
    char byte;
    unsigned n_fds;
    if (recv_fds(sock, &byte, 1, 0, NULL, 0, &n_fds) != 1) {
        _exit(125);
    }
}

static void prepare_process(struct stage *st, const struct rt_spec *spec, const int *fd,
                            struct user *user, struct gt_arena *arena, struct gt_err *err)
{
    int root = fd[FD_ROOT], slave = -1;
    int r = user_lookup(root, spec->user, &spec->extra_groups, arena, user, err);
    r = r < 0 ? r : process_rlimits(st->sock, &spec->rlimits, err);
    r = r < 0 ? r : process_oom(st->sock, st->proc, spec->oom_score_adj, err);
    if (r == 0 && spec->tty) {
        r = process_terminal(st->sock, st->pts, spec->tty_rows, spec->tty_cols, user->uid, &slave,
                             err);
        if (r == 0) {
            gt_auto_close int at = safepath_mount_target(st->dev, "console", 0, 0, err);
            gt_auto_close int tree = at < 0 ? at : k_open_tree_clone(slave, "", 0);
            r = at < 0 ? at : tree < 0 ? tree : k_move_mount(tree, at, "");
            if (r < 0) {
                gt_err_errno(err, r, "mount /dev/console");
            }
        }
    } else if (r == 0) {
        r = process_stdio(fd + FD_IN, st->dev, "null", user->uid, err);
    }
    if (r < 0) {
        child_die(st->sock, err);
    }
}

/* The working directory is made where it is missing, before the root may become read-only. */
static int open_cwd(int root, const char *cwd, struct gt_err *err)
{
    return safepath_mkdirs(root, cwd, 0755, 0, err);
}

static void run_container(struct stage *st, const struct launch *l, const struct rt_spec *spec,
                          const int *fd)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena arena;
    struct user user;
    gt_arena_init(&arena, 65536);
    struct process p = {.argv = spec->argv,
                        .env = spec->env,
                        .cwd = spec->cwd ? spec->cwd : "/",
                        .user = &user,
                        .caps = spec->caps,
                        .caps_by_user = spec->caps_by_user,
                        .no_new_privs = spec->no_new_privs,
                        .privileged = spec->privileged,
                        .seccomp = spec->seccomp,
                        .umask = spec->umask ? spec->umask : 022,
                        .sock = st->sock};
    if (assemble_root(st, spec, fd, l->n_binds, &err) < 0) {
        child_die(st->sock, &err);
    }
    prepare_process(st, spec, fd, &user, &arena, &err);
    p.cwd_fd = open_cwd(fd[FD_ROOT], p.cwd, &err);
    if (p.cwd_fd < 0) {
        child_die(st->sock, &err);
    }
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    int r = spec->rootfs.readonly ? k_mount_setattr(fd[FD_ROOT], "", 0, &readonly) : 0;
    if (r < 0 || assemble_enter(fd[FD_ROOT], &err) < 0) {
        child_die(st->sock, &err);
    }
    if (l->wait_go) {
        wait_go(st->sock);
    }
    if (spec->init) {
        reaper_fork(st->sock);
    }
    process_exec(&p);
}

static void child_main(struct stage *st)
{
    struct gt_err err = GT_ERR_INIT;
    int keep[] = {st->sock, st->cg->sys->root, st->ipc_ns};
    keep_only(keep, GT_ARRAY_LEN(keep));
    child_begin();
    k_new_keyring(); /* where the kernel has keys; none of ours are inside then */
    if (!cgroup_clone_suffices(st->cg) && cgroup_attach(st->cg, 0, &err) < 0) {
        child_die(st->sock, &err);
    }
    int r = st->world.new_cgroup ? k_unshare(CLONE_NEWCGROUP) : 0;
    if (r == 0 && st->ipc_ns >= 0) { /* before mqueue is mounted, which shows that of its mounter */
        r = k_setns(st->ipc_ns, CLONE_NEWIPC);
    }
    if (r < 0) {
        gt_err_errno(&err, r, "enter the cgroup and ipc namespaces");
        child_die(st->sock, &err);
    }
    if (cgroup_sys_reopen(st->sys, &err) < 0 || stage_build(st, &err) < 0) {
        child_die(st->sock, &err);
    }
    static char bytes[sizeof(struct launch) + RT_SPEC_MAX_BYTES];
    int got[MAX_FDS], fd[MAX_FDS];
    unsigned n_fds;
    ssize_t n = recv_fds(st->sock, bytes, sizeof bytes, 0, got, MAX_FDS, &n_fds);
    struct launch l;
    if (n == 0) {
        _exit(0); /* never needed */
    }
    if (n < (ssize_t)sizeof l) {
        gt_err_errno(&err, n < 0 ? (int)n : EBADMSG, "receive the specification");
        child_die(st->sock, &err);
    }
    memcpy(&l, bytes, sizeof l);
    unsigned next = 0;
    for (unsigned i = 0; i < FD_FIXED; i++) {
        fd[i] = l.present >> i & 1 && next < n_fds ? got[next++] : -1;
    }
    for (unsigned i = 0; i < l.n_binds && next < n_fds; i++) {
        fd[FD_FIXED + i] = got[next++];
    }
    struct gt_arena arena;
    struct rt_spec spec;
    gt_arena_init(&arena, 4 * RT_SPEC_MAX_BYTES);
    if (rt_spec_decode(bytes + sizeof l, l.spec_n, &arena, &spec, &err) < 0) {
        child_die(st->sock, &err);
    }
    run_container(st, &l, &spec, fd);
}

/* --- the parent */

static uint64_t clone_flags(const struct rt_world *w)
{
    return CLONE_NEWNS | (w->new_pid ? CLONE_NEWPID : 0) | (w->new_ipc ? CLONE_NEWIPC : 0) |
           (w->new_uts ? CLONE_NEWUTS : 0);
}

/* Clones with the pid namespace for children switched for a moment (never that of the caller
 * itself, which stays where it is). pid_ns < 0: the caller's own. */
static pid_t clone_child(uint64_t flags, struct cgroup *cg, int pid_ns, int *pidfd,
                         struct gt_err *err)
{
    gt_auto_close int own = -1;
    if (pid_ns >= 0) {
        own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
        int r = own < 0 ? -errno : k_setns(pid_ns, CLONE_NEWPID);
        if (r < 0) {
            return gt_err_errno(err, r, "enter the pid namespace");
        }
    }
    *pidfd = -1;
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    if (cgroup_fd(cg) >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup_fd(cg);
    }
    pid_t pid = k_clone3(&args);
    if (pid == 0) {
        return 0;
    }
    if (own >= 0) {
        int r = k_setns(own, CLONE_NEWPID);
        GT_ASSERT(r == 0);
    }
    return pid < 0 ? gt_err_errno(err, pid, "clone into cgroup '%s'", cgroup_path(cg)) : pid;
}

static int open_ns(const struct rt_ns *ns, int type, struct gt_err *err)
{
    gt_auto_close int fd = open(ns->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open namespace '%s'", ns->path);
    }
    /* NS_GET_NSTYPE */
    if (k_ns_type(fd) != type) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is not a namespace of the right kind",
                          ns->path);
    }
    return gt_steal_fd(&fd);
}

int rt_park(const struct rt_world *world, struct cgroup_sys *sys, struct cgroup *cg,
            const struct rt_spec *spec, struct rt_child *ret, struct gt_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return gt_err_errno(err, errno, "make a socket pair");
    }
    gt_auto_close int ours = pair[0], theirs = pair[1], pid_ns = -1, ipc_ns = -1;
    if (spec && spec->pid.kind == RT_NS_PATH) {
        pid_ns = open_ns(&spec->pid, CLONE_NEWPID, err);
        if (pid_ns < 0) {
            return pid_ns;
        }
    }
    if (spec && spec->ipc.kind == RT_NS_PATH) {
        ipc_ns = open_ns(&spec->ipc, CLONE_NEWIPC, err);
        if (ipc_ns < 0) {
            return ipc_ns;
        }
    }
    int pidfd;
    pid_t pid = clone_child(clone_flags(world), cg, pid_ns, &pidfd, err);
    if (pid < 0) {
        return pid;
    }
    if (pid == 0) {
        struct stage st = {.sock = theirs, .world = *world, .sys = sys, .cg = cg, .ipc_ns = ipc_ns};
        close(ours);
        child_main(&st);
        _exit(125);
    }
    *ret = (struct rt_child){.pid = pid, .pidfd = pidfd, .sock = gt_steal_fd(&ours)};
    return 0;
}

/* All descriptors that a launch sends, in its order. */
struct parcel {
    struct launch head;
    int own[MAX_FDS]; /* closed afterwards; borrowed ones are not in here */
    int send[MAX_FDS];
    unsigned n_own, n_send;
};

static int pack(struct parcel *p, int which, int fd, bool own)
{
    if (fd < 0) {
        return fd;
    }
    if (own) {
        p->own[p->n_own++] = fd;
    }
    if (which < FD_FIXED) {
        p->head.present |= 1U << which;
    } else {
        p->head.n_binds++;
    }
    p->send[p->n_send++] = fd;
    return 0;
}

static int pack_all(struct parcel *p, const struct rt_spec *spec, const struct rt_io *io,
                    struct gt_err *err)
{
    int r = pack(p, FD_ROOT, rootfs_mount(&spec->rootfs, err), true);
    const int std[3] = {io->in, io->out, io->err};
    for (int i = 0; i < 3 && r == 0 && !spec->tty; i++) {
        if (std[i] >= 0) {
            r = pack(p, FD_IN + i, std[i], false);
        }
    }
    if (r == 0 && spec->net.kind == RT_NS_PATH) {
        r = pack(p, FD_NET, open_ns(&spec->net, CLONE_NEWNET, err), true);
    }
    if (r == 0 && spec->uts.kind == RT_NS_PATH) {
        r = pack(p, FD_UTS, open_ns(&spec->uts, CLONE_NEWUTS, err), true);
    }
    for (uint32_t i = 0; i < spec->mounts.n && r == 0; i++) {
        if (spec->mounts.v[i].kind == RT_MOUNT_BIND) {
            r = pack(p, FD_FIXED, rootfs_bind(&spec->mounts.v[i], err), true);
        }
    }
    return r;
}

int rt_launch(struct rt_child *child, const struct rt_spec *spec, const void *spec_bytes,
              size_t spec_n, const struct rt_io *io, bool wait, struct gt_err *err)
{
    struct parcel p = {.head = {.spec_n = (uint32_t)spec_n, .wait_go = wait}};
    int r = pack_all(&p, spec, io, err);
    if (r == 0) {
        r = send_fds(child->sock, &p.head, sizeof p.head, spec_bytes, spec_n, p.send, p.n_send);
        if (r < 0) {
            gt_err_errno(err, r, "send the specification to the container's first process");
        }
    }
    for (unsigned i = 0; i < p.n_own; i++) {
        close(p.own[i]);
    }
    return r;
}

int rt_go(struct rt_child *child, struct gt_err *err)
{
    int r = send_fds(child->sock, "g", 1, NULL, 0, NULL, 0);
    return r < 0 ? gt_err_errno(err, r, "start the container") : 0;
}

/* --- exec */

static void exec_main(int sock, int target, struct cgroup *cg, const struct rt_exec *e,
                      const struct rt_io *io)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena arena;
    struct user user;
    int slave = -1;
    gt_arena_init(&arena, 65536);
    int keep[] = {sock, cg->sys->root, target, io->in, io->out, io->err};
    keep_only(keep, GT_ARRAY_LEN(keep));
    child_begin();
    if (!cgroup_clone_suffices(cg) && cgroup_attach(cg, 0, &err) < 0) {
        child_die(sock, &err);
    }
    int r =
        k_setns(target, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
    gt_auto_close int root = r < 0 ? r : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        gt_err_errno(&err, r < 0 ? r : errno, "enter the container");
        child_die(sock, &err);
    }
    const int std[3] = {io->in, io->out, io->err};
    r = user_lookup(root, e->user, &e->extra_groups, &arena, &user, &err);
    r = r < 0 ? r : process_rlimits(sock, &e->rlimits, &err);
    if (r == 0) {
        gt_auto_close int fs = k_fsopen("proc");
        r = fs < 0 ? fs : k_fsconfig_create(fs);
        gt_auto_close int proc = r < 0 ? r : k_fsmount(fs, 0);
        r = proc < 0 ? gt_err_errno(&err, proc, "mount a private proc")
                     : process_oom(sock, proc, e->oom_score_adj, &err);
    }
    if (r == 0 && e->tty) {
        gt_auto_close int pts =
            safepath_open(root, "dev/pts", O_PATH | O_DIRECTORY, 0, SAFEPATH_NO_SYMLINKS, &err);
        r = pts < 0 ? pts
                    : process_terminal(sock, pts, e->tty_rows, e->tty_cols, user.uid, &slave, &err);
    } else if (r == 0) {
        r = process_stdio(std, root, "dev/null", user.uid, &err);
    }
    struct process p = {.argv = e->argv,
                        .env = e->env,
                        .cwd = e->cwd ? e->cwd : "/",
                        .user = &user,
                        .caps = e->caps,
                        .caps_by_user = e->caps_by_user,
                        .no_new_privs = e->no_new_privs,
                        .privileged = e->privileged,
                        .seccomp = e->seccomp,
                        .umask = e->umask ? e->umask : 022,
                        .sock = sock};
    p.cwd_fd = r < 0 ? r : safepath_open(root, p.cwd, O_PATH | O_DIRECTORY, 0, 0, &err);
    if (p.cwd_fd < 0) {
        child_die(sock, &err);
    }
    process_exec(&p);
}

int rt_exec_start(int target_pidfd, struct cgroup_sys *sys, struct cgroup *cg,
                  const struct rt_exec *exec, const struct rt_io *io, struct rt_child *ret,
                  struct gt_err *err)
{
    (void)sys;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return gt_err_errno(err, errno, "make a socket pair");
    }
    gt_auto_close int ours = pair[0], theirs = pair[1];
    int pidfd;
    pid_t pid = clone_child(0, cg, target_pidfd, &pidfd, err);
    if (pid < 0) {
        return pid;
    }
    if (pid == 0) {
        close(ours);
        exec_main(theirs, target_pidfd, cg, exec, io);
        _exit(125);
    }
    *ret = (struct rt_child){.pid = pid, .pidfd = pidfd, .sock = gt_steal_fd(&ours)};
    return 0;
}
