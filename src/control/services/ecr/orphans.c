#include "control/services/ecr/repository.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"

#define BATCH 200 /* repositories looked up in one turn of the core */

static int drop(struct data_req *rq, struct registry *registry, const struct oci_str_list *all,
                struct gt_err *err)
{
    bool known[BATCH];
    int r = 0;
    for (size_t at = 0; r >= 0 && at < all->n; at += BATCH) {
        size_t n = GT_MIN(all->n - at, (size_t)BATCH);
        r = ecr_repos_known(rq, all->v + at, n, known, err);
        for (size_t i = 0; r >= 0 && i < n; i++) {
            if (!known[i]) {
                r = registry_repo_drop(registry, all->v[at + i], err);
            }
        }
    }
    return r;
}

/* The list comes first and the core is asked after: a repository is in the core before anything is
 * pushed to it, and its name in the registry is never used again once it is gone. */
void ecr_drop_orphans(struct data_req *rq)
{
    struct ecr_store *s = data_store(rq);
    if (atomic_flag_test_and_set(&s->orphans_dropped)) {
        return;
    }
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena arena;
    struct oci_str_list all;
    gt_arena_init(&arena, 256 * GT_MIB);
    int r = registry_repos(s->registry, &arena, &all, &err);
    r = r < 0 ? r : drop(rq, s->registry, &all, &err);
    gt_arena_fini(&arena);
    if (r < 0) {
        gt_warn("registry: what is left of deleted repositories: %s", err.msg);
    }
}
