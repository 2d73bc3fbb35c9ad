/* A container definition and an image as the runtime's spec. */
#include "lib/base/log.h"
#include "lib/base/size.h"
#include "node/agent/task.h"

#include <stdio.h>
#include <sys/resource.h>

struct list {
    struct gt_arena *a;
    const char **v;
    size_t n, cap;
};

static struct list list_new(struct gt_arena *a, size_t cap)
{
    return (struct list){a, gt_arena_array(a, const char *, cap + 1), 0, cap};
}

static void list_add(struct list *l, const char *s)
{
    GT_ASSERT(l->n < l->cap);
    l->v[l->n++] = s;
}

static struct rt_strs list_strs(const struct list *l)
{
    return (struct rt_strs){l->v, (uint32_t)l->n};
}

static size_t count(char *const *v)
{
    size_t n = 0;
    while (v && v[n]) {
        n++;
    }
    return n;
}

void container_argv(const struct container *c, struct gt_arena *a, struct rt_strs *ret)
{
    const struct wire_str_list *entry = &c->def->entry_point;
    const struct wire_str_list *cmd = &c->def->command;
    if (c->override_ && c->override_->command.n) {
        cmd = &c->override_->command;
    }
    char **image_entry = c->image ? c->image->entrypoint : NULL;
    char **image_cmd = c->image ? c->image->cmd : NULL;
    struct list l = list_new(a, entry->n + cmd->n + count(image_entry) + count(image_cmd));
    for (size_t i = 0; i < entry->n; i++) {
        list_add(&l, gt_arena_str(a, entry->v[i]));
    }
    for (size_t i = 0; entry->n == 0 && i < count(image_entry); i++) {
        list_add(&l, image_entry[i]);
    }
    for (size_t i = 0; i < cmd->n; i++) {
        list_add(&l, gt_arena_str(a, cmd->v[i]));
    }
    /* An entry point of the definition's own takes the image's command away, as in docker. */
    for (size_t i = 0; entry->n == 0 && cmd->n == 0 && i < count(image_cmd); i++) {
        list_add(&l, image_cmd[i]);
    }
    *ret = list_strs(&l);
}

static void env_set(struct list *l, const char *text)
{
    size_t name = strcspn(text, "=");
    for (size_t i = 0; i < l->n; i++) {
        if (strncmp(l->v[i], text, name) == 0 && l->v[i][name] == '=') {
            l->v[i] = text;
            return;
        }
    }
    list_add(l, text);
}

static void env_pairs(struct list *l, const struct ecs_key_value_pair_list *pairs)
{
    for (size_t i = 0; i < pairs->n; i++) {
        env_set(l, gt_arena_printf(l->a, GT_STR_FMT "=" GT_STR_FMT, GT_STR_ARG(pairs->v[i].name),
                                   GT_STR_ARG(pairs->v[i].value)));
    }
}

void container_env(const struct container *c, struct gt_arena *a, struct rt_strs *ret)
{
    static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char **image = c->image ? c->image->env : NULL;
    size_t more = c->override_ ? c->override_->environment.n : 0;
    struct list l = list_new(a, count(image) + c->def->environment.n + more + 16);
    const char *region = c->task->node->o.region;
    env_set(&l, path);
    env_set(&l, gt_arena_printf(a, "HOSTNAME=%.12s", c->runtime_id));
    for (size_t i = 0; i < count(image); i++) {
        env_set(&l, image[i]);
    }
    env_set(&l, gt_arena_printf(a, "AWS_REGION=%s", region));
    env_set(&l, gt_arena_printf(a, "AWS_DEFAULT_REGION=%s", region));
    env_set(&l,
            gt_str_is(c->task->in.launch_type, "EXTERNAL")  ? "AWS_EXECUTION_ENV=AWS_ECS_EXTERNAL"
            : gt_str_is(c->task->in.launch_type, "FARGATE") ? "AWS_EXECUTION_ENV=AWS_ECS_FARGATE"
                                                            : "AWS_EXECUTION_ENV=AWS_ECS_EC2");
    if (c->task->network != NETWORK_NONE) {
        env_set(&l, gt_arena_printf(a, "ECS_CONTAINER_METADATA_URI=http://%s/v3/%s",
                                    NET_LINK_ADDRESS, c->endpoint));
        env_set(&l, gt_arena_printf(a, "ECS_CONTAINER_METADATA_URI_V4=http://%s/v4/%s",
                                    NET_LINK_ADDRESS, c->endpoint));
    }
    if (c->task->keys.id[0]) {
        env_set(&l, gt_arena_printf(a, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/%s",
                                    c->task->keys.id));
    }
    env_pairs(&l, &c->def->environment);
    if (c->override_) {
        env_pairs(&l, &c->override_->environment);
    }
    *ret = list_strs(&l);
}

