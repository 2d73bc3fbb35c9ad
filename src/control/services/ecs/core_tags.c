/* TagResource, UntagResource, ListTagsForResource: of clusters, services, tasks, task definitions
 * and container instances. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/ecs.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/service.h"
#include "control/services/ecs/taskdef.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>

/* A tagged record: where it lies, and where in it its tags are. */
struct target {
    char *key;
    const struct rec_desc *desc;
    void *rec;
    struct rec_kv_list *tags;
};

/* "<cluster>/<id>" in two. */
static bool split(struct gt_str s, struct gt_str *ret_cluster, struct gt_str *ret_id)
{
    const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
    if (!slash) {
        return false;
    }
    *ret_cluster = gt_str_n(s.p, (size_t)(slash - s.p));
    *ret_id = gt_str_n(slash + 1, s.n - ret_cluster->n - 1);
    return name_valid(*ret_cluster, "", 255) && name_valid(*ret_id, ".", 255);
}

static bool find_in_cluster(struct tx *tx, struct gt_str arn, struct target *t)
{
    struct gt_str cluster, id;
    if (split(name_of_arn(tx, arn, "service"), &cluster, &id)) {
        t->key = key_service(tx, cluster, id);
        t->desc = &rec_ecs_service_desc;
        struct rec_ecs_service *s = t->rec = tx_get(tx, t->key, t->desc);
        t->tags = s ? &s->tags : NULL;
    } else if (split(name_of_arn(tx, arn, "task"), &cluster, &id)) {
        t->key = key_task(tx, cluster, id);
        t->desc = &rec_ecs_task_desc;
        struct rec_ecs_task *k = t->rec = tx_get(tx, t->key, t->desc);
        t->tags = k ? &k->tags : NULL;
    } else if (split(name_of_arn(tx, arn, "container-instance"), &cluster, &id)) {
        t->key = key_node(tx, cluster, id);
        t->desc = &rec_ecs_node_desc;
        struct rec_ecs_node *n = t->rec = tx_get(tx, t->key, t->desc);
        t->tags = n ? &n->tags : NULL;
    }
    return t->rec != NULL;
}

static bool find_alone(struct tx *tx, struct gt_str arn, struct target *t)
{
    struct gt_str cluster = name_of_arn(tx, arn, "cluster");
    if (name_valid(cluster, "", 255)) {
        t->key = key_cluster(tx, cluster);
        t->desc = &rec_ecs_cluster_desc;
        struct rec_ecs_cluster *c = t->rec = tx_get(tx, t->key, t->desc);
        t->tags = c ? &c->tags : NULL;
        return c != NULL;
    }
    struct gt_str def = name_of_arn(tx, arn, "task-definition");
    struct rec_ecs_taskdef *d = def.n && memchr(def.p, ':', def.n) ? taskdef_find(tx, arn) : NULL;
    if (d) {
        t->key = key_taskdef(tx, d->family, d->revision);
        t->desc = &rec_ecs_taskdef_desc;
        t->rec = d;
        t->tags = &d->tags;
    }
    return d != NULL;
}

/* Of what lies in a cluster, and of a cluster itself: ECS looks at the cluster first. */
static int check_cluster(struct tx *tx, struct gt_str arn, struct gt_err *err)
{
    static const char *const kinds[] = {"cluster", "service", "task", "container-instance"};
    for (size_t i = 0; i < GT_ARRAY_LEN(kinds); i++) {
        struct gt_str name = name_of_arn(tx, arn, kinds[i]);
        const char *slash = name.n ? memchr(name.p, '/', name.n) : NULL;
        if (!name.n || (i > 0 && !slash)) {
            continue; /* another kind, or the old form, which does not name its cluster */
        }
        struct gt_str cluster = gt_str_n(name.p, slash ? (size_t)(slash - name.p) : name.n);
        struct rec_ecs_cluster *c =
            name_valid(cluster, "", 255)
                ? tx_get(tx, key_cluster(tx, cluster), &rec_ecs_cluster_desc)
                : NULL;
        if (!c) {
            return gt_err_aws(err, GT_ERR_NOT_FOUND, "ClusterNotFoundException",
                              "Cluster not found.");
        }
        if (!gt_str_is(c->status, CLUSTER_ACTIVE)) {
            return invalid(err, "The specified cluster is inactive. Specify an active cluster and "
                                "try again.");
        }
    }
    return 0;
}

static int find(struct tx *tx, struct gt_str arn, struct target *t, struct gt_err *err)
{
    *t = (struct target){0};
    if (!gt_str_starts(arn, GT_STR_LIT("arn:"))) {
        return invalid(err, "Invalid identifier: Unexpected number of separators");
    }
    int r = check_cluster(tx, arn, err);
    if (r < 0) {
        return r;
    }
    if (find_in_cluster(tx, arn, t) || find_alone(tx, arn, t)) {
        return 0;
    }
    return invalid(err, "The specified resource was not found: " GT_STR_FMT, GT_STR_ARG(arn));
}

bool ecs_tags_of(struct tx *tx, struct gt_str arn, struct rec_kv_list *ret)
{
    struct target t = {0};
    bool found = gt_str_starts(arn, GT_STR_LIT("arn:")) &&
                 (find_in_cluster(tx, arn, &t) || find_alone(tx, arn, &t));
    *ret = found ? *t.tags : (struct rec_kv_list){0};
    return found;
}

int ecs_tag_resource(struct tx *tx, const struct ecs_tag_resource_in *in,
                     struct ecs_tag_resource_out *out, struct gt_err *err)
{
    struct target t;
    struct rec_kv_list more;
    int r = find(tx, in->resource_arn, &t, err);
    r = r ? r : tags_check(tx, &in->tags, &more, err);
    if (r < 0) {
        return r;
    }
    if (tags_merge(tx, t.tags, &more) < 0) {
        return invalid(err, "The maximum number of tags for a resource is 50.");
    }
    tx_put(tx, t.key, t.desc, t.rec);
    return 0;
}

int ecs_untag_resource(struct tx *tx, const struct ecs_untag_resource_in *in,
                       struct ecs_untag_resource_out *out, struct gt_err *err)
{
    struct target t;
    int r = find(tx, in->resource_arn, &t, err);
    if (r < 0) {
        return r;
    }
    for (size_t k = 0; k < in->tag_keys.n; k++) {
        if (tag_reserved(in->tag_keys.v[k])) {
            return invalid(err, "Tag keys must not begin with 'aws:'.");
        }
        size_t n = 0;
        for (size_t i = 0; i < t.tags->n; i++) {
            if (!gt_str_eq(t.tags->v[i].key, in->tag_keys.v[k])) {
                t.tags->v[n++] = t.tags->v[i];
            }
        }
        t.tags->n = n;
    }
    tx_put(tx, t.key, t.desc, t.rec);
    return 0;
}

int ecs_list_tags_for_resource(struct tx *tx, const struct ecs_list_tags_for_resource_in *in,
                               struct ecs_list_tags_for_resource_out *out, struct gt_err *err)
{
    struct target t;
    int r = find(tx, in->resource_arn, &t, err);
    if (r < 0) {
        return r;
    }
    tags_show(tx, t.tags, &out->tags);
    return 0;
}
