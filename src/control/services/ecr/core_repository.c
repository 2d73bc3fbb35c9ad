/* The part of ECR that runs on the core thread: pure functions of a transaction. */
#include "control/services/ecr/repository.h"
#include "lib/base/limits.h"
#include "store/record/gen/rec_ecr.h"

#include <errno.h>

/* A listing ends here, before a thousand repositories with fifty large tags each fill the arena. */
#define PAGE_BYTES (8 * GT_MIB)

struct call {
    struct gt_arena *arena; /* the request's; the core fills it while the worker waits */
    struct ecr_scope scope;
    struct ecr_repo *repo;
    ecr_repo_change_fn *change;
    const void *change_arg;
    /* of a listing */
    struct gt_str after;
    struct ecr_repo *v;
    size_t n, limit;
    bool more;
};

static struct gt_str keep(struct gt_arena *a, struct gt_str s)
{
    return gt_str_n(gt_arena_str(a, s), s.n);
}

static char *prefix_of(struct tx *tx, struct ecr_scope scope)
{
    return gt_arena_printf(tx_arena(tx), GT_STR_FMT "/" GT_STR_FMT "/ecr/repository/",
                           GT_STR_ARG(scope.account), GT_STR_ARG(scope.region));
}

static char *key_of(struct tx *tx, struct ecr_scope scope, struct gt_str name)
{
    return gt_arena_printf(tx_arena(tx), "%s" GT_STR_FMT, prefix_of(tx, scope), GT_STR_ARG(name));
}

static void fill(const struct call *c, const struct rec_ecr_repository *rec, struct ecr_repo *ret)
{
    struct gt_arena *a = c->arena;
    ret->account = keep(a, c->scope.account);
    ret->region = keep(a, c->scope.region);
    ret->name = keep(a, rec->name);
    ret->store = gt_str(gt_arena_printf(a, GT_STR_FMT "/" GT_STR_FMT "/" GT_STR_FMT "#" GT_STR_FMT,
                                        GT_STR_ARG(c->scope.account), GT_STR_ARG(c->scope.region),
                                        GT_STR_ARG(rec->name), GT_STR_ARG(rec->id)));
    ret->created_ms = rec->created_at;
    ret->immutable_tags = rec->immutable_tags;
    ret->tags.n = rec->tags.n;
    ret->tags.has = true;
    ret->tags.v = gt_arena_array(a, struct ecr_tag, rec->tags.n + 1);
    for (size_t i = 0; i < rec->tags.n; i++) {
        ret->tags.v[i].key = keep(a, rec->tags.v[i].key);
        ret->tags.v[i].value = keep(a, rec->tags.v[i].value);
    }
}

static void unfill(struct tx *tx, const struct ecr_repo *repo, struct rec_ecr_repository *rec)
{
    rec->immutable_tags = repo->immutable_tags;
    rec->tags.n = repo->tags.n;
    rec->tags.v = gt_arena_array(tx_arena(tx), struct rec_kv, repo->tags.n + 1);
    for (size_t i = 0; i < repo->tags.n; i++) {
        rec->tags.v[i].key = repo->tags.v[i].key;
        rec->tags.v[i].value = repo->tags.v[i].value;
    }
}

int ecr_repo_not_found(struct gt_str registry, struct gt_str name, struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_NOT_FOUND, "RepositoryNotFoundException",
                      "The repository with name '" GT_STR_FMT
                      "' does not exist in the registry with id '" GT_STR_FMT "'",
                      GT_STR_ARG(name), GT_STR_ARG(registry));
}

static int find(struct tx *tx, void *arg, struct gt_err *err)
{
    struct call *c = arg;
    struct rec_ecr_repository *rec =
        tx_get(tx, key_of(tx, c->scope, c->repo->name), &rec_ecr_repository_desc);
    if (!rec) {
        return ecr_repo_not_found(c->scope.account, c->repo->name, err);
    }
    fill(c, rec, c->repo);
    return 0;
}

