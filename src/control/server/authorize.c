/*
 * Who may do what. The root key may everything, a node what its tasks need, a session of a role
 * what policies say; and these are asked inside of the transaction that does it.
 */
#include "control/server/resource.h"
#include "control/server/server_priv.h"
#include "control/services/agent/join.h"
#include "control/services/ecr/ecr.h"
#include "control/services/ecs/ecs.h"
#include "control/services/iam/grants.h"
#include "control/services/iam/iam.h"
#include "control/services/logs/logs.h"
#include "lib/base/limits.h"
#include "lib/wire/gen/agent.h"
#include "store/record/gen/rec_common.h"

#include <strings.h>

/* What a node's key may call beside the agent protocol: what its tasks need. Of log groups and
 * repositories only those that its tasks name (services/agent/access.h). */
static const char *const node_ops[] = {
    "ecr.GetAuthorizationToken",
    "logs.CreateLogGroup",
    "logs.DescribeLogGroups",
    "sts.GetCallerIdentity",
};

static bool node_may(const struct wire_op *op)
{
    if (gt_streq(op->service->name, "agent")) {
        return true; /* its handlers check that a node speaks of itself */
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(node_ops); i++) {
        const char *dot = strchr(node_ops[i], '.');
        if (strncmp(op->service->name, node_ops[i], (size_t)(dot - node_ops[i])) == 0 &&
            gt_streq(op->name, dot + 1)) {
            return true;
        }
    }
    return false;
}

static bool may(enum principal_kind kind, const struct wire_op *op)
{
    switch (kind) {
    case PRINCIPAL_ROOT:
    case PRINCIPAL_INTERNAL:
        return true;
    case PRINCIPAL_NODE:
        return node_may(op);
    case PRINCIPAL_JOIN:
        return op == &agent_op_join_node;
    case PRINCIPAL_ROLE: /* what policies give; but none gives services of our own */
        return !gt_streq(op->service->name, "agent");
    default:
        return false;
    }
}

static int authorize_by_kind(const struct principal *p, const struct wire_op *op,
                             struct gt_err *err)
{
    if (gt_streq(op->service->name, "admin") && p->kind != PRINCIPAL_ROOT) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "%s is for the root key alone", op->name);
    }
    if (may(p->kind, op)) {
        return 0;
    }
    return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                      "User: " GT_STR_FMT " is not authorized to perform: %s:%s",
                      GT_STR_ARG(p->arn), op->service->signing, op->name);
}

/* --- a session of a role */

static const struct service_policy *policy_of(const struct wire_op *op)
{
    const struct service *const all[] = {ecs_control(), ecr_control(), logs_control(),
                                         iam_control()};
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        if (gt_streq(all[i]->name, op->service->name)) {
            return all[i]->policy;
        }
    }
    return NULL;
}

static struct gt_str text_in(const struct wire_shape *shape, const char *name, const char *value)
{
    const struct wire_member *m = resource_member(shape, gt_str(name));
    return m && m->shape->type == WIRE_STRING ? *(const struct gt_str *)(value + m->offset)
                                              : (struct gt_str){0};
}

/* One element of a list of pairs, of a map, or of a list of keys (value.p NULL). */
static struct gt_str tag_at(const struct wire_shape *shape, const struct wire_list *list, size_t i,
                            struct gt_str *ret_value)
{
    const char *one = (const char *)list->v + i * shape->elem_size;
    *ret_value = (struct gt_str){0};
    if (shape->type == WIRE_MAP) {
        *ret_value = *(const struct gt_str *)(one + shape->value_offset);
    } else if (shape->of->type == WIRE_STRUCTURE) {
        struct gt_str key = text_in(shape->of, "key", one),
                      value = text_in(shape->of, "value", one);
        *ret_value = value.p ? value : text_in(shape->of, "Value", one);
        return key.p ? key : text_in(shape->of, "Key", one);
    }
    return *(const struct gt_str *)one;
}

/* aws:RequestTag/<key> and aws:TagKeys. A key that is there twice would be judged by one value and
 * could be kept with the other. */
static int add_tags(struct iam_context *c, const struct wire_shape *shape, const void *value,
                    struct gt_err *err)
{
    const struct wire_list *list = value;
    if (list->n > GT_LIMIT_CALL_TAGS) {
        return gt_err_set(err, GT_ERR_INVALID, "At most %d tags can be named at once.",
                          GT_LIMIT_CALL_TAGS);
    }
    struct gt_str *keys = gt_arena_array(c->arena, struct gt_str, list->n + 1), text;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        struct gt_str key = tag_at(shape, list, i, &text);
        if (GT_MAX(key.n, text.n) > GT_LIMIT_CALL_TEXT) {
            return gt_err_set(err, GT_ERR_INVALID, "A tag is too long.");
        }
        for (size_t k = 0; k < n; k++) {
            if (keys[k].n == key.n && strncasecmp(keys[k].p, key.p, key.n) == 0) {
                return gt_err_set(err, GT_ERR_INVALID, "Duplicate tag keys found.");
            }
        }
        if (!key.p) {
            continue; /* the operation refuses it */
        }
        keys[n++] = key;
        if (shape->type == WIRE_MAP || shape->of->type == WIRE_STRUCTURE) {
            iam_context_add_tag(c, "aws:RequestTag/", key, text);
        }
    }
    iam_context_add_list(c, "aws:TagKeys", keys, n);
    return 0;
}

