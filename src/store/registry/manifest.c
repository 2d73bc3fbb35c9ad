#include "store/registry/registry_priv.h"

#include <errno.h>
#include <inttypes.h>

static int no_manifest(struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_NOT_FOUND, "the repository has no such manifest");
}

static int bind_pair(struct registry_conn *c, enum registry_sql which, int64_t repo,
                     const struct oci_digest *d, sqlite3_stmt **ret)
{
    *ret = registry_sql(c, which);
    sqlite3_bind_int64(*ret, 1, repo);
    registry_bind_digest(*ret, 2, d);
    return 0;
}

/* Runs a statement whose parameters are repository and digest. */
static int run_pair(struct registry_conn *c, enum registry_sql which, int64_t repo,
                    const struct oci_digest *d, struct gt_err *err)
{
    sqlite3_stmt *st;
    bind_pair(c, which, repo, d, &st);
    return registry_run(c, st, err);
}

/* -- what a manifest refers to -- */

struct putting {
    struct registry_conn *c;
    int64_t repo;
    struct oci_digest digest;
    struct oci_digest *missing;
    int64_t image_size;
};

static int require(struct putting *p, const struct oci_descriptor *d, int kind, struct gt_err *err)
{
    sqlite3_stmt *st;
    bind_pair(p->c, kind == REF_BLOB ? SQL_LINK_FIND : SQL_MANIFEST_FIND, p->repo, &d->digest, &st);
    int r = registry_step(p->c, st, err);
    int64_t have = r > 0 ? sqlite3_column_int64(st, kind == REF_BLOB ? 0 : 4) : 0;
    if (r > 0 && kind == REF_MANIFEST) {
        int64_t size = sqlite3_column_int64(st, 5);
        p->image_size = GT_MAX(p->image_size, size);
    }
    sqlite3_reset(st);
    if (r > 0 && have != d->size) {
        char text[OCI_DIGEST_TEXT + 1];
        return gt_err_set(err, GT_ERR_INVALID,
                          "the manifest says that %s has %" PRId64 " bytes; it has %" PRId64,
                          oci_digest_text(&d->digest, text), d->size, have);
    }
    if (r == 0) {
        char text[OCI_DIGEST_TEXT + 1];
        *p->missing = d->digest;
        return gt_err_set(err, GT_ERR_NOT_FOUND, "the manifest refers to %s %s, which is unknown",
                          kind == REF_BLOB ? "blob" : "manifest",
                          oci_digest_text(&d->digest, text));
    }
    return r < 0 ? r : 0;
}

static int refer(struct putting *p, const struct oci_descriptor *d, int kind, struct gt_err *err)
{
    sqlite3_stmt *st;
    bind_pair(p->c, SQL_REFERENCE_PUT, p->repo, &p->digest, &st);
    registry_bind_digest(st, 3, &d->digest);
    sqlite3_bind_int(st, 4, kind);
    return registry_run(p->c, st, err);
}

static int blob_needed(struct putting *p, const struct oci_descriptor *d, struct gt_err *err)
{
    if (oci_media_kind(d->media_type) == OCI_MEDIA_KIND_LAYER_FOREIGN && d->urls.n) {
        return 0;
    }
    int r = require(p, d, REF_BLOB, err);
    p->image_size += d->size;
    return r < 0 ? r : refer(p, d, REF_BLOB, err);
}

static int references(struct putting *p, const struct oci_manifest *m, struct gt_err *err)
{
    int r = m->is_index ? 0 : blob_needed(p, &m->config, err);
    for (size_t i = 0; r == 0 && i < m->layers.n; i++) {
        r = blob_needed(p, &m->layers.v[i], err);
    }
    for (size_t i = 0; r == 0 && i < m->manifests.n; i++) {
        r = require(p, &m->manifests.v[i], REF_MANIFEST, err);
        r = r < 0 ? r : refer(p, &m->manifests.v[i], REF_MANIFEST, err);
    }
    if (r == 0 && m->has_subject) {
        r = refer(p, &m->subject, REF_SUBJECT, err); /* may come later, or never */
    }
    return r;
}

static int insert(struct putting *p, const struct registry_put *put, struct gt_err *err)
{
    const struct oci_manifest *m = put->manifest;
    sqlite3_stmt *st;
    bind_pair(p->c, SQL_MANIFEST_PUT, p->repo, &p->digest, &st);
    registry_bind_str(st, 3, m->media_type);
    registry_bind_str(st, 4, m->artifact_type);
    registry_bind_str(st, 5, m->is_index ? (struct gt_str){0} : m->config.media_type);
    sqlite3_bind_int64(st, 6, (int64_t)put->text.n);
    sqlite3_bind_int64(st, 7, p->image_size);
    sqlite3_bind_int64(st, 8, put->now_ms);
    sqlite3_bind_blob64(st, 9, put->text.p, put->text.n, SQLITE_STATIC);
    return registry_run(p->c, st, err);
}

