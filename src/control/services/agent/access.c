#include "control/services/agent/access.h"

#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/task.h"
#include "lib/base/mem.h"
#include "lib/oci/reference.h"

enum { TASK_ID = 32 };

/* The caller's node, in the region where nodes and tasks are: groups may be in another one. */
struct holder {
    struct tx *tx;
    struct gt_str node, region, cluster;
};

static char *key_at(const struct holder *h, const char *kind, struct gt_str a, struct gt_str b)
{
    return gt_arena_printf(
        tx_arena(h->tx), GT_STR_FMT "/" GT_STR_FMT "/ecs/%s/" GT_STR_FMT "/" GT_STR_FMT,
        GT_STR_ARG(tx_account(h->tx)), GT_STR_ARG(h->region), kind, GT_STR_ARG(a), GT_STR_ARG(b));
}

static bool find_holder(struct tx *tx, struct holder *ret)
{
    const struct principal *who = tx_principal(tx);
    const struct rec_agent_node_key *k =
        tx_get(tx, agent_key_record(tx, who->name), &rec_agent_node_key_desc);
    *ret = (struct holder){
        .tx = tx, .node = who->name, .region = k && k->region.n ? k->region : tx_region(tx)};
    const struct rec_ecs_session *s = tx_get(
        tx,
        gt_arena_printf(tx_arena(tx), GT_STR_FMT "/" GT_STR_FMT "/ecs/session/" GT_STR_FMT,
                        GT_STR_ARG(tx_account(tx)), GT_STR_ARG(ret->region), GT_STR_ARG(ret->node)),
        &rec_ecs_session_desc);
    ret->cluster = s ? s->cluster : gt_str(NULL);
    return s != NULL;
}

/* Our own encoder wrote the document, so an option stands in it in this form alone: a quote inside
 * of another text would have a backslash before it. */
static bool names_group(const struct holder *h, const struct rec_ecs_task *t, struct gt_str group)
{
    const char *revision = gt_arena_printf(tx_arena(h->tx), "%010lld", (long long)t->revision);
    const struct rec_ecs_taskdef *d =
        tx_get(h->tx, key_at(h, "taskdef", t->family, gt_str(revision)), &rec_ecs_taskdef_desc);
    const char *option =
        gt_arena_printf(tx_arena(h->tx), "\"awslogs-group\":\"" GT_STR_FMT "\"", GT_STR_ARG(group));
    return d && memmem(d->document.p, d->document.n, option, strlen(option));
}

static bool has_image(const struct holder *h, const struct rec_ecs_task *t,
                      struct gt_str repository)
{
    for (size_t i = 0; i < t->containers.n; i++) {
        struct oci_reference ref;
        if (oci_reference_parse(t->containers.v[i].image, &ref, NULL) == 0 && ref.host.n &&
            gt_str_eq(ref.repository, repository)) {
            return true;
        }
    }
    return false;
}

/* Whether any task that is assigned to the node is so. */
static bool any_task(struct tx *tx, struct gt_str what,
                     bool (*is)(const struct holder *h, const struct rec_ecs_task *t,
                                struct gt_str what))
{
    struct holder h;
    bool found = tx_principal(tx)->kind != PRINCIPAL_NODE;
    if (found || !find_holder(tx, &h)) {
        return found;
    }
    struct tx_cursor c = tx_scan(tx, key_at(&h, "assign", h.node, gt_str("")), NULL);
    for (const char *key; !found && (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        const struct rec_ecs_task *t =
            tx_get(tx, key_at(&h, "task", h.cluster, key_tail(key)), &rec_ecs_task_desc);
        found = t && is(&h, t, what);
        gt_arena_release(tx_arena(tx), mark);
    }
    return found;
}

bool node_may_name_group(struct tx *tx, struct gt_str group)
{
    return any_task(tx, group, names_group);
}

bool node_may_pull(struct tx *tx, struct gt_str repository)
{
    return any_task(tx, repository, has_image);
}

/* The task id in a stream's name; n 0: none. */
static struct gt_str task_of_stream(struct gt_str stream)
{
    const char *slash = stream.n ? memrchr(stream.p, '/', stream.n) : NULL;
    struct gt_str last =
        slash ? gt_str_n(slash + 1, stream.n - (size_t)(slash + 1 - stream.p)) : stream;
    struct gt_str id = gt_str_n(last.p, GT_MIN(last.n, (size_t)TASK_ID));
    bool whole = id.n == TASK_ID && (last.n == TASK_ID || last.p[TASK_ID] == '-');
    for (size_t i = 0; i < id.n; i++) {
        whole = whole && ((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f'));
    }
    return whole ? id : gt_str(NULL);
}

enum node_log node_may_log(struct tx *tx, struct gt_str group, struct gt_str stream)
{
    struct holder h;
    if (tx_principal(tx)->kind != PRINCIPAL_NODE) {
        return NODE_LOG_OWN;
    }
    struct gt_str id = task_of_stream(stream);
    if (!id.n || !find_holder(tx, &h)) {
        return NODE_LOG_DENIED;
    }
    const struct rec_ecs_task *t =
        tx_get(tx, key_at(&h, "task", h.cluster, id), &rec_ecs_task_desc);
    if (!t) {
        return NODE_LOG_FORGOTTEN;
    }
    return gt_str_eq(t->node, h.node) && names_group(&h, t, group) ? NODE_LOG_OWN : NODE_LOG_DENIED;
}
