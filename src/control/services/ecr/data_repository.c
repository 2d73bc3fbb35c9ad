#include "control/services/ecr/repository.h"
#include "control/services/ecr/tags.h"
#include "control/services/ecr/token.h"
#include "control/services/gen/ecr_handlers.h"
#include "lib/base/base64.h"
#include "lib/oci/reference.h"

#include <errno.h>

static bool wildcard(struct gt_str host)
{
    return host.n == 0 || host.p[0] == ':' || gt_str_starts(host, GT_STR_LIT("0.0.0.0:")) ||
           gt_str_starts(host, GT_STR_LIT("[::]:"));
}

struct gt_str ecr_host(struct data_req *rq)
{
    const struct ecr_store *s = data_store(rq);
    struct gt_str asked = data_host(rq);
    return wildcard(gt_str(s->host)) && oci_host_valid(asked) ? asked : gt_str(s->host);
}

int ecr_create_repository(struct data_req *rq, const struct ecr_create_repository_in *in,
                          struct ecr_create_repository_out *out, struct gt_err *err)
{
    if (in->registry_id.n && !gt_str_eq(in->registry_id, data_account(rq))) {
        return gt_err_set(err, GT_ERR_DENIED, "registry '" GT_STR_FMT "' is another account's",
                          GT_STR_ARG(in->registry_id));
    }
    if (in->encryption_configuration) {
        return gt_err_aws(err, GT_ERR_UNSUPPORTED, "UnsupportedOperationException",
                          "encryptionConfiguration is not supported: images are stored as they "
                          "come");
    }
    if (in->image_scanning_configuration && in->image_scanning_configuration->scan_on_push) {
        return gt_err_aws(err, GT_ERR_UNSUPPORTED, "UnsupportedOperationException",
                          "scanOnPush is not supported");
    }
    struct ecr_repo repo = {
        .name = in->repository_name,
        .immutable_tags = gt_str_is(in->image_tag_mutability, ECR_IMAGE_TAG_MUTABILITY_IMMUTABLE),
    };
    int r = ecr_tags_merge(&repo.tags, &in->tags, data_arena(rq), err);
    r = r < 0 ? r : ecr_repo_create(rq, ecr_scope_of(rq), &repo, err);
    if (r < 0) {
        return r;
    }
    out->repository = gt_arena_new(data_arena(rq), struct ecr_repository);
    ecr_repo_show(rq, &repo, out->repository);
    return 0;
}

static int describe_named(struct data_req *rq, const struct ecr_describe_repositories_in *in,
                          struct ecr_describe_repositories_out *out, struct gt_err *err)
{
    struct gt_arena *a = data_arena(rq);
    size_t n = in->repository_names.n;
    out->repositories.v = gt_arena_array(a, struct ecr_repository, n);
    for (size_t i = 0; i < n; i++) {
        struct ecr_repo repo;
        int r = ecr_repo_find(rq, ecr_scope_of(rq), in->registry_id, in->repository_names.v[i],
                              &repo, err);
        if (r < 0) {
            return r;
        }
        ecr_repo_show(rq, &repo, &out->repositories.v[i]);
    }
    out->repositories.n = n;
    return 0;
}

int ecr_describe_repositories(struct data_req *rq, const struct ecr_describe_repositories_in *in,
                              struct ecr_describe_repositories_out *out, struct gt_err *err)
{
    out->repositories.has = true;
    if (in->repository_names.n && (in->has_max_results || in->next_token.n)) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                          "Invalid parameter at '%s' failed to satisfy constraint: "
                          "'must not be given together with repositoryNames'",
                          in->has_max_results ? "maxResults" : "nextToken");
    }
    if (in->repository_names.n) {
        return describe_named(rq, in, out, err);
    }
    if (in->registry_id.n && !gt_str_eq(in->registry_id, data_account(rq))) {
        return gt_err_set(err, GT_ERR_DENIED, "registry '" GT_STR_FMT "' is another account's",
                          GT_STR_ARG(in->registry_id));
    }
    size_t limit = in->has_max_results ? (size_t)in->max_results : 100, n;
    struct ecr_repo *v;
    bool more;
    int r = ecr_repo_list(rq, ecr_scope_of(rq), in->next_token, limit, &v, &n, &more, err);
    if (r < 0) {
        return r;
    }
    out->repositories.v = gt_arena_array(data_arena(rq), struct ecr_repository, n + 1);
    out->repositories.n = n;
    for (size_t i = 0; i < n; i++) {
        ecr_repo_show(rq, &v[i], &out->repositories.v[i]);
    }
    if (more) {
        out->next_token = v[n - 1].name;
    }
    return 0;
}

