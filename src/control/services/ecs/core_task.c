/* RunTask, StartTask, StopTask, DescribeTasks. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/idempotency.h"
#include "control/services/ecs/launch.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/place.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

/* What RunTask and StartTask have in common, prepared. */
struct launch {
    struct task_ask ask;
    struct sched_request rq;
};

static int check_text(struct gt_str s, const char *field, size_t max, struct gt_err *err)
{
    if (s.n > max) {
        return invalid(err, "%s must have length less than or equal to %zu.", field, max);
    }
    return 0;
}

static int prepare_group(struct tx *tx, struct gt_str said, struct task_ask *ask,
                         struct gt_err *err)
{
    if (gt_str_starts(said, GT_STR_LIT("service:"))) {
        return invalid(err, "Invalid namespace for group.");
    }
    ask->group = said.n ? said
                        : gt_str(gt_arena_printf(tx_arena(tx), "family:" GT_STR_FMT,
                                                 GT_STR_ARG(ask->def->family)));
    return check_text(said, "group", 255, err);
}

static int prepare_tags(struct tx *tx, const struct ecs_tag_list *said, struct gt_str propagate,
                        bool managed, struct task_ask *ask, struct gt_err *err)
{
    struct rec_kv_list own;
    int r = tags_check(tx, said, &own, err);
    if (r < 0) {
        return r;
    }
    if (gt_str_is(propagate, "SERVICE")) {
        return invalid(err, "Propagating tags from a service is not supported for a task that no "
                            "service starts.");
    }
    if (gt_str_is(propagate, "TASK_DEFINITION")) {
        ask->tags = ask->def->tags;
    }
    if (tags_merge(tx, &ask->tags, &own) < 0) {
        return invalid(err, "The maximum number of tags for a resource is 50.");
    }
    if (managed) {
        launch_managed_tags(tx, ask->cluster, gt_str(NULL), &ask->tags);
    }
    return 0;
}

static int prepare_network(struct tx *tx, const struct ecs_network_configuration *said,
                           struct task_ask *ask, struct gt_err *err)
{
    struct rec_str_list subnets = {0};
    int r = launch_network_check(ask->def, said, &subnets, err);
    if (r == 0 && subnets.n) {
        ask->subnet = subnets.v[0];
    }
    return r;
}

static int check_run(const struct ecs_run_task_in *in, struct gt_err *err)
{
    if (in->has_count && (in->count < 1 || in->count > 10)) {
        return invalid(err, "Count must be between 1 and 10.");
    }
    if (in->capacity_provider_strategy.n) {
        return invalid(err, "'capacityProviderStrategy' is not supported.");
    }
    if (in->enable_execute_command) {
        return invalid(err, "'enableExecuteCommand' is not supported.");
    }
    int r = check_text(in->started_by, "startedBy", 128, err);
    r = r ? r : check_text(in->reference_id, "referenceId", 1024, err);
    return r ? r : idempotency_check(in->client_token, 64, err);
}

static int prepare_run(struct tx *tx, const struct ecs_run_task_in *in,
                       const struct rec_ecs_cluster *cluster, struct launch *l, struct gt_err *err)
{
    struct task_ask *ask = &l->ask;
    ask->cluster = cluster->name;
    ask->def = launch_taskdef(tx, in->task_definition, err);
    if (!ask->def) {
        return -EINVAL;
    }
    ask->started_by = in->started_by;
    int r = launch_type_check(ask->def, in->launch_type, &ask->launch_type, err);
    r = r ? r : launch_platform_check(in->platform_version, ask->launch_type, err);
    r = r ? r : prepare_group(tx, in->group, ask, err);
    r = r ? r : prepare_network(tx, in->network_configuration, ask, err);
    r = r ? r : launch_overrides(tx, in->overrides, ask, err);
    r = r ? r
          : prepare_tags(tx, &in->tags, in->propagate_tags, in->enable_ecs_managed_tags, ask, err);
    if (r < 0) {
        return r;
    }
    launch_keep_placement(tx, &in->placement_constraints, &in->placement_strategy,
                          &ask->constraints, &ask->strategies);
    l->rq = task_request(tx, ask);
    return launch_placement(tx, &ask->constraints, &ask->strategies, &l->rq, err);
}

