/* What a task held is given back: its shim, cgroup, network and folders. On the pool. */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "node/agent/logs.h"
#include "node/agent/task.h"

#include <fcntl.h>

struct clean {
    struct task *t;
    struct shim *shim;
    struct gt_err err;
    int r;
};

static void clean_work(void *arg)
{
    struct clean *k = arg;
    struct task *t = k->t;
    static const char *const folders[] = {"rootfs", "volumes", "spool"};
    gt_auto_free char *spool = task_dir(t, "spool");
    if (k->shim) {
        shim_shutdown(k->shim, NULL);
        shim_close(k->shim);
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *c = &t->containers[i];
        if (c->has_exit && c->exit_code != 0 && !t->last_log[0]) {
            gt_auto_free char *path = gt_asprintf("%s/%s.log", spool, c->runtime_id);
            log_spool_tail(path, c->spool_from, t->last_log, sizeof t->last_log);
        }
    }
    /* Processes of the cgroup may take a moment to die. */
    for (int tries = 0; tries < 200; tries++) {
        k->r = shim_cleanup(t->node->o.run_dir, t->id, &k->err);
        if (k->r != -EBUSY) {
            break;
        }
        uv_sleep(tries < 20 ? 1 : 10);
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        if (t->containers[i].log) {
            log_stream_leave(gt_steal_ptr(t->containers[i].log));
        }
    }
    gt_auto_free char *etc = task_etc_dir(t);
    gt_remove_tree(AT_FDCWD, etc, NULL);
    task_remove_metadata(t);
    task_detach_network(t);
    for (size_t i = 0; i < GT_ARRAY_LEN(folders); i++) {
        gt_auto_free char *dir = task_dir(t, folders[i]);
        struct gt_err err = GT_ERR_INIT;
        if (gt_remove_tree(AT_FDCWD, dir, &err) < 0) {
            gt_warn("task %s: %s", t->id, err.msg);
        }
    }
}

static void clean_done(struct node *n, void *arg)
{
    struct clean *k = arg;
    struct task *t = k->t;
    if (k->r < 0 && k->r != -ENOENT) {
        gt_warn("task %s: %s", t->id, k->err.msg);
    }
    free(k);
    t->cleaning = false;
    t->phase = TASK_STOPPED;
    gt_info("task %s stopped", t->id);
    task_changed(t);
    task_step(t);
}

void task_clean(struct task *t, int64_t now)
{
    if (t->cleaning) {
        return;
    }
    bool drained = true;
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *c = &t->containers[i];
        drained &= c->start_failed || log_stream_drained(c->log); /* it has said nothing */
    }
    if (!drained && now < t->cleaning_ms + TASK_DRAIN_MS) {
        return;
    }
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        if (c->log && c->has_exit && c->exit_code != 0 && !t->last_log[0]) {
            log_stream_tail(c->log, t->last_log, sizeof t->last_log);
        }
        if (log_stream_drained(c->log)) {
            log_stream_drop(gt_steal_ptr(c->log));
        }
        image_unref(gt_steal_ptr(t->containers[i].image));
    }
    struct clean *k = gt_new(struct clean);
    k->t = t;
    k->shim = task_detach_shim(t);
    t->cleaning = true;
    node_work(t->node, clean_work, clean_done, k);
}