/* Nothing is pushed between the look at its images and the end: the repository is sealed first.
 * A crash after the core forgot it leaves rows that the next collection drops. */
int ecr_delete_repository(struct data_req *rq, const struct ecr_delete_repository_in *in,
                          struct ecr_delete_repository_out *out, struct gt_err *err)
{
    struct ecr_store *s = data_store(rq);
    struct ecr_repo repo;
    int r = ecr_repo_find(rq, ecr_scope_of(rq), in->registry_id, in->repository_name, &repo, err);
    r = r < 0 ? r : registry_repo_seal(s->registry, repo.store, /* only_empty= */ !in->force, err);
    if (r == -ENOTEMPTY) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "RepositoryNotEmptyException",
                          "The repository with name '" GT_STR_FMT
                          "' in registry with id '" GT_STR_FMT
                          "' cannot be deleted because it still contains images",
                          GT_STR_ARG(repo.name), GT_STR_ARG(repo.account));
    }
    if (r < 0) {
        return r;
    }
    r = ecr_repo_delete(rq, &repo, err);
    if (r < 0) {
        registry_repo_unseal(s->registry, repo.store);
        return r;
    }
    /* It stays sealed: a push that found it before it went has nowhere to go. */
    r = registry_repo_drop(s->registry, repo.store, err);
    if (r < 0) {
        return r;
    }
    out->repository = gt_arena_new(data_arena(rq), struct ecr_repository);
    ecr_repo_show(rq, &repo, out->repository);
    return 0;
}

static int set_mutability(struct ecr_repo *repo, const void *arg, struct gt_arena *a,
                          struct gt_err *err)
{
    repo->immutable_tags = *(const bool *)arg;
    return 0;
}

int ecr_put_image_tag_mutability(struct data_req *rq,
                                 const struct ecr_put_image_tag_mutability_in *in,
                                 struct ecr_put_image_tag_mutability_out *out, struct gt_err *err)
{
    struct ecr_repo repo;
    bool immutable = gt_str_is(in->image_tag_mutability, ECR_IMAGE_TAG_MUTABILITY_IMMUTABLE);
    int r = ecr_repo_change(rq, ecr_scope_of(rq), in->registry_id, in->repository_name,
                            set_mutability, &immutable, &repo, err);
    if (r < 0) {
        return r;
    }
    out->registry_id = repo.account;
    out->repository_name = repo.name;
    out->image_tag_mutability = in->image_tag_mutability;
    return 0;
}

int ecr_get_authorization_token(struct data_req *rq,
                                const struct ecr_get_authorization_token_in *in,
                                struct ecr_get_authorization_token_out *out, struct gt_err *err)
{
    const struct ecr_store *s = data_store(rq);
    const struct principal *who = data_principal(rq);
    struct gt_arena *a = data_arena(rq);
    for (size_t i = 0; i < in->registry_ids.n; i++) {
        if (!gt_str_eq(in->registry_ids.v[i], data_account(rq))) {
            return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                              "registry '" GT_STR_FMT "' is another account's",
                              GT_STR_ARG(in->registry_ids.v[i]));
        }
    }
    ecr_drop_orphans(rq); /* everybody who pushes or pulls comes by here */
    int64_t expires = data_now(rq) + ECR_TOKEN_LIFE_MS;
    struct gt_str session = who->session ? who->session->token : (struct gt_str){0};
    expires = who->session ? GT_MIN(expires, who->session->expires_at) : expires;
    gt_auto_buf struct gt_buf password = GT_BUF_INIT(64 * 1024), token = GT_BUF_INIT(64 * 1024);
    gt_buf_puts(&password, "AWS:");
    if (ecr_token_make(s->secret, who->key_id, data_account(rq), data_region(rq), session, expires,
                       &password) < 0) {
        return gt_err_set(err, GT_ERR_INTERNAL, "a token for this key cannot be made");
    }
    gt_base64_encode(password.p, password.n, &token);
    struct ecr_authorization_data *d = gt_arena_new(a, struct ecr_authorization_data);
    d->authorization_token = gt_str(gt_arena_str(a, gt_buf_view(&token)));
    WIRE_SET(d, expires_at, expires);
    d->proxy_endpoint = gt_str(gt_arena_printf(a, "%s://" GT_STR_FMT, s->tls ? "https" : "http",
                                               GT_STR_ARG(ecr_host(rq))));
    out->authorization_data.v = d;
    out->authorization_data.n = 1;
    return 0;
}
