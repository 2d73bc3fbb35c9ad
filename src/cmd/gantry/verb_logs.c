#include "cmd/gantry/cli.h"
#include "node/shim/shim_proto.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool stopped(struct cli *c, const struct ecs_task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    struct gt_str arn = t->task_arn;
    struct ecs_describe_tasks_in in = {.cluster = t->cluster_arn, .tasks = {&arn, 1, true}};
    struct ecs_describe_tasks_out out = {0};
    gt_arena_init(&a, 16UL << 20);
    bool yes = api_call(c->client, &ecs_op_describe_tasks, &in, &a, &out, &err) < 0 ||
               out.tasks.n == 0 || gt_str_is(out.tasks.v[0].last_status, "STOPPED");
    gt_arena_fini(&a);
    return yes;
}

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
        bool last = !follow || stopped(c, t);
        at = print_frames(fd, at);
        if (last) {
            return 0;
        }
        poll(NULL, 0, 300);
    }
}

static int show(struct cli *c, const struct ecs_task *t, const char *container, bool follow)
{
    struct gt_err err = GT_ERR_INIT;
    struct log_place place = {0};
    char token[1024] = "";
    bool found = false;
    struct ecs_task_definition *td = cli_task_definition(c, t->task_definition_arn);
    for (size_t i = 0; td && i < td->container_definitions.n && !found; i++) {
        const struct ecs_container_definition *d = &td->container_definitions.v[i];
        found = (!container || gt_str_is(d->name, container)) && cli_log_place(c, t, d, &place);
    }
    if (!found) {
        return show_spool(c, t, container, follow);
    }
    for (;;) {
        bool last = !follow || stopped(c, t);
        int n;
        while ((n = cli_log_more(c, &place, token, sizeof token, &err)) > 0) {
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

int cmd_logs(int argc, char **argv)
{
    const char *state = NULL, *container = NULL;
    bool follow = false;
    const struct option_def defs[] = {
        {"follow", NULL, "go on until the task stops", NULL, &follow, 'f'},
        {"container", "NAME", "which container (the first that logs)", &container, NULL, 'c'},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct cli c;
    int first = 0;
    int r = options_parse(defs, "gantry logs [options] TASK",
                          "Shows what a task printed. TASK is an id or the beginning of one.", argc,
                          argv, &first);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc - first != 1) {
        fprintf(stderr, "gantry logs: one task, please\n");
        return 2;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    struct ecs_task *t = cli_task(&c, argv[first]);
    r = t ? show(&c, t, container, follow) : 1;
    cli_close(&c);
    return r;
}