static int tag_put(struct putting *p, const struct registry_put *put, struct gt_err *err)
{
    sqlite3_stmt *st = registry_sql(p->c, SQL_TAG_FIND);
    sqlite3_bind_int64(st, 1, p->repo);
    registry_bind_str(st, 2, put->tag);
    int r = registry_step(p->c, st, err);
    struct oci_digest old;
    bool same = r > 0 && registry_col_digest(st, 0, &old) == 0 && oci_digest_eq(&old, &p->digest);
    sqlite3_reset(st);
    if (r < 0 || same) {
        return r < 0 ? r : 0;
    }
    if (r > 0 && put->immutable_tags) {
        return gt_err_set(err, GT_ERR_EXISTS, "the tag '" GT_STR_FMT "' is another image's",
                          GT_STR_ARG(put->tag));
    }
    bind_pair(p->c, SQL_TAG_COUNT, p->repo, &p->digest, &st);
    r = registry_step(p->c, st, err);
    int64_t tags = r > 0 ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    if (r < 0 || tags >= REGISTRY_LIMIT_TAGS) {
        return r < 0 ? r
                     : gt_err_set(err, GT_ERR_LIMIT, "the image has %d tags already",
                                  REGISTRY_LIMIT_TAGS);
    }
    st = registry_sql(p->c, SQL_TAG_PUT);
    sqlite3_bind_int64(st, 1, p->repo);
    registry_bind_str(st, 2, put->tag);
    registry_bind_digest(st, 3, &p->digest);
    sqlite3_bind_int64(st, 4, put->now_ms);
    return registry_run(p->c, st, err);
}

int registry_manifest_put(struct registry *r, struct gt_str repo, const struct registry_put *put,
                          struct oci_digest *ret_digest, struct oci_digest *ret_missing,
                          struct gt_err *err)
{
    struct putting p = {.missing = ret_missing};
    oci_digest_of(put->text.p, put->text.n, &p.digest);
    int rc = registry_begin(r, &p.c, err);
    if (rc < 0) {
        return rc;
    }
    rc = registry_repo_make(r, p.c, repo, &p.repo, err);
    rc = rc < 0 ? rc : references(&p, put->manifest, err);
    rc = rc < 0 ? rc : insert(&p, put, err);
    if (rc == 0 && put->tag.n) {
        rc = tag_put(&p, put, err);
    }
    rc = registry_end(r, rc, err);
    if (rc == 0) {
        *ret_digest = p.digest;
    }
    return rc;
}

/* -- reading -- */

static int row_read(sqlite3_stmt *st, bool with_body, struct gt_arena *arena,
                    struct registry_manifest *m, struct gt_err *err)
{
    if (registry_col_digest(st, 0, &m->digest) < 0) {
        return gt_err_set(err, GT_ERR_CORRUPT, "registry index: a manifest's digest");
    }
    m->media_type = registry_col_str(st, 1, arena);
    m->artifact_type = registry_col_str(st, 2, arena);
    m->config_type = registry_col_str(st, 3, arena);
    m->size = sqlite3_column_int64(st, 4);
    m->image_size = sqlite3_column_int64(st, 5);
    m->pushed_ms = sqlite3_column_int64(st, 6);
    m->body = with_body ? registry_col_str(st, 7, arena) : (struct gt_str){0};
    return 0;
}

int registry_tag_resolve(struct registry_conn *c, int64_t repo, struct gt_str tag,
                         struct oci_digest *ret, struct gt_err *err)
{
    sqlite3_stmt *st = registry_sql(c, SQL_TAG_FIND);
    sqlite3_bind_int64(st, 1, repo);
    registry_bind_str(st, 2, tag);
    int r = registry_step(c, st, err);
    if (r > 0 && registry_col_digest(st, 0, ret) < 0) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "registry index: a tag's digest");
    }
    sqlite3_reset(st);
    return r == 0 ? no_manifest(err) : r < 0 ? r : 0;
}

static int manifest_get(struct registry_conn *c, struct gt_str repo,
                        const struct oci_digest *digest, struct gt_str tag, bool with_body,
                        struct gt_arena *arena, struct registry_manifest *ret, struct gt_err *err)
{
    int64_t id;
    struct oci_digest d;
    int r = registry_repo_id(c, repo, &id, err);
    if (r <= 0) {
        return r < 0 ? r : no_manifest(err);
    }
    /* Two statements: a tag that moves in between leads to its new or its old manifest. The old
     * one may be deleted in between; then the tag is looked at again. */
    for (int tries = 0; tries < 3; tries++) {
        if (digest) {
            d = *digest;
        } else if ((r = registry_tag_resolve(c, id, tag, &d, err)) < 0) {
            return r;
        }
        sqlite3_stmt *st;
        bind_pair(c, with_body ? SQL_MANIFEST_BODY : SQL_MANIFEST_FIND, id, &d, &st);
        r = registry_step(c, st, err);
        if (r > 0) {
            r = row_read(st, with_body, arena, ret, err);
            sqlite3_reset(st);
            return r;
        }
        if (r < 0 || digest) {
            break;
        }
    }
    return r < 0 ? r : no_manifest(err);
}

int registry_manifest_get(struct registry *r, struct gt_str repo, const struct oci_digest *digest,
                          struct gt_str tag, bool with_body, struct gt_arena *arena,
                          struct registry_manifest *ret, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    rc = manifest_get(c, repo, digest, tag, with_body, arena, ret, err);
    registry_reader_done(r, c);
    return rc;
}

