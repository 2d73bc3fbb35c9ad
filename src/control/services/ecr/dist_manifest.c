/* Manifests and tags. */
#include "control/services/ecr/dist.h"
#include "lib/base/limits.h"
#include "lib/oci/reference.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* d->path.reference is a digest or a tag: 1, or 0 when it is neither. */
static int reference(struct dist *d, struct oci_digest *digest, bool *ret_is_digest)
{
    struct gt_str ref = d->path.reference;
    *ret_is_digest = memchr(ref.p, ':', ref.n) != NULL;
    return *ret_is_digest ? oci_digest_parse(ref, digest, NULL) == 0 : oci_tag_valid(ref);
}

static int unknown(struct dist *d)
{
    return dist_error(d, DIST_MANIFEST_UNKNOWN,
                      gt_arena_printf(dist_arena(d),
                                      "Requested image '" GT_STR_FMT
                                      "' not found in repository '" GT_STR_FMT "'",
                                      GT_STR_ARG(d->path.reference), GT_STR_ARG(d->path.name)));
}

static int manifest_get(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest digest;
    struct registry_manifest m;
    bool is_digest;
    if (!dist_need_repo(d)) {
        return 0;
    }
    if (!reference(d, &digest, &is_digest)) {
        return unknown(d);
    }
    int r =
        registry_manifest_get(dist_store(d)->registry, d->repo.store, is_digest ? &digest : NULL,
                              d->path.reference, d->method == HTTP_GET, dist_arena(d), &m, &err);
    if (r < 0) {
        return r == -ENOENT ? unknown(d) : dist_fault(d, &err);
    }
    char text[OCI_DIGEST_TEXT + 1], etag[OCI_DIGEST_TEXT + 3];
    snprintf(etag, sizeof(etag), "\"%s\"", oci_digest_text(&m.digest, text));
    bool fresh = gt_str_is(http_req_header(route_http(d->rq), "if-none-match"), etag);
    struct http_answer a = dist_answer(fresh ? 304 : 200);
    http_answer_header(&a, "Docker-Content-Digest", text);
    http_answer_header(&a, "ETag", etag);
    if (!fresh) {
        a.content_type = gt_arena_str(dist_arena(d), m.media_type);
        gt_buf_str(&a.body, m.body);
        a.length = (uint64_t)m.size;
    }
    route_answer(d->rq, &a);
    return 0;
}

static int manifest_body(struct dist *d, const void *p, size_t n)
{
    gt_buf_add(&d->document, p, n);
    return gt_buf_ok(&d->document)
               ? 0
               : dist_error(d, DIST_TOO_LARGE, "the manifest is larger than 4 MiB");
}

/* Why a manifest was not kept. */
static int refuse_put(struct dist *d, int r, const struct gt_err *err)
{
    switch (r) {
    case -ENOENT:
        return dist_error(d, DIST_MANIFEST_BLOB_UNKNOWN, err->msg);
    case -ESTALE:
        return dist_error(d, DIST_NAME_UNKNOWN, NULL);
    case -EINVAL:
        return dist_error(d, DIST_SIZE_INVALID, err->msg);
    case -EDQUOT:
        return dist_error(d, err->kind == GT_ERR_LIMIT ? DIST_DENIED : DIST_DISK_FULL,
                          err->kind == GT_ERR_LIMIT ? err->msg : NULL);
    case -EEXIST:
        return dist_error(
            d, DIST_TAG_INVALID,
            gt_arena_printf(dist_arena(d),
                            "The image tag '" GT_STR_FMT "' already exists in the '" GT_STR_FMT
                            "' repository and cannot be overwritten because the repository is "
                            "immutable.",
                            GT_STR_ARG(d->path.reference), GT_STR_ARG(d->path.name)));
    default:
        return dist_fault(d, err);
    }
}

static int answer_put(struct dist *d, const struct oci_digest *digest, const struct oci_manifest *m)
{
    char location[512], text[OCI_DIGEST_TEXT + 1], subject[OCI_DIGEST_TEXT + 1];
    struct http_answer a = dist_answer(201);
    snprintf(location, sizeof(location), "/v2/" GT_STR_FMT "/manifests/%s",
             GT_STR_ARG(d->path.name), oci_digest_text(digest, text));
    http_answer_header(&a, "Location", location);
    http_answer_header(&a, "Docker-Content-Digest", text);
    if (m->has_subject) { /* the client need not keep a list of referrers under a tag */
        http_answer_header(&a, "OCI-Subject", oci_digest_text(&m->subject.digest, subject));
    }
    route_answer(d->rq, &a);
    return 0;
}

static int manifest_put(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest named, digest, missing;
    struct oci_manifest m;
    bool is_digest;
    struct gt_str text = gt_buf_view(&d->document);
    if (!dist_need_repo(d)) {
        return 0;
    }
    if (!reference(d, &named, &is_digest)) {
        return dist_error(d, is_digest ? DIST_DIGEST_INVALID : DIST_TAG_INVALID, NULL);
    }
    int r = oci_manifest_parse(text, http_req_header(route_http(d->rq), "content-type"),
                               dist_arena(d), &m, &err);
    if (r < 0) {
        return dist_error(d, DIST_MANIFEST_INVALID, err.msg);
    }
    oci_digest_of(text.p, text.n, &digest);
    if (is_digest && !oci_digest_eq(&digest, &named)) {
        return dist_error(d, DIST_DIGEST_INVALID, NULL);
    }
    struct registry_put put = {.text = text,
                               .manifest = &m,
                               .tag = is_digest ? (struct gt_str){0} : d->path.reference,
                               .immutable_tags = d->repo.immutable_tags,
                               .now_ms = data_now(route_data(d->rq))};
    r = registry_manifest_put(dist_store(d)->registry, d->repo.store, &put, &digest, &missing,
                              &err);
    return r < 0 ? refuse_put(d, r, &err) : answer_put(d, &digest, &m);
}

static int manifest_delete(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest digest;
    bool is_digest;
    if (!dist_need_repo(d)) {
        return 0;
    }
    if (!reference(d, &digest, &is_digest)) {
        return unknown(d);
    }
    struct registry *reg = dist_store(d)->registry;
    int64_t now = data_now(route_data(d->rq));
    int r = is_digest ? registry_manifest_delete(reg, d->repo.store, &digest, now, &err)
                      : registry_tag_delete(reg, d->repo.store, d->path.reference,
                                            /* last_deletes= */ false, now, &digest, &err);
    if (r == -ENOENT) {
        return unknown(d);
    }
    if (r == -EBUSY) {
        return dist_error(d, DIST_DENIED, err.msg);
    }
    if (r < 0) {
        return dist_fault(d, &err);
    }
    struct http_answer a = dist_answer(202);
    route_answer(d->rq, &a);
    return 0;
}

const struct dist_op dist_manifest_ops[] = {
    {DIST_MANIFEST, HTTP_GET | HTTP_HEAD, /* writes= */ false, NULL, manifest_get},
    {DIST_MANIFEST, HTTP_PUT, /* writes= */ true, manifest_body, manifest_put},
    {DIST_MANIFEST, HTTP_DELETE, /* writes= */ true, NULL, manifest_delete},
    {0},
};
