/* For services/ecr alone: repositories in the core, as the data plane sees and changes them. */
#ifndef GT_CONTROL_SERVICES_ECR_REPOSITORY_H
#define GT_CONTROL_SERVICES_ECR_REPOSITORY_H

#include "control/core/data.h"
#include "control/services/ecr/store.h"
#include "lib/wire/gen/ecr.h"

/* All text lives in the request's arena. */
struct ecr_repo {
    struct gt_str account, region, name;
    struct gt_str store; /* its name in store/registry */
    int64_t created_ms;
    bool immutable_tags;
    struct ecr_tag_list tags;
};

/* Which registry. */
struct ecr_scope {
    struct gt_str account, region;
};
static inline struct ecr_scope ecr_scope_of(const struct data_req *rq)
{
    return (struct ecr_scope){.account = data_account(rq), .region = data_region(rq)};
}

/* RepositoryNotFoundException. `registry_id` is what the caller named, or empty. */
int ecr_repo_find(struct data_req *rq, struct ecr_scope scope, struct gt_str registry_id,
                  struct gt_str name, struct ecr_repo *ret, struct gt_err *err);
/* Up to `limit` by name, after `after`, fewer when they are large; *ret_more says whether there are
 * others. */
int ecr_repo_list(struct data_req *rq, struct ecr_scope scope, struct gt_str after, size_t limit,
                  struct ecr_repo **ret_v, size_t *ret_n, bool *ret_more, struct gt_err *err);
/* RepositoryAlreadyExistsException. Takes name, immutable_tags and tags from `repo`, fills the
 * rest. */
int ecr_repo_create(struct data_req *rq, struct ecr_scope scope, struct ecr_repo *repo,
                    struct gt_err *err);
/* Reads, changes and writes immutable_tags and tags, and begins again when somebody else has
 * written meanwhile. `fn` allocates from `a` and leaves the rest of the repository alone. */
typedef int ecr_repo_change_fn(struct ecr_repo *repo, const void *arg, struct gt_arena *a,
                               struct gt_err *err);
int ecr_repo_change(struct data_req *rq, struct ecr_scope scope, struct gt_str registry_id,
                    struct gt_str name, ecr_repo_change_fn *fn, const void *arg,
                    struct ecr_repo *ret, struct gt_err *err);
/* Forgets it if it is still the same repository. */
int ecr_repo_delete(struct data_req *rq, const struct ecr_repo *repo, struct gt_err *err);

extern const struct service_change *const ecr_changes[]; /* NULL-terminated */

/* Which of these names in store/registry are those of repositories that there are. */
int ecr_repos_known(struct data_req *rq, const struct gt_str *stores, size_t n, bool *known,
                    struct gt_err *err);

/* "host:port" by which this caller reaches the registry. */
struct gt_str ecr_host(struct data_req *rq);
int ecr_repo_not_found(struct gt_str registry, struct gt_str name, struct gt_err *err);
void ecr_repo_show(struct data_req *rq, const struct ecr_repo *repo, struct ecr_repository *out);

#endif
