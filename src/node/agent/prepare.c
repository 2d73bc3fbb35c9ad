/* What a task needs before its first container: images, networks, folders, log groups. On the pool.
 */
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/wire/gen/ecr.h"
#include "node/agent/logs.h"
#include "node/agent/session.h"
#include "node/agent/task.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* Images and the place to run in do not need each other. */
struct part {
    struct prepare *p;
    char why[512];
    struct gt_err err;
};

struct prepare {
    struct node *n;
    struct task *t; /* lives at least as long: a task in preparation is not freed */
    int64_t pull_started, pull_stopped;
    struct image **images;
    struct log_stream **logs;
    struct part pulls, place;
    char *keys; /* of the task's role */
    int64_t keys_due;
    bool makes_shim;
    char shim[SHIM_POOL_ID]; /* made for the pool; "": none */
    unsigned left;           /* jobs under way; the loop's */
};

/* A password for Gantry's own registry, from the server with the node's key. */
static int credentials(void *arg, const char *host, struct image_credentials *to)
{
    struct node *n = arg;
    const char *own = strstr(n->o.server, "://");
    if (!own || strcmp(own + 3, host) != 0) {
        return -ENOENT;
    }
    gt_auto(api_client) struct api_client *client = NULL;
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    gt_arena_init(&a, GT_MIB);
    struct ecr_get_authorization_token_in in = {0};
    struct ecr_get_authorization_token_out out = {0};
    int r = node_client_new(n, NULL, 0, NULL, &client, &err);
    if (r == 0) {
        r = api_call(client, &ecr_op_get_authorization_token, &in, &a, &out, &err);
    }
    if (r == 0 && out.authorization_data.n) {
        gt_auto_buf struct gt_buf plain = GT_BUF_INIT(sizeof to->password + 256);
        r = gt_base64_decode(out.authorization_data.v[0].authorization_token, &plain);
        const char *colon = r == 0 && plain.n ? memchr(plain.p, ':', plain.n) : NULL;
        if (colon) {
            snprintf(to->username, sizeof to->username, "%.*s", (int)(colon - plain.p), plain.p);
            snprintf(to->password, sizeof to->password, "%s", colon + 1);
        }
    } else {
        gt_warn("credentials for '%s': %s", host, err.msg);
        r = -ENOENT;
    }
    gt_arena_fini(&a);
    return r;
}

/* Other names of the server's registry: AWS's ("<account>.dkr.ecr.<region>.amazonaws.com"), and
 * "localhost" for a server on this machine. */
static bool is_own(const char *own, const char *host)
{
    if (strstr(host, ".dkr.ecr.") || strcmp(own, host) == 0) {
        return true;
    }
    const char *port = strncmp(own, "127.0.0.1", 9) == 0 ? own + 9
                       : strncmp(own, "[::1]", 5) == 0   ? own + 5
                                                         : NULL;
    return port && strncmp(host, "localhost", 9) == 0 && strcmp(host + 9, port) == 0;
}

/* The reference as it is pulled. *ret_own: from the server's own registry. */
static char *local_reference(const struct node *n, struct gt_str image, bool *ret_own)
{
    gt_auto_free char *text = gt_strndup(image.p, image.n);
    char *slash = strchr(text, '/');
    const char *own = strstr(n->o.server, "://");
    if (slash && own) {
        *slash = '\0';
        *ret_own = is_own(own + 3, text);
        if (*ret_own) {
            return gt_asprintf("%s/%s", own + 3, slash + 1);
        }
        *slash = '/';
    }
    return gt_steal_ptr(text);
}

static int pull(struct prepare *p, size_t i)
{
    struct node *n = p->n;
    struct container *c = &p->t->containers[i];
    bool own = false;
    gt_auto_free char *reference = local_reference(n, c->def->image, &own);
    /* Like ECS: the registry is asked each time, and what is here does when it does not answer. */
    if (n->o.prefer_cached && image_find(n->images, reference, &p->images[i], NULL) == 0) {
        return 0;
    }
    struct image_pull_options o = {.reference = reference,
                                   .credentials = credentials,
                                   .arg = n,
                                   .principal = "node",
                                   .cancel = &p->t->give_up,
                                   .always = true};
    struct gt_err *err = &p->pulls.err;
    int r = image_pull(n->images, &o, &p->images[i], err);
    if (r < 0 && err->kind == GT_ERR_UNAVAILABLE && !atomic_load(&p->t->give_up) &&
        image_find(n->images, reference, &p->images[i], NULL) == 0) {
        gt_warn("task %s: %s; using the image that is here", p->t->id, err->msg);
        r = 0;
    }
    if (r < 0) {
        snprintf(p->pulls.why, sizeof p->pulls.why, "%s", err->msg);
    }
    return r;
}

