/*
 * gantry up: server and agent as children of one process, each started again when it dies.
 * gantry down: the end of all of it.
 */
#include "cmd/gantry/cli.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 30000, PATIENCE_MS = 10000, RESTART_MS = 200 };

static volatile sig_atomic_t stop_asked;

static void on_stop(int number)
{
    stop_asked = 1;
}

struct child {
    const char *what; /* "server", "agent" */
    const char *argv[24];
    pid_t pid;
    int64_t started_ms;
};

static char *beside_self(const char *name)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    GT_ASSERT(n > 0);
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    return gt_asprintf("%.*s/%s", (int)(slash - self), self, name);
}

static void start(struct child *c)
{
    gt_auto_free char *name = gt_asprintf("gantry-%s", c->what);
    gt_auto_free char *exe = beside_self(name);
    pid_t parent = getpid();
    c->started_ms = gt_clock_mono_ms();
    c->pid = fork();
    if (c->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* children of a killed `gantry up` go; tasks stay */
        if (getppid() != parent) {
            _exit(0);
        }
        c->argv[0] = exe;
        execv(exe, (char *const *)c->argv);
        fprintf(stderr, "gantry: start '%s': %s\n", exe, strerror(errno));
        _exit(127);
    }
}

static void end(struct child *c)
{
    if (c->pid <= 0) {
        return;
    }
    kill(c->pid, SIGTERM);
    for (int i = 0; i < 200; i++) {
        if (waitpid(c->pid, NULL, WNOHANG) != 0) {
            c->pid = 0;
            return;
        }
        poll(NULL, 0, 50);
    }
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
}

static void end_all(struct child *children, size_t n)
{
    for (size_t i = n; i > 0; i--) {
        end(&children[i - 1]);
    }
}

/* The server answers and a node has registered. */
static bool ready(const struct instance *in)
{
    struct cli c;
    struct gt_err err = GT_ERR_INIT;
    if (access(in->key_file, R_OK) != 0 || cli_open(&c, in->state) != 0) {
        return false;
    }
    struct ecs_list_container_instances_in li = {0};
    struct ecs_list_container_instances_out out = {0};
    int r = api_call(c.client, &ecs_op_list_container_instances, &li, &c.arena, &out, &err);
    cli_close(&c);
    return r == 0 && out.container_instance_arns.n > 0;
}

static void supervise(struct child *children, size_t n)
{
    while (!stop_asked) {
        int status;
        pid_t gone = waitpid(-1, &status, WNOHANG);
        if (gone <= 0) {
            poll(NULL, 0, 100);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            if (children[i].pid != gone) {
                continue;
            }
            int64_t lived = gt_clock_mono_ms() - children[i].started_ms;
            if (WIFSIGNALED(status)) {
                gt_warn("the %s was ended by signal %d; starting it again", children[i].what,
                        WTERMSIG(status));
            } else {
                gt_warn("the %s ended with code %d; starting it again", children[i].what,
                        WEXITSTATUS(status));
            }
            poll(NULL, 0, lived < 2000 ? 10 * RESTART_MS : RESTART_MS);
            if (!stop_asked) {
                start(&children[i]);
            }
        }
    }
}

/* While starting: starts again what ended, until `patience`. False: the server is gone for good. */
static bool revive(struct child *children, size_t n, int64_t patience)
{
    for (size_t i = 0; i < n; i++) {
        if (children[i].pid <= 0 || waitpid(children[i].pid, NULL, WNOHANG) != children[i].pid) {
            continue;
        }
        children[i].pid = 0;
        if (gt_clock_mono_ms() < patience) {
            poll(NULL, 0, RESTART_MS);
            start(&children[i]);
        }
    }
    return children[0].pid > 0;
}

/* Only one `gantry up` for a state folder. */
static int lock_state(const struct instance *in, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/up.lock", in->state);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", path);
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
        close(fd);
        return gt_err_set(
            err, GT_ERR_CONFLICT,
            "a Gantry with the state folder '%s' is up already; `gantry down` ends it", in->state);
    }
    return fd;
}

/* An earlier `gantry up` may have left a server that is still ending; it is waited for. */
static bool port_is_free(const struct instance *in)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    sa.sin_port = htons((uint16_t)strtol(strrchr(in->endpoint, ':') + 1, NULL, 10));
    int64_t until = gt_clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        gt_auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 || errno != EADDRINUSE) {
            return true; /* what else may be wrong, the server says */
        }
        if (stop_asked || gt_clock_mono_ms() > until) {
            return false;
        }
        poll(NULL, 0, 100);
    }
}

static void say_up(const struct instance *in, int say)
{
    bool usual = gt_streq(in->state, "/var/lib/gantry");
    dprintf(say,
            "Gantry is up at %s (state in %s).\n"
            "Next: eval \"$(gantry env%s%s)\"; aws ecs list-clusters\n",
            in->endpoint, in->state, usual ? "" : " --state ", usual ? "" : in->state);
}

