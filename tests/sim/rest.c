/* When the faults have ceased and time has passed. */
#include "watch_priv.h"

#include <stdio.h>

static int rest_task(struct trial *t, const struct seen_task *s)
{
    const char *what = "everything comes to rest";
    if (s->ghost) {
        return violation(t, what, "task %s is still a ghost", s->id);
    }
    if (s->status == TASK_STOPPED) {
        return 0;
    }
    const struct sim_task *there = NULL;
    for (unsigned i = 0; i < sim_agents_count(t->agents) && !there; i++) {
        struct sim_node *n = sim_agents_node(t->agents, i);
        there = gt_streq(n->spec.id, s->node->id) ? sim_node_task(n, s->id) : NULL;
    }
    if (s->status != TASK_RUNNING || s->desired != TASK_RUNNING || !there ||
        there->status != TASK_RUNNING) {
        return violation(t, what, "task %s is %s, wanted %s, and %s on its node", s->id,
                         task_state_name(s->status), task_state_name(s->desired),
                         there ? task_state_name(there->status) : "missing");
    }
    return 0;
}

static int rest_nodes(struct trial *t, size_t wanted)
{
    size_t running = 0;
    gt_list_for_each (it, tmp, &t->watch->all_nodes) {
        const struct seen_node *n = gt_list_entry(it, struct seen_node, link);
        if (n->lost && n->registered) {
            return violation(t, "everything comes to rest", "node %s is still lost", n->id);
        }
        if (n->astray) {
            return violation(t, "everything comes to rest", "node %s is still astray", n->id);
        }
    }
    for (unsigned i = 0; i < sim_agents_count(t->agents); i++) {
        running += sim_agents_node(t->agents, i)->n_tasks;
    }
    return running == wanted ? 0
                             : violation(t, "everything comes to rest",
                                         "%zu tasks on the nodes, %zu wanted", running, wanted);
}

int rest_check(struct trial *t)
{
    size_t wanted = 0;
    gt_list_for_each (it, tmp, &t->watch->all_tasks) {
        const struct seen_task *s = gt_list_entry(it, struct seen_task, link);
        if (rest_task(t, s) < 0) {
            return gt_err_code(t->err);
        }
        wanted += s->status != TASK_STOPPED;
    }
    for (int i = 0; i < SERVICES; i++) {
        const struct known_service *v = &t->services[i];
        const struct seen_service *s = gt_table_get(&t->watch->services, gt_str(v->name));
        int64_t runs = s ? s->running : 0, want = v->exists ? v->desired : 0;
        if (runs != want && !v->wild) {
            return violation(t, "services have what they want", "service %s runs %d tasks of %d",
                             v->name, (int)runs, (int)want);
        }
    }
    return rest_nodes(t, wanted);
}

/* What was kept for an hour or a day is gone with it. */
int rest_empty(struct trial *t)
{
    static const char *const prefixes[] = {
        "ecs/task/", "ecs/live/",   "ecs/dead/",    "ecs/group/", "ecs/done/",    "ecs/assign/",
        "ecs/lost/", "ecs/astray/", "ecs/waiting/", "ecs/token/", "ecs/service/", "ecs/events/"};
    for (size_t i = 0; i < GT_ARRAY_LEN(prefixes); i++) {
        char key[64];
        snprintf(key, sizeof key, SIM_PLACE "%s", prefixes[i]);
        size_t n = state_count(t, key);
        if (n) {
            return violation(t, "nothing is left over", "%zu keys under %s", n, key);
        }
    }
    size_t alarms = state_count(t, "~/alarm/");
    return alarms ? violation(t, "nothing is left over", "%zu alarms", alarms) : 0;
}
