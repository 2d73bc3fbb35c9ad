/* Drives a shim from the command line, for tests and benchmarks:
 *
 *   rt_run [options] COMMAND TASK [CONTAINER] [-- argv ...]
 *
 *   run      a task of one container: waits, prints its log, cleans up, exits as it did
 *   start    a shim (unless the task has one) and a container in it; prints its pid and cgroup
 *   create, go, wait, logs, exec, ttyexec, signal, kill, freeze, thaw, state, events, ack, remove,
 *   shutdown, cleanup: what they say
 *   bench    N starts of the command with a pool, a pause between; prints percentiles
 */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/runtime/cgroup.h"
#include "node/shim/shim_client.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct shim_opts opts = {.run_dir = "/run/gantry-test", .cgroup_root = "/gantry-test"};
static const char *spool_dir, *task, *container = "c";
static struct rt_spec spec;
static struct rt_exec ex;
static struct rt_limits task_limits;
static struct gt_err err;
static unsigned count = 20, pause_ms = 60, pool_size = 2;
static int stdin_fd = -1;
static struct rt_mount mounts[64];
static struct rt_rlimit rlimits[16];
static struct rt_device devices[16];
static const char *env[256] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
static const char *sysctls[16];
static uint64_t number = SIGTERM;

static int complain(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, err.msg);
    return err.sys_errno == ENOENT ? 127 : err.sys_errno == EACCES ? 126 : 125;
}

/* source:target[:ro,rec,mk,seed] or tmpfs:target[:size] */
static void add_mount(char *text)
{
    struct rt_mount *m = &mounts[spec.mounts.n++];
    char *target = strchr(text, ':'), *rest;
    *target++ = '\0';
    if ((rest = strchr(target, ':'))) {
        *rest++ = '\0';
    }
    m->target = target;
    if (strcmp(text, "tmpfs") == 0) {
        m->kind = RT_MOUNT_TMPFS;
        m->flags = RT_MOUNT_NOSUID | RT_MOUNT_NODEV;
        m->size = rest ? strtoull(rest, NULL, 10) : 0;
    } else {
        m->source = text;
        m->flags = (rest && strstr(rest, "ro") ? RT_MOUNT_RDONLY : 0) |
                   (rest && strstr(rest, "rec") ? RT_MOUNT_REC : 0) |
                   (rest && strstr(rest, "mk") ? RT_MOUNT_CREATE_SRC : 0) |
                   (rest && strstr(rest, "seed") ? RT_MOUNT_COPY_UP : 0);
    }
    spec.mounts.v = mounts;
}

static void add_rlimit(const char *text)
{
    struct rt_rlimit *r = &rlimits[spec.rlimits.n++];
    sscanf(text, "%" SCNu32 ":%" SCNu64 ":%" SCNu64, &r->resource, &r->soft, &r->hard);
    spec.rlimits.v = rlimits;
}

static struct rt_ns ns_of(const char *text)
{
    return strcmp(text, "host") == 0  ? (struct rt_ns){RT_NS_HOST, NULL}
           : strcmp(text, "new") == 0 ? (struct rt_ns){RT_NS_NEW, NULL}
                                      : (struct rt_ns){RT_NS_PATH, text};
}

