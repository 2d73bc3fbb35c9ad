#include "node/agent/agent.h"

#include "lib/base/descriptors.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "node/agent/control.h"
#include "node/agent/join.h"
#include "node/agent/logs.h"
#include "node/agent/peers.h"
#include "node/agent/polled.h"
#include "node/agent/session.h"
#include "node/agent/task.h"
#include "node/runtime/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_parts(struct node *n, uint64_t descriptors, struct gt_err *err)
{
    gt_auto_free char *agent_dir = gt_asprintf("%s/agent", n->o.state_dir);
    gt_auto_free char *images = gt_asprintf("%s/agent/images", n->o.state_dir);
    int r = gt_mkdirs(agent_dir, 0700, err);
    if (r == 0) {
        r = gt_mkdirs(n->o.run_dir, 0700, err);
    }
    struct image_store_options io = {
        .dir = images, .local_blobs = n->o.blobs_dir, .ca_file = n->o.ca_file};
    if (r == 0) {
        r = image_store_open(&io, &n->images, err);
    }
    if (r < 0) {
        return r;
    }
    n->shim_opts = (struct shim_opts){.run_dir = n->o.run_dir,
                                      .cgroup_root = gt_asprintf("/%s", n->o.name),
                                      .parked = 1,
                                      .descriptors = descriptors};
    return shim_pool_new(&n->shim_opts, 2, &n->pool, err);
}

/* A fork bomb must not be the node's trouble: at most 4096 processes and threads for a container,
 * or 15 % of what this kernel can have where that is less (systemd's share for a service). */
static uint64_t process_cap(void)
{
    static const char *const files[] = {"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"};
    uint64_t cap = 4096;
    for (size_t i = 0; i < GT_ARRAY_LEN(files); i++) {
        gt_auto_close int fd = open(files[i], O_RDONLY | O_CLOEXEC);
        char text[32] = "";
        if (fd >= 0 && gt_read_full(fd, text, sizeof text - 1) > 0) {
            uint64_t most = strtoull(text, NULL, 10);
            cap = GT_MIN(cap, GT_MAX(most * 15 / 100, (uint64_t)64));
        }
    }
    return cap;
}

/* Who this node is; joins when it is nobody yet. */
static int load_identity(const struct agent_options *o, struct node_identity *id,
                         struct gt_err *err)
{
    struct gt_err none = GT_ERR_INIT;
    if (node_identity_load(o, id, &none) < 0 && none.sys_errno != ENOENT) {
        *err = none;
        return gt_err_wrap(err, "read the node's identity");
    }
    if (id->access_key[0]) {
        return 0;
    }
    if (o->join) {
        return node_join(o, id, err);
    }
    if (!o->key_file) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "this node has no key yet: start it with --join URL and a token, or "
                          "with --key FILE");
    }
    return node_key_file_read(o->key_file, id->access_key, sizeof id->access_key, id->secret_key,
                              sizeof id->secret_key, err);
}

/* Said, remembered, or usual. The identity changes, so a copy of its text. */
static const char *known(const char *said, const char *remembered, const char *usual)
{
    return said ? said : remembered[0] ? gt_strdup(remembered) : usual;
}

/* What was not said and is known from the time when the node joined. */
static void complete_options(struct node *n)
{
    struct agent_options *o = &n->o;
    gt_auto_free char *ca = join_ca_file(o);
    o->server = known(o->server, n->id.server, "http://127.0.0.1:4566");
    o->cluster = known(o->cluster, n->id.cluster, "default");
    o->region = known(o->region, n->id.region, "us-east-1");
    if (!o->ca_file && access(ca, R_OK) == 0) {
        o->ca_file = gt_steal_ptr(ca);
    }
}

