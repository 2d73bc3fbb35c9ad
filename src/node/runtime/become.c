/* The last steps before exec, in an order that matters: everything that takes privileges first, the
 * user, then the capabilities, with seccomp before (when it takes CAP_SYS_ADMIN to load) or after
 * (when no_new_privs makes that unnecessary). */
#include "node/runtime/child_priv.h"

#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"
#include "node/runtime/caps.h"
#include "node/runtime/kernel.h"
#include "node/runtime/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef DEVPTS_SUPER_MAGIC
#define DEVPTS_SUPER_MAGIC 0x1cd1
#endif

static const char *rlimit_name(uint32_t resource)
{
    static const char *const names[] = {
        [RLIMIT_CORE] = "core",         [RLIMIT_CPU] = "cpu",
        [RLIMIT_DATA] = "data",         [RLIMIT_FSIZE] = "fsize",
        [RLIMIT_LOCKS] = "locks",       [RLIMIT_MEMLOCK] = "memlock",
        [RLIMIT_MSGQUEUE] = "msgqueue", [RLIMIT_NICE] = "nice",
        [RLIMIT_NOFILE] = "nofile",     [RLIMIT_NPROC] = "nproc",
        [RLIMIT_RSS] = "rss",           [RLIMIT_RTPRIO] = "rtprio",
        [RLIMIT_RTTIME] = "rttime",     [RLIMIT_SIGPENDING] = "sigpending",
        [RLIMIT_STACK] = "stack",       [RLIMIT_AS] = "as",
    };
    return resource < GT_ARRAY_LEN(names) && names[resource] ? names[resource] : "?";
}

static const char *rlimit_text(uint64_t v, char room[static 24])
{
    snprintf(room, 24, "%llu", (unsigned long long)v);
    return v == RLIM_INFINITY ? "unlimited" : room;
}

/* What the machine cannot give is clamped and told: a task must not fail on this machine for a
 * default that it has from another. */
int process_rlimits(int sock, const struct rt_rlimits *limits, struct gt_err *err)
{
    for (uint32_t i = 0; i < limits->n; i++) {
        const struct rt_rlimit *l = &limits->v[i];
        struct rlimit want = {.rlim_cur = l->soft, .rlim_max = l->hard}, have;
        if (l->soft > l->hard) {
            return gt_err_set(err, GT_ERR_INVALID, "ulimit %s: soft %llu is above hard %llu",
                              rlimit_name(l->resource), (unsigned long long)l->soft,
                              (unsigned long long)l->hard);
        }
        if (setrlimit((int)l->resource, &want) == 0) {
            continue;
        }
        int saved = errno;
        if (saved != EPERM || getrlimit((int)l->resource, &have) < 0) {
            return gt_err_errno(err, saved, "set ulimit %s", rlimit_name(l->resource));
        }
        want.rlim_max = GT_MIN(want.rlim_max, have.rlim_max);
        want.rlim_cur = GT_MIN(want.rlim_cur, want.rlim_max);
        if (setrlimit((int)l->resource, &want) < 0) {
            return gt_err_errno(err, errno, "set ulimit %s", rlimit_name(l->resource));
        }
        char asked[24], got[24];
        child_warn(sock, "ulimit %s: %s was asked for, %s is what this machine allows",
                   rlimit_name(l->resource), rlimit_text(l->hard, asked),
                   rlimit_text(want.rlim_max, got));
    }
    return 0;
}

int process_oom(int sock, int proc, int adj, struct gt_err *err)
{
    char text[16];
    snprintf(text, sizeof text, "%d", adj);
    struct gt_err why = GT_ERR_INIT;
    /* Always: the parent may have a value of its own, which is inherited. */
    int r = safepath_proc_write(proc, "self/oom_score_adj", text, &why);
    if (r == -EACCES || r == -EPERM) {
        child_warn(sock, "oom_score_adj %d is below what this machine allows", adj);
        return 0;
    }
    return r < 0 ? gt_err_errno(err, r, "set oom_score_adj to %d", adj) : 0;
}