enum {
    OPT_RUN = 256,
    OPT_CGROUP,
    OPT_SHIM,
    OPT_SPOOL,
    OPT_LOWER,
    OPT_UPPER,
    OPT_VOLATILE,
    OPT_WORK,
    OPT_DIR,
    OPT_READONLY,
    OPT_USER,
    OPT_CWD,
    OPT_ENV,
    OPT_TTY,
    OPT_INIT,
    OPT_MOUNT,
    OPT_DEVICE,
    OPT_RLIMIT,
    OPT_CAP_ADD,
    OPT_CAP_DROP,
    OPT_NNP,
    OPT_PRIVILEGED,
    OPT_UNCONFINED,
    OPT_HOSTNAME,
    OPT_NET,
    OPT_PID,
    OPT_IPC,
    OPT_SYSCTL,
    OPT_SHM,
    OPT_MEMORY,
    OPT_CPU,
    OPT_PIDS,
    OPT_QUOTA,
    OPT_TASK_MEMORY,
    OPT_NONBLOCK,
    OPT_SPOOL_MAX,
    OPT_NOLOG,
    OPT_STDIN,
    OPT_COUNT,
    OPT_PAUSE,
    OPT_POOL,
    OPT_NUMBER,
    OPT_PARKED,
    OPT_OOM
};
static const struct option options[] = {{"run", 1, 0, OPT_RUN},
                                        {"cgroup", 1, 0, OPT_CGROUP},
                                        {"shim", 1, 0, OPT_SHIM},
                                        {"spool", 1, 0, OPT_SPOOL},
                                        {"lower", 1, 0, OPT_LOWER},
                                        {"upper", 1, 0, OPT_UPPER},
                                        {"volatile", 0, 0, OPT_VOLATILE},
                                        {"work", 1, 0, OPT_WORK},
                                        {"dir", 1, 0, OPT_DIR},
                                        {"readonly", 0, 0, OPT_READONLY},
                                        {"user", 1, 0, OPT_USER},
                                        {"cwd", 1, 0, OPT_CWD},
                                        {"env", 1, 0, OPT_ENV},
                                        {"tty", 0, 0, OPT_TTY},
                                        {"init", 0, 0, OPT_INIT},
                                        {"mount", 1, 0, OPT_MOUNT},
                                        {"device", 1, 0, OPT_DEVICE},
                                        {"rlimit", 1, 0, OPT_RLIMIT},
                                        {"cap-add", 1, 0, OPT_CAP_ADD},
                                        {"cap-drop", 1, 0, OPT_CAP_DROP},
                                        {"nnp", 0, 0, OPT_NNP},
                                        {"privileged", 0, 0, OPT_PRIVILEGED},
                                        {"unconfined", 0, 0, OPT_UNCONFINED},
                                        {"hostname", 1, 0, OPT_HOSTNAME},
                                        {"net", 1, 0, OPT_NET},
                                        {"pid", 1, 0, OPT_PID},
                                        {"ipc", 1, 0, OPT_IPC},
                                        {"sysctl", 1, 0, OPT_SYSCTL},
                                        {"shm", 1, 0, OPT_SHM},
                                        {"memory", 1, 0, OPT_MEMORY},
                                        {"cpu", 1, 0, OPT_CPU},
                                        {"pids", 1, 0, OPT_PIDS},
                                        {"quota", 1, 0, OPT_QUOTA},
                                        {"task-memory", 1, 0, OPT_TASK_MEMORY},
                                        {"nonblock", 0, 0, OPT_NONBLOCK},
                                        {"spool-max", 1, 0, OPT_SPOOL_MAX},
                                        {"no-log", 0, 0, OPT_NOLOG},
                                        {"stdin", 0, 0, OPT_STDIN},
                                        {"count", 1, 0, OPT_COUNT},
                                        {"pause", 1, 0, OPT_PAUSE},
                                        {"pool", 1, 0, OPT_POOL},
                                        {"number", 1, 0, OPT_NUMBER},
                                        {"parked", 1, 0, OPT_PARKED},
                                        {"oom", 1, 0, OPT_OOM},
                                        {0}};

