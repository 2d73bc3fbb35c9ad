/* What a session of a role may do over the distribution API: what it may do by ECR's own operations
 * that clients of AWS use for the same. */
#include "control/services/ecr/dist.h"
#include "control/services/iam/grants.h"
#include "lib/base/mem.h"

static const struct {
    enum dist_kind kind;
    unsigned methods;
    const char *action;
} actions[] = {
    {DIST_BLOB, HTTP_GET, "ecr:GetDownloadUrlForLayer"},
    {DIST_BLOB, HTTP_HEAD, "ecr:BatchCheckLayerAvailability"},
    {DIST_BLOB, HTTP_DELETE, "ecr:BatchDeleteImage"},
    {DIST_UPLOADS, HTTP_POST, "ecr:InitiateLayerUpload"},
    {DIST_UPLOAD, HTTP_PUT, "ecr:CompleteLayerUpload"},
    {DIST_UPLOAD, HTTP_PATCH | HTTP_GET | HTTP_HEAD | HTTP_DELETE, "ecr:UploadLayerPart"},
    {DIST_MANIFEST, HTTP_GET | HTTP_HEAD, "ecr:BatchGetImage"},
    {DIST_MANIFEST, HTTP_PUT, "ecr:PutImage"},
    {DIST_MANIFEST, HTTP_DELETE, "ecr:BatchDeleteImage"},
    {DIST_TAGS, HTTP_GET, "ecr:ListImages"},
    {DIST_REFERRERS, HTTP_GET, "ecr:BatchGetImage"},
    {DIST_CATALOG, HTTP_GET, "ecr:DescribeRepositories"},
};

static int check(struct tx *tx, const struct iam_grants *g, const char *action,
                 struct gt_str repository, struct gt_err *err)
{
    struct iam_context c = {.arena = tx_arena(tx)};
    struct gt_str arn = gt_str(tx_arn(tx, "ecr", "repository/" GT_STR_FMT, GT_STR_ARG(repository)));
    struct rec_kv_list tags;
    iam_context_add_caller(&c, tx);
    if (ecr_control()->policy->tags(tx, arn, &tags)) {
        for (size_t i = 0; i < tags.n; i++) {
            iam_context_add_tag(&c, "aws:ResourceTag/", tags.v[i].key, tags.v[i].value);
            iam_context_add_tag(&c, "ecr:ResourceTag/", tags.v[i].key, tags.v[i].value);
        }
    }
    return iam_grants_check(g, tx, action, arn, &c, err);
}

struct wish {
    struct dist *d;
    const char *action;
    struct gt_str from; /* a blob is taken over from this repository; empty: none is */
};

static int ask(struct tx *tx, void *arg, struct gt_err *err)
{
    const struct wish *w = arg;
    struct iam_grants *g;
    bool all = w->d->path.kind == DIST_CATALOG;
    int r = iam_grants_load(tx, &g, err);
    r = r < 0 ? r : check(tx, g, w->action, all ? GT_STR_LIT("*") : w->d->path.name, err);
    return r == 0 && w->from.n ? check(tx, g, "ecr:GetDownloadUrlForLayer", w->from, err) : r;
}

int dist_permitted(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct wish w = {.d = d};
    if (!d->role || d->permitted || d->path.kind == DIST_BASE) {
        return 1;
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(actions); i++) {
        if (actions[i].kind == d->path.kind && (actions[i].methods & d->method)) {
            w.action = actions[i].action;
        }
    }
    if (!w.action) {
        dist_error(d, DIST_DENIED, NULL);
        return 0;
    }
    w.from = d->path.kind == DIST_UPLOADS ? dist_query(d, "from") : (struct gt_str){0};
    if (data_core_call(route_data(d->rq), ask, &w, &err) < 0) {
        err.kind == GT_ERR_UNAUTHENTICATED ? dist_error(d, DIST_UNAUTHORIZED, err.msg)
                                           : dist_fault(d, &err);
        return 0;
    }
    d->permitted = true;
    return 1;
}
