/*
 * The controller of services. One step: take note of tasks that ended, replace unhealthy ones, plan
 * (service_plan), stop, start, and say what there is to say. Everything is read from the state as
 * it is; what must be remembered (failures in a row, what was said last) is in the record.
 */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/place.h"
#include "control/services/ecs/service.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"

#include <stdio.h>

/* Of tasks, one step starts, stops and replaces so many; an event has room for their names. */
enum { TASKS_A_STEP = 50, NOTED_A_STEP = 1000 };
#define EARLY_MS 10000                /* a task that ends sooner did not start properly */
#define REPEAT_MS (6 * 3600 * 1000LL) /* the same event is said again after this */
#define IMPAIRED_AFTER 3

struct view {
    struct tx *tx;
    struct rec_ecs_service *s;
    struct rec_ecs_deployment *primary;
    struct service_task *tasks;
    size_t n;
    struct plan_in counts;
    int64_t stopping; /* wanted STOPPED and not there yet */
    int64_t bound;    /* TASKS_A_STEP */
    bool changed;     /* the record is to be written */
    bool more;        /* something was left to the next step */
};

static bool wanted(const struct service_task *t)
{
    return t->desired_status == TASK_RUNNING && t->last_status != TASK_STOPPED;
}

static bool is_primary(const struct view *v, struct gt_str deployment)
{
    return gt_str_eq(deployment, v->primary->id);
}

/* Of the primary deployment, and on a node where it may stay. */
static bool is_fresh(const struct view *v, const struct service_task *t)
{
    return is_primary(v, t->deployment) && !t->leaving;
}

static void count(struct view *v)
{
    v->counts = (struct plan_in){.desired = v->s->desired,
                                 .min_percent = v->s->min_percent,
                                 .max_percent = v->s->max_percent};
    v->stopping = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct service_task *t = &v->tasks[i];
        bool fresh = is_fresh(v, t), running = t->last_status == TASK_RUNNING;
        if (!wanted(t) || t->last_status > TASK_RUNNING) {
            v->stopping += t->last_status != TASK_STOPPED;
        } else if (fresh) {
            v->counts.new_running += running;
            v->counts.new_pending += !running;
        } else {
            v->counts.old_running += running;
            v->counts.old_pending += !running;
        }
    }
}

static void note_failure(struct view *v, const struct rec_ecs_task *t)
{
    for (size_t i = 0; i < v->s->deployments.n; i++) {
        struct rec_ecs_deployment *d = &v->s->deployments.v[i];
        if (gt_str_eq(d->id, t->deployment) && !t->started_at) {
            d->failed++;
        }
    }
    if (!is_primary(v, t->deployment)) {
        return;
    }
    v->s->failures++;
    v->s->next_start_at = tx_now(v->tx) + service_backoff(v->s->failures);
    if (v->s->failures >= IMPAIRED_AFTER && !v->s->impaired) {
        v->s->impaired = true;
        service_event(v->tx, v->s, "is unable to consistently start tasks successfully.");
    }
}

/* Those that someone stopped are no failures. */
static void note_end(struct view *v, const struct rec_ecs_task *t)
{
    if (gt_str_is(t->stop_code, "ServiceSchedulerInitiated") ||
        gt_str_is(t->stop_code, "UserInitiated") || gt_str_is(t->stop_code, "TerminationNotice")) {
        return;
    }
    if (!t->started_at || t->stopped_at - t->started_at < EARLY_MS) {
        note_failure(v, t);
    } else if (is_primary(v, t->deployment)) {
        v->s->failures = 0;
    }
}

/* Tasks that ended since the last step. */
static void note_ended(struct view *v)
{
    struct tx *tx = v->tx;
    struct tx_cursor c = tx_scan(tx, key_done(tx, v->s->cluster, v->s->name, gt_str("")), NULL);
    size_t left = tx_bound(tx, NOTED_A_STEP);
    for (const char *key; (key = tx_next(&c)); left--) {
        if (left == 0) {
            v->more = true;
            return;
        }
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_task *t = task_get(tx, v->s->cluster, key_tail(key));
        tx_delete(tx, key);
        v->changed = true;
        v->s->steady = false;
        if (t) {
            note_end(v, t);
        }
        gt_arena_release(tx_arena(tx), mark);
    }
}