static void take_option(int o, char *arg)
{
    static const char *lower[RT_SPEC_MAX_LAYERS];
    static uint32_t n_env = 1;
    uint64_t n = arg ? strtoull(arg, NULL, 10) : 0;
    switch (o) {
    case OPT_RUN:
        opts.run_dir = arg;
        break;
    case OPT_CGROUP:
        opts.cgroup_root = arg;
        break;
    case OPT_SHIM:
        opts.shim_path = arg;
        break;
    case OPT_SPOOL:
        spool_dir = arg;
        break;
    case OPT_DIR:
        spec.rootfs.kind = RT_ROOTFS_DIR; /* fall through */
    case OPT_LOWER:
        lower[spec.rootfs.lower.n++] = arg;
        spec.rootfs.lower.v = lower;
        break;
    case OPT_VOLATILE:
        spec.rootfs.volatile_upper = true;
        break;
    case OPT_UPPER:
        spec.rootfs.upper = arg;
        break;
    case OPT_WORK:
        spec.rootfs.work = arg;
        break;
    case OPT_READONLY:
        spec.rootfs.readonly = true;
        break;
    case OPT_USER:
        spec.user = arg;
        break;
    case OPT_CWD:
        spec.cwd = arg;
        break;
    case OPT_ENV:
        env[n_env++] = arg;
        break;
    case OPT_TTY:
        spec.tty = true;
        break;
    case OPT_INIT:
        spec.init = true;
        break;
    case OPT_MOUNT:
        add_mount(arg);
        break;
    case OPT_DEVICE:
        devices[spec.devices.n++].host_path = arg;
        spec.devices.v = devices;
        break;
    case OPT_RLIMIT:
        add_rlimit(arg);
        break;
    case OPT_CAP_ADD:
        spec.caps.bounding |= rt_cap_mask(arg);
        break;
    case OPT_CAP_DROP:
        spec.caps.bounding &= ~rt_cap_mask(arg);
        break;
    case OPT_NNP:
        spec.no_new_privs = true;
        break;
    case OPT_PRIVILEGED:
        spec.privileged = true;
        break;
    case OPT_UNCONFINED:
        spec.seccomp = RT_SECCOMP_UNCONFINED;
        break;
    case OPT_HOSTNAME:
        spec.hostname = arg;
        break;
    case OPT_NET:
        spec.net = ns_of(arg);
        break;
    case OPT_PID:
        spec.pid = ns_of(arg);
        break;
    case OPT_IPC:
        spec.ipc = ns_of(arg);
        break;
    case OPT_SYSCTL:
        sysctls[spec.sysctls.n++] = arg;
        spec.sysctls.v = sysctls;
        break;
    case OPT_SHM:
        spec.shm_size = n;
        break;
    case OPT_MEMORY:
        spec.limits.memory = n;
        break;
    case OPT_CPU:
        spec.limits.cpu_shares = n;
        break;
    case OPT_PIDS:
        spec.limits.pids = n;
        break;
    case OPT_QUOTA:
        spec.limits.cpu_quota_us = n;
        break;
    case OPT_TASK_MEMORY:
        task_limits.memory = n;
        break;
    case OPT_NONBLOCK:
        spec.log_nonblocking = true;
        break;
    case OPT_SPOOL_MAX:
        spec.log_spool_max = n;
        break;
    case OPT_NOLOG:
        spec.log_none = true;
        break;
    case OPT_STDIN:
        spec.stdin_open = true;
        stdin_fd = 0;
        break;
    case OPT_COUNT:
        count = (unsigned)n;
        break;
    case OPT_PAUSE:
        pause_ms = (unsigned)n;
        break;
    case OPT_POOL:
        pool_size = (unsigned)n;
        break;
    case OPT_NUMBER:
        number = n;
        break;
    case OPT_PARKED:
        opts.parked = (unsigned)n;
        break;
    case OPT_OOM:
        spec.oom_score_adj = (int)strtol(arg, NULL, 10);
        break;
    default:
        exit(2);
    }
    spec.env = (struct rt_strs){env, n_env};
}

static const char *default_spool(void)
{
    static char path[4096];
    if (spool_dir) {
        return spool_dir;
    }
    snprintf(path, sizeof path, "%s/spool", opts.run_dir);
    gt_mkdirs(path, 0700, NULL);
    return path;
}

static void print_event(const struct shim_event *e)
{
    static const char *const names[] = {"NONE",
#define X(name) #name,
                                        SHIM_EVENTS(X)
#undef X
    };
    printf("%" PRIu64 " %s %s %s pid=%d code=%d oom=%d offset=%" PRIu64 " %s\n", e->seq,
           names[e->type], e->container, e->exec, e->pid, e->exit_code, e->oom, e->offset, e->text);
    fflush(stdout);
}

/* Waits on the events file, which survives everything. */
static int wait_exit(const char *exec, struct shim_event *found)
{
    uint64_t seq = 0;
    for (int i = 0; i < 60000; i++) {
        struct shim_event e;
        int r;
        while ((r = shim_events_read(opts.run_dir, task, seq, &e, 1, &err)) == 1) {
            seq = e.seq;
            if (strcmp(e.container, container) == 0 &&
                ((!exec && e.type == SHIM_EVENT_EXITED) ||
                 (exec && e.type == SHIM_EVENT_EXEC_EXITED && strcmp(e.exec, exec) == 0))) {
                *found = e;
                return 0;
            }
        }
        if (r < 0) {
            return r;
        }
        usleep(1000);
    }
    return -ETIMEDOUT;
}

static void print_log(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.log", default_spool(), container);
    gt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct shim_frame f;
    off_t at = 0;
    while (fd >= 0 && pread(fd, &f, sizeof f, at) == (ssize_t)sizeof f && f.n) {
        char *data = gt_malloc(f.n);
        ssize_t n = pread(fd, data, f.n, at + (off_t)sizeof f);
        if (n > 0) {
            gt_write_full(f.stream == 2 ? 2 : 1, data, (size_t)n);
        }
        free(data);
        at += (off_t)(sizeof f + f.n);
    }
}