static int attach_one(struct prepare *p, const char *id, struct net_port *ports, size_t n_ports,
                      struct net_attachment *ret)
{
    struct task *t = p->t;
    char address[64];
    snprintf(address, sizeof address, GT_STR_FMT, GT_STR_ARG(t->in.address));
    struct net_task nt = {
        .id = id,
        .mode = t->network == NETWORK_AWSVPC ? NET_AWSVPC
                : t->network == NETWORK_NONE ? NET_NONE
                                             : NET_BRIDGE,
        .address = t->network == NETWORK_AWSVPC && address[0] ? address : NULL,
        .ports = ports,
        .n_ports = n_ports,
    };
    return net_attach(p->n->net, &nt, ret, &p->place.err);
}

/* Bridge: a namespace for each container. awsvpc and none: one for the task. */
static int attach(struct prepare *p)
{
    struct task *t = p->t;
    int r = 0;
    if (t->network == NETWORK_HOST) {
        return 0;
    }
    if (t->network == NETWORK_BRIDGE) {
        for (size_t i = 0; r >= 0 && i < t->n_containers; i++) {
            struct container *c = &t->containers[i];
            gt_auto_free char *id = gt_asprintf("%s.%zu", t->id, i);
            r = attach_one(p, id, c->ports, c->n_ports, &c->net);
        }
    } else {
        r = attach_one(p, t->id, NULL, 0, &t->containers[0].net);
        for (size_t i = 1; r >= 0 && i < t->n_containers; i++) {
            t->containers[i].net = t->containers[0].net;
            t->containers[i].net.netns_fd = -1;
        }
    }
    if (r < 0) {
        snprintf(p->place.why, sizeof p->place.why, "CannotStartContainerError: %s",
                 p->place.err.msg);
    }
    return r;
}

void task_detach_network(struct task *t)
{
    struct gt_err err = GT_ERR_INIT;
    int r = 0;
    if (t->network == NETWORK_HOST) {
        return;
    }
    if (t->network != NETWORK_BRIDGE) {
        r = net_detach(t->node->net, t->id, &err);
    }
    for (size_t i = 0; t->network == NETWORK_BRIDGE && i < t->n_containers; i++) {
        gt_auto_free char *id = gt_asprintf("%s.%zu", t->id, i);
        int one = net_detach(t->node->net, id, &err);
        r = one < 0 ? one : r;
    }
    if (r < 0) {
        gt_warn("task %s: %s", t->id, err.msg);
    }
}

static int write_file(const char *dir, const char *id, const char *name, const struct gt_buf *text,
                      struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/%s.%s", dir, id, name);
    gt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    /* The container's users read it whatever the agent's umask is. */
    if (fd < 0 || fchmod(fd, 0644) < 0 || gt_write_full(fd, text->p, text->n) < 0) {
        return gt_err_errno(err, errno, "write '%s'", path);
    }
    return 0;
}

static void resolv_conf(const struct container *c, struct gt_buf *to)
{
    const struct ecs_container_definition *d = c->def;
    if (c->task->network == NETWORK_HOST && d->dns_servers.n == 0) {
        gt_file_read(AT_FDCWD, "/etc/resolv.conf", to, NULL);
    } else if (d->dns_servers.n == 0 && c->net.dns[0]) {
        gt_buf_printf(to, "nameserver %s\n", c->net.dns);
    }
    for (size_t i = 0; i < d->dns_servers.n; i++) {
        gt_buf_printf(to, "nameserver " GT_STR_FMT "\n", GT_STR_ARG(d->dns_servers.v[i]));
    }
    for (size_t i = 0; i < d->dns_search_domains.n; i++) {
        gt_buf_printf(to, "%s" GT_STR_FMT "%s", i ? " " : "search ",
                      GT_STR_ARG(d->dns_search_domains.v[i]),
                      i + 1 == d->dns_search_domains.n ? "\n" : "");
    }
}