/* The first node that resolves an image's tag pins it for the deployment. */
static void note_digests(struct view *v)
{
    size_t i = 0;
    while (i < v->n && !v->tasks[i].unpinned) {
        i++;
    }
    /* The others know the same, or are looked at in the next step: this one changes the service. */
    const struct rec_ecs_task *t = i < v->n ? task_get(v->tx, v->s->cluster, v->tasks[i].id) : NULL;
    for (size_t k = 0; t && k < t->containers.n; k++) {
        const struct rec_ecs_container *c = &t->containers.v[k];
        struct rec_kv pin = {.key = c->name, .value = c->image_digest};
        if (c->image_digest.n && !deployment_pinned(v->primary, c->name)) {
            tags_merge(v->tx, &v->primary->pins, &(struct rec_kv_list){.v = &pin, .n = 1});
            v->changed = true;
        }
    }
}

static void stop_one(struct view *v, struct service_task *t, struct gt_str reason)
{
    struct rec_ecs_task *rec = task_get(v->tx, v->s->cluster, t->id);
    task_stop(v->tx, rec, "ServiceSchedulerInitiated", reason);
    t->desired_status = rec->desired_status;
}

static void replace_unhealthy(struct view *v)
{
    int64_t left = v->bound;
    for (size_t i = 0; i < v->n; i++) {
        struct service_task *t = &v->tasks[i];
        if (wanted(t) && t->unhealthy) {
            if (left-- == 0) {
                v->more = true;
                return;
            }
            service_event(v->tx, v->s, "(task " GT_STR_FMT ") failed container health checks.",
                          GT_STR_ARG(t->id));
            stop_one(v, t, GT_STR_LIT("Task failed container health checks"));
            v->s->steady = false;
            v->changed = true;
        }
    }
}

/* For each task, how many that are wanted its node has: one number for each node. */
static int64_t **count_nodes(const struct view *v)
{
    struct gt_arena *a = tx_arena(v->tx);
    int64_t **on = gt_arena_array(a, int64_t *, v->n + 1);
    struct gt_table nodes;
    gt_table_init(&nodes);
    for (size_t i = 0; i < v->n; i++) {
        const struct service_task *t = &v->tasks[i];
        on[i] = gt_table_get(&nodes, t->node);
        if (!on[i]) {
            on[i] = gt_arena_new(a, int64_t);
            gt_table_put(&nodes, t->node, on[i]);
        }
        *on[i] += wanted(t);
    }
    gt_table_fini(&nodes);
    return on;
}

/* The node (then the newest task) that has most of the service's tasks loses one first; what does
 * not run yet goes before all. v->n: there is none. */
static size_t pick_to_stop(const struct view *v, int64_t *const *on_node, bool fresh)
{
    size_t best = v->n;
    int64_t best_rank = -1;
    for (size_t i = 0; i < v->n; i++) {
        const struct service_task *t = &v->tasks[i];
        if (!wanted(t) || is_fresh(v, t) != fresh) {
            continue;
        }
        int64_t rank = *on_node[i] + (t->last_status < TASK_RUNNING ? 1 << 20 : 0);
        if (rank > best_rank || (rank == best_rank && t->created_at > v->tasks[best].created_at)) {
            best = i;
            best_rank = rank;
        }
    }
    return best;
}

static int64_t stop_some(struct view *v, int64_t *const *on_node, bool fresh, int64_t n,
                         struct gt_buf *said)
{
    int64_t done = 0;
    for (; done < n; done++) {
        size_t at = pick_to_stop(v, on_node, fresh);
        if (at == v->n) {
            break;
        }
        struct service_task *t = &v->tasks[at];
        stop_one(v, t,
                 gt_str(gt_arena_printf(tx_arena(v->tx),
                                        "Scaling activity initiated by (deployment " GT_STR_FMT ")",
                                        GT_STR_ARG(v->primary->id))));
        --*on_node[at];
        gt_buf_printf(said, " (task " GT_STR_FMT ")", GT_STR_ARG(t->id));
    }
    return done;
}

