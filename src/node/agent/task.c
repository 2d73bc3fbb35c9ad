#include "node/agent/task.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/wire/json.h"
#include "node/agent/logs.h"
#include "node/link/link_state.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

enum { TASK_ARENA = 8 * 1024 * 1024 };

static enum network_mode network_of(struct gt_str s)
{
    return gt_str_is(s, "awsvpc") ? NETWORK_AWSVPC
           : gt_str_is(s, "host") ? NETWORK_HOST
           : gt_str_is(s, "none") ? NETWORK_NONE
                                  : NETWORK_BRIDGE;
}

char *task_dir(const struct task *t, const char *what)
{
    return gt_asprintf("%s/agent/%s/%s", t->node->o.state_dir, what, t->id);
}

char *task_etc_dir(const struct task *t)
{
    return gt_asprintf("%s/etc/%s", t->node->o.run_dir, t->id);
}

static const struct ecs_container_override *override_of(const struct task *t, struct gt_str name)
{
    for (size_t i = 0; i < t->over.container_overrides.n; i++) {
        if (gt_str_eq(t->over.container_overrides.v[i].name, name)) {
            return &t->over.container_overrides.v[i];
        }
    }
    return NULL;
}

static void init_container(struct task *t, struct container *c,
                           const struct ecs_container_definition *def)
{
    c->task = t;
    c->def = def;
    c->override_ = override_of(t, def->name);
    c->name = gt_arena_str(&t->arena, def->name);
    /* Unique on the host, and the same after a restart: as Fargate's, task id and a number. */
    c->runtime_id = gt_arena_printf(
        &t->arena, "%s-%010llu", t->id,
        (unsigned long long)(gt_hash(def->name.p, def->name.n, 0) % 10000000000ULL));
    c->arn = "";
    c->net.netns_fd = -1;
    for (size_t i = 0; i < t->in.containers.n; i++) {
        const struct agent_container *in = &t->in.containers.v[i];
        if (gt_str_eq(in->name, def->name)) {
            c->runtime_id = in->runtime_id.n ? in->runtime_id.p : c->runtime_id;
            c->arn = in->container_arn.n ? in->container_arn.p : "";
            snprintf(c->image_digest, sizeof c->image_digest, GT_STR_FMT,
                     GT_STR_ARG(in->image_digest));
        }
    }
    link_endpoint_id(c->endpoint);
    c->n_ports = GT_MIN(def->port_mappings.n, (size_t)CONTAINER_MAX_PORTS);
    c->ports = gt_arena_array(&t->arena, struct net_port, c->n_ports);
    for (size_t i = 0; i < c->n_ports; i++) {
        const struct ecs_port_mapping *p = &def->port_mappings.v[i];
        c->ports[i] = (struct net_port){
            .proto = gt_str_is(p->protocol, "udp") ? NET_UDP : NET_TCP,
            .container_port = (uint16_t)p->container_port,
            .host_port = (uint16_t)(p->has_host_port ? p->host_port : 0),
        };
    }
}

static int parse(struct task *t, struct gt_err *err)
{
    int r = wire_json_decode(&ecs_task_definition_shape, t->in.task_definition, &t->arena, &t->def,
                             err);
    if (r == 0 && t->in.overrides.n) {
        r = wire_json_decode(&ecs_task_override_shape, t->in.overrides, &t->arena, &t->over, err);
    }
    if (r < 0) {
        return gt_err_wrap(err, "read the definition of task '%s'", t->id);
    }
    size_t n = t->def.container_definitions.n;
    if (n == 0 || n > SHIM_MAX_CONTAINERS) {
        return gt_err_set(err, GT_ERR_INVALID, "task '%s' has %zu containers", t->id, n);
    }
    t->network = network_of(t->in.network_mode.n ? t->in.network_mode : t->def.network_mode);
    t->n_containers = n;
    t->containers = gt_arena_array(&t->arena, struct container, n);
    for (size_t i = 0; i < n; i++) {
        init_container(t, &t->containers[i], &t->def.container_definitions.v[i]);
    }
    return 0;
}

/* The id becomes names of files and cgroups. */
static bool good_id(struct gt_str id)
{
    if (id.n == 0 || id.n > 64 || id.p[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < id.n; i++) {
        if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", id.p[i])) {
            return false;
        }
    }
    return true;
}

