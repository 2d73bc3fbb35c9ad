#include "control/services/ecr/tags.h"

#include "control/services/ecr/repository.h"
#include "control/services/gen/ecr_handlers.h"
#include "lib/wire/arn.h"
#include "lib/wire/utf8.h"

static int tag_check(const struct ecr_tag *t, struct gt_err *err)
{
    if (t->key.n == 0 || wire_utf8_count(t->key) > 128 || wire_utf8_count(t->value) > 256) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidTagParameterException",
                          "A tag's key has 1 to 128 characters, its value at most 256");
    }
    if (gt_str_starts(t->key, GT_STR_LIT("aws:"))) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidTagParameterException",
                          "Tag keys that begin with 'aws:' are reserved");
    }
    return 0;
}

int ecr_tags_merge(struct ecr_tag_list *tags, const struct ecr_tag_list *add, struct gt_arena *a,
                   struct gt_err *err)
{
    struct ecr_tag *v = gt_arena_array(a, struct ecr_tag, tags->n + add->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < tags->n + add->n; i++) {
        const struct ecr_tag *t = i < tags->n ? &tags->v[i] : &add->v[i - tags->n];
        int r = i < tags->n ? 0 : tag_check(t, err);
        if (r < 0) {
            return r;
        }
        size_t at = 0;
        while (at < n && gt_str_cmp(v[at].key, t->key) < 0) {
            at++;
        }
        if (at == n || !gt_str_eq(v[at].key, t->key)) {
            memmove(&v[at + 1], &v[at], (n - at) * sizeof(*v));
            n++;
        }
        v[at] = *t;
        if (n > ECR_LIMIT_TAGS) {
            return gt_err_aws(err, GT_ERR_LIMIT, "TooManyTagsException",
                              "A repository has at most %d tags", ECR_LIMIT_TAGS);
        }
    }
    *tags = (struct ecr_tag_list){.v = v, .n = n, .has = true};
    return 0;
}

void ecr_tags_remove(struct ecr_tag_list *tags, const struct wire_str_list *keys)
{
    size_t n = 0;
    for (size_t i = 0; i < tags->n; i++) {
        bool gone = false;
        for (size_t k = 0; k < keys->n; k++) {
            gone = gone || gt_str_eq(tags->v[i].key, keys->v[k]);
        }
        if (!gone) {
            tags->v[n++] = tags->v[i];
        }
    }
    tags->n = n;
}

/* The repository's name. It must be one of this registry. */
static int by_arn(struct data_req *rq, struct gt_str text, struct gt_str *ret_name,
                  struct gt_err *err)
{
    struct arn arn;
    if (!arn_parse(text, &arn) || !gt_str_is(arn.service, "ecr") ||
        !gt_str_is(arn.type, "repository")) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                          "Invalid parameter at 'resourceArn' failed to satisfy constraint: "
                          "'must be the ARN of a repository'");
    }
    struct ecr_scope here = ecr_scope_of(rq);
    if (!gt_str_eq(arn.account, here.account) || !gt_str_eq(arn.region, here.region)) {
        return ecr_repo_not_found(arn.account, arn.id, err);
    }
    *ret_name = arn.id;
    return 0;
}

static int tag(struct ecr_repo *repo, const void *arg, struct gt_arena *a, struct gt_err *err)
{
    return ecr_tags_merge(&repo->tags, arg, a, err);
}

int ecr_tag_resource(struct data_req *rq, const struct ecr_tag_resource_in *in,
                     struct ecr_tag_resource_out *out, struct gt_err *err)
{
    struct ecr_repo repo;
    struct gt_str name;
    int r = by_arn(rq, in->resource_arn, &name, err);
    return r < 0 ? r
                 : ecr_repo_change(rq, ecr_scope_of(rq), (struct gt_str){0}, name, tag, &in->tags,
                                   &repo, err);
}

static int untag(struct ecr_repo *repo, const void *arg, struct gt_arena *a, struct gt_err *err)
{
    ecr_tags_remove(&repo->tags, arg);
    return 0;
}

int ecr_untag_resource(struct data_req *rq, const struct ecr_untag_resource_in *in,
                       struct ecr_untag_resource_out *out, struct gt_err *err)
{
    struct ecr_repo repo;
    struct gt_str name;
    int r = by_arn(rq, in->resource_arn, &name, err);
    return r < 0 ? r
                 : ecr_repo_change(rq, ecr_scope_of(rq), (struct gt_str){0}, name, untag,
                                   &in->tag_keys, &repo, err);
}

int ecr_list_tags_for_resource(struct data_req *rq, const struct ecr_list_tags_for_resource_in *in,
                               struct ecr_list_tags_for_resource_out *out, struct gt_err *err)
{
    struct ecr_repo repo;
    struct gt_str name;
    int r = by_arn(rq, in->resource_arn, &name, err);
    r = r < 0 ? r : ecr_repo_find(rq, ecr_scope_of(rq), (struct gt_str){0}, name, &repo, err);
    if (r < 0) {
        return r;
    }
    out->tags = repo.tags;
    out->tags.has = true;
    return 0;
}
