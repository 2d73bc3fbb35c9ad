#include "store/registry/registry_priv.h"

#include <errno.h>

static int no_blob(struct gt_err *err, const struct oci_digest *d)
{
    char text[OCI_DIGEST_TEXT + 1];
    return gt_err_set(err, GT_ERR_NOT_FOUND, "the repository has no blob %s",
                      oci_digest_text(d, text));
}

static int link_put(struct registry_conn *c, int64_t repo, const struct oci_digest *d, int64_t size,
                    int64_t now_ms, struct gt_err *err)
{
    sqlite3_stmt *st = registry_sql(c, SQL_LINK_PUT);
    sqlite3_bind_int64(st, 1, repo);
    registry_bind_digest(st, 2, d);
    sqlite3_bind_int64(st, 3, size);
    sqlite3_bind_int64(st, 4, now_ms);
    return registry_run(c, st, err);
}

/* 0 with the size, -ENOENT. */
static int link_find(struct registry_conn *c, struct gt_str repo, const struct oci_digest *d,
                     int64_t *ret_size, struct gt_err *err)
{
    int64_t id;
    int r = registry_repo_id(c, repo, &id, err);
    if (r <= 0) {
        return r < 0 ? r : no_blob(err, d);
    }
    sqlite3_stmt *st = registry_sql(c, SQL_LINK_FIND);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_digest(st, 2, d);
    r = registry_step(c, st, err);
    if (r > 0 && ret_size) {
        *ret_size = sqlite3_column_int64(st, 0);
    }
    sqlite3_reset(st);
    return r > 0 ? 0 : r < 0 ? r : no_blob(err, d);
}

int registry_blob_link(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       int64_t size, int64_t now_ms, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    int64_t id;
    rc = registry_repo_make(r, c, repo, &id, err);
    rc = rc < 0 ? rc : link_put(c, id, d, size, now_ms, err);
    return registry_end(r, rc, err);
}

int registry_blob_find(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       int64_t *ret_size, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    rc = link_find(c, repo, d, ret_size, err);
    registry_reader_done(r, c);
    return rc;
}

/* 1: seeing it must be written down. 0: it is young, or needed. */
static int link_ages(struct registry_conn *c, struct gt_str repo, const struct oci_digest *d,
                     int64_t before_ms, struct gt_err *err)
{
    int64_t id, linked_ms = 0;
    int r = registry_repo_id(c, repo, &id, err);
    if (r <= 0) {
        return r < 0 ? r : no_blob(err, d);
    }
    sqlite3_stmt *st = registry_sql(c, SQL_LINK_FIND);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_digest(st, 2, d);
    r = registry_step(c, st, err);
    if (r > 0) {
        linked_ms = sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    if (r <= 0 || linked_ms >= before_ms) {
        return r < 0 ? r : r == 0 ? no_blob(err, d) : 0;
    }
    st = registry_sql(c, SQL_REFERENCE_TO);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_digest(st, 2, d);
    sqlite3_bind_int(st, 3, REF_BLOB);
    r = registry_probe(c, st, err);
    return r < 0 ? r : r == 0;
}

int registry_blob_seen(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       int64_t before_ms, int64_t now_ms, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    rc = link_ages(c, repo, d, before_ms, err);
    registry_reader_done(r, c);
    return rc <= 0 ? rc : registry_blob_mount(r, repo, repo, d, now_ms, err);
}

int registry_blob_mount(struct registry *r, struct gt_str from, struct gt_str repo,
                        const struct oci_digest *d, int64_t now_ms, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    int64_t id, size = 0;
    rc = link_find(c, from, d, &size, err);
    /* Young first, then linked: a collector that finds no link leaves it alone. */
    rc = rc < 0 ? rc : blobs_touch(r->blobs, d, err);
    rc = rc < 0 ? rc : registry_repo_make(r, c, repo, &id, err);
    rc = rc < 0 ? rc : link_put(c, id, d, size, now_ms, err);
    return registry_end(r, rc, err);
}

static int blob_unlink(struct registry_conn *c, struct gt_str repo, const struct oci_digest *d,
                       struct gt_err *err)
{
    int64_t id = 0;
    int rc = link_find(c, repo, d, NULL, err);
    rc = rc < 0 ? rc : registry_repo_id(c, repo, &id, err);
    if (rc < 0) {
        return rc;
    }
    sqlite3_stmt *st = registry_sql(c, SQL_REFERENCE_TO);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_digest(st, 2, d);
    sqlite3_bind_int(st, 3, REF_BLOB);
    rc = registry_probe(c, st, err);
    if (rc > 0) {
        (void)gt_err_set(err, GT_ERR_CONFLICT, "a manifest refers to the blob");
        return -EBUSY;
    }
    st = registry_sql(c, SQL_LINK_DROP);
    sqlite3_bind_int64(st, 1, id);
    registry_bind_digest(st, 2, d);
    return rc < 0 ? rc : registry_run(c, st, err);
}

int registry_blob_unlink(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                         struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    return rc < 0 ? rc : registry_end(r, blob_unlink(c, repo, d, err), err);
}