/* 0, 1 and 2. Pipes are given to the user, who may want to open /dev/stdout again. */
int process_stdio(const int fd[3], int null_dir, const char *null_path, uid_t uid,
                  struct gt_err *err)
{
    gt_auto_close int null = -1;
    for (int i = 0; i < 3; i++) {
        int from = fd[i];
        if (from < 0 && null < 0) {
            null = safepath_open(null_dir, null_path, O_RDWR, 0, 0, err);
            if (null < 0) {
                return null;
            }
            fcntl(null, F_SETFL, 0);
            int r = safepath_check_cdev(null, 1, 3, "/dev/null", err);
            if (r < 0) {
                return r;
            }
        }
        from = from < 0 ? null : from;
        struct stat st;
        if (fstat(from, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid != uid &&
            fchown(from, uid, (gid_t)-1) < 0) {
            return gt_err_errno(err, errno, "hand the pipes to user %u", uid);
        }
        if (dup2(from, i) < 0) {
            return gt_err_errno(err, errno, "set up standard streams");
        }
    }
    return 0;
}

/* A new terminal of the container's own devpts; its slave becomes 0, 1, 2, its master goes to the
 * parent. The slave comes from the master (TIOCGPTPEER), not from a path (CVE-2025-52565). */
int process_terminal(int sock, int pts, unsigned rows, unsigned cols, uid_t uid, int *slave,
                     struct gt_err *err)
{
    int r = safepath_check_fs(pts, DEVPTS_SUPER_MAGIC, "/dev/pts", err);
    if (r < 0) {
        return r;
    }
    gt_auto_close int master =
        safepath_open(pts, "ptmx", O_RDWR, 0, SAFEPATH_NO_SYMLINKS | SAFEPATH_NO_XDEV, err);
    if (master < 0) {
        return master;
    }
    r = safepath_check_cdev(master, 5, 2, "/dev/pts/ptmx", err);
    if (r < 0) {
        return r;
    }
    int unlock = 0;
    gt_auto_close int peer = -1;
    if (ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
        (peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        return gt_err_errno(err, errno, "open a terminal");
    }
    fcntl(master, F_SETFL, 0); /* safepath opens without waiting; whoever gets it wants to wait */
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
    if ((rows && ioctl(peer, TIOCSWINSZ, &size) < 0) || fchown(peer, uid, (gid_t)-1) < 0) {
        return gt_err_errno(err, errno, "set up the terminal");
    }
    if (setsid() < 0 && errno != EPERM) {
        return gt_err_errno(err, errno, "start a session");
    }
    if (ioctl(peer, TIOCSCTTY, 0) < 0) {
        return gt_err_errno(err, errno, "make it the controlling terminal");
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(peer, i) < 0) {
            return gt_err_errno(err, errno, "set up standard streams");
        }
    }
    struct rt_report report = {.kind = RT_REPORT_TTY};
    child_send(sock, &report, master);
    *slave = gt_steal_fd(&peer);
    return 0;
}

/* One more look before everything is given away: a folder that a descriptor led to must lie under
 * the new root (CVE-2024-21626). The kernel says "(unreachable)" when it does not. */
static int enter_cwd(struct process *p, struct gt_err *err)
{
    char at[4096];
    if (fchdir(p->cwd_fd) < 0) {
        return gt_err_errno(err, errno, "change to working directory '%s'", p->cwd);
    }
    long n = syscall(SYS_getcwd, at, sizeof at);
    if (n <= 0 || at[0] != '/') {
        return gt_err_errno(err, n < 0 ? errno : ENOENT,
                            "working directory '%s' is outside of the container", p->cwd);
    }
    return 0;
}

/* The raw calls: the C libraries' own do things for threads that a clone by hand has not. */
static int change_user(const struct user *u, struct gt_err *err)
{
    if (syscall(SYS_setgroups, (size_t)u->n_groups, u->groups) < 0 ||
        syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
        syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0) {
        return gt_err_errno(err, errno, "become user %u, group %u", u->uid, u->gid);
    }
    return 0;
}

static int drop(struct process *p, struct gt_err *err)
{
    struct rt_caps caps = p->caps;
    if (p->privileged) {
        caps.bounding = caps.effective = caps.permitted = RT_CAPS_ALL;
    }
    caps = caps_for(&caps, p->caps_by_user, p->user->uid);
    bool filter = p->seccomp == RT_SECCOMP_DEFAULT && !p->privileged;
    int r = 0;
    if (p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return gt_err_errno(err, errno, "set no_new_privs");
    }
    r = caps_bound(caps.bounding, err);
    if (r == 0 && filter && !p->no_new_privs) {
        r = seccomp_install_default(caps.bounding, err);
    }
    if (r == 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) {
        r = gt_err_errno(err, errno, "keep capabilities");
    }
    r = r < 0 ? r : change_user(p->user, err);
    r = r < 0 ? r : caps_apply(&caps, err);
    /* A change of user cleared it. */
    if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) {
        r = gt_err_errno(err, errno, "ask for a signal at the parent's death");
    }
    if (r == 0 && filter && p->no_new_privs) {
        r = seccomp_install_default(caps.bounding, err);
    }
    return r;
}

