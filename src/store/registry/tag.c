#include "store/registry/registry_priv.h"

#include <errno.h>

struct deleting {
    struct gt_str repo, tag;
    bool last_deletes;
    int64_t now_ms;
    struct oci_digest digest;
};

static int tag_delete(struct registry_conn *c, struct deleting *t, struct gt_err *err)
{
    int64_t id;
    int r = registry_repo_id(c, t->repo, &id, err);
    if (r == 0) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "the repository has no tag '" GT_STR_FMT "'",
                          GT_STR_ARG(t->tag));
    }
    r = r < 0 ? r : registry_tag_resolve(c, id, t->tag, &t->digest, err);
    if (r < 0) {
        return r;
    }
    sqlite3_stmt *st = registry_sql(c, SQL_TAG_DROP);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_str(st, 2, t->tag);
    r = registry_run(c, st, err);
    if (r < 0 || !t->last_deletes) {
        return r;
    }
    st = registry_sql(c, SQL_TAG_OF);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_digest(st, 2, &t->digest);
    r = registry_probe(c, st, err);
    if (r == 0) {
        r = registry_manifest_drop(c, t->repo, &t->digest, t->now_ms, err);
    }
    return r > 0 || r == -EBUSY ? 0 : r;
}

int registry_tag_delete(struct registry *r, struct gt_str repo, struct gt_str tag,
                        bool last_deletes, int64_t now_ms, struct oci_digest *ret_digest,
                        struct gt_err *err)
{
    struct deleting t = {.repo = repo, .tag = tag, .last_deletes = last_deletes, .now_ms = now_ms};
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    rc = rc < 0 ? rc : registry_end(r, tag_delete(c, &t, err), err);
    if (rc == 0) {
        *ret_digest = t.digest;
    }
    return rc;
}

/* Gathers the first column of every row, at most `limit`. */
static int gather(struct registry_conn *c, sqlite3_stmt *st, size_t limit, struct gt_arena *arena,
                  struct oci_str_list *ret, struct gt_err *err)
{
    struct gt_str *v = NULL;
    size_t n = 0, cap = 0;
    int r = 0;
    while (n < limit && (r = registry_step(c, st, err)) > 0) {
        if (n == cap) {
            size_t more = cap ? 2 * cap : 32;
            struct gt_str *w = gt_arena_array(arena, struct gt_str, more);
            if (n) {
                memcpy(w, v, n * sizeof(*v));
            }
            v = w;
            cap = more;
        }
        v[n++] = registry_col_str(st, 0, arena);
    }
    sqlite3_reset(st);
    *ret = (struct oci_str_list){.v = v, .n = n};
    return r < 0 ? r : 0;
}

int registry_tags(struct registry *r, struct gt_str repo, struct gt_str after, size_t limit,
                  struct gt_arena *arena, struct oci_str_list *ret, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    int64_t id;
    *ret = (struct oci_str_list){0};
    rc = registry_repo_id(c, repo, &id, err);
    if (rc > 0) {
        sqlite3_stmt *st = registry_sql(c, SQL_TAG_LIST);
        sqlite3_bind_int64(st, 1, id);
        registry_bind_str(st, 2, after);
        sqlite3_bind_int64(st, 3, (int64_t)limit);
        rc = gather(c, st, limit, arena, ret, err);
    }
    registry_reader_done(r, c);
    return rc;
}

int registry_tags_of(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                     struct gt_arena *arena, struct oci_str_list *ret, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    int64_t id;
    *ret = (struct oci_str_list){0};
    rc = registry_repo_id(c, repo, &id, err);
    if (rc > 0) {
        sqlite3_stmt *st = registry_sql(c, SQL_TAG_OF);
        sqlite3_bind_int64(st, 1, id);
        registry_bind_digest(st, 2, d);
        rc = gather(c, st, SIZE_MAX, arena, ret, err);
    }
    registry_reader_done(r, c);
    return rc;
}

int registry_repos(struct registry *r, struct gt_arena *arena, struct oci_str_list *ret,
                   struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    rc = gather(c, registry_sql(c, SQL_REPO_ALL), SIZE_MAX, arena, ret, err);
    registry_reader_done(r, c);
    return rc;
}
