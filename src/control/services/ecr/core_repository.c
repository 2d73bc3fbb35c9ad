/* The part of ECR that runs on the core thread: pure functions of a transaction. */
#include "control/services/ecr/repository.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "store/record/gen/rec_ecr.h"

#include <errno.h>

/* A listing ends here, before a thousand repositories with fifty large tags each fill the arena. */
#define PAGE_BYTES (8 * GT_MIB)

/* A change that others are always faster than is given up. */
enum { TRIES = 64 };

struct call {
    struct gt_arena *arena; /* the request's; the core fills it while the worker waits */
    struct ecr_scope scope;
    struct ecr_repo *repo;
    int64_t revision; /* of what was read */
    struct rec_ecr_repository was;
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

static void unfill(struct gt_arena *a, const struct ecr_repo *repo, struct rec_ecr_repository *rec)
{
    rec->immutable_tags = repo->immutable_tags;
    rec->tags.n = repo->tags.n;
    rec->tags.v = gt_arena_array(a, struct rec_kv, repo->tags.n + 1);
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

/* --- changes: the only writes */

static int exists(struct ecr_scope scope, struct gt_str name, struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_EXISTS, "RepositoryAlreadyExistsException",
                      "The repository with name '" GT_STR_FMT
                      "' already exists in the registry with id '" GT_STR_FMT "'",
                      GT_STR_ARG(name), GT_STR_ARG(scope.account));
}

/* With a revision: of the repository as it was then, and no other. Without: of a new one. */
static int put(struct tx *tx, const void *arg, void *out, struct gt_err *err)
{
    const struct rec_ecr_change *in = arg;
    struct ecr_scope scope = {.account = in->account, .region = in->region};
    struct rec_ecr_repository rec = *in->repository;
    char *key = key_of(tx, scope, rec.name);
    uint64_t create, modify = 0;
    bool there = tx_revisions(tx, key, &create, &modify);
    if (there && !in->revision) {
        return exists(scope, rec.name, err);
    }
    if (modify != (uint64_t)in->revision) {
        return gt_err_set(err, GT_ERR_CONFLICT, "the repository has changed");
    }
    if (!there) {
        rec.id = gt_str(tx_hex_id(tx, 16));
        rec.created_at = tx_now(tx);
    }
    tx_put(tx, key, &rec_ecr_repository_desc, &rec);
    struct call *c = out;
    if (c) {
        fill(c, &rec, c->repo);
    }
    return 0;
}

static const struct service_change put_repository = {"ecr.PutRepository", &rec_ecr_change_desc,
                                                     put};

int ecr_repo_create(struct data_req *rq, struct ecr_scope scope, struct ecr_repo *repo,
                    struct gt_err *err)
{
    struct call c = {.arena = data_arena(rq), .scope = scope, .repo = repo};
    struct rec_ecr_repository rec = {.name = repo->name};
    struct rec_ecr_change in = {
        .account = scope.account, .region = scope.region, .repository = &rec};
    unfill(data_arena(rq), repo, &rec);
    return data_core_change(rq, &put_repository, &in, &c, err);
}

/* As it is, for a change. */
static int read_one(struct tx *tx, void *arg, struct gt_err *err)
{
    struct call *c = arg;
    uint64_t create, modify = 0;
    int r = find(tx, c, err);
    if (r == 0) {
        char *key = key_of(tx, c->scope, c->repo->name);
        const struct rec_ecr_repository *rec = tx_get(tx, key, &rec_ecr_repository_desc);
        tx_revisions(tx, key, &create, &modify);
        c->revision = (int64_t)modify;
        c->was = *rec;
        c->was.name = keep(c->arena, rec->name);
        c->was.id = keep(c->arena, rec->id);
        c->was.unknown_ = keep(c->arena, rec->unknown_);
    }
    return r;
}

int ecr_repo_change(struct data_req *rq, struct ecr_scope scope, struct gt_str registry_id,
                    struct gt_str name, ecr_repo_change_fn *fn, const void *arg,
                    struct ecr_repo *ret, struct gt_err *err)
{
    if (registry_id.n && !gt_str_eq(registry_id, scope.account)) {
        return ecr_repo_not_found(registry_id, name, err);
    }
    int r = -EBUSY;
    for (int i = 0; i < TRIES && r == -EBUSY; i++) {
        *ret = (struct ecr_repo){.name = name};
        struct call c = {.arena = data_arena(rq), .scope = scope, .repo = ret};
        r = data_core_call(rq, read_one, &c, err);
        r = r < 0 ? r : fn(ret, arg, c.arena, err);
        if (r < 0) {
            return r;
        }
        struct rec_ecr_change in = {.account = scope.account,
                                    .region = scope.region,
                                    .repository = &c.was,
                                    .revision = c.revision};
        unfill(c.arena, ret, &c.was);
        r = data_core_change(rq, &put_repository, &in, NULL, err);
    }
    return r;
}

static int drop(struct tx *tx, const void *arg, void *out, struct gt_err *err)
{
    const struct rec_ecr_change *in = arg;
    struct ecr_scope scope = {.account = in->account, .region = in->region};
    char *key = key_of(tx, scope, in->repository->name);
    const struct rec_ecr_repository *rec = tx_get(tx, key, &rec_ecr_repository_desc);
    if (!rec || !gt_str_eq(rec->id, in->repository->id)) {
        return ecr_repo_not_found(scope.account, in->repository->name, err);
    }
    tx_delete(tx, key);
    return 0;
}

static const struct service_change drop_repository = {"ecr.DropRepository", &rec_ecr_change_desc,
                                                      drop};

int ecr_repo_delete(struct data_req *rq, const struct ecr_repo *repo, struct gt_err *err)
{
    const char *hash = memrchr(repo->store.p, '#', repo->store.n); /* as fill() made it */
    GT_ASSERT(hash);
    size_t at = (size_t)(hash + 1 - repo->store.p);
    struct rec_ecr_repository rec = {.name = repo->name,
                                     .id = gt_str_n(hash + 1, repo->store.n - at)};
    struct rec_ecr_change in = {
        .account = repo->account, .region = repo->region, .repository = &rec};
    return data_core_change(rq, &drop_repository, &in, NULL, err);
}

const struct service_change *const ecr_changes[] = {&put_repository, &drop_repository, NULL};

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
