/*
 * PutAttributes, DeleteAttributes, ListAttributes: of container instances, the only kind of target
 * that ECS has.
 *
 * What a node says of itself at registration and what was put here lie in one list, `attributes`;
 * what was put is in `put_attributes` too, and so is still there when the node registers again.
 */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/instance.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/mem.h"

#include <ctype.h>
#include <errno.h>

enum { A_CALL = 10, CUSTOM_MAX = 10, TEXT_MAX = 128 };

static bool made_of(struct gt_str s, const char *more)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x80 || !c || (!isalnum(c) && !strchr(more, c))) {
            return false;
        }
    }
    return s.n >= 1 && s.n <= TEXT_MAX;
}

bool attribute_reserved(struct gt_str name)
{
    return gt_str_starts(name, GT_STR_LIT("ecs.")) ||
           gt_str_starts(name, GT_STR_LIT("com.amazonaws.ecs."));
}

int attribute_check(struct gt_str name, struct gt_str value, struct gt_err *err)
{
    if (!made_of(name, "-_/\\.")) {
        return invalid(err,
                       "Attribute name '" GT_STR_FMT
                       "' must have 1 to 128 letters, digits and '-', '_', '/', '\\', '.'.",
                       GT_STR_ARG(name));
    }
    if (value.n &&
        (!made_of(value, "-_.@/\\: ") || value.p[0] == ' ' || value.p[value.n - 1] == ' ')) {
        return invalid(err,
                       "Attribute value '" GT_STR_FMT
                       "' must have 1 to 128 letters, digits and '-', '_', '.', '@', '/', "
                       "'\\', ':', ' ', and no space at either end.",
                       GT_STR_ARG(value));
    }
    return 0;
}

static int check(const struct ecs_attribute *a, struct gt_err *err)
{
    if (attribute_reserved(a->name)) {
        return invalid(err, "Attribute '" GT_STR_FMT "' is set by the container instance itself.",
                       GT_STR_ARG(a->name));
    }
    return attribute_check(a->name, a->value, err);
}

static struct rec_ecs_node *target(struct tx *tx, struct gt_str cluster,
                                   const struct ecs_attribute *a, struct gt_err *err)
{
    if (!a->target_id.n) {
        invalid(err, "targetId cannot be empty.");
        return NULL;
    }
    struct rec_ecs_node *n = instance_of(tx, cluster, a->target_id);
    if (!n) {
        gt_err_aws(err, GT_ERR_NOT_FOUND, "TargetNotFoundException",
                   "The specified target wasn't found: " GT_STR_FMT, GT_STR_ARG(a->target_id));
    }
    return n;
}

static void show(struct tx *tx, const struct rec_ecs_node *n, const struct rec_kv *a,
                 struct ecs_attribute_list *to)
{
    to->v[to->n++] = (struct ecs_attribute){.name = a->key,
                                            .value = a->value.n ? a->value : gt_str(NULL),
                                            .target_id = arn_instance(tx, n->cluster, n->id)};
}

static void drop(struct rec_kv_list *from, struct gt_str name)
{
    size_t n = 0;
    for (size_t i = 0; i < from->n; i++) {
        if (!gt_str_eq(from->v[i].key, name)) {
            from->v[n++] = from->v[i];
        }
    }
    from->n = n;
}

int attributes_too_many(const struct rec_kv_list *attributes, struct gt_err *err)
{
    size_t own = 0;
    for (size_t i = 0; i < attributes->n; i++) {
        own += !attribute_reserved(attributes->v[i].key);
    }
    return own <= CUSTOM_MAX ? 0
                             : gt_err_aws(err, GT_ERR_LIMIT, "AttributeLimitExceededException",
                                          "A resource can have at most 10 custom attributes.");
}

static void put_node(struct tx *tx, struct rec_ecs_node *n)
{
    n->version++;
    tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
}

/* The cluster, when a request has as many attributes as it may. */
static struct rec_ecs_cluster *begin(struct tx *tx, struct gt_str cluster,
                                     const struct ecs_attribute_list *in,
                                     struct ecs_attribute_list *out, struct gt_err *err)
{
    if (in->n == 0 || in->n > A_CALL) {
        invalid(err,
                in->n ? "attributes can have at most 10 items." : "attributes cannot be empty.");
        return NULL;
    }
    out->v = gt_arena_array(tx_arena(tx), struct ecs_attribute, in->n);
    out->has = true;
    return cluster_of(tx, cluster, err);
}

int ecs_put_attributes(struct tx *tx, const struct ecs_put_attributes_in *in,
                       struct ecs_put_attributes_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *c = begin(tx, in->cluster, &in->attributes, &out->attributes, err);
    if (!c) {
        return gt_err_code(err);
    }
    for (size_t i = 0; i < in->attributes.n; i++) {
        const struct ecs_attribute *a = &in->attributes.v[i];
        struct rec_kv kv = {.key = a->name, .value = a->value};
        const struct rec_kv_list one = {.v = &kv, .n = 1};
        struct rec_ecs_node *n = check(a, err) < 0 ? NULL : target(tx, c->name, a, err);
        if (!n) {
            return gt_err_code(err);
        }
        kv_merge(tx, &n->attributes, &one);
        kv_merge(tx, &n->put_attributes, &one);
        if (attributes_too_many(&n->attributes, err) < 0) {
            return gt_err_code(err);
        }
        put_node(tx, n);
        show(tx, n, &kv, &out->attributes);
    }
    return 0;
}

