/*
 * Collection. First links that nobody needs and nobody made lately go, in one transaction. Then
 * every blob without any link is deleted unless it is young: whoever links a blob makes it young
 * before, so a blob for which no link was found and that is old has nobody about to link it.
 */
#include "store/registry/registry_priv.h"

#include <errno.h>

static int expire_links(struct registry *r, int64_t before_ms, struct gt_err *err)
{
    struct registry_conn *c;
    int rc = registry_begin(r, &c, err);
    if (rc < 0) {
        return rc;
    }
    sqlite3_stmt *st = registry_sql(c, SQL_LINK_EXPIRE);
    sqlite3_bind_int64(st, 1, before_ms);
    return registry_end(r, registry_run(c, st, err), err);
}

struct sweep {
    struct registry *r;
    struct registry_conn *c;
    int64_t before_ms;
    int gone;
    struct gt_err *err;
};

static int sweep_blob(void *arg, const struct oci_digest *d, int64_t size, int64_t mtime_ms)
{
    struct sweep *s = arg;
    if (mtime_ms >= s->before_ms) {
        return 0;
    }
    sqlite3_stmt *st = registry_sql(s->c, SQL_LINK_ANY);
    registry_bind_digest(st, 1, d);
    int r = registry_probe(s->c, st, s->err);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    r = blobs_delete_older(s->r->blobs, d, s->before_ms, s->err);
    s->gone += r > 0;
    return r < 0 ? r : 0;
}

int registry_collect(struct registry *r, int64_t before_ms, struct gt_err *err)
{
    int rc = blobs_expire_uploads(r->blobs, before_ms, err);
    rc = rc < 0 ? rc : expire_links(r, before_ms, err);
    if (rc < 0) {
        return rc;
    }
    struct sweep s = {.r = r, .before_ms = before_ms, .err = err};
    rc = registry_reader(r, &s.c, err);
    if (rc < 0) {
        return rc;
    }
    rc = blobs_each(r->blobs, sweep_blob, &s, err);
    registry_reader_done(r, s.c);
    return rc < 0 ? rc : s.gone;
}