/* hosts, hostname and resolv.conf of a container; empty folders of volumes without a host path. */
static int write_etc(struct prepare *p, struct container *c)
{
    struct task *t = p->t;
    gt_auto_free char *dir = task_etc_dir(t);
    gt_auto_buf struct gt_buf hosts = GT_BUF_INIT(65536), name = GT_BUF_INIT(1024),
                              resolv = GT_BUF_INIT(65536);
    if (c->def->hostname.n) {
        gt_buf_str(&name, c->def->hostname);
    } else if (t->network == NETWORK_HOST) {
        gt_file_read(AT_FDCWD, "/proc/sys/kernel/hostname", &name, NULL);
    } else {
        gt_buf_printf(&name, "%.12s", c->runtime_id);
    }
    while (name.n && name.p[name.n - 1] == '\n') {
        name.n--;
    }
    gt_buf_puts(&hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    gt_buf_printf(&hosts, "%s\t%.*s\n", c->net.address[0] ? c->net.address : "127.0.1.1",
                  (int)name.n, name.p);
    for (size_t i = 0; i < c->def->extra_hosts.n; i++) {
        const struct ecs_host_entry *h = &c->def->extra_hosts.v[i];
        gt_buf_printf(&hosts, GT_STR_FMT "\t" GT_STR_FMT "\n", GT_STR_ARG(h->ip_address),
                      GT_STR_ARG(h->hostname));
    }
    gt_buf_putc(&name, '\n');
    resolv_conf(c, &resolv);
    int r = write_file(dir, c->runtime_id, "hosts", &hosts, &p->place.err);
    if (r == 0) {
        r = write_file(dir, c->runtime_id, "hostname", &name, &p->place.err);
    }
    return r < 0 ? r : write_file(dir, c->runtime_id, "resolv.conf", &resolv, &p->place.err);
}

static int make_folders(struct prepare *p)
{
    struct task *t = p->t;
    gt_auto_free char *spool = task_dir(t, "spool"), *own = task_dir(t, "tasks"),
                      *etc = task_etc_dir(t);
    const char *const folders[] = {own, spool, etc};
    int r = 0;
    for (size_t i = 0; r == 0 && i < GT_ARRAY_LEN(folders); i++) {
        r = gt_mkdirs(folders[i], 0700, &p->place.err);
    }
    for (size_t i = 0; r == 0 && i < t->n_containers; i++) {
        r = write_etc(p, &t->containers[i]);
    }
    if (r < 0) {
        snprintf(p->place.why, sizeof p->place.why, "CannotCreateContainerError: %s",
                 p->place.err.msg);
    }
    return r;
}

/* What containers write goes on top of their images. */
static void make_layers(struct prepare *p)
{
    struct part *pulls = &p->pulls;
    gt_auto_free char *rootfs = task_dir(p->t, "rootfs");
    for (size_t i = 0; i < p->t->n_containers && !pulls->why[0]; i++) {
        gt_auto_free char *own = gt_asprintf("%s/%s", rootfs, p->t->containers[i].runtime_id);
        if (gt_mkdirs(own, 0700, &pulls->err) < 0) {
            snprintf(pulls->why, sizeof pulls->why, "CannotCreateContainerError: %s",
                     pulls->err.msg);
        }
    }
}

static void get_images(void *arg)
{
    struct prepare *p = ((struct part *)arg)->p;
    int r = 0;
    p->pull_started = gt_clock_real_ms();
    for (size_t i = 0; r == 0 && i < p->t->n_containers; i++) {
        r = pull(p, i);
    }
    p->pull_stopped = gt_clock_real_ms();
    if (r == 0) {
        make_layers(p);
    }
}

/* Before anything runs: a task whose role it may not have does not start. */
static int get_keys(struct prepare *p)
{
    struct part *place = &p->place;
    int r = task_has_role(p->t) ? task_keys_fetch(p->t, &p->keys, &p->keys_due, &place->err) : 0;
    if (r < 0) {
        snprintf(place->why, sizeof place->why, "%s", place->err.msg);
    }
    return r;
}

static void make_place(void *arg)
{
    struct part *place = arg;
    struct prepare *p = place->p;
    if (p->makes_shim && shim_pool_make(p->n->pool, p->shim, NULL) < 0) {
        p->shim[0] = '\0'; /* the loop will try, and say why not */
    }
    int r = get_keys(p);
    r = r < 0 ? r : attach(p);
    if (r >= 0) {
        r = make_folders(p);
    }
    for (size_t i = 0; r == 0 && i < p->t->n_containers; i++) {
        r = log_stream_open(p->n->logs, &p->t->containers[i], &p->logs[i], &place->err);
        if (r < 0) {
            snprintf(place->why, sizeof place->why, "CannotStartContainerError: %s",
                     place->err.msg);
        }
    }
    if (r < 0 && !place->why[0]) {
        snprintf(place->why, sizeof place->why, "%s", place->err.msg);
    }
}

static void one_by_one(void *arg)
{
    struct prepare *p = arg;
    get_images(&p->pulls);
    if (!p->pulls.why[0]) {
        make_place(&p->place);
    }
}

static void done(struct node *n, void *arg)
{
    struct prepare *p = arg;
    struct task *t = p->t;
    t->preparing = false;
    n->preparing--;
    n->shims_ahead -= p->makes_shim;
    if (p->shim[0]) {
        shim_pool_add(n->pool, p->shim);
    }
    t->pull_started_ms = p->pull_started;
    t->pull_stopped_ms = p->pull_stopped;
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        c->image = p->images[i];
        if (c->image) {
            snprintf(c->image_digest, sizeof c->image_digest, "%s", c->image->digest);
            snprintf(c->manifest_digest, sizeof c->manifest_digest, "%s",
                     c->image->manifest_digest);
        }
        c->log = p->logs[i];
    }
    if (p->keys) {
        task_keys_take(t, p->keys, p->keys_due);
    }
    if (p->pulls.why[0] || p->place.why[0]) {
        task_fail(t, "TaskFailedToStart", "%s", p->pulls.why[0] ? p->pulls.why : p->place.why);
    } else {
        t->prepared = true;
    }
    free(p->images);
    free(p->logs);
    free(p);
    t->dirty = true;
    if (t->prepared) {
        task_write_metadata(t); /* the container may ask with its first instruction */
    }
    task_step(t);
    session_report_soon(n->session); /* the container first, then what the server hears of it */
    node_pool_refill_soon(n);
}

