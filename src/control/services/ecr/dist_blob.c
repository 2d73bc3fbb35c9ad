/* Blobs: looking, reading, forgetting. */
#include "control/services/ecr/dist.h"
#include "lib/oci/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* The answer to a GET or HEAD of `size` bytes. Takes over fd. */
static int answer_blob(struct dist *d, const struct oci_digest *digest, int fd, int64_t size)
{
    struct http_req *http = route_http(d->rq);
    char text[OCI_DIGEST_TEXT + 1], etag[OCI_DIGEST_TEXT + 3], range[80];
    snprintf(etag, sizeof(etag), "\"%s\"", oci_digest_text(digest, text));
    struct gt_str if_range = http_req_header(http, "if-range");
    struct gt_str header = http_req_header(http, "range");
    int64_t offset = 0, length = size;
    enum oci_range part = if_range.n && !gt_str_is(if_range, etag)
                              ? OCI_RANGE_NONE
                              : oci_range_parse(header, size, &offset, &length);
    bool fresh = gt_str_is(http_req_header(http, "if-none-match"), etag);
    int status = fresh                             ? 304
                 : part == OCI_RANGE_ONE           ? 206
                 : part == OCI_RANGE_UNSATISFIABLE ? 416
                                                   : 200;
    struct http_answer a = dist_answer(status);
    http_answer_header(&a, "Docker-Content-Digest", text);
    http_answer_header(&a, "ETag", etag);
    http_answer_header(&a, "Accept-Ranges", "bytes");
    http_answer_header(&a, "Cache-Control", "max-age=31536000");
    if (status == 416) {
        snprintf(range, sizeof(range), "bytes */%" PRId64, size);
        http_answer_header(&a, "Content-Range", range);
    } else if (status == 206) {
        snprintf(range, sizeof(range), "bytes %" PRId64 "-%" PRId64 "/%" PRId64, offset,
                 offset + length - 1, size);
        http_answer_header(&a, "Content-Range", range);
    }
    if (status == 200 || status == 206) {
        a.content_type = "application/octet-stream";
        a.offset = (uint64_t)offset;
        a.length = (uint64_t)length;
        a.fd = gt_steal_fd(&fd);
    }
    gt_closep(&fd);
    route_answer(d->rq, &a);
    return 0;
}

static int blob_get(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest digest;
    int64_t size;
    if (!dist_need_digest(d, &digest) || !dist_need_repo(d)) {
        return 0;
    }
    struct registry *reg = dist_store(d)->registry;
    int r = registry_blob_find(reg, d->repo.store, &digest, &size, &err);
    int fd = -1;
    if (r == 0 && d->method == HTTP_HEAD && !d->node) {
        int64_t now = data_now(route_data(d->rq));
        r = registry_blob_seen(reg, d->repo.store, &digest, now - ECR_GRACE_MS / 2, now, &err);
    }
    if (r == 0 && d->method == HTTP_GET) {
        r = fd = blobs_get(registry_blobs(reg), &digest, &size, &err);
    }
    if (r == -ENOENT) {
        return dist_error(d, DIST_BLOB_UNKNOWN, NULL);
    }
    return r < 0 ? dist_fault(d, &err) : answer_blob(d, &digest, fd, size);
}

static int blob_delete(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest digest;
    if (!dist_need_digest(d, &digest) || !dist_need_repo(d)) {
        return 0;
    }
    int r = registry_blob_unlink(dist_store(d)->registry, d->repo.store, &digest, &err);
    if (r == -ENOENT) {
        return dist_error(d, DIST_BLOB_UNKNOWN, NULL);
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

const struct dist_op dist_blob_ops[] = {
    {DIST_BLOB, HTTP_GET | HTTP_HEAD, /* writes= */ false, NULL, blob_get},
    {DIST_BLOB, HTTP_DELETE, /* writes= */ true, NULL, blob_delete},
    {0},
};