/* The rows of a statement, without bodies. `st` is reset. */
static int rows_read(struct registry_conn *c, sqlite3_stmt *st, size_t limit,
                     struct gt_arena *arena, struct registry_manifest *v, size_t *ret_n,
                     struct gt_err *err)
{
    int rc = 0;
    size_t n = 0;
    while (n < limit && (rc = registry_step(c, st, err)) > 0) {
        rc = row_read(st, /* with_body= */ false, arena, &v[n], err);
        if (rc < 0) {
            break;
        }
        n++;
    }
    sqlite3_reset(st);
    *ret_n = n;
    return rc < 0 ? rc : 0;
}

static void bind_after(sqlite3_stmt *st, int at, const struct oci_digest *after)
{
    sqlite3_bind_blob(st, at, after ? (const void *)after->b : "", after ? 32 : 0, SQLITE_STATIC);
}

int registry_manifests(struct registry *r, struct gt_str repo, const struct oci_digest *after,
                       enum registry_filter filter, size_t limit, struct gt_arena *arena,
                       struct registry_manifest **ret_v, size_t *ret_n, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    int64_t id;
    *ret_n = 0;
    *ret_v = gt_arena_array(arena, struct registry_manifest, limit + 1);
    rc = registry_repo_id(c, repo, &id, err);
    if (rc > 0) {
        sqlite3_stmt *st = registry_sql(c, SQL_MANIFEST_LIST);
        sqlite3_bind_int64(st, 1, id);
        bind_after(st, 2, after);
        sqlite3_bind_int(st, 3, (int)filter);
        sqlite3_bind_int64(st, 4, (int64_t)limit);
        rc = rows_read(c, st, limit, arena, *ret_v, ret_n, err);
    }
    registry_reader_done(r, c);
    return rc;
}

static int referring(struct registry *r, struct gt_str repo, const struct oci_digest *d, int kind,
                     const struct oci_digest *after, size_t limit, struct gt_arena *arena,
                     struct registry_manifest **ret_v, size_t *ret_n, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_reader(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    int64_t id;
    *ret_n = 0;
    *ret_v = gt_arena_array(arena, struct registry_manifest, limit + 1);
    rc = registry_repo_id(c, repo, &id, err);
    if (rc > 0) {
        sqlite3_stmt *st;
        bind_pair(c, SQL_REFERENCE_LIST, id, d, &st);
        sqlite3_bind_int(st, 3, kind);
        bind_after(st, 4, after);
        sqlite3_bind_int64(st, 5, (int64_t)limit);
        rc = rows_read(c, st, limit, arena, *ret_v, ret_n, err);
    }
    registry_reader_done(r, c);
    return rc;
}

int registry_referrers(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       const struct oci_digest *after, size_t limit, struct gt_arena *arena,
                       struct registry_manifest **ret_v, size_t *ret_n, struct gt_err *err)
{
    return referring(r, repo, d, REF_SUBJECT, after, limit, arena, ret_v, ret_n, err);
}

int registry_indexes_of(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                        size_t limit, struct gt_arena *arena, struct registry_manifest **ret_v,
                        size_t *ret_n, struct gt_err *err)
{
    return referring(r, repo, d, REF_MANIFEST, /* after= */ NULL, limit, arena, ret_v, ret_n, err);
}

/* -- deleting -- */

int registry_manifest_drop(struct registry_conn *c, struct gt_str repo, const struct oci_digest *d,
                           int64_t now_ms, struct gt_err *err)
{
    int64_t id;
    int r = registry_repo_id(c, repo, &id, err);
    if (r <= 0) {
        return r < 0 ? r : no_manifest(err);
    }
    sqlite3_stmt *st;
    bind_pair(c, SQL_MANIFEST_FIND, id, d, &st);
    r = registry_probe(c, st, err);
    if (r <= 0) {
        return r < 0 ? r : no_manifest(err);
    }
    bind_pair(c, SQL_REFERENCE_TO, id, d, &st);
    sqlite3_bind_int(st, 3, REF_MANIFEST);
    r = registry_probe(c, st, err);
    if (r > 0) {
        (void)gt_err_set(err, GT_ERR_CONFLICT, "an index refers to the manifest");
        return -EBUSY;
    }
    /* Its blobs' grace begins now. */
    bind_pair(c, SQL_LINK_TOUCH_OF, id, d, &st);
    sqlite3_bind_int64(st, 3, now_ms);
    r = r < 0 ? r : registry_run(c, st, err);
    r = r < 0 ? r : run_pair(c, SQL_REFERENCE_DROP, id, d, err);
    r = r < 0 ? r : run_pair(c, SQL_TAG_DROP_OF, id, d, err);
    return r < 0 ? r : run_pair(c, SQL_MANIFEST_DROP, id, d, err);
}

int registry_manifest_delete(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                             int64_t now_ms, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    return rc < 0 ? rc : registry_end(r, registry_manifest_drop(c, repo, d, now_ms, err), err);
}