static int cleanup(void)
{
    int r = 0;
    for (int i = 0; i < 400 && (r = shim_cleanup(opts.run_dir, task, &err)) == -EBUSY; i++) {
        usleep(5000);
    }
    return r < 0 ? complain("cleanup") : 0;
}

static int start(bool now, struct shim **ret)
{
    struct shim_created made;
    int r = shim_open(opts.run_dir, task, ret, &err);
    if (r == -ENOENT) {
        r = shim_take(NULL, &opts, task, default_spool(), &task_limits, ret, &err);
    }
    if (r < 0) {
        return complain("take");
    }
    if (shim_create(*ret, container, &spec, stdin_fd, now, &made, &err) < 0) {
        return complain("create");
    }
    printf("pid=%d cgroup=%s\n", made.pid, made.cgroup);
    return 0;
}

static int cmd_run(void)
{
    struct shim *s = NULL;
    struct shim_event e;
    int saved = dup(1);
    dup2(2, 1); /* only the container's output is for stdout */
    int r = start(true, &s);
    fflush(stdout);
    dup2(saved, 1);
    if (r == 0 && wait_exit(NULL, &e) == 0) {
        print_log();
        r = e.exit_code;
        if (e.oom) {
            fprintf(stderr, "oom\n");
        }
    }
    if (s) {
        struct shim_event ev;
        while (shim_next_event(s, &ev, NULL) == 1) {
            if (ev.type == SHIM_EVENT_WARNING) {
                fprintf(stderr, "warning: %s\n", ev.text);
            }
        }
        if (r == 0 || r >= 0) {
            shim_remove(s, container, NULL);
        }
        shim_shutdown(s, NULL);
        shim_close(s);
    }
    int c = cleanup();
    return r ? r : c;
}