static int add_request(struct iam_context *c, const struct wire_shape *shape, const void *in,
                       struct gt_err *err)
{
    static const char *const names[] = {"tags", "Tags", "tagKeys", "TagKeys"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < GT_ARRAY_LEN(names); i++) {
        const struct wire_member *m = resource_member(shape, gt_str(names[i]));
        if (m && (m->shape->type == WIRE_LIST || m->shape->type == WIRE_MAP)) {
            r = add_tags(c, m->shape, (const char *)in + m->offset, err);
        }
    }
    return r;
}

/* One call as policies see it. */
struct question {
    const struct service_op *op;
    const void *in;
    struct resource_scope scope;
    const struct service_policy *policy; /* NULL: none */
    char *action;
};

static int add_service_keys(struct iam_context *c, const struct question *q, struct gt_err *err)
{
    struct gt_str *v;
    size_t n;
    int r = 0;
    for (size_t i = 0; r == 0 && q->policy && i < q->policy->n_keys; i++) {
        const struct service_key *k = &q->policy->keys[i];
        const char *open = strchr(k->resource, '{') + 1;
        if (resource_member(q->op->op->in, gt_str_n(open, strcspn(open, "=|}")))) {
            r = resources_of(&q->scope, k->resource, q->op->op->in, q->in, c->arena, &v, &n, err);
            if (r == 0) {
                iam_context_add_list(c, k->key, v, n);
            }
        }
    }
    return r;
}

static void add_resource_tags(struct iam_context *c, const struct question *q, struct tx *tx,
                              struct gt_str arn)
{
    struct rec_kv_list tags;
    if (!q->policy || !q->policy->tags || !q->policy->tags(tx, arn, &tags)) {
        return;
    }
    char *own = gt_arena_printf(c->arena, "%s:ResourceTag/", q->scope.service);
    for (size_t i = 0; i < tags.n; i++) {
        iam_context_add_tag(c, "aws:ResourceTag/", tags.v[i].key, tags.v[i].value);
        iam_context_add_tag(c, own, tags.v[i].key, tags.v[i].value);
    }
}

static int ask(struct tx *tx, const struct iam_grants *g, const struct question *q,
               struct gt_err *err)
{
    struct iam_context c = {.arena = tx_arena(tx)};
    struct gt_str *v;
    size_t n;
    iam_context_add_caller(&c, tx);
    int r = add_request(&c, q->op->op->in, q->in, err);
    r = r < 0 ? r : add_service_keys(&c, q, err);
    r = r < 0
            ? r
            : resources_of(&q->scope, q->op->resource, q->op->op->in, q->in, c.arena, &v, &n, err);
    if (r < 0) {
        return r;
    }
    size_t of_request = c.n;
    for (size_t i = 0; r == 0 && i < n; i++) {
        bool shorter = q->policy && q->policy->full_arn;
        struct gt_str arn = shorter ? q->policy->full_arn(tx, v[i]) : v[i];
        c.n = of_request;
        add_resource_tags(&c, q, tx, arn);
        r = iam_grants_check(g, tx, q->action, arn, &c, err);
    }
    return r;
}

int server_authorize(struct tx *tx, const struct service_op *op, const void *in, struct gt_err *err)
{
    const struct principal *p = tx_principal(tx);
    struct iam_grants *g;
    int r = agent_key_check(tx, err);
    r = r < 0 ? r : authorize_by_kind(p, op->op, err);
    if (r < 0 || p->kind != PRINCIPAL_ROLE) {
        return r;
    }
    r = iam_grants_load(tx, &g, err);
    if (r < 0 || op->unrestricted) {
        return r;
    }
    const char *signing = op->op->service->signing;
    bool global = gt_streq(signing, "iam");
    struct question q = {.op = op,
                         .in = in,
                         .scope = {.service = signing,
                                   .region = global ? (struct gt_str){0} : tx_region(tx),
                                   .account = tx_account(tx)},
                         .policy = policy_of(op->op),
                         .action = gt_arena_printf(tx_arena(tx), "%s:%s", signing, op->op->name)};
    return ask(tx, g, &q, err);
}

struct data_question {
    const struct service_op *op;
    const void *in;
};

static int authorize_in_core(struct tx *tx, void *arg, struct gt_err *err)
{
    const struct data_question *q = arg;
    return server_authorize(tx, q->op, q->in, err);
}

int server_authorize_data(struct data_req *rq, const struct service_op *op, const void *in,
                          struct gt_err *err)
{
    struct data_question q = {op, in};
    enum principal_kind kind = rq->principal.kind;
    return kind == PRINCIPAL_ROLE || kind == PRINCIPAL_NODE
               ? data_core_call(rq, authorize_in_core, &q, err)
               : authorize_by_kind(&rq->principal, op->op, err);
}

static int check_key(struct tx *tx, void *arg, struct gt_err *err)
{
    return agent_key_check(tx, err);
}

int server_check_key(struct data_req *rq, struct gt_err *err)
{
    return rq->principal.kind == PRINCIPAL_NODE ? data_core_call(rq, check_key, NULL, err) : 0;
}