static int from_json(struct node *n, struct gt_str text, struct task **ret, struct gt_err *err)
{
    struct task *t = gt_new(struct task);
    t->node = n;
    gt_arena_init(&t->arena, TASK_ARENA);
    struct gt_str mine = gt_str_n(gt_arena_str(&t->arena, text), text.n);
    int r = wire_json_decode(&agent_task_shape, mine, &t->arena, &t->in, err);
    if (r == 0 && !good_id(t->in.id)) {
        r = gt_err_set(err, GT_ERR_INVALID, "a task with the id '" GT_STR_FMT "'",
                       GT_STR_ARG(t->in.id));
    }
    if (r == 0) {
        t->id = gt_arena_str(&t->arena, t->in.id);
        t->sequence = t->in.sequence;
        t->desired_stop = gt_str_is(t->in.desired_status, "STOPPED");
        for (size_t i = 0; i < t->in.containers.n; i++) {
            struct agent_container *c = &t->in.containers.v[i];
            c->runtime_id.p = gt_arena_str(&t->arena, c->runtime_id);
            c->container_arn.p = gt_arena_str(&t->arena, c->container_arn);
        }
        r = parse(t, err);
    }
    if (r < 0) {
        gt_arena_fini(&t->arena);
        free(t);
        return r;
    }
    gt_table_put(&n->tasks, gt_str(t->id), t);
    *ret = t;
    return 0;
}

int task_new(struct node *n, const struct agent_task *in, struct task **ret, struct gt_err *err)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_RECORD * 2);
    wire_json_encode(&agent_task_shape, in, &text);
    if (!gt_buf_ok(&text)) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "a task larger than %lu bytes",
                          GT_LIMIT_RECORD * 2);
    }
    return from_json(n, gt_buf_view(&text), ret, err);
}

static void free_handle(uv_handle_t *h)
{
    free(h);
}

void task_free(struct task *t)
{
    gt_table_del(&t->node->tasks, gt_str(t->id));
    shim_close(task_detach_shim(t));
    if (t->timer) {
        uv_close((uv_handle_t *)t->timer, free_handle);
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        image_unref(c->image);
        gt_closep(&c->net.netns_fd);
        log_stream_drop(c->log);
    }
    free(t->keys.json);
    gt_arena_fini(&t->arena);
    free(t);
}

struct container *task_container(struct task *t, const char *name)
{
    for (size_t i = 0; i < t->n_containers; i++) {
        if (gt_streq(t->containers[i].name, name) || gt_streq(t->containers[i].runtime_id, name)) {
            return &t->containers[i];
        }
    }
    return NULL;
}

static json_t *container_state(const struct container *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:i, s:b, s:s, s:I, s:I}", "name", c->name,
                     "endpoint", c->endpoint, "imageDigest", c->image_digest, "manifest",
                     c->manifest_digest, "startFailed", c->start_failed, "hasExit", c->has_exit,
                     "exitCode", c->exit_code, "oom", c->oom, "reason", c->reason, "startedAt",
                     (json_int_t)c->started_ms, "stoppedAt", (json_int_t)c->stopped_ms);
}

/* What the server does not know and a restart must not lose. "over": how the containers ended is
 * in here; their shim, which knows it too, may be gone. */
static json_t *local_state(const struct task *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_containers; i++) {
        json_array_append_new(list, container_state(&t->containers[i]));
    }
    return json_pack("{s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "containers", list, "over",
                     t->phase >= TASK_CLEANING, "pullStartedAt", (json_int_t)t->pull_started_ms,
                     "pullStoppedAt", (json_int_t)t->pull_stopped_ms, "startedAt",
                     (json_int_t)t->started_ms, "stoppingAt", (json_int_t)t->stopping_ms,
                     "executionStoppedAt", (json_int_t)t->execution_stopped_ms, "stopCode",
                     t->stop_code ? t->stop_code : "", "stoppedReason", t->stopped_reason);
}

int task_save(struct task *t, struct gt_err *err)
{
    gt_auto_free char *dir = task_dir(t, "tasks");
    gt_auto_free char *path = gt_asprintf("%s/task.json", dir);
    gt_auto_free char *tmp = gt_asprintf("%s/task.json.new", dir);
    int r = gt_mkdirs(dir, 0700, err);
    if (r < 0) {
        return r;
    }
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_RECORD * 4);
    json_t *local = local_state(t);
    char *local_text = json_dumps(local, JSON_COMPACT);
    json_decref(local);
    GT_ASSERT(local_text != NULL);
    gt_buf_printf(&text, "%s\n", local_text);
    free(local_text);
    wire_json_encode(&agent_task_shape, &t->in, &text);
    /* Not synced: after a power loss there is nothing to find again, and the server still knows. */
    gt_auto_close int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || gt_write_full(fd, text.p, text.n) < 0 || rename(tmp, path) < 0) {
        return gt_err_errno(err, errno, "write '%s'", path);
    }
    return 0;
}