static void stop(struct view *v, const struct plan *plan)
{
    if (!plan->stop_new && !plan->stop_old) {
        return;
    }
    gt_auto_buf struct gt_buf said = GT_BUF_INIT(3500);
    int64_t **on_node = count_nodes(v);
    int64_t n = stop_some(v, on_node, /* fresh= */ true, GT_MIN(plan->stop_new, v->bound), &said);
    n += stop_some(v, on_node, /* fresh= */ false, GT_MIN(plan->stop_old, v->bound - n), &said);
    v->more = v->more || n < plan->stop_new + plan->stop_old;
    if (n) {
        service_event(v->tx, v->s, "has stopped %lld running tasks:%s.", (long long)n, said.p);
        v->s->steady = false;
        v->changed = true;
    }
}

static char *why_not(struct tx *tx, struct fleet *fleet, const struct sched_request *rq)
{
    const char *said = "was unable to place a task because no container instance met all of its "
                       "requirements.";
    enum sched_refusal why;
    const struct sched_node *closest = fleet_closest(fleet, rq, &why);
    if (!closest) {
        return gt_arena_printf(tx_arena(tx),
                               "%s Reason: No Container Instances were found in "
                               "your cluster.",
                               said);
    }
    return gt_arena_printf(tx_arena(tx),
                           "%s The closest matching (container-instance " GT_STR_FMT ") %s", said,
                           GT_STR_ARG(closest->id), sched_refusal_text(why));
}

static void say_unplaced(struct view *v, struct fleet *fleet, const struct sched_request *rq)
{
    struct rec_ecs_service *s = v->s;
    struct gt_str text = gt_str(why_not(v->tx, fleet, rq));
    tx_mark(v->tx, key_waiting(v->tx, s->cluster, s->name));
    if (gt_str_eq(s->unplaced_reason, text) && tx_now(v->tx) - s->unplaced_at < REPEAT_MS) {
        return;
    }
    s->unplaced_reason = text;
    s->unplaced_at = tx_now(v->tx);
    s->steady = false;
    v->changed = true;
    service_event(v->tx, s, "%s", text.p);
}

static void start(struct view *v, int64_t n)
{
    struct tx *tx = v->tx;
    struct task_ask ask;
    struct sched_request rq;
    if (n <= 0 || !service_ask(tx, v->s, v->primary, &ask, &rq)) {
        return;
    }
    struct fleet *fleet = place_fleet(tx, ask.cluster);
    struct gt_prng rng = {.state = tx_random(tx)};
    gt_auto_buf struct gt_buf said = GT_BUF_INIT(3500);
    int64_t done = 0;
    for (; done < n; done++) {
        const struct sched_node *node = fleet_place(fleet, &rq, &rng);
        if (!node) {
            say_unplaced(v, fleet, &rq);
            break;
        }
        struct rec_ecs_task *t = task_start(tx, node, &ask, &rq);
        gt_buf_printf(&said, " (task " GT_STR_FMT ")", GT_STR_ARG(t->id));
    }
    if (done == n && v->s->unplaced_reason.n) {
        v->s->unplaced_reason = (struct gt_str){NULL, 0};
        v->changed = true;
        tx_delete(tx, key_waiting(tx, v->s->cluster, v->s->name));
    }
    if (done) {
        service_event(tx, v->s, "has started %lld tasks:%s.", (long long)done, said.p);
        v->s->steady = false;
        v->changed = true;
    }
}

static void say_stuck(struct view *v, bool stuck)
{
    if (stuck == v->s->stuck) {
        return;
    }
    v->s->stuck = stuck;
    v->changed = true;
    if (stuck) {
        service_event(v->tx, v->s,
                      "was unable to stop or start tasks during a deployment because of the "
                      "service deployment configuration. Update the minimumHealthyPercent or "
                      "maximumPercent value and try again.");
    }
}

/* Tasks on nodes that are held count as they were, though nobody knows. */
static void say_held(struct view *v)
{
    long long held = 0;
    for (size_t i = 0; i < v->n; i++) {
        held += wanted(&v->tasks[i]) && v->tasks[i].held;
    }
    if (v->s->held == (held > 0)) {
        return;
    }
    v->s->held = held > 0;
    v->changed = true;
    if (held) {
        service_event(v->tx, v->s,
                      "has %lld tasks on container instances that are not heard. Too many fell "
                      "silent together: the tasks are not replaced until some are heard again or "
                      "an operator says so.",
                      held);
    } else {
        service_event(v->tx, v->s, "has no tasks on silent container instances any more.");
    }
}

