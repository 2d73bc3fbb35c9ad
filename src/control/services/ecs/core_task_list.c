/* ListTasks. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/ecs/task.h"
#include "control/services/gen/ecs_handlers.h"

#include <errno.h>

struct filter {
    const struct ecs_list_tasks_in *in;
    struct gt_str node, service;
};

static bool matches(const struct filter *f, const struct rec_ecs_task *t)
{
    const struct ecs_list_tasks_in *in = f->in;
    return (!f->node.n || gt_str_eq(t->node, f->node)) &&
           (!f->service.n || gt_str_eq(t->service, f->service)) &&
           (!in->family.n || gt_str_eq(t->family, in->family)) &&
           (!in->started_by.n || gt_str_eq(t->started_by, in->started_by)) &&
           (!in->launch_type.n || gt_str_eq(t->launch_type, in->launch_type));
}

static bool wanted(struct tx *tx, const struct filter *f, struct gt_str cluster, struct gt_str id)
{
    struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
    const struct rec_ecs_task *t = task_get(tx, cluster, id);
    bool yes = t && matches(f, t);
    gt_arena_release(tx_arena(tx), mark);
    return yes;
}

static int open_filter(struct tx *tx, struct gt_str cluster, const struct ecs_list_tasks_in *in,
                       struct filter *f, struct gt_err *err)
{
    *f = (struct filter){.in = in};
    if (in->service_name.n) {
        struct gt_str said = name_of_arn(tx, in->service_name, "service");
        if (!name_in_cluster(said, cluster, &f->service) || !name_valid(f->service, "", 255) ||
            !tx_exists(tx, key_service(tx, cluster, f->service))) {
            return gt_err_aws(err, GT_ERR_NOT_FOUND, "ServiceNotFoundException",
                              "Service not found.");
        }
    }
    if (in->container_instance.n) {
        struct gt_str said = name_of_arn(tx, in->container_instance, "container-instance");
        if (!name_in_cluster(said, cluster, &f->node) || !name_valid(f->node, ".", 255) ||
            !tx_exists(tx, key_node(tx, cluster, f->node))) {
            return invalid(err, "The referenced container instance was not found.");
        }
    }
    return 0;
}

int ecs_list_tasks(struct tx *tx, const struct ecs_list_tasks_in *in,
                   struct ecs_list_tasks_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *cluster = cluster_of(tx, in->cluster, err);
    if (!cluster) {
        return -ENOENT;
    }
    struct filter f;
    struct page p;
    int r = open_filter(tx, cluster->name, in, &f, err);
    r = r ? r
          : page_open(tx, &p, in->next_token, in->has_max_results, in->max_results, &out->task_arns,
                      err);
    if (r < 0) {
        return r;
    }
    /* A task is never wanted PENDING: like ECS, that lists nothing. */
    bool none = gt_str_is(in->desired_status, "PENDING");
    const char *kind = gt_str_is(in->desired_status, "STOPPED") ? "dead" : "live";
    bool all =
        !f.node.n && !f.service.n && !in->family.n && !in->started_by.n && !in->launch_type.n;
    char *prefix = tx_key(tx, "ecs/%s/" GT_STR_FMT "/", kind, GT_STR_ARG(cluster->name));
    char *after = p.after ? gt_arena_printf(tx_arena(tx), "%s%s", prefix, p.after) : NULL;
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; !none && (key = tx_next(&c));) {
        struct gt_str id = key_tail(key);
        if (!all && !wanted(tx, &f, cluster->name, id)) {
            continue;
        }
        if (!page_add(&p, id.p, arn_task(tx, cluster->name, id))) {
            break;
        }
    }
    out->next_token = page_token(&p);
    return 0;
}
