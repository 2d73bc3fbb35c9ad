/* What must hold on the nodes: what runs there, and what they are told. */
#include "watch_priv.h"

/* Its tasks were given to others, and it has not heard of that yet. */
static bool unheard(const struct trial *t, const struct sim_node *n)
{
    const char *fenced = t->liars[n->index].fenced_in;
    return fenced[0] && (gt_streq(n->session, fenced) || n->revision == 0);
}

/* What the server has seen end never runs again. A ghost may: nobody could tell its node. */
void watch_node(void *arg, const struct sim_node *n, const struct sim_task *task)
{
    struct trial *t = arg;
    trace(t, "node %u: task %.6s is %s", n->index, task->id, task_state_name(task->status));
    const struct seen_task *s = gt_table_get(&t->watch->tasks, gt_str(task->id));
    if (t->liars[n->index].cloned || (s && !s->node->registered)) {
        return; /* two machines do what is said to one; or nobody tells this one any more */
    }
    bool ended = s && s->status == TASK_STOPPED && !s->ghost && !n->astray && !unheard(t, n);
    if (task->status == TASK_RUNNING && (ended || gt_table_get(&t->ended, gt_str(task->id)))) {
        violation(t, "a stopped task never runs again", "task %s on %s", task->id, n->spec.id);
    }
}

/* A server that knows less than the node has nothing to say to it. */
void watch_told(void *arg, const struct sim_node *n, const struct sim_task *task)
{
    struct trial *t = arg;
    if (n->astray && !t->liars[n->index].cloned) {
        violation(t, "an astray node is left alone", "node %s was told of task %s", n->spec.id,
                  task->id);
    }
}

/* Whether the node with this id was told something newer than the backup: then it will be astray.
 * One that has but reported since is not; what has begun and ended in between may begin again. */
static bool knows_more(struct trial *t, const char *id)
{
    for (unsigned i = 0; i < sim_agents_count(t->agents); i++) {
        const struct sim_node *n = sim_agents_node(t->agents, i);
        if (gt_streq(n->spec.id, id)) {
            return !t->liars[i].cloned && n->memory.revision > (int64_t)t->backup.revision;
        }
    }
    return false;
}

void watch_go_back(struct trial *t)
{
    if (core_revision(t->w.core) != t->w.durable) {
        return; /* who reported what is lost will do so again */
    }
    gt_list_for_each (it, tmp, &t->watch->all_tasks) {
        const struct seen_task *s = gt_list_entry(it, struct seen_task, link);
        if (s->has_exit && knows_more(t, s->node->id)) {
            gt_table_put(&t->ended, gt_str(s->id), t);
        }
    }
}