int ecr_repo_find(struct data_req *rq, struct ecr_scope scope, struct gt_str registry_id,
                  struct gt_str name, struct ecr_repo *ret, struct gt_err *err)
{
    if (registry_id.n && !gt_str_eq(registry_id, scope.account)) {
        return ecr_repo_not_found(registry_id, name, err);
    }
    *ret = (struct ecr_repo){.name = name};
    struct call c = {.arena = data_arena(rq), .scope = scope, .repo = ret};
    return data_core_call(rq, find, &c, err);
}

static int list(struct tx *tx, void *arg, struct gt_err *err)
{
    struct call *c = arg;
    char *prefix = prefix_of(tx, c->scope);
    struct tx_cursor cursor =
        tx_scan(tx, prefix, c->after.n ? key_of(tx, c->scope, c->after) : NULL);
    for (const char *key; (key = tx_next(&cursor));) {
        if (c->n == c->limit || (c->n > 0 && tx_arena(tx)->used > PAGE_BYTES)) {
            c->more = true;
            break;
        }
        struct rec_ecr_repository *rec = tx_get(tx, key, &rec_ecr_repository_desc);
        if (rec) {
            fill(c, rec, &c->v[c->n++]);
        }
    }
    return 0;
}

int ecr_repo_list(struct data_req *rq, struct ecr_scope scope, struct gt_str after, size_t limit,
                  struct ecr_repo **ret_v, size_t *ret_n, bool *ret_more, struct gt_err *err)
{
    struct call c = {.arena = data_arena(rq),
                     .scope = scope,
                     .after = after,
                     .v = gt_arena_array(data_arena(rq), struct ecr_repo, limit + 1),
                     .limit = limit};
    int r = data_core_call(rq, list, &c, err);
    *ret_v = c.v;
    *ret_n = c.n;
    *ret_more = c.more;
    return r;
}

static int create(struct tx *tx, void *arg, struct gt_err *err)
{
    struct call *c = arg;
    char *key = key_of(tx, c->scope, c->repo->name);
    if (tx_exists(tx, key)) {
        return gt_err_aws(err, GT_ERR_EXISTS, "RepositoryAlreadyExistsException",
                          "The repository with name '" GT_STR_FMT
                          "' already exists in the registry with id '" GT_STR_FMT "'",
                          GT_STR_ARG(c->repo->name), GT_STR_ARG(c->scope.account));
    }
    struct rec_ecr_repository rec = {
        .name = c->repo->name, .id = gt_str(tx_hex_id(tx, 16)), .created_at = tx_now(tx)};
    unfill(tx, c->repo, &rec);
    tx_put(tx, key, &rec_ecr_repository_desc, &rec);
    fill(c, &rec, c->repo);
    return 0;
}

int ecr_repo_create(struct data_req *rq, struct ecr_scope scope, struct ecr_repo *repo,
                    struct gt_err *err)
{
    struct call c = {.arena = data_arena(rq), .scope = scope, .repo = repo};
    return data_core_call(rq, create, &c, err);
}

/* The record, if it is still that of c->repo. */
static struct rec_ecr_repository *same(struct tx *tx, const struct call *c, char **ret_key)
{
    struct ecr_repo now = {0};
    *ret_key = key_of(tx, c->scope, c->repo->name);
    struct rec_ecr_repository *rec = tx_get(tx, *ret_key, &rec_ecr_repository_desc);
    if (rec) {
        struct call copy = *c;
        copy.arena = tx_arena(tx);
        fill(&copy, rec, &now);
    }
    return rec && gt_str_eq(now.store, c->repo->store) ? rec : NULL;
}

static int update(struct tx *tx, void *arg, struct gt_err *err)
{
    struct call *c = arg;
    int r = find(tx, c, err);
    r = r < 0 ? r : c->change(c->repo, c->change_arg, c->arena, err);
    if (r < 0) {
        return r;
    }
    char *key = key_of(tx, c->scope, c->repo->name);
    struct rec_ecr_repository *rec = tx_get(tx, key, &rec_ecr_repository_desc);
    unfill(tx, c->repo, rec);
    tx_put(tx, key, &rec_ecr_repository_desc, rec);
    return 0;
}

