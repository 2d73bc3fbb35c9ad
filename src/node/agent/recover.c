/* After a restart of the agent: find the tasks again that ran without it. */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "node/agent/logs.h"
#include "node/agent/task.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { SETTLE_TRIES = 200, SETTLE_STEP_MS = 10 };

static void take_over(struct container *c, const struct shim_container *s)
{
    c->pid = s->pid;
    c->oom = s->oom;
    c->created_ms = s->created_ms;
    c->started_ms = s->started_ms;
    c->spool_from = s->spool_acked;
    snprintf(c->cgroup, sizeof c->cgroup, "%s", s->cgroup);
    switch ((enum shim_container_state)s->state) {
    case SHIM_CONTAINER_RUNNING:
        c->state = CONTAINER_RUNNING;
        health_start(c);
        break;
    case SHIM_CONTAINER_EXITED:
        c->state = CONTAINER_STOPPED;
        c->has_exit = s->started_ms != 0;
        c->start_failed = s->started_ms == 0;
        c->exit_code = s->exit_code;
        c->stopped_ms = s->exited_ms;
        if (c->oom) {
            snprintf(c->reason, sizeof c->reason,
                     "OutOfMemoryError: Container killed due to memory usage");
        }
        break;
    case SHIM_CONTAINER_CREATING:
    case SHIM_CONTAINER_CREATED:
    default:
        /* Half made when the agent died: its reply went nowhere. */
        c->state = CONTAINER_STOPPED;
        c->start_failed = true;
        break;
    }
}

static void take_image(struct container *c)
{
    /* By the manifest: nothing leads from an index to it once the tag has moved on. */
    const char *digest = c->manifest_digest[0] ? c->manifest_digest : c->image_digest;
    if (digest[0]) {
        image_find(c->task->node->images, digest, &c->image, NULL);
    }
}

static void take_network(struct task *t)
{
    for (size_t i = 0; i < t->n_containers && t->network != NETWORK_HOST; i++) {
        struct container *c = &t->containers[i];
        gt_auto_free char *own = gt_asprintf("%s.%zu", t->id, i);
        const char *id = t->network == NETWORK_BRIDGE ? own : t->id;
        size_t n = c->n_ports;
        net_find(t->node->net, id, &c->net, t->network == NETWORK_BRIDGE ? c->ports : NULL,
                 t->network == NETWORK_BRIDGE ? c->n_ports : 0, &n);
    }
}

/* What the shim has. A container that was being started when the last agent died is a matter of
 * milliseconds: it is waited for, so that it counts as what it becomes. */
static int settled(struct shim *s, struct shim_container *list, struct gt_err *err)
{
    for (int tries = 0;; tries++) {
        int n = shim_containers(s, list, SHIM_MAX_CONTAINERS, err);
        bool busy = false;
        for (int i = 0; i < n; i++) {
            busy |= list[i].state == SHIM_CONTAINER_CREATING;
        }
        if (!busy || tries == SETTLE_TRIES) {
            return n;
        }
        uv_sleep(SETTLE_STEP_MS);
    }
}

int task_adopt(struct task *t, struct gt_err *err)
{
    struct shim_container list[SHIM_MAX_CONTAINERS];
    int n = shim_open(t->node->o.run_dir, t->id, &t->shim, err);
    if (n == 0) {
        n = settled(t->shim, list, err);
    }
    if (n == 0) { /* the last agent died between the two steps of taking a shim, or right after */
        gt_auto_free char *spool = task_dir(t, "spool");
        struct rt_limits limits;
        task_limits(t, &limits);
        n = shim_task_again(t->shim, t->id, spool, &limits, err);
    }
    if (n < 0) {
        shim_close(gt_steal_ptr(t->shim));
        return n;
    }
    for (int i = 0; i < n; i++) {
        struct container *c = task_container(t, list[i].id);
        if (c) {
            take_over(c, &list[i]);
        }
    }
    t->prepared = true;
    t->phase = TASK_ACTIVE;
    t->adopted = true;
    task_keys_find(t);
    take_network(t);
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        take_image(c);
        struct gt_err why = GT_ERR_INIT;
        if (c->state != CONTAINER_NONE && log_stream_open(t->node->logs, c, &c->log, &why) < 0) {
            gt_warn("task %s: logs of %s: %s", t->id, c->name, why.msg);
        }
        if (c->state == CONTAINER_STOPPED) {
            for (int k = 0; k < n; k++) {
                if (gt_streq(list[k].id, c->runtime_id)) {
                    log_stream_poke(c->log, list[k].spool_written);
                }
            }
            if (c->start_failed) {
                task_fail(t, "TaskFailedToStart",
                          "CannotStartContainerError: the agent was restarted meanwhile");
            } else if (container_essential(c)) {
                task_fail(t, "EssentialContainerExited", "Essential container in task exited");
            }
        }
    }
    task_attach_shim(t);
    task_drain_shim(t); /* what came while it was asked: the socket does not tell of it */
    t->dirty = true;
    return 0;
}

