/* gantry run IMAGE [CMD...]: a task definition, a task, its output and its exit code. */
#include "cmd/gantry/run.h"
#include "lib/base/rand.h"
#include "lib/wire/gen/logs.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Ended with this when there is no exit code of the container's, as docker and podman do. */
enum { NOT_RUN = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127, INTERRUPTED = 128 + SIGINT };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted++;
}

static struct ecs_task *describe(struct cli *c, struct gt_arena *a, struct gt_str cluster,
                                 struct gt_str arn)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecs_describe_tasks_in in = {.cluster = cluster, .tasks = {&arn, 1, true}};
    struct ecs_describe_tasks_out out = {0};
    return api_call(c->client, &ecs_op_describe_tasks, &in, a, &out, &err) == 0 && out.tasks.n
               ? out.tasks.v
               : NULL;
}

static bool contains(struct gt_str s, const char *what)
{
    return s.p && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

static int finish(const struct ecs_task *t, const char *foreign)
{
    const struct ecs_container *k = t->containers.n ? t->containers.v : NULL;
    if (k && k->has_exit_code) {
        if (k->reason.n) {
            fprintf(stderr, "gantry: " GT_STR_FMT "\n", GT_STR_ARG(k->reason));
        }
        return (int)k->exit_code;
    }
    struct gt_str why = t->stopped_reason;
    fprintf(stderr, "gantry: " GT_STR_FMT "\n", GT_STR_ARG(why));
    if (gt_str_starts(why, GT_STR_LIT("CannotStartContainerError: exec: "))) {
        return contains(why, "not found") || contains(why, "No such file") ? NOT_FOUND
                                                                           : CANNOT_EXECUTE;
    }
    if (foreign && contains(why, "CannotPull")) {
        fprintf(stderr,
                "gantry: this Gantry has no repository for '%s', so it was looked for elsewhere; "
                "`aws ecr describe-repositories` lists those it has\n",
                foreign);
    }
    return NOT_RUN;
}

static void ask_to_stop(struct cli *c, const struct ecs_task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecs_stop_task_in in = {
        .cluster = t->cluster_arn, .task = t->task_arn, .reason = GT_STR_LIT("interrupted")};
    struct ecs_stop_task_out out;
    fprintf(stderr, "\ngantry: stopping the task; once more to leave it alone with that\n");
    if (api_call(c->client, &ecs_op_stop_task, &in, &c->arena, &out, &err) < 0) {
        cli_fail(&err);
    }
}

static int attend(struct cli *c, const struct run_args *a, struct ecs_task *t, const char *foreign)
{
    struct gt_err err = GT_ERR_INIT;
    struct log_place place = {0};
    struct log_view view = {.tail = -1};
    struct gt_str id = cli_task_id(t);
    bool asked = false;
    snprintf(place.region, sizeof place.region, "%s", c->in.region);
    snprintf(place.group, sizeof place.group, "%s", RUN_LOG_GROUP);
    snprintf(place.stream, sizeof place.stream, "%s/main/" GT_STR_FMT, a->name, GT_STR_ARG(id));
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    for (;;) {
        struct gt_arena arena;
        if (interrupted && !asked) {
            ask_to_stop(c, t);
            asked = true;
        }
        if (interrupted > 1) {
            return INTERRUPTED;
        }
        gt_arena_init(&arena, 16UL << 20);
        struct ecs_task *now = describe(c, &arena, t->cluster_arn, t->task_arn);
        bool last = !now || gt_str_is(now->last_status, "STOPPED");
        while (cli_log_more(c, &place, &view, &err) > 0) {
        }
        if (last) {
            int r = now ? finish(now, foreign) : NOT_RUN;
            gt_arena_fini(&arena);
            return r;
        }
        gt_arena_fini(&arena);
        poll(NULL, 0, 100);
    }
}

/* --rm: the task itself is forgotten an hour after its end; this is what would stay. */
static void remove_traces(struct cli *c, const struct run_args *a, struct gt_str definition,
                          const struct ecs_task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecs_deregister_task_definition_in in = {.task_definition = definition};
    struct ecs_deregister_task_definition_out out;
    struct logs_delete_log_stream_in stream = {
        .log_group_name = GT_STR_LIT(RUN_LOG_GROUP),
        .log_stream_name = gt_str(gt_arena_printf(&c->arena, "%s/main/" GT_STR_FMT, a->name,
                                                  GT_STR_ARG(cli_task_id(t))))};
    if (api_call(c->client, &ecs_op_deregister_task_definition, &in, &c->arena, &out, &err) < 0) {
        cli_fail(&err);
    }
    if (api_call(c->client, &logs_op_delete_log_stream, &stream, &c->arena, NULL, &err) < 0 &&
        !gt_streq(api_client_exception(c->client), "ResourceNotFoundException")) {
        cli_fail(&err); /* not found: it printed nothing */
    }
}

static int failed(const struct gt_err *err)
{
    cli_fail(err);
    return NOT_RUN;
}

static int register_definition(struct cli *c, const struct run_args *a, int argc, char **argv,
                               struct gt_str *ret_arn, bool *ret_foreign)
{
    struct gt_err err = GT_ERR_INIT;
    struct logs_create_log_group_in group = {.log_group_name = GT_STR_LIT(RUN_LOG_GROUP)};
    struct ecs_register_task_definition_in in = {0};
    struct ecs_register_task_definition_out out;
    int r = run_definition(c, a, argc, argv, &in, ret_foreign);
    if (r != 0) {
        return r;
    }
    if (api_call(c->client, &logs_op_create_log_group, &group, &c->arena, NULL, &err) < 0 &&
        !gt_streq(api_client_exception(c->client), "ResourceAlreadyExistsException")) {
        return failed(&err);
    }
    if (api_call(c->client, &ecs_op_register_task_definition, &in, &c->arena, &out, &err) < 0) {
        return failed(&err);
    }
    *ret_arn = out.task_definition->task_definition_arn;
    return 0;
}

static int run_task(struct cli *c, const struct run_args *a, int argc, char **argv)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_str subnet = GT_STR_LIT("subnet-default");
    struct ecs_aws_vpc_configuration vpc = {.subnets = {&subnet, 1, true}};
    struct ecs_network_configuration net = {.awsvpc_configuration = &vpc};
    struct ecs_run_task_in in = {.started_by = GT_STR_LIT("gantry run")};
    struct ecs_run_task_out out;
    bool foreign = false;
    int r = register_definition(c, a, argc, argv, &in.task_definition, &foreign);
    if (r != 0) {
        return r;
    }
    if (gt_streq(a->network, "awsvpc")) {
        in.network_configuration = &net;
    }
    if (a->cluster) {
        in.cluster = gt_str(a->cluster);
    }
    if (api_call(c->client, &ecs_op_run_task, &in, &c->arena, &out, &err) < 0) {
        return failed(&err);
    }
    if (out.tasks.n == 0) {
        fprintf(stderr, "gantry: no node can take the task: " GT_STR_FMT "\n",
                GT_STR_ARG(out.failures.n ? out.failures.v[0].reason : GT_STR_LIT("unknown")));
        return NOT_RUN;
    }
    if (a->detach) {
        printf(GT_STR_FMT "\n", GT_STR_ARG(cli_task_id(&out.tasks.v[0])));
        return 0;
    }
    r = attend(c, a, &out.tasks.v[0], foreign ? argv[0] : NULL);
    if (a->remove && r != INTERRUPTED) {
        remove_traces(c, a, in.task_definition, &out.tasks.v[0]);
    }
    return r;
}

