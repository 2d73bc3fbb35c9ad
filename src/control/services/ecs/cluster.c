#include "control/services/ecs/cluster.h"

#include "control/services/ecs/names.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

int invalid(struct gt_err *err, const char *fmt, ...)
{
    char text[480];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException", "%s", text);
}

int refused(struct gt_err *err, const char *fmt, ...)
{
    char text[480];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gt_err_aws(err, GT_ERR_INVALID, "ClientException", "%s", text);
}

struct rec_ecs_cluster *cluster_of(struct tx *tx, struct gt_str said, struct gt_err *err)
{
    struct gt_str name = said.n ? name_of_arn(tx, said, "cluster") : GT_STR_LIT("default");
    if (name_valid(name, "", 255)) {
        char *key = key_cluster(tx, name);
        struct rec_ecs_cluster *c = tx_get(tx, key, &rec_ecs_cluster_desc);
        if (c && gt_str_is(c->status, CLUSTER_ACTIVE)) {
            return c;
        }
        if (!c && gt_str_is(name, "default")) {
            c = gt_arena_new(tx_arena(tx), struct rec_ecs_cluster);
            c->name = GT_STR_LIT("default");
            c->status = GT_STR_LIT(CLUSTER_ACTIVE);
            c->created_at = tx_now(tx);
            tx_put(tx, key, &rec_ecs_cluster_desc, c);
            return c;
        }
    }
    gt_err_aws(err, GT_ERR_NOT_FOUND, "ClusterNotFoundException", "Cluster not found.");
    return NULL;
}

bool tag_reserved(struct gt_str key)
{
    return key.n >= 4 && strncasecmp(key.p, "aws:", 4) == 0;
}

int tags_check(struct tx *tx, const struct ecs_tag_list *in, struct rec_kv_list *ret,
               struct gt_err *err)
{
    *ret = (struct rec_kv_list){0};
    if (in->n > 50) {
        return invalid(err, "The maximum number of tags for a resource is 50.");
    }
    ret->v = gt_arena_array(tx_arena(tx), struct rec_kv, in->n + 1);
    for (size_t i = 0; i < in->n; i++) {
        const struct ecs_tag *t = &in->v[i];
        if (!t->key.n) {
            return invalid(err, "A tag's key must not be empty.");
        }
        if (tag_reserved(t->key)) {
            return invalid(err, "Tag keys must not begin with 'aws:'.");
        }
        for (size_t j = 0; j < i; j++) {
            if (gt_str_eq(in->v[j].key, t->key)) {
                return invalid(err, "Duplicate tag keys found. Please note that tag keys are "
                                    "case sensitive.");
            }
        }
        ret->v[ret->n++] = (struct rec_kv){.key = t->key, .value = t->value};
    }
    return 0;
}

void kv_merge(struct tx *tx, struct rec_kv_list *to, const struct rec_kv_list *more)
{
    struct rec_kv *v = gt_arena_array(tx_arena(tx), struct rec_kv, to->n + more->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < to->n; i++) {
        v[n++] = to->v[i];
    }
    for (size_t i = 0; i < more->n; i++) {
        size_t at = 0;
        while (at < n && !gt_str_eq(v[at].key, more->v[i].key)) {
            at++;
        }
        v[at] = more->v[i];
        n = GT_MAX(n, at + 1);
    }
    to->v = v;
    to->n = n;
}

int tags_merge(struct tx *tx, struct rec_kv_list *tags, const struct rec_kv_list *more)
{
    kv_merge(tx, tags, more);
    size_t own = 0;
    for (size_t i = 0; i < tags->n; i++) {
        own += !tag_reserved(tags->v[i].key);
    }
    return own > 50 ? -E2BIG : 0;
}

bool tags_same(const struct rec_kv_list *a, const struct rec_kv_list *b)
{
    size_t found = 0;
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < b->n; k++) {
            found += gt_str_eq(a->v[i].key, b->v[k].key) && gt_str_eq(a->v[i].value, b->v[k].value);
        }
    }
    return a->n == b->n && found == a->n;
}

void tags_show(struct tx *tx, const struct rec_kv_list *tags, struct ecs_tag_list *out)
{
    out->has = true;
    out->n = tags->n;
    out->v = gt_arena_array(tx_arena(tx), struct ecs_tag, tags->n + 1);
    for (size_t i = 0; i < tags->n; i++) {
        out->v[i].key = tags->v[i].key;
        out->v[i].value = tags->v[i].value.p ? tags->v[i].value : GT_STR_LIT("");
    }
}

bool includes(const struct wire_str_list *include, const char *what)
{
    for (size_t i = 0; i < include->n; i++) {
        if (gt_str_is(include->v[i], what)) {
            return true;
        }
    }
    return false;
}

void failure_add(struct tx *tx, struct ecs_failure_list *to, struct gt_str arn, const char *reason,
                 const char *detail)
{
    if ((to->n & (to->n - 1)) == 0) { /* at powers of two */
        struct ecs_failure *v =
            gt_arena_array(tx_arena(tx), struct ecs_failure, to->n ? to->n * 2 : 1);
        if (to->n) {
            memcpy(v, to->v, to->n * sizeof(*v));
        }
        to->v = v;
    }
    to->v[to->n++] =
        (struct ecs_failure){.arn = arn, .reason = gt_str(reason), .detail = gt_str(detail)};
}