static int64_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void copy_text(const json_t *o, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(o, name));
    snprintf(to, size, "%s", text ? text : "");
}

static void load_container(struct container *c, const json_t *o, bool over)
{
    copy_text(o, "endpoint", c->endpoint, sizeof c->endpoint);
    copy_text(o, "imageDigest", c->image_digest, sizeof c->image_digest);
    copy_text(o, "manifest", c->manifest_digest, sizeof c->manifest_digest);
    c->start_failed = json_is_true(json_object_get(o, "startFailed"));
    if (!over) {
        return; /* the shim knows better */
    }
    c->state = CONTAINER_STOPPED;
    c->has_exit = json_is_true(json_object_get(o, "hasExit"));
    c->exit_code = (int)number(o, "exitCode");
    c->oom = json_is_true(json_object_get(o, "oom"));
    c->started_ms = number(o, "startedAt");
    c->stopped_ms = number(o, "stoppedAt");
    copy_text(o, "reason", c->reason, sizeof c->reason);
}

static void load_local(struct task *t, struct gt_str line)
{
    json_t *root = json_loadb(line.p, line.n, 0, NULL);
    bool over = json_is_true(json_object_get(root, "over"));
    t->pull_started_ms = number(root, "pullStartedAt");
    t->pull_stopped_ms = number(root, "pullStoppedAt");
    t->started_ms = number(root, "startedAt");
    if (over) {
        t->phase = TASK_CLEANING;
        t->prepared = true;
        t->stopping_ms = number(root, "stoppingAt");
        t->execution_stopped_ms = number(root, "executionStoppedAt");
    }
    const char *code = json_string_value(json_object_get(root, "stopCode"));
    if (code && code[0]) {
        t->stop_code = gt_arena_strdup(&t->arena, code);
        copy_text(root, "stoppedReason", t->stopped_reason, sizeof t->stopped_reason);
    }
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(root, "containers"), i, o)
    {
        const char *name = json_string_value(json_object_get(o, "name"));
        struct container *c = name ? task_container(t, name) : NULL;
        if (c) {
            load_container(c, o, over);
        }
    }
    json_decref(root);
}

int task_load(struct node *n, const char *id, struct task **ret, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/agent/tasks/%s/task.json", n->o.state_dir, id);
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_RECORD * 4);
    int r = gt_file_read(AT_FDCWD, path, &text, err);
    if (r < 0) {
        return r;
    }
    const char *nl = text.n ? memchr(text.p, '\n', text.n) : NULL;
    if (!nl) {
        return gt_err_set(err, GT_ERR_CORRUPT, "'%s' is incomplete", path);
    }
    size_t first = (size_t)(nl - text.p);
    r = from_json(n, gt_str_n(nl + 1, text.n - first - 1), ret, err);
    if (r == 0) {
        load_local(*ret, gt_str_n(text.p, first));
    }
    return r;
}

void task_forget(struct task *t)
{
    gt_auto_free char *dir = task_dir(t, "tasks");
    struct gt_err err = GT_ERR_INIT;
    if (gt_remove_tree(AT_FDCWD, dir, &err) < 0) {
        gt_warn("task %s: %s", t->id, err.msg);
    }
    task_free(t);
}

const char *task_last_status(const struct task *t)
{
    switch (t->phase) {
    case TASK_PREPARING:
        return "PENDING";
    case TASK_ACTIVE: {
        bool started = t->started_ms != 0;
        return started ? "RUNNING" : "PENDING";
    }
    case TASK_STOPPING:
    case TASK_CLEANING:
        return "STOPPING";
    case TASK_STOPPED:
    default:
        return "STOPPED";
    }
}