#define NO_INPUT                                                                                   \
    "a task has neither standard input nor a terminal; start it with -d, then `gantry exec -it "   \
    "TASK CMD`"
#define NOT_THERE "Gantry has not got this yet"

static const struct option_def refused[] = {
    {.name = "interactive", .letter = 'i', .refused = NO_INPUT},
    {.name = "tty", .letter = 't', .refused = NO_INPUT},
    {.name = "restart", .refused = "a service keeps tasks running: aws ecs create-service"},
    {.name = "mount", .refused = "-v /HOST/PATH:/PATH[:ro] mounts, --tmpfs PATH makes one"},
    {.name = "publish-all", .letter = 'P', .refused = "-p PORT for each port"},
    {.name = "pull",
     .refused = "the registry is asked at each start; `gantry up --prefer-cached` uses what is "
                "here"},
    {.name = "log-driver", .refused = "output goes to the log group " RUN_LOG_GROUP},
    {.name = "health-cmd", .refused = "register a task definition with healthCheck, with aws"},
    {.name = "label", .letter = 'l', .refused = NOT_THERE},
    {.name = "hostname", .refused = NOT_THERE},
    {.name = "add-host", .refused = NOT_THERE},
    {.name = "dns", .refused = NOT_THERE},
    {.name = "device", .refused = NOT_THERE},
    {.name = "gpus", .refused = NOT_THERE},
    {.name = "sysctl", .refused = NOT_THERE},
    {.name = "pid", .refused = NOT_THERE},
    {.name = "ipc", .refused = NOT_THERE},
    {.name = "link", .refused = NOT_THERE},
    {.name = "platform", .refused = NOT_THERE},
    {0},
};