/* The process that stays; what the caller of `gantry up --detach` sees comes through `say`. */
static int run(struct instance *in, bool server_only_log, int say, struct child *children, size_t n)
{
    struct gt_err err = GT_ERR_INIT;
    gt_auto_close int lock = lock_state(in, &err);
    if (lock < 0) {
        dprintf(say, "gantry: %s\n", err.msg);
        return 1;
    }
    struct sigaction sa = {.sa_handler = on_stop};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!port_is_free(in)) {
        dprintf(say, "gantry: another program answers at %s; --port N takes another port\n",
                in->endpoint);
        return 1;
    }
    in->pid = getpid();
    if (instance_save(in, &err) < 0) {
        dprintf(say, "gantry: %s\n", err.msg);
        return 1;
    }
    start(&children[0]);
    int64_t until = gt_clock_mono_ms() + READY_MS;
    /* The server makes the key that the agent registers with. */
    while (access(in->key_file, R_OK) != 0 && gt_clock_mono_ms() < until && !stop_asked) {
        poll(NULL, 0, 5);
    }
    for (size_t i = 1; i < n; i++) {
        start(&children[i]);
    }
    bool up = false;
    while (!up && gt_clock_mono_ms() < until && !stop_asked) {
        up = ready(in);
        /* What an earlier `gantry up` left may still be ending, and holds the stores until then. */
        if (!up && !revive(children, n, until - READY_MS + PATIENCE_MS)) {
            break;
        }
        poll(NULL, 0, 50);
    }
    if (!up && !stop_asked) {
        dprintf(say,
                "gantry: %s within %d s; the log says more. `gantry doctor` checks this "
                "machine.\n",
                children[0].pid ? "no node registered" : "the server did not start",
                READY_MS / 1000);
        end_all(children, n);
        return 1;
    }
    if (up) {
        say_up(in, say);
    }
    if (say > 2) {
        close(say);
    }
    supervise(children, n);
    end_all(children, n);
    return 0;
}

/* Goes to the background; the parent waits until the child has said how it went. */
static int detach(struct instance *in, struct child *children, size_t n)
{
    int pipe_fds[2];
    gt_auto_free char *log = gt_asprintf("%s/gantry.log", in->state);
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return 1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pipe_fds[0]);
        setsid();
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        int null = open("/dev/null", O_RDONLY);
        int say = fcntl(pipe_fds[1], F_DUPFD_CLOEXEC, 10);
        dup2(null, 0);
        dup2(out, 1);
        dup2(out, 2);
        close(pipe_fds[1]);
        close(out);
        close(null);
        _exit(run(in, true, say, children, n));
    }
    close(pipe_fds[1]);
    char text[1024];
    size_t total = 0;
    ssize_t got;
    bool bad = false;
    while ((got = read(pipe_fds[0], text, sizeof text - 1)) > 0) {
        text[got] = '\0';
        bad |= strncmp(text, "gantry:", 7) == 0;
        fputs(text, bad ? stderr : stdout);
        total += (size_t)got;
    }
    close(pipe_fds[0]);
    if (bad || total == 0) {
        fprintf(stderr, "gantry: its log is %s\n", log);
        return 1;
    }
    return 0;
}

static int check_names(const char *port, const char *name, const char *region)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    int64_t n;
    if (!number_parse(port, 1, UINT16_MAX, &n)) {
        fprintf(stderr, "gantry up: --port '%s' is no number from 1 to 65535\n", port);
        return 2;
    }
    if (!name[0] || strlen(name) > 32 || name[strspn(name, allowed)]) {
        fprintf(stderr, "gantry up: --name '%s' is not 1 to 32 letters, digits, '-' and '_'\n",
                name);
        return 2;
    }
    if (!region_name_fits(region)) {
        fprintf(stderr, "gantry up: --region '%s' is not like us-east-1\n", region);
        return 2;
    }
    return 0;
}

/* What follows from the options and in->state. */
static void fill_instance(struct instance *in, const char *run_dir, const char *name,
                          const char *region, const char *port)
{
    snprintf(in->run, sizeof in->run, "%s%s", run_dir ? "" : "/run/", run_dir ? run_dir : name);
    snprintf(in->name, sizeof in->name, "%s", name);
    snprintf(in->region, sizeof in->region, "%s", region);
    snprintf(in->endpoint, sizeof in->endpoint, "http://127.0.0.1:%s", port);
    snprintf(in->key_file, sizeof in->key_file, "%s/root.key", in->state);
}

/* An option that is passed on when it was given. */
static void pass_on(struct child *c, const char *option, const char *value)
{
    size_t n = 0;
    while (c->argv[n]) {
        n++;
    }
    if (value && n + 2 < GT_ARRAY_LEN(c->argv)) {
        c->argv[n] = option;
        c->argv[n + 1] = value;
    }
}