static void part_done(struct node *n, void *arg)
{
    struct part *part = arg;
    if (--part->p->left == 0) {
        done(n, part->p);
    }
}

/* Whether all images are here, and only Gantry's own registry is asked for them: the usual case,
 * which is done in milliseconds. Other registries may take their time, or hang. */
static bool quick(const struct prepare *p)
{
    bool quick = true;
    for (size_t i = 0; quick && i < p->t->n_containers; i++) {
        bool own = false;
        gt_auto_free char *reference = local_reference(p->n, p->t->containers[i].def->image, &own);
        quick = own && image_here(p->n->images, reference);
    }
    return quick;
}

void task_prepare(struct task *t)
{
    struct prepare *p = gt_new(struct prepare);
    p->n = t->node;
    p->t = t;
    p->images = gt_new_array(struct image *, t->n_containers);
    p->logs = gt_new_array(struct log_stream *, t->n_containers);
    p->pulls.p = p->place.p = p;
    task_keys_name(t);
    t->preparing = true;
    t->node->preparing++;
    /* Many at once: their shims are made side by side here, not one after the other in the loop. */
    p->makes_shim =
        t->node->pool && t->node->preparing > shim_pool_ready(t->node->pool) + t->node->shims_ahead;
    t->node->shims_ahead += p->makes_shim;
    if (quick(p)) {
        p->left = 2;
        node_work(t->node, get_images, part_done, &p->pulls);
        node_work(t->node, make_place, part_done, &p->place);
    } else {
        node_work_apart(t->node, one_by_one, done, p, &t->give_up);
    }
}