/* Old deployments without tasks go; the primary one is complete when it alone has what is wanted.
 */
static void settle(struct view *v)
{
    struct rec_ecs_service *s = v->s;
    size_t kept = 0;
    for (size_t i = 0; i < s->deployments.n; i++) {
        struct rec_ecs_deployment *d = &s->deployments.v[i];
        bool has_tasks = d->primary;
        for (size_t k = 0; k < v->n && !has_tasks; k++) {
            has_tasks =
                v->tasks[k].last_status != TASK_STOPPED && gt_str_eq(v->tasks[k].deployment, d->id);
        }
        if (has_tasks) {
            s->deployments.v[kept++] = *d;
        } else {
            v->changed = true;
        }
    }
    s->deployments.n = kept;
    v->primary = service_primary(s);
    bool full = v->counts.new_running == s->desired && v->counts.new_pending == 0;
    if (!full || kept > 1 || v->stopping) {
        return;
    }
    if (gt_str_is(v->primary->rollout_state, "IN_PROGRESS")) {
        deployment_rollout(v->primary, ROLLOUT_COMPLETED, v->tx);
        v->changed = true;
        service_event(v->tx, s, "(deployment " GT_STR_FMT ") deployment completed.",
                      GT_STR_ARG(v->primary->id));
    }
    if (!s->steady && gt_str_is(s->status, SERVICE_ACTIVE)) {
        s->steady = true;
        v->changed = true;
        service_event(v->tx, s, "has reached a steady state.");
    }
}

static void end(struct view *v, const char *key)
{
    struct rec_ecs_service *s = v->s;
    /* Not before all ends are noted: a service of the same name would take them for its own. */
    if (gt_str_is(s->status, SERVICE_DRAINING) && v->n == 0 && !v->more) {
        s->status = GT_STR_LIT(SERVICE_INACTIVE);
        s->inactive_at = tx_now(v->tx);
        s->deployments.n = 0;
        tx_delete(v->tx, key_waiting(v->tx, s->cluster, s->name));
        tx_alarm_set(v->tx, service_controller.name, key, s->inactive_at + SERVICE_KEPT_MS);
        service_put(v->tx, s);
    }
}

static enum step_result forget(struct tx *tx, const char *key, struct rec_ecs_service *s)
{
    int64_t when = s->inactive_at + SERVICE_KEPT_MS;
    if (tx_now(tx) < when) {
        tx_alarm_set(tx, service_controller.name, key, when);
        return STEP_DONE;
    }
    tx_delete(tx, key_events(tx, s->cluster, s->name));
    tx_delete(tx, key);
    return STEP_DONE;
}

static enum step_result step(struct tx *tx, const char *key)
{
    struct rec_ecs_service *s = tx_get(tx, key, &rec_ecs_service_desc);
    if (!s) {
        return STEP_DONE;
    }
    if (gt_str_is(s->status, SERVICE_INACTIVE)) {
        return forget(tx, key, s);
    }
    struct view v = {.tx = tx, .s = s, .primary = service_primary(s)};
    v.bound = (int64_t)tx_bound(tx, TASKS_A_STEP);
    v.tasks = service_tasks(tx, s, &v.n);
    note_ended(&v);
    note_digests(&v);
    replace_unhealthy(&v);
    count(&v);
    struct plan plan = service_plan(&v.counts);
    stop(&v, &plan);
    bool throttled = plan.start && s->next_start_at > tx_now(tx);
    if (throttled) {
        tx_alarm_set(tx, service_controller.name, key, s->next_start_at);
    } else {
        start(&v, GT_MIN(plan.start, v.bound));
        v.more = v.more || plan.start > v.bound;
    }
    say_stuck(&v, plan.stuck);
    say_held(&v);
    if (!plan.start && !plan.stop_new && !plan.stop_old) {
        settle(&v);
    }
    if (v.changed) {
        service_put(tx, s);
    }
    if (gt_str_is(s->status, SERVICE_DRAINING)) {
        end(&v, key);
    }
    return v.more ? STEP_AGAIN : STEP_DONE;
}

const struct controller service_controller = {
    .name = "ecs-service", .watch = service_watch, .all = "ecs/service/", .step = step};