static void report_network(const struct container *c, struct gt_arena *a,
                           struct agent_container_report *r)
{
    const struct task *t = c->task;
    if (t->network == NETWORK_AWSVPC && c->net.address[0]) {
        struct agent_network_interface *i = gt_arena_new(a, struct agent_network_interface);
        i->attachment_id = t->in.attachment_id;
        i->private_ipv4_address = gt_str(c->net.address);
        i->mac_address = gt_str(c->net.mac);
        r->network_interfaces.v = i;
        r->network_interfaces.n = 1;
    }
    if (t->network == NETWORK_NONE || c->n_ports == 0 || !t->prepared) {
        return;
    }
    r->network_bindings.v = gt_arena_array(a, struct agent_network_binding, c->n_ports);
    r->network_bindings.n = c->n_ports;
    for (size_t i = 0; i < c->n_ports; i++) {
        struct agent_network_binding *b = &r->network_bindings.v[i];
        const struct net_port *p = &c->ports[i];
        b->bind_ip = t->network == NETWORK_AWSVPC ? gt_str(c->net.address) : GT_STR_LIT("0.0.0.0");
        b->protocol = p->proto == NET_UDP ? GT_STR_LIT("udp") : GT_STR_LIT("tcp");
        WIRE_SET(b, container_port, p->container_port);
        WIRE_SET(b, host_port, t->network == NETWORK_BRIDGE ? p->host_port : p->container_port);
    }
}

static void report_container(const struct container *c, struct gt_arena *a,
                             struct agent_container_report *r)
{
    r->name = gt_str(c->name);
    r->runtime_id = gt_str(c->runtime_id);
    r->last_status = c->state == CONTAINER_STOPPED   ? GT_STR_LIT("STOPPED")
                     : c->state == CONTAINER_RUNNING ? GT_STR_LIT("RUNNING")
                                                     : GT_STR_LIT("PENDING");
    if (c->task->phase == TASK_STOPPED) {
        r->last_status = GT_STR_LIT("STOPPED");
    }
    if (c->has_exit) {
        WIRE_SET(r, exit_code, c->exit_code);
    }
    if (c->reason[0]) {
        r->reason = gt_str(c->reason);
    }
    if (c->image_digest[0]) {
        r->image_digest = gt_str(c->image_digest);
    }
    if (c->health.state != HEALTH_NONE) {
        r->health_status = gt_str(health_name(c->health.state));
    }
    report_network(c, a, r);
}

/* Only essential containers with a health check count. */
static enum health_state task_health(const struct task *t)
{
    enum health_state all = HEALTH_NONE;
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *c = &t->containers[i];
        if (!container_essential(c) || c->health.state == HEALTH_NONE) {
            continue;
        }
        if (c->health.state == HEALTH_UNHEALTHY) {
            return HEALTH_UNHEALTHY;
        }
        all = c->health.state == HEALTH_UNKNOWN || all == HEALTH_UNKNOWN ? HEALTH_UNKNOWN
                                                                         : HEALTH_HEALTHY;
    }
    return all;
}

void task_report(struct task *t, struct gt_arena *a, struct agent_task_report *r)
{
    r->id = gt_str(t->id);
    WIRE_SET(r, generation, t->in.generation);
    WIRE_SET(r, sequence, ++t->sequence);
    r->last_status = gt_str(task_last_status(t));
    r->containers.v = gt_arena_array(a, struct agent_container_report, t->n_containers);
    r->containers.n = t->n_containers;
    for (size_t i = 0; i < t->n_containers; i++) {
        report_container(&t->containers[i], a, &r->containers.v[i]);
    }
    enum health_state health = task_health(t);
    if (health != HEALTH_NONE) {
        r->health_status = gt_str(health_name(health));
    }
#define TIME(field, ms)                                                                            \
    if (ms) {                                                                                      \
        WIRE_SET(r, field, ms);                                                                    \
    }
    TIME(pull_started_at, t->pull_started_ms)
    TIME(pull_stopped_at, t->pull_stopped_ms)
    TIME(started_at, t->started_ms)
    TIME(stopping_at, t->stopping_ms)
    TIME(execution_stopped_at, t->execution_stopped_ms)
#undef TIME
    if (t->node->astray && t->in.family.n) { /* the server may not know it */
        r->family = t->in.family;
        r->group = t->in.group.n ? t->in.group : gt_str(NULL);
    }
    if (t->stop_code) {
        r->stop_code = gt_str(t->stop_code);
        r->stopped_reason = gt_str(t->stopped_reason);
    }
    if (t->phase == TASK_STOPPED && t->last_log[0]) {
        r->last_log = gt_str(t->last_log);
    }
}