static const char *env_get(const struct rt_strs *env, const char *name)
{
    size_t n = strlen(name);
    for (uint32_t i = 0; i < env->n; i++) {
        if (strncmp(env->v[i], name, n) == 0 && env->v[i][n] == '=') {
            return env->v[i] + n + 1;
        }
    }
    return NULL;
}

/* As execvp does: the first that is found; what is there but not to be executed is remembered. */
static int exec_in_path(const char *const *argv, const char *const *env, const char *path)
{
    int result = -ENOENT;
    size_t name = strlen(argv[0]);
    for (const char *at = path; at;) {
        const char *end = strchr(at, ':');
        size_t n = end ? (size_t)(end - at) : strlen(at);
        char full[4096];
        if (n + name + 2 < sizeof full) {
            /* An empty element is the current folder. */
            snprintf(full, sizeof full, "%.*s%s%s", (int)n, at, n ? "/" : "", argv[0]);
            struct stat st;
            if (stat(full, &st) == 0 && S_ISREG(st.st_mode)) {
                syscall(SYS_execve, full, argv, env);
                if (errno != ENOENT || result == -ENOENT) {
                    result = -errno;
                }
                if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) {
                    return result;
                }
            }
        }
        at = end ? end + 1 : NULL;
    }
    return result;
}

static void add_home(struct process *p, const char **room, char home[static 4200])
{
    if (env_get(&p->env, "HOME")) {
        return;
    }
    for (uint32_t i = 0; i < p->env.n; i++) {
        room[i] = p->env.v[i];
    }
    snprintf(home, 4200, "HOME=%.4000s", p->user->home);
    room[p->env.n] = home;
    p->env.v = room;
    p->env.n++;
    room[p->env.n] = NULL;
}

void process_exec(struct process *p)
{
    struct gt_err err = GT_ERR_INIT;
    static const char *room[RT_SPEC_MAX_STRINGS + 2];
    static const char *const nothing[] = {NULL};
    char home[4200];
    add_home(p, room, home);
    umask(p->umask);
    k_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (enter_cwd(p, &err) < 0 || drop(p, &err) < 0) {
        child_die(p->sock, &err);
    }
    struct pollfd parent = {.fd = p->sock};
    if (poll(&parent, 1, 0) > 0 && parent.revents & POLLHUP) {
        _exit(125); /* it died before it could take us with it */
    }
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int i = 1; i < 65; i++) {
        sigaction(i, &dfl, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct rt_report report = {.kind = RT_REPORT_EXEC};
    child_send(p->sock, &report, -1);
    const char *const *env = p->env.n ? p->env.v : nothing;
    int r;
    if (strchr(p->argv.v[0], '/')) {
        syscall(SYS_execve, p->argv.v[0], p->argv.v, env);
        r = -errno;
    } else {
        const char *path = env_get(&p->env, "PATH");
        r = exec_in_path(p->argv.v, env,
                         path ? path
                              : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
    if (r == -ENOENT && !strchr(p->argv.v[0], '/')) {
        gt_err_errno(&err, r, "exec: \"%.200s\": executable file not found in $PATH", p->argv.v[0]);
    } else {
        gt_err_errno(&err, r, "exec: \"%.200s\"", p->argv.v[0]);
    }
    child_die(p->sock, &err);
}
