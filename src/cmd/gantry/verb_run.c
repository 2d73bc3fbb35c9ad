/* gantry run IMAGE [CMD...]: a task definition, a task, its output and its exit code. */
#include "cmd/gantry/cli.h"
#include "lib/base/rand.h"
#include "lib/wire/gen/ecr.h"
#include "lib/wire/gen/logs.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char run_group[] = "/gantry/run";

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = 1;
}

struct run_args {
    const char *name, *memory, *cpu, *network, *user, *workdir;
    struct option_list env, publish, volumes, security;
    bool detach, privileged, read_only;
};

/* "nginx" and "web:1" mean a repository of this Gantry when it has one of that name. */
static struct gt_str resolve_image(struct cli *c, const char *image)
{
    struct gt_err err = GT_ERR_INIT;
    const char *slash = strchr(image, '/');
    if (slash && memchr(image, '.', (size_t)(slash - image))) {
        return gt_str(image);
    }
    struct gt_str name = gt_str_n(image, strcspn(image, ":@"));
    struct ecr_describe_repositories_in in = {.repository_names = {&name, 1, true}};
    struct ecr_describe_repositories_out out = {0};
    if (api_call(c->client, &ecr_op_describe_repositories, &in, &c->arena, &out, &err) < 0 ||
        out.repositories.n == 0) {
        return gt_str(image);
    }
    return gt_str(gt_arena_printf(&c->arena, GT_STR_FMT "%s",
                                  GT_STR_ARG(out.repositories.v[0].repository_uri),
                                  image + name.n));
}

static int publish(struct cli *c, const struct run_args *a, struct ecs_container_definition *d)
{
    d->port_mappings.v = gt_arena_array(&c->arena, struct ecs_port_mapping, a->publish.n);
    for (unsigned i = 0; i < a->publish.n; i++) {
        struct ecs_port_mapping *p = &d->port_mappings.v[d->port_mappings.n++];
        char *rest = NULL;
        long host = 0, inside = strtol(a->publish.v[i], &rest, 10);
        if (*rest == ':') {
            host = inside;
            inside = strtol(rest + 1, &rest, 10);
        }
        if ((*rest && !gt_streq(rest, "/tcp") && !gt_streq(rest, "/udp")) || inside < 1 ||
            inside > 65535 || host < 0 || host > 65535) {
            fprintf(stderr, "gantry run: '%s' is not [HOST:]CONTAINER[/udp]\n", a->publish.v[i]);
            return 2;
        }
        WIRE_SET(p, container_port, inside);
        WIRE_SET(p, host_port, host);
        p->protocol = gt_streq(rest, "/udp") ? GT_STR_LIT("udp") : GT_STR_LIT("tcp");
    }
    return 0;
}

static int mount(struct cli *c, const struct run_args *a, struct ecs_container_definition *d,
                 struct ecs_volume_list *volumes)
{
    d->mount_points.v = gt_arena_array(&c->arena, struct ecs_mount_point, a->volumes.n);
    volumes->v = gt_arena_array(&c->arena, struct ecs_volume, a->volumes.n);
    for (unsigned i = 0; i < a->volumes.n; i++) {
        const char *colon = strchr(a->volumes.v[i], ':');
        const char *mode = colon ? strchr(colon + 1, ':') : NULL;
        if (!colon || a->volumes.v[i][0] != '/' || colon[1] != '/') {
            fprintf(stderr, "gantry run: '%s' is not /HOST/PATH:/CONTAINER/PATH[:ro]\n",
                    a->volumes.v[i]);
            return 2;
        }
        struct ecs_volume *v = &volumes->v[volumes->n++];
        struct ecs_mount_point *m = &d->mount_points.v[d->mount_points.n++];
        v->name = gt_str(gt_arena_printf(&c->arena, "v%u", i));
        v->host = gt_arena_new(&c->arena, struct ecs_host_volume_properties);
        v->host->source_path = gt_str_n(a->volumes.v[i], (size_t)(colon - a->volumes.v[i]));
        m->source_volume = v->name;
        m->container_path =
            mode ? gt_str_n(colon + 1, (size_t)(mode - colon - 1)) : gt_str(colon + 1);
        WIRE_SET(m, read_only, mode && gt_streq(mode, ":ro"));
    }
    return 0;
}

