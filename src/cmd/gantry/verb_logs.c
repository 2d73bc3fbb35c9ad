#include "cmd/gantry/cli.h"
#include "lib/base/clock.h"
#include "lib/wire/timestamp.h"
#include "node/shim/shim_proto.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The spool file of a container on this node, from its agent ("" when there is none), and where its
 * first frame begins. */
static off_t find_spool(struct cli *c, const struct ecs_task *t, const char *container, char *to,
                        size_t n)
{
    off_t from = 0;
    static const char ask[] = "{\"op\":\"tasks\"}";
    enum { MAX = 1 << 20 };
    struct gt_err err = GT_ERR_INIT;
    gt_auto_close int fd = agent_connect(&c->in, &err);
    gt_auto_free char *answer = gt_malloc(MAX);
    to[0] = '\0';
    ssize_t got =
        fd < 0 || send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0 ? -1 : recv(fd, answer, MAX, 0);
    json_t *root = got > 0 ? json_loadb(answer, (size_t)got, 0, NULL) : NULL;
    size_t i, k;
    json_t *task, *one;
    json_array_foreach(json_object_get(root, "tasks"), i, task)
    {
        const char *id = json_string_value(json_object_get(task, "id"));
        if (!id || !gt_str_is(cli_task_id(t), id)) {
            continue;
        }
        json_array_foreach(json_object_get(task, "containers"), k, one)
        {
            const char *name = json_string_value(json_object_get(one, "name"));
            const char *spool = json_string_value(json_object_get(one, "spool"));
            if (!to[0] && name && spool && (!container || gt_streq(name, container))) {
                snprintf(to, n, "%s", spool);
                from = (off_t)json_integer_value(json_object_get(one, "from"));
            }
        }
    }
    json_decref(root);
    return from;
}

/* Prints frames from `at` on; returns where it stopped. */
static off_t print_frames(int fd, off_t at)
{
    struct shim_frame f;
    gt_auto_free char *data = gt_malloc(SHIM_FRAME_MAX);
    while (pread(fd, &f, sizeof f, at) == sizeof f) {
        if (f.n == 0 || f.n > SHIM_FRAME_MAX) {
            break; /* the end, or freed meanwhile */
        }
        if (pread(fd, data, f.n, at + (off_t)sizeof f) != (ssize_t)f.n) {
            break;
        }
        fwrite(data, 1, f.n, f.stream == 2 ? stderr : stdout);
        at += (off_t)sizeof f + f.n;
    }
    fflush(stdout);
    return at;
}

/* A task that logs to no driver: what its shim still holds, on this node. */
static int show_spool(struct cli *c, const struct ecs_task *t, const char *container, bool follow)
{
    char path[4096];
    off_t at = find_spool(c, t, container, path, sizeof path);
    gt_auto_close int fd = path[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        fprintf(stderr, "gantry: no container of this task logs to awslogs, and its output is not "
                        "kept on this node\n");
        return 1;
    }
    for (;;) {
        bool last = !follow || cli_task_stopped(c, t);
        at = print_frames(fd, at);
        if (last) {
            return 0;
        }
        poll(NULL, 0, 300);
    }
}

/* What there is to read of a task that never ran. */
static void say_why(const struct ecs_task *t)
{
    if (gt_str_is(t->stop_code, "TaskFailedToStart")) {
        fprintf(stderr, "gantry: the task did not start: " GT_STR_FMT "\n",
                GT_STR_ARG(t->stopped_reason));
    }
}

static int show(struct cli *c, const struct ecs_task *t, const char *container, bool follow,
                struct log_view *view)
{
    struct gt_err err = GT_ERR_INIT;
    struct log_place place = {0};
    bool found = false, named = !container;
    struct ecs_task_definition *td = cli_task_definition(c, t->task_definition_arn);
    for (size_t i = 0; td && i < td->container_definitions.n && !found; i++) {
        const struct ecs_container_definition *d = &td->container_definitions.v[i];
        bool meant = !container || gt_str_is(d->name, container);
        named |= meant;
        found = meant && cli_log_place(c, t, d, &place);
    }
    if (td && !named) {
        fprintf(stderr, "gantry: the task has no container '%s'\n", container);
        return 1;
    }
    if (!found && (view->tail >= 0 || view->since_ms || view->timestamps)) {
        fprintf(stderr, "gantry: this task logs to no driver: its output can be shown whole only, "
                        "without --tail, --since and --timestamps\n");
        return 1;
    }
    if (!found) {
        return show_spool(c, t, container, follow);
    }
    for (;;) {
        bool last = !follow || cli_task_stopped(c, t);
        int n;
        while ((n = cli_log_more(c, &place, view, &err)) > 0) {
        }
        if (n < 0) {
            return cli_fail(&err);
        }
        if (last) {
            return 0;
        }
        poll(NULL, 0, 300);
    }
}

static int parse_since(const char *text, int64_t *ret_ms)
{
    if (!cli_time(text, ret_ms)) {
        fprintf(stderr, "gantry logs: --since '%s' is neither like 10m nor 2026-11-25T12:00:00Z\n",
                text);
        return 2;
    }
    return 0;
}

static int parse_tail(const char *text, int *ret)
{
    int64_t n;
    if (gt_streq(text, "all")) {
        return 0;
    }
    if (!number_parse(text, 0, CLI_TAIL_MAX, &n)) {
        fprintf(stderr, "gantry logs: --tail '%s' is no number from 0 to %d\n", text, CLI_TAIL_MAX);
        return 2;
    }
    *ret = (int)n;
    return 0;
}

int cmd_logs(int argc, char **argv)
{
    const char *state = NULL, *container = NULL, *tail = "all", *since = NULL;
    struct log_view view = {.tail = -1};
    bool follow = false;
    const struct option_def defs[] = {
        {"follow", NULL, "go on until the task stops", NULL, &follow, 'f'},
        {"tail", "LINES", "only the last ones (all)", &tail, NULL, 'n'},
        {"since", "TIME", "not what is older: 10m, 2h, or 2026-11-25T12:00:00Z", &since, NULL},
        {"timestamps", NULL, "the time in front of each line", NULL, &view.timestamps, 't'},
        {"container", "NAME", "which container (the first that logs)", &container, NULL, 'c'},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct cli c;
    int r = options_parse_mixed(defs, "gantry logs [options] TASK",
                                "Shows what a task printed. TASK is an id or the beginning of one.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc != 2) {
        fprintf(stderr, "gantry logs: one task, please\n");
        return 2;
    }
    if ((r = parse_tail(tail, &view.tail)) != 0 ||
        (since && (r = parse_since(since, &view.since_ms)) != 0) ||
        (r = cli_open(&c, state)) != 0) {
        return r;
    }
    struct ecs_task *t = cli_task(&c, argv[1]);
    r = t ? show(&c, t, container, follow, &view) : 1;
    if (t) {
        say_why(t);
    }
    cli_close(&c);
    return r;
}