static int parse(int argc, char **argv, struct run_args *a, const char **state, int *ret_first)
{
    const struct option_def defs[] = {
        {"detach", NULL, "print the task's id and return", NULL, &a->detach, 'd'},
        {"rm", NULL, "forget its task definition and output when it ends", NULL, &a->remove},
        {"name", "NAME", "family of the task definition (run-XXXX)", &a->name, NULL},
        {"publish", "[HOST:]PORT[/udp]", "make a port reachable; may come again", NULL, NULL, 'p',
         &a->publish},
        {"env", "NAME[=VALUE]", "environment; may come again", NULL, NULL, 'e', &a->env},
        {"env-file", "FILE", "lines of NAME=VALUE", &a->env_file, NULL},
        {"volume", "/HOST:/PATH[:ro]", "bind mount; may come again", NULL, NULL, 'v', &a->volumes},
        {"tmpfs", "PATH[:size=SIZE]", "in memory (64 MiB); may come again", NULL, NULL, 0,
         &a->tmpfs},
        {"entrypoint", "PROGRAM", "instead of the image's", &a->entry_point, NULL},
        {"workdir", "DIR", "working directory", &a->workdir, NULL, 'w'},
        {"user", "USER", "user[:group] in the container", &a->user, NULL, 'u'},
        {"memory", "SIZE", "memory limit: MiB, or with k, m, g (512)", &a->memory, NULL, 'm'},
        {"memory-reservation", "SIZE", "what the node keeps free for it", &a->reservation, NULL},
        {"cpus", "CORES", "CPU limit, like 0.5", &a->cpus, NULL},
        {"cpu", "UNITS", "CPU shares, 1024 a core", &a->cpu, NULL},
        {"shm-size", "SIZE", "size of /dev/shm", &a->shm_size, NULL},
        {"ulimit", "NAME=SOFT[:HARD]", "may come again", NULL, NULL, 0, &a->ulimits},
        {"network", "MODE", "bridge, awsvpc, host or none (bridge)", &a->network, NULL},
        {"init", NULL, "a small init is process 1", NULL, &a->init},
        {"stop-timeout", "SECONDS", "from SIGTERM to SIGKILL (30)", &a->stop_timeout, NULL},
        {"cap-add", "NAME", "add a capability; may come again", NULL, NULL, 0, &a->cap_add},
        {"cap-drop", "NAME", "drop one; may come again", NULL, NULL, 0, &a->cap_drop},
        {"privileged", NULL, "all capabilities and devices", NULL, &a->privileged},
        {"security-opt", "OPTION", "no-new-privileges:true or :false; may come again", NULL, NULL,
         0, &a->security},
        {"read-only", NULL, "root file system read-only", NULL, &a->read_only},
        {"cluster", "NAME", "cluster to run in (default)", &a->cluster, NULL},
        {"state", "DIR", "state folder of the Gantry meant", state, NULL},
        {"net", "MODE", NULL, &a->network, NULL},
        {.more = refused},
    };
    return options_parse(defs, "gantry run [options] IMAGE [CMD...]",
                         "Runs a container as a task and shows what it prints. Exits with its "
                         "exit code.\nIMAGE without a host is a repository of this Gantry when "
                         "it has one of that name.",
                         argc, argv, ret_first);
}

int cmd_run(int argc, char **argv)
{
    const char *state = NULL;
    struct run_args a = {.memory = "512", .network = "bridge"};
    struct cli c;
    char name[16];
    int first = 0;
    int r = parse(argc, argv, &a, &state, &first);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (first >= argc) {
        fprintf(stderr, "gantry run: which image?\n");
        return 2;
    }
    if (a.remove && a.detach) {
        fprintf(stderr, "gantry run: --rm waits for the end and -d does not: one of them\n");
        return 2;
    }
    if (!a.name) {
        snprintf(name, sizeof name, "run-%04x", (unsigned)(gt_rand_u64() & 0xffff));
        a.name = name;
    }
    if (cli_open(&c, state) != 0) {
        return NOT_RUN;
    }
    r = run_task(&c, &a, argc - first, argv + first);
    cli_close(&c);
    return r;
}