static int fill(struct cli *c, const struct run_args *a, char **argv, int argc,
                struct ecs_register_task_definition_in *in)
{
    struct gt_arena *arena = &c->arena;
    struct ecs_container_definition *d = gt_arena_new(arena, struct ecs_container_definition);
    in->container_definitions.v = d;
    in->container_definitions.n = 1;
    in->family = gt_str(a->name);
    in->network_mode = gt_str(a->network);
    d->name = GT_STR_LIT("main");
    d->image = resolve_image(c, argv[0]);
    d->command.v = gt_arena_array(arena, struct gt_str, (size_t)argc);
    for (int i = 1; i < argc; i++) {
        d->command.v[d->command.n++] = gt_str(argv[i]);
    }
    WIRE_SET(d, memory, strtol(a->memory, NULL, 10));
    if (a->cpu) {
        WIRE_SET(d, cpu, strtol(a->cpu, NULL, 10));
    }
    if (a->user) {
        d->user = gt_str(a->user);
    }
    if (a->workdir) {
        d->working_directory = gt_str(a->workdir);
    }
    if (a->privileged) {
        WIRE_SET(d, privileged, true);
    }
    d->docker_security_options.v = gt_arena_array(arena, struct gt_str, a->security.n);
    for (unsigned i = 0; i < a->security.n; i++) {
        d->docker_security_options.v[d->docker_security_options.n++] = gt_str(a->security.v[i]);
    }
    if (a->read_only) {
        WIRE_SET(d, readonly_root_filesystem, true);
    }
    d->environment.v = gt_arena_array(arena, struct ecs_key_value_pair, a->env.n);
    for (unsigned i = 0; i < a->env.n; i++) {
        size_t n = strcspn(a->env.v[i], "=");
        const char *value = a->env.v[i][n] ? a->env.v[i] + n + 1 : getenv(a->env.v[i]);
        d->environment.v[d->environment.n++] =
            (struct ecs_key_value_pair){gt_str_n(a->env.v[i], n), gt_str(value ? value : "")};
    }
    struct ecs_log_configuration *lc = gt_arena_new(arena, struct ecs_log_configuration);
    struct wire_str_pair *o = gt_arena_array(arena, struct wire_str_pair, 3);
    o[0] = (struct wire_str_pair){GT_STR_LIT("awslogs-group"), gt_str(run_group)};
    o[1] = (struct wire_str_pair){GT_STR_LIT("awslogs-region"), gt_str(c->in.region)};
    o[2] = (struct wire_str_pair){GT_STR_LIT("awslogs-stream-prefix"), gt_str(a->name)};
    lc->log_driver = GT_STR_LIT("awslogs");
    lc->options = (struct wire_str_map){o, 3, true};
    d->log_configuration = lc;
    int r = publish(c, a, d);
    return r ? r : mount(c, a, d, &in->volumes);
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

static int finish(const struct ecs_task *t)
{
    const struct ecs_container *k = t->containers.n ? t->containers.v : NULL;
    if (k && k->has_exit_code) {
        if (k->reason.n) {
            fprintf(stderr, "gantry: " GT_STR_FMT "\n", GT_STR_ARG(k->reason));
        }
        return (int)k->exit_code;
    }
    fprintf(stderr, "gantry: " GT_STR_FMT "\n", GT_STR_ARG(t->stopped_reason));
    return 125;
}

static int attend(struct cli *c, const struct run_args *a, struct ecs_task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct log_place place = {0};
    char token[1024] = "";
    struct gt_str id = cli_task_id(t);
    bool asked = false;
    snprintf(place.region, sizeof place.region, "%s", c->in.region);
    snprintf(place.group, sizeof place.group, "%s", run_group);
    snprintf(place.stream, sizeof place.stream, "%s/main/" GT_STR_FMT, a->name, GT_STR_ARG(id));
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    for (;;) {
        struct gt_arena arena;
        gt_arena_init(&arena, 16UL << 20);
        if (interrupted && !asked) {
            struct ecs_stop_task_in in = {.cluster = t->cluster_arn,
                                          .task = t->task_arn,
                                          .reason = GT_STR_LIT("interrupted")};
            struct ecs_stop_task_out out;
            api_call(c->client, &ecs_op_stop_task, &in, &arena, &out, &err);
            asked = true;
        }
        struct ecs_task *now = describe(c, &arena, t->cluster_arn, t->task_arn);
        bool last = !now || gt_str_is(now->last_status, "STOPPED");
        while (cli_log_more(c, &place, token, sizeof token, &err) > 0) {
        }
        if (last) {
            int r = now ? finish(now) : 1;
            gt_arena_fini(&arena);
            return r;
        }
        gt_arena_fini(&arena);
        poll(NULL, 0, 100);
    }
}

static int run_task(struct cli *c, const struct run_args *a, int argc, char **argv)
{
    struct gt_err err = GT_ERR_INIT;
    struct logs_create_log_group_in group = {.log_group_name = gt_str(run_group)};
    if (api_call(c->client, &logs_op_create_log_group, &group, &c->arena, NULL, &err) < 0 &&
        !gt_streq(api_client_exception(c->client), "ResourceAlreadyExistsException")) {
        return cli_fail(&err);
    }
    struct ecs_register_task_definition_in reg = {0};
    struct ecs_register_task_definition_out registered;
    int r = fill(c, a, argv, argc, &reg);
    if (r != 0) {
        return r;
    }
    if (api_call(c->client, &ecs_op_register_task_definition, &reg, &c->arena, &registered, &err) <
        0) {
        return cli_fail(&err);
    }
    struct ecs_run_task_in in = {
        .task_definition = registered.task_definition->task_definition_arn,
        .started_by = GT_STR_LIT("gantry run"),
    };
    struct ecs_run_task_out out;
    struct ecs_aws_vpc_configuration vpc = {0};
    struct ecs_network_configuration net = {.awsvpc_configuration = &vpc};
    struct gt_str subnet = GT_STR_LIT("subnet-default");
    if (gt_streq(a->network, "awsvpc")) {
        vpc.subnets = (struct wire_str_list){&subnet, 1, true};
        in.network_configuration = &net;
    }
    if (api_call(c->client, &ecs_op_run_task, &in, &c->arena, &out, &err) < 0) {
        return cli_fail(&err);
    }
    if (out.tasks.n == 0) {
        fprintf(stderr, "gantry: no node can take the task: " GT_STR_FMT "\n",
                GT_STR_ARG(out.failures.n ? out.failures.v[0].reason : GT_STR_LIT("unknown")));
        return 1;
    }
    if (a->detach) {
        printf(GT_STR_FMT "\n", GT_STR_ARG(cli_task_id(&out.tasks.v[0])));
        return 0;
    }
    return attend(c, a, &out.tasks.v[0]);
}

int cmd_run(int argc, char **argv)
{
    const char *state = NULL;
    struct run_args a = {.memory = "512", .network = "bridge"};
    const struct option_def defs[] = {
        {"detach", NULL, "print the task's id and return", NULL, &a.detach, 'd'},
        {"name", "NAME", "family of the task definition (run-XXXX)", &a.name, NULL},
        {"publish", "[HOST:]PORT", "make a port reachable; may come again", NULL, NULL, 'p',
         &a.publish},
        {"env", "NAME=VALUE", "environment; may come again", NULL, NULL, 'e', &a.env},
        {"volume", "/HOST:/PATH[:ro]", "bind mount; may come again", NULL, NULL, 'v', &a.volumes},
        {"memory", "MIB", "memory limit (512)", &a.memory, NULL, 'm'},
        {"cpu", "UNITS", "CPU shares, 1024 a core", &a.cpu, NULL},
        {"network", "MODE", "bridge, awsvpc, host or none (bridge)", &a.network, NULL},
        {"user", "USER", "user[:group] in the container", &a.user, NULL, 'u'},
        {"workdir", "DIR", "working directory", &a.workdir, NULL, 'w'},
        {"privileged", NULL, "all capabilities and devices", NULL, &a.privileged},
        {"security-opt", "OPTION", "no-new-privileges:true or :false; may come again", NULL, NULL,
         0, &a.security},
        {"read-only", NULL, "root file system read-only", NULL, &a.read_only},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct cli c;
    char name[16];
    int first = 0;
    int r = options_parse(defs, "gantry run [options] IMAGE [CMD...]",
                          "Runs a container as a task and shows what it prints. Exits with its "
                          "exit code.\nIMAGE without a host is a repository of this Gantry when "
                          "it has one of that name.",
                          argc, argv, &first);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (first >= argc) {
        fprintf(stderr, "gantry run: which image?\n");
        return 2;
    }
    if (!a.name) {
        snprintf(name, sizeof name, "run-%04x", (unsigned)(gt_rand_u64() & 0xffff));
        a.name = name;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    r = run_task(&c, &a, argc - first, argv + first);
    cli_close(&c);
    return r;
}