/* Its shim is dead: what the shim has recorded of exits is still to be had. */
static void bury(struct task *t)
{
    struct shim_event *e = gt_new_array(struct shim_event, 256);
    uint64_t after = 0;
    int n;
    while ((n = shim_events_read(t->node->o.run_dir, t->id, after, e, 256, NULL)) > 0) {
        for (int i = 0; i < n; i++) {
            struct container *c = task_container(t, e[i].container);
            if (c && e[i].type == SHIM_EVENT_STARTED) {
                c->started_ms = e[i].time_ms;
                c->state = CONTAINER_RUNNING;
            } else if (c && e[i].type == SHIM_EVENT_EXITED) {
                c->state = CONTAINER_STOPPED;
                c->has_exit = true;
                c->exit_code = e[i].exit_code;
                c->stopped_ms = e[i].time_ms;
            }
        }
        after = e[n - 1].seq;
    }
    free(e);
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        if (c->state == CONTAINER_RUNNING) {
            c->has_exit = true;
            c->exit_code = 137;
            snprintf(c->reason, sizeof c->reason, "The process that ran the container was killed");
        }
        c->state = CONTAINER_STOPPED;
    }
    t->shim_dead = true;
    t->adopted = true;
    for (size_t i = 0; i < t->n_containers; i++) {
        struct container *c = &t->containers[i];
        if (c->started_ms) { /* what it wrote last may not have been shipped */
            log_stream_open(t->node->logs, c, &c->log, NULL);
        }
    }
    task_fail(t, t->started_ms ? "EssentialContainerExited" : "TaskFailedToStart",
              after ? "The process that ran the task's containers (gantry-shim) was killed"
                    : "The host was restarted");
    t->prepared = true;
    t->dirty = true;
}

static int recover_one(struct node *n, const char *id)
{
    struct gt_err err = GT_ERR_INIT;
    struct task *t = NULL;
    int r = task_load(n, id, &t, &err);
    if (r < 0) {
        gt_warn("task %s cannot be read back: %s", id, err.msg);
        shim_cleanup(n->o.run_dir, id, NULL);
        gt_auto_free char *dir = gt_asprintf("%s/agent/tasks/%s", n->o.state_dir, id);
        gt_remove_tree(AT_FDCWD, dir, NULL);
        return 0;
    }
    if (t->phase == TASK_CLEANING) { /* it had ended, and what it left is cleaned up again */
        t->adopted = true;
        t->dirty = true;
        return 0;
    }
    r = task_adopt(t, &err);
    if (r < 0) {
        bool started = t->started_ms || t->stop_code;
        gt_auto_free char *dir = gt_asprintf("%s/tasks/%s", n->o.run_dir, id);
        if (started || access(dir, F_OK) == 0) {
            bury(t);
        } /* else: it was still being prepared, and is again */
    } else {
        gt_info("task %s was found again", id);
    }
    return 0;
}

int node_recover(struct node *n, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/agent/tasks", n->o.state_dir);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] != '.') {
            recover_one(n, e->d_name);
        }
    }
    if (dir) {
        closedir(dir);
    }
    /* Networks of tasks that are no more. */
    size_t count = 0;
    struct gt_table_iter it = {0};
    const char **live = gt_new_array(const char *, n->tasks.count *SHIM_MAX_CONTAINERS);
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        struct task *t = e->value;
        for (size_t i = 0; i < t->n_containers && t->network == NETWORK_BRIDGE; i++) {
            live[count++] = gt_arena_printf(&t->arena, "%s.%zu", t->id, i);
        }
        if (t->network != NETWORK_BRIDGE && t->network != NETWORK_HOST) {
            live[count++] = t->id;
        }
    }
    int r = net_recover(n->net, live, count, err);
    free(live);
    return r < 0 ? r : 0;
}
