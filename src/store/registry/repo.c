#include "store/registry/registry_priv.h"

#include <errno.h>

static int sealing(struct registry *r, struct registry_conn *c, struct gt_str repo, bool only_empty,
                   struct gt_err *err)
{
    int64_t id;
    int rc = registry_repo_id(c, repo, &id, err);
    if (rc > 0 && only_empty) {
        sqlite3_stmt *st = registry_sql(c, SQL_REPO_HAS_MANIFEST);
        sqlite3_bind_int64(st, 1, id);
        rc = registry_probe(c, st, err);
        if (rc > 0) {
            (void)gt_err_set(err, GT_ERR_CONFLICT, "the repository has images");
            return -ENOTEMPTY;
        }
    }
    if (rc >= 0) {
        gt_table_put(&r->sealed, repo, r);
    }
    return rc < 0 ? rc : 0;
}

int registry_repo_seal(struct registry *r, struct gt_str repo, bool only_empty, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    return rc < 0 ? rc : registry_end(r, sealing(r, c, repo, only_empty, err), err);
}

void registry_repo_unseal(struct registry *r, struct gt_str repo)
{
    pthread_mutex_lock(&r->write_lock);
    gt_table_del(&r->sealed, repo);
    pthread_mutex_unlock(&r->write_lock);
}

static int dropping(struct registry_conn *c, struct gt_str repo, struct gt_err *err)
{
    static const enum registry_sql steps[] = {SQL_REPO_DROP_TAGS, SQL_REPO_DROP_REFERENCES,
                                              SQL_REPO_DROP_MANIFESTS, SQL_REPO_DROP_BLOBS,
                                              SQL_REPO_DROP};
    int64_t id;
    int rc = registry_repo_id(c, repo, &id, err);
    for (size_t i = 0; rc > 0 && i < GT_ARRAY_LEN(steps); i++) {
        sqlite3_stmt *st = registry_sql(c, steps[i]);
        sqlite3_bind_int64(st, 1, id);
        rc = registry_run(c, st, err) < 0 ? -EIO : 1;
    }
    return rc < 0 ? rc : 0;
}

int registry_repo_drop(struct registry *r, struct gt_str repo, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    return rc < 0 ? rc : registry_end(r, dropping(c, repo, err), err);
}