static void add_failures(struct tx *tx, const struct fleet *f, const struct launch *l,
                         struct ecs_failure_list *out)
{
    for (size_t i = 0; i < fleet_size(f); i++) {
        const struct sched_node *n = fleet_at(f, i);
        enum sched_refusal why = sched_fits(n, &l->rq);
        if (n->external == l->rq.external && why != SCHED_FITS) {
            failure_add(tx, out, arn_instance(tx, l->ask.cluster, n->id), sched_refusal_reason(why),
                        NULL);
        }
    }
}

static int run(struct tx *tx, const struct launch *l, int64_t count, struct ecs_run_task_out *out,
               struct rec_ecs_idempotency *keep, struct gt_err *err)
{
    struct fleet *fleet = place_fleet(tx, l->ask.cluster);
    struct gt_prng rng = {.state = tx_random(tx)};
    keep->tasks.v = gt_arena_array(tx_arena(tx), struct gt_str, (size_t)count);
    out->tasks.v = gt_arena_array(tx_arena(tx), struct ecs_task, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        const struct sched_node *node = fleet_place(fleet, &l->rq, &rng);
        if (!node) {
            add_failures(tx, fleet, l, &out->failures);
            break;
        }
        struct rec_ecs_task *t = task_start(tx, node, &l->ask, &l->rq);
        keep->tasks.v[keep->tasks.n++] = t->id;
        task_show(tx, t, /* with_tags= */ true, &out->tasks.v[out->tasks.n++]);
    }
    if (!out->tasks.n && !out->failures.n) {
        return invalid(err, "No Container Instances were found in your cluster.");
    }
    for (size_t i = 0; i < out->failures.n; i++) {
        const struct ecs_failure *f = &out->failures.v[i];
        if (i == 0) {
            keep->failures.v = gt_arena_array(tx_arena(tx), struct rec_kv, out->failures.n);
        }
        keep->failures.v[keep->failures.n++] = (struct rec_kv){.key = f->arn, .value = f->reason};
    }
    return 0;
}

static void answer_again(struct tx *tx, struct gt_str cluster,
                         const struct rec_ecs_idempotency *kept, struct ecs_run_task_out *out)
{
    out->tasks.v = gt_arena_array(tx_arena(tx), struct ecs_task, kept->tasks.n + 1);
    for (size_t i = 0; i < kept->tasks.n; i++) {
        struct rec_ecs_task *t = task_get(tx, cluster, kept->tasks.v[i]);
        if (t) {
            task_show(tx, t, /* with_tags= */ true, &out->tasks.v[out->tasks.n++]);
        }
    }
    for (size_t i = 0; i < kept->failures.n; i++) {
        failure_add(tx, &out->failures, kept->failures.v[i].key,
                    gt_arena_str(tx_arena(tx), kept->failures.v[i].value), NULL);
    }
}

int ecs_run_task(struct tx *tx, const struct ecs_run_task_in *in, struct ecs_run_task_out *out,
                 struct gt_err *err)
{
    out->tasks.has = out->failures.has = true;
    int r = check_run(in, err);
    struct rec_ecs_cluster *cluster = r ? NULL : cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return r ? r : -ENOENT;
    }
    struct idempotency idem = idempotency_find(tx, "RunTask", cluster->name, in->client_token,
                                               &ecs_run_task_in_shape, in);
    if (idem.other) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ConflictException",
                          "The client token was used before with other parameters.");
    }
    if (idem.found) {
        answer_again(tx, cluster->name, idem.found, out);
        return 0;
    }
    struct launch l = {0};
    struct rec_ecs_idempotency keep = {0};
    r = prepare_run(tx, in, cluster, &l, err);
    r = r ? r : run(tx, &l, in->has_count ? in->count : 1, out, &keep, err);
    if (r == 0) {
        idempotency_keep(tx, &idem, &keep);
    }
    return r;
}