static int cmd_exec(struct shim *s, bool tty)
{
    struct shim_created made;
    struct shim_event e;
    char id[32];
    int master = -1;
    const int stdio[3] = {0, 1, 2};
    snprintf(id, sizeof id, "e%d", (int)getpid());
    rt_exec_from_spec(&ex, &spec);
    ex.argv = spec.argv;
    ex.env = spec.env;
    ex.cwd = spec.cwd;
    ex.user = spec.user;
    ex.tty = tty;
    ex.tty_rows = 24;
    ex.tty_cols = 80;
    if (shim_exec(s, container, id, &ex, tty ? NULL : stdio, &master, &made, &err) < 0) {
        return complain("exec");
    }
    char data[4096];
    ssize_t n;
    while (master >= 0 && (n = read(master, data, sizeof data)) > 0) {
        gt_write_full(1, data, (size_t)n);
    }
    int r = wait_exit(id, &e);
    return r < 0 ? complain("wait") : e.exit_code;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The command is expected to print the monotonic clock in nanoseconds, as its first act; without
 * that, the time until the shim says "started" counts. */
static int cmd_bench(void)
{
    struct shim_pool *pool = NULL;
    int64_t *took = gt_new_array(int64_t, count);
    if (pool_size && shim_pool_new(&opts, pool_size, &pool, &err) < 0) {
        return complain("pool");
    }
    for (unsigned i = 0; i < count; i++) {
        char id[64];
        struct shim *s;
        struct shim_created made;
        struct shim_event e;
        snprintf(id, sizeof id, "%s%u", task, i);
        if (pool) {
            shim_pool_fill(pool, NULL);
        }
        usleep(pause_ms * 1000);
        int64_t begin = gt_clock_mono_ns();
        if (shim_take(pool, &opts, id, default_spool(), NULL, &s, &err) < 0 ||
            shim_create(s, container, &spec, -1, true, &made, &err) < 0) {
            return complain("start");
        }
        took[i] = gt_clock_mono_ns() - begin;
        const char *saved = task;
        task = id;
        wait_exit(NULL, &e);
        shim_remove(s, container, NULL);
        shim_shutdown(s, NULL);
        shim_close(s);
        cleanup();
        task = saved;
    }
    shim_pool_free(pool);
    qsort(took, count, sizeof *took, by_value);
    printf("starts=%u median_us=%" PRId64 " p90_us=%" PRId64 " min_us=%" PRId64 "\n", count,
           took[count / 2] / 1000, took[count * 9 / 10] / 1000, took[0] / 1000);
    free(took);
    return 0;
}

static int cmd_state(struct shim *s)
{
    static const char *const states[] = {"CREATING", "CREATED", "RUNNING", "EXITED"};
    struct shim_container c[SHIM_MAX_CONTAINERS];
    int n = shim_containers(s, c, SHIM_MAX_CONTAINERS, &err);
    if (n < 0) {
        return complain("state");
    }
    printf("shim=%d cgroup=%s last=%" PRIu64 "\n", shim_hello_state(s)->pid,
           shim_hello_state(s)->cgroup, shim_hello_state(s)->last_seq);
    for (int i = 0; i < n; i++) {
        printf("%s %s pid=%d code=%d oom=%d written=%" PRIu64 " acked=%" PRIu64 " dropped=%" PRIu64
               " cgroup=%s\n",
               c[i].id, states[c[i].state], c[i].pid, c[i].exit_code, c[i].oom, c[i].spool_written,
               c[i].spool_acked, c[i].dropped_bytes, c[i].cgroup);
    }
    return 0;
}

static int cmd_with_shim(const char *cmd)
{
    struct shim *s;
    int r = 0;
    if (shim_open(opts.run_dir, task, &s, &err) < 0) {
        return complain("open");
    }
    if (strcmp(cmd, "go") == 0) {
        r = shim_start(s, container, &err);
    } else if (strcmp(cmd, "signal") == 0) {
        r = shim_signal(s, container, NULL, (int)number, &err);
    } else if (strcmp(cmd, "kill") == 0) {
        r = shim_kill_all(s, container, &err);
    } else if (strcmp(cmd, "freeze") == 0 || strcmp(cmd, "thaw") == 0) {
        r = shim_freeze(s, container, *cmd == 'f', &err);
    } else if (strcmp(cmd, "resize") == 0) {
        r = shim_resize(s, container, (unsigned)number, 100, &err);
    } else if (strcmp(cmd, "ack") == 0) {
        r = shim_spool_ack(s, container, number, &err);
    } else if (strcmp(cmd, "remove") == 0) {
        r = shim_remove(s, container, &err);
    } else if (strcmp(cmd, "shutdown") == 0) {
        r = shim_shutdown(s, &err);
    } else if (strcmp(cmd, "state") == 0) {
        r = cmd_state(s);
    } else if (strcmp(cmd, "exec") == 0 || strcmp(cmd, "ttyexec") == 0) {
        r = cmd_exec(s, *cmd == 't');
    } else {
        fprintf(stderr, "unknown command '%s'\n", cmd);
        r = 2;
    }
    shim_close(s);
    return r < 0 ? complain(cmd) : r;
}

static int cmd_events(void)
{
    struct shim_event e;
    for (uint64_t seq = 0; shim_events_read(opts.run_dir, task, seq, &e, 1, &err) == 1;) {
        seq = e.seq;
        print_event(&e);
    }
    return 0;
}

int main(int argc, char **argv)
{
    rt_spec_defaults(&spec);
    spec.env = (struct rt_strs){env, 1};
    for (int o; (o = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        take_option(o, optarg);
    }
    if (argc - optind < 2) {
        fprintf(stderr, "usage: see the top of rt_run.c\n");
        return 2;
    }
    const char *cmd = argv[optind++];
    task = argv[optind++];
    if (optind < argc && strcmp(argv[optind], "--") != 0) {
        container = argv[optind++];
    }
    optind += optind < argc && strcmp(argv[optind], "--") == 0;
    spec.argv = (struct rt_strs){(const char **)argv + optind, (uint32_t)(argc - optind)};

    struct shim *s = NULL;
    struct shim_event e;
    if (strcmp(cmd, "run") == 0) {
        return cmd_run();
    }
    if (strcmp(cmd, "bench") == 0) {
        return cmd_bench();
    }
    if (strcmp(cmd, "start") == 0 || strcmp(cmd, "create") == 0) {
        int r = start(*cmd == 's', &s);
        shim_close(s);
        return r;
    }
    if (strcmp(cmd, "wait") == 0) {
        return wait_exit(NULL, &e) < 0 ? complain("wait") : e.exit_code;
    }
    if (strcmp(cmd, "logs") == 0) {
        print_log();
        return 0;
    }
    if (strcmp(cmd, "events") == 0) {
        return cmd_events();
    }
    if (strcmp(cmd, "cleanup") == 0) {
        return cleanup();
    }
    return cmd_with_shim(cmd);
}
