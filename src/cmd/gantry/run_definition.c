/* From docker's words to a container definition. */
#include "cmd/gantry/run.h"
#include "lib/base/file.h"
#include "lib/wire/gen/ecr.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TMPFS_MIB = 64, ENV_FILE_MAX = 256 * 1024 };

__attribute__((format(printf, 1, 2))) static int wrong(const char *fmt, ...)
{
    va_list ap;
    fputs("gantry run: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 2;
}

/* "512" and "512m" are MiB, "2g" is 2048; less than one is one. */
static int mebibytes(const char *what, const char *text, int64_t *ret)
{
    char *rest = NULL;
    long long n = strtoll(text, &rest, 10);
    int64_t bytes = 1 << 20;
    switch (*rest) {
    case 'b':
    case 'B':
        bytes = 1;
        break;
    case 'k':
    case 'K':
        bytes = 1 << 10;
        break;
    case 'g':
    case 'G':
        bytes = 1 << 30;
        break;
    case '\0':
    case 'm':
    case 'M':
        break;
    default:
        rest = (char *)text;
    }
    if (rest == text || n < 1 || n > (1LL << 40) / bytes * 1024 || (*rest && rest[1])) {
        return wrong("%s '%s' is no size: a number of MiB, or one with k, m or g", what, text);
    }
    *ret = (n * bytes + (1 << 20) - 1) >> 20;
    return 0;
}

static int whole(const char *what, const char *text, int64_t *ret)
{
    return number_parse(text, 0, INT64_MAX, ret) ? 0
                                                 : wrong("%s '%s' is no whole number", what, text);
}

/* "nginx" and "web:1" mean a repository of this Gantry when it has one of that name. */
static struct gt_str resolve_image(struct cli *c, const char *image, bool *ret_foreign)
{
    struct gt_err err = GT_ERR_INIT;
    const char *slash = strchr(image, '/');
    if (slash && strcspn(image, ".:") < (size_t)(slash - image)) {
        return gt_str(image);
    }
    struct gt_str name = gt_str_n(image, strcspn(image, ":@"));
    struct ecr_describe_repositories_in in = {.repository_names = {&name, 1, true}};
    struct ecr_describe_repositories_out out = {0};
    if (api_call(c->client, &ecr_op_describe_repositories, &in, &c->arena, &out, &err) < 0 ||
        out.repositories.n == 0) {
        *ret_foreign = true;
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
            return wrong("'%s' is not [HOST:]PORT[/udp]: one port, at all of this machine's "
                         "addresses",
                         a->publish.v[i]);
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
        const char *said = a->volumes.v[i], *colon = strchr(said, ':');
        const char *mode = colon ? strchr(colon + 1, ':') : NULL;
        if (!colon || said[0] != '/' || colon[1] != '/' ||
            (mode && !gt_streq(mode, ":ro") && !gt_streq(mode, ":rw"))) {
            return wrong("'%s' is not /HOST/PATH:/CONTAINER/PATH[:ro]: there are no named volumes",
                         said);
        }
        struct ecs_volume *v = &volumes->v[volumes->n++];
        struct ecs_mount_point *m = &d->mount_points.v[d->mount_points.n++];
        v->name = gt_str(gt_arena_printf(&c->arena, "v%u", i));
        v->host = gt_arena_new(&c->arena, struct ecs_host_volume_properties);
        v->host->source_path = gt_str_n(said, (size_t)(colon - said));
        m->source_volume = v->name;
        m->container_path =
            mode ? gt_str_n(colon + 1, (size_t)(mode - colon - 1)) : gt_str(colon + 1);
        WIRE_SET(m, read_only, mode && gt_streq(mode, ":ro"));
    }
    return 0;
}

static void set_variable(struct gt_arena *arena, struct ecs_container_definition *d,
                         const char *said)
{
    size_t n = strcspn(said, "=");
    const char *value = said[n] ? said + n + 1 : getenv(said);
    d->environment.v[d->environment.n++] = (struct ecs_key_value_pair){
        gt_str_n(said, n), gt_str(value ? gt_arena_strdup(arena, value) : "")};
}

/* Lines of NAME=VALUE, or NAME for the value from here; empty ones and those with # are skipped. */
static int environment(struct cli *c, const struct run_args *a, struct ecs_container_definition *d)
{
    gt_auto_buf struct gt_buf file = GT_BUF_INIT(ENV_FILE_MAX);
    struct gt_err err = GT_ERR_INIT;
    if (a->env_file && gt_file_read(AT_FDCWD, a->env_file, &file, &err) < 0) {
        return wrong("%s", err.msg);
    }
    char *text = gt_arena_str(&c->arena, gt_str_n(file.p ? file.p : "", file.n)), *line;
    size_t lines = 1;
    for (const char *p = text; *p; p++) {
        lines += *p == '\n';
    }
    d->environment.v = gt_arena_array(&c->arena, struct ecs_key_value_pair, a->env.n + lines);
    while ((line = strsep(&text, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        if (line[0] && line[0] != '#') {
            set_variable(&c->arena, d, line);
        }
    }
    for (unsigned i = 0; i < a->env.n; i++) {
        set_variable(&c->arena, d, a->env.v[i]);
    }
    return 0;
}

static struct wire_str_list names(struct gt_arena *arena, const struct option_list *said,
                                  const char *skip)
{
    struct wire_str_list l = {gt_arena_array(arena, struct gt_str, said->n), said->n, said->n > 0};
    size_t n = strlen(skip);
    for (unsigned i = 0; i < said->n; i++) {
        l.v[i] = gt_str(said->v[i] + (strncmp(said->v[i], skip, n) == 0 ? n : 0));
    }
    return l;
}

/* PATH[:OPTION,...], where size=SIZE is one. */
static int tmpfs(struct gt_arena *arena, const char *said, struct ecs_tmpfs *to)
{
    char *options = gt_arena_strdup(arena, said), *one;
    int64_t size = TMPFS_MIB;
    to->container_path = gt_str(strsep(&options, ":"));
    to->mount_options.v = gt_arena_array(arena, struct gt_str, strlen(said));
    while ((one = strsep(&options, ",")) != NULL) {
        if (strncmp(one, "size=", 5) == 0) {
            int r = mebibytes("--tmpfs size", one + 5, &size);
            if (r != 0) {
                return r;
            }
        } else {
            to->mount_options.v[to->mount_options.n++] = gt_str(one);
        }
    }
    WIRE_SET(to, size, size);
    return 0;
}

static int linux_parameters(struct gt_arena *arena, const struct run_args *a,
                            struct ecs_linux_parameters *to)
{
    int64_t n = 0;
    int r = 0;
    if (a->cap_add.n || a->cap_drop.n) {
        to->capabilities = gt_arena_new(arena, struct ecs_kernel_capabilities);
        to->capabilities->add = names(arena, &a->cap_add, "CAP_");
        to->capabilities->drop = names(arena, &a->cap_drop, "CAP_");
    }
    if (a->init) {
        WIRE_SET(to, init_process_enabled, true);
    }
    if (a->shm_size && (r = mebibytes("--shm-size", a->shm_size, &n)) == 0) {
        WIRE_SET(to, shared_memory_size, n);
    }
    to->tmpfs.v = gt_arena_array(arena, struct ecs_tmpfs, a->tmpfs.n);
    for (unsigned i = 0; i < a->tmpfs.n && r == 0; i++) {
        r = tmpfs(arena, a->tmpfs.v[i], &to->tmpfs.v[to->tmpfs.n++]);
    }
    return r;
}

static int ulimits(struct gt_arena *arena, const struct run_args *a,
                   struct ecs_container_definition *d)
{
    d->ulimits.v = gt_arena_array(arena, struct ecs_ulimit, a->ulimits.n);
    for (unsigned i = 0; i < a->ulimits.n; i++) {
        const char *said = a->ulimits.v[i];
        size_t n = strcspn(said, "=");
        char *rest = NULL;
        long long soft = said[n] ? strtoll(said + n + 1, &rest, 10) : 0, hard = soft;
        if (rest && rest > said + n + 1 && *rest == ':') {
            hard = strtoll(rest + 1, &rest, 10);
        }
        if (!rest || rest == said + n + 1 || *rest) {
            return wrong("--ulimit '%s' is not NAME=SOFT[:HARD]", said);
        }
        struct ecs_ulimit *u = &d->ulimits.v[d->ulimits.n++];
        u->name = gt_str_n(said, n);
        WIRE_SET(u, soft_limit, soft);
        WIRE_SET(u, hard_limit, hard);
    }
    return 0;
}

static int limits(struct cli *c, const struct run_args *a, struct ecs_container_definition *d,
                  struct ecs_register_task_definition_in *task)
{
    int64_t n = 0;
    int r = mebibytes("--memory", a->memory, &n);
    WIRE_SET(d, memory, n);
    if (r == 0 && a->reservation &&
        (r = mebibytes("--memory-reservation", a->reservation, &n)) == 0) {
        WIRE_SET(d, memory_reservation, n);
    }
    if (r == 0 && a->cpu && (r = whole("--cpu", a->cpu, &n)) == 0) {
        WIRE_SET(d, cpu, n);
    }
    if (r == 0 && a->stop_timeout && (r = whole("--stop-timeout", a->stop_timeout, &n)) == 0) {
        WIRE_SET(d, stop_timeout, n);
    }
    if (r == 0 && a->cpus) {
        char *rest = NULL;
        double cpus = strtod(a->cpus, &rest);
        if (*rest || !(cpus > 0) || cpus > 4096) {
            return wrong("--cpus '%s' is no number of cores, like 0.5 or 2", a->cpus);
        }
        task->cpu = gt_str(gt_arena_printf(&c->arena, "%lld", (long long)(cpus * 1024)));
    }
    return r ? r : ulimits(&c->arena, a, d);
}

static struct ecs_log_configuration *log_configuration(struct cli *c, const struct run_args *a)
{
    struct ecs_log_configuration *lc = gt_arena_new(&c->arena, struct ecs_log_configuration);
    struct wire_str_pair *o = gt_arena_array(&c->arena, struct wire_str_pair, 3);
    o[0] = (struct wire_str_pair){GT_STR_LIT("awslogs-group"), GT_STR_LIT(RUN_LOG_GROUP)};
    o[1] = (struct wire_str_pair){GT_STR_LIT("awslogs-region"), gt_str(c->in.region)};
    o[2] = (struct wire_str_pair){GT_STR_LIT("awslogs-stream-prefix"), gt_str(a->name)};
    lc->log_driver = GT_STR_LIT("awslogs");
    lc->options = (struct wire_str_map){o, 3, true};
    return lc;
}

static void process(struct gt_arena *arena, const struct run_args *a, int argc, char **argv,
                    struct ecs_container_definition *d)
{
    d->command.v = gt_arena_array(arena, struct gt_str, (size_t)argc);
    for (int i = 1; i < argc; i++) {
        d->command.v[d->command.n++] = gt_str(argv[i]);
    }
    if (a->entry_point) {
        d->entry_point.v = gt_arena_new(arena, struct gt_str);
        d->entry_point.v[d->entry_point.n++] = gt_str(a->entry_point);
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
    if (a->read_only) {
        WIRE_SET(d, readonly_root_filesystem, true);
    }
    d->docker_security_options = names(arena, &a->security, "");
}

int run_definition(struct cli *c, const struct run_args *a, int argc, char **argv,
                   struct ecs_register_task_definition_in *ret, bool *ret_foreign)
{
    struct gt_arena *arena = &c->arena;
    struct ecs_container_definition *d = gt_arena_new(arena, struct ecs_container_definition);
    ret->container_definitions.v = d;
    ret->container_definitions.n = 1;
    ret->family = gt_str(a->name);
    ret->network_mode = gt_str(a->network);
    d->name = GT_STR_LIT("main");
    process(arena, a, argc, argv, d);
    d->log_configuration = log_configuration(c, a);
    if (a->init || a->shm_size || a->tmpfs.n || a->cap_add.n || a->cap_drop.n) {
        d->linux_parameters = gt_arena_new(arena, struct ecs_linux_parameters);
    }
    int r = limits(c, a, d, ret);
    r = r ? r : environment(c, a, d);
    r = r ? r : publish(c, a, d);
    r = r ? r : mount(c, a, d, &ret->volumes);
    r = r || !d->linux_parameters ? r : linux_parameters(arena, a, d->linux_parameters);
    if (r == 0) {
        d->image = resolve_image(c, argv[0], ret_foreign);
    }
    return r;
}