static void spec_rootfs(struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    gt_auto_free char *dir = task_dir(c->task, "rootfs");
    s->rootfs.kind = RT_ROOTFS_OVERLAY;
    s->rootfs.lower.v = (const char **)c->image->layer_dirs;
    s->rootfs.lower.n = (uint32_t)c->image->n_layers;
    s->rootfs.upper = gt_arena_printf(a, "%s/%s/upper", dir, c->runtime_id);
    s->rootfs.work = gt_arena_printf(a, "%s/%s/work", dir, c->runtime_id);
    s->rootfs.volatile_upper = true; /* a container is not started again from its upper folder */
    s->rootfs.readonly = c->def->readonly_root_filesystem;
}

static int cap_list(const struct wire_str_list *list, uint64_t *ret, struct gt_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        char name[64];
        snprintf(name, sizeof name, GT_STR_FMT, GT_STR_ARG(list->v[i]));
        uint64_t mask = rt_cap_mask(name);
        if (!mask) {
            return gt_err_set(err, GT_ERR_INVALID, "unknown capability '%s'", name);
        }
        *ret |= mask;
    }
    return 0;
}

static int spec_caps(const struct container *c, struct rt_spec *s, struct gt_err *err)
{
    const struct ecs_linux_parameters *lp = c->def->linux_parameters;
    const struct ecs_kernel_capabilities *k = lp ? lp->capabilities : NULL;
    uint64_t add = 0, drop = 0;
    int r = k ? cap_list(&k->add, &add, err) : 0;
    r = r < 0 || !k ? r : cap_list(&k->drop, &drop, err);
    if (r < 0) {
        return r;
    }
    /* As docker has it: "drop ALL, add CHOWN" leaves CHOWN, "add ALL, drop CHOWN" all but it. */
    uint64_t caps = add == RT_CAPS_ALL ? (drop == RT_CAPS_ALL ? add : add & ~drop)
                                       : (RT_CAPS_DEFAULT & ~drop) | add;
    s->privileged = c->def->privileged;
    s->caps = (struct rt_caps){.bounding = caps, .effective = caps, .permitted = caps};
    s->caps_by_user = true;
    /* docs/adr/0036-no-new-privileges.md. The server lets no other option through; the last one
     * counts, as with docker. */
    s->no_new_privs = !s->privileged;
    for (size_t i = 0; i < c->def->docker_security_options.n; i++) {
        struct gt_str o = c->def->docker_security_options.v[i];
        s->no_new_privs =
            !gt_str_is(o, "no-new-privileges:false") && !gt_str_is(o, "no-new-privileges=false");
    }
    return 0;
}