static int prepare_start(struct tx *tx, const struct ecs_start_task_in *in, struct launch *l,
                         struct gt_err *err)
{
    struct task_ask *ask = &l->ask;
    ask->def = launch_taskdef(tx, in->task_definition, err);
    if (!ask->def) {
        return -EINVAL;
    }
    ask->started_by = in->started_by;
    ask->launch_type = GT_STR_LIT(ECS_LAUNCH_TYPE_EC2);
    int r = check_text(in->started_by, "startedBy", 128, err);
    r = r ? r : check_text(in->reference_id, "referenceId", 1024, err);
    r = r ? r : prepare_group(tx, in->group, ask, err);
    r = r ? r : prepare_network(tx, in->network_configuration, ask, err);
    r = r ? r : launch_overrides(tx, in->overrides, ask, err);
    r = r ? r
          : prepare_tags(tx, &in->tags, in->propagate_tags, in->enable_ecs_managed_tags, ask, err);
    l->rq = task_request(tx, ask);
    return r;
}

static void start_on(struct tx *tx, const struct fleet *f, struct gt_str said,
                     const struct launch *l, struct ecs_start_task_out *out)
{
    struct gt_str id, name = name_of_arn(tx, said, "container-instance");
    const struct sched_node *node =
        name_in_cluster(name, l->ask.cluster, &id) ? fleet_find(f, id) : NULL;
    if (!node || node->external) {
        failure_add(tx, &out->failures, said, "MISSING", NULL);
        return;
    }
    enum sched_refusal why = sched_fits(node, &l->rq);
    if (why != SCHED_FITS) {
        failure_add(tx, &out->failures, arn_instance(tx, l->ask.cluster, id),
                    sched_refusal_reason(why), NULL);
        return;
    }
    struct rec_ecs_task *t = task_start(tx, node, &l->ask, &l->rq);
    task_show(tx, t, /* with_tags= */ true, &out->tasks.v[out->tasks.n++]);
}

int ecs_start_task(struct tx *tx, const struct ecs_start_task_in *in,
                   struct ecs_start_task_out *out, struct gt_err *err)
{
    if (in->container_instances.n == 0 || in->container_instances.n > 10) {
        return invalid(err, "containerInstances must have 1 to 10 items.");
    }
    if (in->enable_execute_command) {
        return invalid(err, "'enableExecuteCommand' is not supported.");
    }
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    struct launch l = {.ask.cluster = cluster->name};
    int r = prepare_start(tx, in, &l, err);
    if (r < 0) {
        return r;
    }
    const struct fleet *fleet = place_fleet(tx, cluster->name);
    out->tasks.has = out->failures.has = true;
    out->tasks.v = gt_arena_array(tx_arena(tx), struct ecs_task, in->container_instances.n);
    for (size_t i = 0; i < in->container_instances.n; i++) {
        start_on(tx, fleet, in->container_instances.v[i], &l, out);
    }
    return 0;
}

int ecs_stop_task(struct tx *tx, const struct ecs_stop_task_in *in, struct ecs_stop_task_out *out,
                  struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    struct rec_ecs_task *t = task_of(tx, cluster->name, in->task);
    if (!t) {
        return invalid(err, "The referenced task was not found.");
    }
    int r = check_text(in->reason, "reason", 1024, err);
    if (r < 0) {
        return r;
    }
    task_stop(tx, t, "UserInitiated",
              in->reason.n ? in->reason : GT_STR_LIT("Task stopped by user"));
    out->task = gt_arena_new(tx_arena(tx), struct ecs_task);
    task_show(tx, t, /* with_tags= */ false, out->task);
    return 0;
}

int ecs_describe_tasks(struct tx *tx, const struct ecs_describe_tasks_in *in,
                       struct ecs_describe_tasks_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    if (in->tasks.n == 0 || in->tasks.n > 100) {
        return invalid(err, in->tasks.n ? "At most 100 tasks can be described at once."
                                        : "Tasks cannot be empty.");
    }
    bool tags = includes(&in->include, "TAGS");
    out->tasks.has = out->failures.has = true;
    out->tasks.v = gt_arena_array(tx_arena(tx), struct ecs_task, in->tasks.n);
    for (size_t i = 0; i < in->tasks.n; i++) {
        struct rec_ecs_task *t = task_of(tx, cluster->name, in->tasks.v[i]);
        if (t) {
            task_show(tx, t, tags, &out->tasks.v[out->tasks.n++]);
            continue;
        }
        bool arn = gt_str_starts(in->tasks.v[i], GT_STR_LIT("arn:"));
        failure_add(tx, &out->failures,
                    arn ? in->tasks.v[i] : arn_task(tx, cluster->name, in->tasks.v[i]), "MISSING",
                    NULL);
    }
    return 0;
}