int cmd_up(int argc, char **argv)
{
    const char *state = default_state(), *run_dir = NULL, *name = "gantry", *port = "4566";
    const char *region = "us-east-1", *cluster = "default";
    const char *age = NULL, *size = NULL, *snapshots = NULL;
    bool background = false, prefer_cached = false;
    const struct option_def defs[] = {
        {"detach", NULL, "return when it is up, and go on in the background", NULL, &background,
         'd'},
        {"port", "N", "port on 127.0.0.1 (4566)", &port, NULL},
        {"state", "DIR", "what outlives a reboot (/var/lib/gantry)", &state, NULL},
        {"run", "DIR", "what does not (/run/NAME)", &run_dir, NULL},
        {"name", "NAME", "instance on this machine, if there is more than one (gantry)", &name,
         NULL},
        {"region", "NAME", "region (us-east-1)", &region, NULL},
        {"cluster", "NAME", "cluster that this node joins (default)", &cluster, NULL},
        {"history-age", "TIME", "how long the past can be seen: 30m, 12h (7d)", &age, NULL},
        {"history-size", "SIZE", "... and how much room it takes at most (1g)", &size, NULL},
        {"history-snapshots", "N", "older snapshots that stay (4)", &snapshots, NULL},
        {"prefer-cached", NULL, "do not ask the registry for an image that is here", NULL,
         &prefer_cached},
        {0},
    };
    int r = options_parse(defs, "gantry up",
                          "Starts server and agent on this machine. Tasks outlive both: they are "
                          "ended by\n`gantry stop`, `aws ecs stop-task` or `gantry down`.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (geteuid() != 0) {
        fprintf(stderr, "gantry: running containers needs root; try sudo gantry up\n");
        return 1;
    }
    if ((r = check_names(port, name, region)) != 0) {
        return r;
    }
    struct gt_err err = GT_ERR_INIT;
    struct instance in = {0};
    if (gt_mkdirs(state, 0711, &err) < 0) {
        return cli_fail(&err);
    }
    gt_auto_free char *real = realpath(state, NULL);
    if (!real || strlen(real) >= sizeof in.state) {
        gt_err_errno(&err, real ? ENAMETOOLONG : errno, "'%s'", state);
        return cli_fail(&err);
    }
    snprintf(in.state, sizeof in.state, "%s", real);
    fill_instance(&in, run_dir, name, region, port);
    gt_auto_free char *listen = gt_asprintf("127.0.0.1:%s", port);
    gt_auto_free char *blobs = gt_asprintf("%s/server/blobs", in.state);
    struct child children[] = {
        {.what = "server",
         .argv = {"", "--listen", listen, "--state", in.state, "--run", in.run, "--name", name,
                  "--region", region, NULL}},
        {.what = "agent",
         .argv = {"", "--server", in.endpoint, "--state", in.state, "--run", in.run, "--name", name,
                  "--region", region, "--cluster", cluster, "--key", in.key_file, "--blobs", blobs,
                  prefer_cached ? "--prefer-cached" : NULL, NULL}},
    };
    pass_on(&children[0], "--history-age", age);
    pass_on(&children[0], "--history-size", size);
    pass_on(&children[0], "--history-snapshots", snapshots);
    return background ? detach(&in, children, GT_ARRAY_LEN(children))
                      : run(&in, false, 1, children, GT_ARRAY_LEN(children));
}

/* --- down */

static bool running(const struct instance *in)
{
    gt_auto_free char *path = gt_asprintf("%s/up.lock", in->state);
    gt_auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int teardown(const struct instance *in)
{
    gt_auto_free char *exe = beside_self("gantry-agent");
    pid_t pid = fork();
    if (pid == 0) {
        execl(exe, exe, "--teardown", "--state", in->state, "--run", in->run, "--name", in->name,
              NULL);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int cmd_down(int argc, char **argv)
{
    const char *state = default_state();
    bool purge = false;
    const struct option_def defs[] = {
        {"purge", NULL, "remove the state folder as well: images, logs, everything", NULL, &purge},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct instance in;
    struct gt_err err = GT_ERR_INIT;
    int r = options_parse(defs, "gantry down",
                          "Ends server, agent and every task, and removes networks, cgroups and "
                          "mounts.\nThe state folder stays: the next `gantry up` brings services "
                          "back.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (instance_load(state, &in, &err) < 0) {
        if (err.sys_errno == ENOENT) {
            printf("nothing to do: no Gantry has its state in %s\n", state);
            return 0;
        }
        return cli_fail(&err);
    }
    if (geteuid() != 0) {
        fprintf(stderr, "gantry: ending containers needs root; try sudo gantry down\n");
        return 1;
    }
    if (running(&in) && in.pid > 0) {
        kill(in.pid, SIGTERM);
        for (int i = 0; running(&in) && i < 300; i++) {
            poll(NULL, 0, 50);
        }
        if (running(&in)) {
            fprintf(stderr, "gantry: process %d does not end\n", in.pid);
            return 1;
        }
    }
    r = teardown(&in);
    if (gt_remove_tree(AT_FDCWD, in.run, &err) < 0) {
        r = cli_fail(&err);
    }
    if (r == 0 && purge && gt_remove_tree(AT_FDCWD, in.state, &err) < 0) {
        r = cli_fail(&err);
    }
    if (r == 0) {
        printf(purge ? "Gantry is down; nothing is left.\n"
                     : "Gantry is down; its state is kept in %s.\n",
               in.state);
    }
    return r;
}