/* Output that is shipped nowhere is kept for `gantry logs`: the last of it. */
static void trim_spools(struct task *t)
{
    enum { KEEP = 16 * 1024 * 1024 };
    for (size_t i = 0; t->shim && t->phase == TASK_ACTIVE && i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        if (c->log) {
            continue;
        }
        gt_auto_free char *spool = task_dir(t, "spool");
        gt_auto_free char *path = gt_asprintf("%s/%s.log", spool, c->runtime_id);
        struct stat st;
        uint64_t written = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        if (written > c->spool_from + 2 * KEEP) {
            c->spool_from = log_spool_boundary(path, c->spool_from, written - KEEP);
            shim_send_spool_ack(t->shim, c->runtime_id, c->spool_from, NULL);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct node *n = timer->data;
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        trim_spools(e->value);
    }
    node_memory_tick(n);
    polled_settle(n);
    node_link_check(n);
    node_images_tick(n);
    node_keys_tick(n);
}

static void on_signal(uv_signal_t *s, int number)
{
    struct node *n = s->data;
    n->stopping = true;
    uv_stop(&n->loop);
}

int agent_run(const struct agent_options *options, struct gt_err *err)
{
    struct node_identity id = {0};
    int r = load_identity(options, &id, err);
    if (r < 0) {
        return r;
    }
    struct node *n = gt_new(struct node);
    n->o = *options;
    n->id = id;
    n->clock = SERVER_CLOCK_INIT;
    complete_options(n);
    node_keys_init(n);
    n->process_cap = process_cap();
    gt_table_init(&n->tasks);
    ended_init(&n->ended);
    /* A task takes two or three; containers get what this process was started with. */
    uint64_t descriptors = gt_descriptors_raise();
    signal(SIGPIPE, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", "8", 1);
    r = node_loop_init(n, err);
    if (r == 0) {
        r = open_parts(n, descriptors, err);
    }
    if (r == 0) {
        n->logs = log_shipper_new(n);
        r = control_new(n, &n->control, err);
    }
    if (r == 0 && n->id.subnet[0]) {
        r = node_net_open(n, err); /* before the server is heard of: it may be away */
    }
    if (r < 0) {
        return r;
    }
    uv_signal_init(&n->loop, &n->sigterm);
    uv_signal_init(&n->loop, &n->sigint);
    n->sigterm.data = n->sigint.data = n;
    uv_signal_start(&n->sigterm, on_signal, SIGTERM);
    uv_signal_start(&n->sigint, on_signal, SIGINT);
    uv_timer_init(&n->loop, &n->tick);
    n->tick.data = n;
    uv_timer_init(&n->loop, &n->refill);
    n->refill.data = n;
    uv_timer_start(&n->tick, on_tick, 1000, 1000);
    session_new(n);
    n->peers = peers_new(n);
    uv_run(&n->loop, UV_RUN_DEFAULT);

    /* Tasks stay; only this process goes. */
    peers_free(gt_steal_ptr(n->peers));
    session_free(gt_steal_ptr(n->session));
    if (n->memory_dirty) {
        node_identity_save(&n->o, &n->id, NULL);
    }
    log_shipper_free(gt_steal_ptr(n->logs));
    control_free(gt_steal_ptr(n->control));
    shim_pool_free(gt_steal_ptr(n->pool));
    if (n->net) {
        net_release(gt_steal_ptr(n->net));
    }
    gt_info("stopped; the tasks keep running");
    return 0;
}

/* --- teardown */

static int end_task(const char *task_id, void *arg)
{
    const struct agent_options *o = arg;
    struct gt_err err = GT_ERR_INIT;
    struct shim *s = NULL;
    if (shim_open(o->run_dir, task_id, &s, NULL) == 0) {
        shim_shutdown(s, NULL);
        shim_close(s);
    }
    int r = -EBUSY;
    for (int tries = 0; r == -EBUSY && tries < 300; tries++) {
        r = shim_cleanup(o->run_dir, task_id, &err);
        if (r == -EBUSY) {
            uv_sleep(10);
        }
    }
    if (r < 0) {
        gt_warn("task %s: %s", task_id, err.msg);
    }
    return 0;
}

static void remove_cgroup(const char *path)
{
    struct cgroup_sys *sys = NULL;
    struct cgroup *cg = NULL;
    struct gt_err err = GT_ERR_INIT;
    if (cgroup_sys_open(NULL, -1, &sys, &err) < 0) {
        return;
    }
    if (cgroup_open(sys, path, &cg, &err) == 0) {
        cgroup_kill(cg, NULL);
        int r = -EBUSY;
        for (int tries = 0; r == -EBUSY && tries < 200; tries++) {
            r = cgroup_remove(cg, &err);
            if (r == -EBUSY) {
                uv_sleep(10);
            }
        }
        if (r < 0) {
            gt_warn("%s", err.msg);
        }
        cgroup_close(cg);
    }
    cgroup_sys_close(sys);
}

int agent_teardown(const struct agent_options *o, struct gt_err *err)
{
    static const char *const folders[] = {"tasks", "rootfs", "volumes", "spool"};
    struct shim_opts so = {.run_dir = o->run_dir};
    gt_auto_free char *root = gt_asprintf("/%s", o->name);
    so.cgroup_root = root;
    shim_list(o->run_dir, end_task, (void *)o, NULL);
    struct shim_pool *pool = NULL;
    if (shim_pool_new(&so, 0, &pool, NULL) == 0) {
        shim_pool_free(pool); /* ends what an earlier agent's pool left */
    }
    node_link_kill(o);
    int r = net_destroy(o->name, o->run_dir, err);
    for (size_t i = 0; i < GT_ARRAY_LEN(folders); i++) {
        gt_auto_free char *dir = gt_asprintf("%s/agent/%s", o->state_dir, folders[i]);
        struct gt_err why = GT_ERR_INIT;
        if (gt_remove_tree(AT_FDCWD, dir, &why) < 0) {
            gt_warn("%s", why.msg);
        }
    }
    remove_cgroup(root);
    return r;
}