int ecs_delete_attributes(struct tx *tx, const struct ecs_delete_attributes_in *in,
                          struct ecs_delete_attributes_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *c = begin(tx, in->cluster, &in->attributes, &out->attributes, err);
    if (!c) {
        return gt_err_code(err);
    }
    for (size_t i = 0; i < in->attributes.n; i++) {
        const struct ecs_attribute *a = &in->attributes.v[i];
        if (a->value.n) {
            return invalid(err, "Attribute value must not be specified.");
        }
        struct rec_ecs_node *n = check(a, err) < 0 ? NULL : target(tx, c->name, a, err);
        if (!n) {
            return gt_err_code(err);
        }
        drop(&n->attributes, a->name);
        drop(&n->put_attributes, a->name);
        put_node(tx, n);
        show(tx, n, &(struct rec_kv){.key = a->name}, &out->attributes);
    }
    return 0;
}

/* A page of ListAttributes: its position is "<node>/<attribute>". */
struct listing {
    const struct ecs_list_attributes_in *in;
    struct ecs_attribute_list *out;
    size_t max;
    struct gt_str after_node, after_name; /* p NULL: from the start */
    char *next;
};

static int open_listing(struct tx *tx, struct listing *l, struct gt_err *err)
{
    const struct ecs_list_attributes_in *in = l->in;
    if (in->has_max_results && (in->max_results < 1 || in->max_results > 100)) {
        return invalid(err, "maxResults must be between 1 and 100.");
    }
    if (in->attribute_value.n && !in->attribute_name.n) {
        return invalid(err, "attributeName must be specified with attributeValue.");
    }
    l->max = in->has_max_results ? (size_t)in->max_results : 100;
    l->out->v = gt_arena_array(tx_arena(tx), struct ecs_attribute, l->max);
    l->out->has = true;
    const char *slash = in->next_token.n ? memchr(in->next_token.p, '/', in->next_token.n) : NULL;
    if (slash) {
        l->after_node = gt_str_n(in->next_token.p, (size_t)(slash - in->next_token.p));
        l->after_name = gt_str_n(slash + 1, in->next_token.n - l->after_node.n - 1);
    }
    if (in->next_token.n && (!slash || !name_valid(l->after_node, ".", 255))) {
        return invalid(err, "Invalid token.");
    }
    return 0;
}

static bool listed(const struct listing *l, const struct rec_kv *a)
{
    return (!l->in->attribute_name.n || gt_str_eq(a->key, l->in->attribute_name)) &&
           (!l->in->attribute_value.n || gt_str_eq(a->value, l->in->attribute_value));
}

static int by_name(const void *a, const void *b)
{
    return gt_str_cmp(((const struct rec_kv *)a)->key, ((const struct rec_kv *)b)->key);
}

/* False: the page is full. */
static bool list_node(struct tx *tx, struct listing *l, struct rec_ecs_node *n)
{
    qsort(n->attributes.v, n->attributes.n, sizeof *n->attributes.v, by_name);
    bool cut = gt_str_eq(n->id, l->after_node);
    for (size_t i = 0; i < n->attributes.n; i++) {
        const struct rec_kv *a = &n->attributes.v[i];
        if (!listed(l, a) || (cut && gt_str_cmp(a->key, l->after_name) <= 0)) {
            continue;
        }
        if (l->out->n == l->max) {
            return false;
        }
        show(tx, n, a, l->out);
        l->next = gt_arena_printf(tx_arena(tx), GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(n->id),
                                  GT_STR_ARG(a->key));
    }
    return true;
}

int ecs_list_attributes(struct tx *tx, const struct ecs_list_attributes_in *in,
                        struct ecs_list_attributes_out *out, struct gt_err *err)
{
    struct rec_ecs_cluster *c = cluster_of(tx, in->cluster, err);
    struct listing l = {.in = in, .out = &out->attributes};
    if (!c || open_listing(tx, &l, err) < 0) {
        return gt_err_code(err);
    }
    char *prefix = key_node(tx, c->name, gt_str(""));
    if (l.after_node.n) { /* what is left of it, first */
        struct rec_ecs_node *n =
            tx_get(tx, key_node(tx, c->name, l.after_node), &rec_ecs_node_desc);
        if (n && !list_node(tx, &l, n)) {
            out->next_token = gt_str(l.next);
            return 0;
        }
    }
    struct tx_cursor at =
        tx_scan(tx, prefix, l.after_node.n ? key_node(tx, c->name, l.after_node) : NULL);
    for (const char *key; (key = tx_next(&at));) {
        size_t before = l.out->n;
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        if (!list_node(tx, &l, tx_get(tx, key, &rec_ecs_node_desc))) {
            out->next_token = gt_str(l.next);
            break;
        }
        if (l.out->n == before) {
            gt_arena_release(tx_arena(tx), mark);
        }
    }
    return 0;
}