static int rlimit_of(struct gt_str name)
{
    static const struct {
        const char *name;
        int resource;
    } table[] = {
        {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
        {"data", RLIMIT_DATA},         {"fsize", RLIMIT_FSIZE},
        {"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
        {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
        {"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
        {"rss", RLIMIT_RSS},           {"rtprio", RLIMIT_RTPRIO},
        {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
        {"stack", RLIMIT_STACK},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(table); i++) {
        if (gt_str_is(name, table[i].name)) {
            return table[i].resource;
        }
    }
    return -1;
}

static void spec_rlimits(const struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    const struct ecs_ulimit_list *u = &c->def->ulimits;
    s->rlimits.v = gt_arena_array(a, struct rt_rlimit, u->n);
    for (size_t i = 0; i < u->n; i++) {
        int resource = rlimit_of(u->v[i].name);
        if (resource >= 0) {
            s->rlimits.v[s->rlimits.n++] = (struct rt_rlimit){.resource = (uint32_t)resource,
                                                              .soft = (uint64_t)u->v[i].soft_limit,
                                                              .hard = (uint64_t)u->v[i].hard_limit};
        }
    }
}

/* The definition's own word on the number of processes, ulimit nproc, lifts the node's cap; it
 * lowers nothing but the limit itself, which counts by user. */
static uint64_t process_cap(const struct container *c)
{
    const struct ecs_ulimit_list *u = &c->def->ulimits;
    uint64_t cap = c->task->node->process_cap;
    for (size_t i = 0; i < u->n; i++) {
        if (gt_str_is(u->v[i].name, "nproc")) {
            int64_t hard = u->v[i].hard_limit;
            cap = hard < 0 ? 0 : GT_MAX(cap, (uint64_t)hard);
        }
    }
    return cap;
}

static int64_t first(bool has_a, int64_t a, bool has_b, int64_t b)
{
    return has_a ? a : has_b ? b : 0;
}

static void spec_limits(const struct container *c, struct rt_spec *s)
{
    const struct ecs_container_override *o = c->override_;
    const struct ecs_container_definition *d = c->def;
    int64_t cpu = first(o && o->has_cpu, o ? o->cpu : 0, d->has_cpu, d->cpu);
    int64_t memory = first(o && o->has_memory, o ? o->memory : 0, d->has_memory, d->memory);
    int64_t soft = first(o && o->has_memory_reservation, o ? o->memory_reservation : 0,
                         d->has_memory_reservation, d->memory_reservation);
    s->limits.cpu_shares = (uint64_t)GT_MAX(cpu, (int64_t)2);
    s->limits.memory = (uint64_t)memory << 20;
    s->limits.memory_reservation = (uint64_t)soft << 20;
    s->limits.pids = process_cap(c);
    const struct ecs_linux_parameters *lp = d->linux_parameters;
    if (lp && lp->has_max_swap) {
        s->limits.memory_swap = lp->max_swap << 20;
    }
}

static int64_t number(struct gt_str s)
{
    char text[32];
    snprintf(text, sizeof text, GT_STR_FMT, GT_STR_ARG(s));
    return strtoll(text, NULL, 10);
}

void task_limits(const struct task *t, struct rt_limits *ret)
{
    /* The server stores CPU units and MiB, whatever was written at registration. */
    int64_t cpu = number(t->over.cpu.n ? t->over.cpu : t->def.cpu);
    int64_t memory = number(t->over.memory.n ? t->over.memory : t->def.memory);
    *ret = (struct rt_limits){0};
    if (cpu > 0) {
        ret->cpu_shares = (uint64_t)cpu;
        ret->cpu_period_us = 100000;
        ret->cpu_quota_us = (uint64_t)cpu * 100000 / 1024;
    }
    if (memory > 0) {
        ret->memory = (uint64_t)memory << 20;
    }
}

static void spec_namespaces(const struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    const struct task *t = c->task;
    if (t->network == NETWORK_HOST) {
        s->net.kind = RT_NS_HOST;
        s->uts.kind = c->def->hostname.n ? RT_NS_NEW : RT_NS_HOST;
        s->hostname = c->def->hostname.n ? gt_arena_str(a, c->def->hostname) : NULL;
        return;
    }
    s->net.kind = RT_NS_PATH;
    s->net.path = gt_arena_strdup(a, c->net.netns);
    s->hostname = c->def->hostname.n ? gt_arena_str(a, c->def->hostname)
                                     : gt_arena_printf(a, "%.12s", c->runtime_id);
}

static void spec_sysctls(const struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    struct list l = list_new(a, c->def->system_controls.n);
    for (size_t i = 0; i < c->def->system_controls.n; i++) {
        const struct ecs_system_control *sc = &c->def->system_controls.v[i];
        list_add(&l, gt_arena_printf(a, GT_STR_FMT "=" GT_STR_FMT, GT_STR_ARG(sc->namespace),
                                     GT_STR_ARG(sc->value)));
    }
    s->sysctls = list_strs(&l);
}

static void spec_devices(const struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    const struct ecs_linux_parameters *lp = c->def->linux_parameters;
    if (!lp || lp->devices.n == 0) {
        return;
    }
    s->devices.v = gt_arena_array(a, struct rt_device, lp->devices.n);
    for (size_t i = 0; i < lp->devices.n; i++) {
        const struct ecs_device *d = &lp->devices.v[i];
        char access[4] = "";
        for (size_t k = 0, at = 0; k < d->permissions.n && at < 3; k++) {
            access[at++] = gt_str_is(d->permissions.v[k], "read")    ? 'r'
                           : gt_str_is(d->permissions.v[k], "write") ? 'w'
                                                                     : 'm';
        }
        s->devices.v[s->devices.n++] = (struct rt_device){
            .host_path = gt_arena_str(a, d->host_path),
            .path = d->container_path.n ? gt_arena_str(a, d->container_path) : NULL,
            .access = access[0] ? gt_arena_strdup(a, access) : NULL,
        };
    }
}

static void spec_logs(const struct container *c, struct rt_spec *s)
{
    const struct ecs_log_configuration *lc = c->def->log_configuration;
    /* Without a driver the last output is kept for `gantry logs`, the oldest is dropped. */
    s->log_nonblocking = true;
    for (size_t i = 0; lc && i < lc->options.n; i++) {
        const struct wire_str_pair *o = &lc->options.v[i];
        if (gt_str_is(o->key, "mode")) {
            s->log_nonblocking = !gt_str_is(o->value, "blocking");
        } else if (gt_str_is(o->key, "max-buffer-size")) {
            gt_size_parse(o->value, &s->log_spool_max); /* the server has looked at it */
        }
    }
    s->log_none = lc && gt_str_is(lc->log_driver, "none");
}

int container_spec(struct container *c, struct gt_arena *a, struct rt_spec *s, struct gt_err *err)
{
    const struct ecs_linux_parameters *lp = c->def->linux_parameters;
    if (!c->image) {
        return gt_err_set(err, GT_ERR_INTERNAL, "the image of '%s' is not here", c->name);
    }
    rt_spec_defaults(s);
    spec_rootfs(c, a, s);
    container_argv(c, a, &s->argv);
    if (s->argv.n == 0) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "neither image nor container definition names a command");
    }
    container_env(c, a, &s->env);
    const char *cwd = c->image->workdir, *user = c->image->user;
    s->cwd = c->def->working_directory.n ? gt_arena_str(a, c->def->working_directory)
             : cwd && cwd[0]             ? cwd
                                         : NULL;
    s->user = c->def->user.n ? gt_arena_str(a, c->def->user) : user && user[0] ? user : NULL;
    s->tty = c->def->pseudo_terminal;
    s->init = lp && lp->init_process_enabled;
    if (lp && lp->has_shared_memory_size) {
        s->shm_size = (uint64_t)lp->shared_memory_size << 20;
    }
    int r = spec_caps(c, s, err);
    if (r == 0) {
        r = container_mounts(c, a, s, err);
    }
    if (r < 0) {
        return r;
    }
    spec_rlimits(c, a, s);
    spec_limits(c, s);
    spec_namespaces(c, a, s);
    spec_sysctls(c, a, s);
    spec_devices(c, a, s);
    spec_logs(c, s);
    return 0;
}
