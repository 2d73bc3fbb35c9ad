/* The order of containers by dependsOn: a pure function of their states. */
#include "node/agent/task.h"

static const struct container *find(const struct task *t, struct gt_str name)
{
    for (size_t i = 0; i < t->n_containers; i++) {
        if (gt_str_is(name, t->containers[i].name)) {
            return &t->containers[i];
        }
    }
    return NULL;
}

static enum order_verdict condition(const struct container *dep, struct gt_str what)
{
    bool stopped = dep->state == CONTAINER_STOPPED;
    bool ran = stopped ? !dep->start_failed : dep->state == CONTAINER_RUNNING;
    if (stopped && dep->start_failed) {
        return ORDER_NEVER;
    }
    if (gt_str_is(what, "START")) {
        return ran ? ORDER_GO : ORDER_WAIT;
    }
    if (gt_str_is(what, "COMPLETE")) {
        return stopped ? ORDER_GO : ORDER_WAIT;
    }
    if (gt_str_is(what, "SUCCESS")) {
        return !stopped ? ORDER_WAIT : dep->exit_code == 0 ? ORDER_GO : ORDER_NEVER;
    }
    /* HEALTHY. What is unhealthy now may be slow to come up: startTimeout is the limit, as in ECS.
     */
    if (stopped) {
        return ORDER_NEVER;
    }
    return dep->health.state == HEALTH_HEALTHY ? ORDER_GO : ORDER_WAIT;
}

enum order_verdict order_start(const struct task *t, const struct container *c,
                               const struct container **ret_why)
{
    enum order_verdict all = ORDER_GO;
    for (size_t i = 0; i < c->def->depends_on.n; i++) {
        const struct ecs_container_dependency *d = &c->def->depends_on.v[i];
        const struct container *dep = find(t, d->container_name);
        if (!dep) {
            continue; /* the server refuses such a definition */
        }
        enum order_verdict v = condition(dep, d->condition);
        if (v == ORDER_NEVER) {
            *ret_why = dep;
            return ORDER_NEVER;
        }
        if (v == ORDER_WAIT) {
            all = ORDER_WAIT;
        }
    }
    return all;
}

bool order_stop(const struct task *t, const struct container *c)
{
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct container *other = &t->containers[i];
        if (other->state != CONTAINER_RUNNING && other->state != CONTAINER_CREATING) {
            continue;
        }
        for (size_t k = 0; k < other->def->depends_on.n; k++) {
            if (gt_str_is(other->def->depends_on.v[k].container_name, c->name)) {
                return false;
            }
        }
    }
    return true;
}
