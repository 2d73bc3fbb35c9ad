#include "node/agent/polled.h"

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node/agent/session.h"
#include "node/agent/task.h"

static void forget_unknown(struct node *n, const struct gt_table *all)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        struct task *t = e->value;
        if (!gt_table_get(all, gt_str(t->id)) && !t->forgotten) {
            gt_info("task %s is not the server's any more: it ends", t->id);
            t->forgotten = true;
        }
    }
}

static void accept_task(struct node *n, const struct agent_task *in, const struct polled *p)
{
    struct gt_err err = GT_ERR_INIT;
    struct task *t = gt_table_get(&n->tasks, in->id);
    if (t) {
        task_desired(t, in);
        return;
    }
    if (ended_after(&n->ended, in->id, p->ended)) {
        return; /* the answer is from before the server knew */
    }
    if (task_new(n, in, &t, &err) < 0) {
        gt_error("refused a task: %s", err.msg);
        return;
    }
    bool began = in->last_status.n && !gt_str_is(in->last_status, "PROVISIONING") &&
                 !gt_str_is(in->last_status, "PENDING");
    if (p->adopted) {
        /* The state may be from before its end. Nothing is run twice. */
        task_fail(t, "TaskFailedToStart",
                  "The server's state is from a backup; the task may have run here before");
    } else if (began) {
        /* It ran here once and nothing is left of it. */
        task_fail(t, "EssentialContainerExited", "The host was restarted");
    }
    task_step(t);
}

void polled_free(struct polled *p)
{
    gt_table_fini(&p->all);
    gt_arena_fini(&p->arena);
    free(p);
}

void polled_settle(struct node *n)
{
    if (!n->walked || !atomic_load(&n->clearing)) {
        return;
    }
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        if (((struct task *)e->value)->forgotten) {
            return;
        }
    }
    atomic_store(&n->clearing, false);
}

void polled_take(struct node *n, void *arg)
{
    struct polled *p = arg;
    if (n->ready) {
        if (p->out.full) {
            forget_unknown(n, &p->all);
        }
        for (size_t i = 0; i < p->out.tasks.n; i++) {
            accept_task(n, &p->out.tasks.v[i], p);
        }
        for (size_t i = 0; i < p->out.gone.n; i++) {
            struct task *t = gt_table_get(&n->tasks, p->out.gone.v[i]);
            if (t) {
                t->forgotten = true;
            }
        }
        if (p->out.full || p->out.gone.n) {
            task_step_all(n);
        }
        ended_forget(&n->ended, p->ended);
    }
    if (p->anew) {
        session_report_all(n);
    }
    if (p->remember) {
        node_remember(n, p->epoch, p->revision);
    }
    if (p->out.full) {
        n->walked = true;
    }
    polled_settle(n);
    polled_free(p);
}