int ecr_repo_change(struct data_req *rq, struct ecr_scope scope, struct gt_str registry_id,
                    struct gt_str name, ecr_repo_change_fn *fn, const void *arg,
                    struct ecr_repo *ret, struct gt_err *err)
{
    if (registry_id.n && !gt_str_eq(registry_id, scope.account)) {
        return ecr_repo_not_found(registry_id, name, err);
    }
    *ret = (struct ecr_repo){.name = name};
    struct call c = {
        .arena = data_arena(rq), .scope = scope, .repo = ret, .change = fn, .change_arg = arg};
    return data_core_call(rq, update, &c, err);
}

static int delete (struct tx *tx, void *arg, struct gt_err *err)
{
    struct call *c = arg;
    char *key;
    if (!same(tx, c, &key)) {
        return ecr_repo_not_found(c->scope.account, c->repo->name, err);
    }
    tx_delete(tx, key);
    return 0;
}

int ecr_repo_delete(struct data_req *rq, const struct ecr_repo *repo, struct gt_err *err)
{
    struct ecr_repo copy = *repo;
    struct call c = {.arena = data_arena(rq),
                     .scope = {.account = repo->account, .region = repo->region},
                     .repo = &copy};
    return data_core_call(rq, delete, &c, err);
}

struct known {
    const struct gt_str *stores;
    size_t n;
    bool *known;
};

/* "<account>/<region>/<name>#<id>", as fill() makes it. */
static bool store_known(struct tx *tx, struct gt_str store)
{
    struct gt_arena *a = tx_arena(tx);
    char *text = gt_arena_str(a, store), *save = NULL;
    char *account = strtok_r(text, "/", &save), *region = strtok_r(NULL, "/", &save);
    char *name = strtok_r(NULL, "#", &save), *id = strtok_r(NULL, "#", &save);
    if (!id) {
        return true; /* nothing that this program made: leave it alone */
    }
    const struct rec_ecr_repository *rec =
        tx_get(tx, gt_arena_printf(a, "%s/%s/ecr/repository/%s", account, region, name),
               &rec_ecr_repository_desc);
    return rec && gt_str_is(rec->id, id);
}

static int know(struct tx *tx, void *arg, struct gt_err *err)
{
    struct known *k = arg;
    for (size_t i = 0; i < k->n; i++) {
        k->known[i] = store_known(tx, k->stores[i]);
    }
    return 0;
}

int ecr_repos_known(struct data_req *rq, const struct gt_str *stores, size_t n, bool *known,
                    struct gt_err *err)
{
    struct known k = {.stores = stores, .n = n, .known = known};
    return data_core_call(rq, know, &k, err);
}

void ecr_repo_show(struct data_req *rq, const struct ecr_repo *repo, struct ecr_repository *out)
{
    struct gt_arena *a = data_arena(rq);
    out->repository_arn = gt_str(gt_arena_printf(
        a, "arn:aws:ecr:" GT_STR_FMT ":" GT_STR_FMT ":repository/" GT_STR_FMT,
        GT_STR_ARG(repo->region), GT_STR_ARG(repo->account), GT_STR_ARG(repo->name)));
    out->registry_id = repo->account;
    out->repository_name = repo->name;
    out->repository_uri = gt_str(gt_arena_printf(a, GT_STR_FMT "/" GT_STR_FMT,
                                                 GT_STR_ARG(ecr_host(rq)), GT_STR_ARG(repo->name)));
    WIRE_SET(out, created_at, repo->created_ms);
    out->image_tag_mutability = gt_str(repo->immutable_tags ? ECR_IMAGE_TAG_MUTABILITY_IMMUTABLE
                                                            : ECR_IMAGE_TAG_MUTABILITY_MUTABLE);
    out->image_scanning_configuration = gt_arena_new(a, struct ecr_image_scanning_configuration);
    WIRE_SET(out->image_scanning_configuration, scan_on_push, false);
}
