/* gantry exec TASK CMD...: through the agent of this node; with -t on a terminal of its own. */
#include "cmd/gantry/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t resized = 1;

static void on_resize(int number)
{
    resized = 1;
}

static int send_request(int fd, json_t *o, bool with_stdio)
{
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    GT_ASSERT(text != NULL);
    int fds[3] = {0, 1, 2};
    char room[CMSG_SPACE(sizeof fds)] = {0};
    struct iovec iov = {text, strlen(text)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (with_stdio) {
        m.msg_control = room;
        m.msg_controllen = sizeof room;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(h), fds, sizeof fds);
    }
    ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
    free(text);
    return n < 0 ? -errno : 0;
}

static json_t *receive(int fd, int *ret_fd)
{
    char text[8192], room[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {text, sizeof text};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (h && h->cmsg_type == SCM_RIGHTS && ret_fd) {
        memcpy(ret_fd, CMSG_DATA(h), sizeof(int));
    }
    return n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
}

/* Carries bytes between this terminal and the container's until the agent says it is over. */
static void relay(int sock, int master)
{
    char b[16384];
    bool in_open = true;
    for (;;) {
        if (resized) {
            struct winsize ws;
            resized = 0;
            if (ioctl(0, TIOCGWINSZ, &ws) == 0) {
                ioctl(master, TIOCSWINSZ, &ws);
            }
        }
        struct pollfd p[3] = {
            {in_open ? 0 : -1, POLLIN, 0}, {master, POLLIN, 0}, {sock, POLLIN, 0}};
        if (poll(p, 3, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return;
        }
        if (p[1].revents) {
            ssize_t n = read(master, b, sizeof b);
            if (n <= 0) {
                return;
            }
            if (write(1, b, (size_t)n) < 0) {
                return;
            }
            continue;
        }
        if (p[0].revents) {
            ssize_t n = read(0, b, sizeof b);
            if (n <= 0) {
                in_open = false;
            } else if (write(master, b, (size_t)n) < 0) {
                return;
            }
        }
        if (p[2].revents) {
            return;
        }
    }
}

static int attend(int sock, bool tty)
{
    int master = -1, code = 1;
    json_t *started = receive(sock, &master);
    const char *error = json_string_value(json_object_get(started, "error"));
    if (!started || error) {
        fprintf(stderr, "gantry: %s\n", error ? error : "the agent went away");
        code = (int)json_integer_value(json_object_get(started, "exitCode"));
        json_decref(started);
        return code ? code : 1;
    }
    json_decref(started);
    if (tty && master >= 0) {
        struct termios was, raw;
        bool is_tty = tcgetattr(0, &was) == 0;
        if (is_tty) {
            raw = was;
            cfmakeraw(&raw);
            tcsetattr(0, TCSADRAIN, &raw);
        }
        signal(SIGWINCH, on_resize);
        relay(sock, master);
        if (is_tty) {
            tcsetattr(0, TCSADRAIN, &was);
        }
        close(master);
    }
    json_t *over = receive(sock, NULL);
    const json_t *exit_code = json_object_get(over, "exitCode");
    if (json_is_integer(exit_code)) {
        code = (int)json_integer_value(exit_code);
    } else {
        fprintf(stderr, "gantry: the agent went away; the command may go on\n");
    }
    json_decref(over);
    return code;
}

int cmd_exec(int argc, char **argv)
{
    const char *state = NULL, *container = NULL;
    bool tty = false, interactive = false;
    const struct option_def defs[] = {
        {"tty", NULL, "on a terminal (the default when this is one)", NULL, &tty, 't'},
        {"interactive", NULL, "accepted as in docker; standard input is always passed on", NULL,
         &interactive, 'i'},
        {"container", "NAME", "which container (the first that runs)", &container, NULL, 'c'},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {.name = "env", .letter = 'e', .refused = "write it into CMD: env NAME=VALUE ..."},
        {.name = "workdir", .letter = 'w', .refused = "write it into CMD: sh -c 'cd DIR && ...'"},
        {.name = "user", .letter = 'u', .refused = "CMD runs as the container's own user"},
        {.name = "detach", .letter = 'd', .refused = "write it into CMD: sh -c '... &'"},
        {0},
    };
    struct cli c;
    int first = 0;
    int r = options_parse(defs, "gantry exec [options] TASK CMD...",
                          "Runs a command in a task that runs on this node. Exits with its code.",
                          argc, argv, &first);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc - first < 2) {
        fprintf(stderr, "gantry exec: which task, and what to run?\n");
        return 2;
    }
    if (tty && !isatty(0)) {
        fprintf(stderr, "gantry exec: -t needs a terminal as standard input; without -t, what is "
                        "piped in is passed on\n");
        return 1;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    struct gt_err err = GT_ERR_INIT;
    struct ecs_task *t = cli_task(&c, argv[first]);
    gt_auto_close int fd = t ? agent_connect(&c.in, &err) : -1;
    if (fd < 0) {
        r = t ? cli_fail(&err) : 1;
        cli_close(&c);
        return r;
    }
    tty = tty || (isatty(0) && isatty(1));
    struct winsize ws = {0};
    ioctl(0, TIOCGWINSZ, &ws);
    json_t *command = json_array();
    for (int i = first + 1; i < argc; i++) {
        json_array_append_new(command, json_string(argv[i]));
    }
    struct gt_str id = cli_task_id(t);
    json_t *o = json_pack("{s:s, s:s%, s:s, s:o, s:b, s:i, s:i}", "op", "exec", "task", id.p, id.n,
                          "container", container ? container : "", "command", command, "tty", tty,
                          "rows", ws.ws_row, "cols", ws.ws_col);
    r = o ? send_request(fd, o, !tty) : -EINVAL;
    cli_close(&c);
    return r < 0 ? 1 : attend(fd, tty);
}
