/*
 * Uploads: POST begins one (or does it all, or mounts), PATCH appends, PUT appends and ends, GET
 * tells how far it is, DELETE forgets it. An upload belongs to its repository.
 */
#include "control/services/ecr/dist.h"
#include "lib/oci/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static struct blobs *blobs_of(struct dist *d)
{
    return registry_blobs(dist_store(d)->registry);
}

/* Where the upload is and how much it has. Gives the upload back. */
static int answer_upload(struct dist *d, int status)
{
    char location[512], range[40];
    struct http_answer a = dist_answer(status);
    struct blob_upload *u = d->upload;
    int64_t size = blob_upload_size(u);
    char id[BLOBS_UPLOAD_ID + 1];
    memcpy(id, blob_upload_id(u), sizeof(id));
    blob_upload_release(u);
    d->upload = NULL;
    snprintf(location, sizeof(location), "/v2/" GT_STR_FMT "/blobs/uploads/%s",
             GT_STR_ARG(d->path.name), id);
    snprintf(range, sizeof(range), "0-%" PRId64, size > 0 ? size - 1 : 0);
    http_answer_header(&a, "Location", location);
    http_answer_header(&a, "Range", range);
    http_answer_header(&a, "Docker-Upload-UUID", id);
    route_answer(d->rq, &a);
    return 0;
}

static int answer_created(struct dist *d, const struct oci_digest *digest)
{
    char location[512], text[OCI_DIGEST_TEXT + 1];
    struct http_answer a = dist_answer(201);
    snprintf(location, sizeof(location), "/v2/" GT_STR_FMT "/blobs/%s", GT_STR_ARG(d->path.name),
             oci_digest_text(digest, text));
    http_answer_header(&a, "Location", location);
    http_answer_header(&a, "Docker-Content-Digest", text);
    route_answer(d->rq, &a);
    return 0;
}

/* d->upload, the one of the path: 1, or 0 when it was answered. */
static int need_upload(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    if (d->upload) {
        return 1;
    }
    if (!dist_need_repo(d)) {
        return 0;
    }
    int r = blobs_upload_take(blobs_of(d), d->path.reference, d->repo.store, &d->upload, &err);
    if (r < 0) {
        d->upload = NULL;
    }
    if (r == -ENOENT) {
        dist_error(d, DIST_BLOB_UPLOAD_UNKNOWN, NULL);
    } else if (r == -EBUSY) {
        dist_error(d, DIST_RANGE_INVALID, "another request is writing to this upload");
    } else if (r < 0) {
        dist_fault(d, &err);
    }
    return r == 0;
}

/* A chunk that says where it belongs must belong at the end: 1, or 0 when it was answered. */
static int check_place(struct dist *d)
{
    struct http_req *http = route_http(d->rq);
    struct gt_str header = http_req_header(http, "content-range");
    int64_t first, last, length = http_req_content_length(http);
    if (d->checked || !header.n) {
        return 1;
    }
    d->checked = true;
    if (oci_content_range_parse(header, &first, &last) < 0) {
        /* what docker's libraries send with an empty PUT is "0--1" or the like: ignored */
        if (length == 0) {
            return 1;
        }
        dist_error(d, DIST_BLOB_UPLOAD_INVALID, "the Content-Range header is not valid");
        return 0;
    }
    if (length == 0) {
        return 1;
    }
    if (first != blob_upload_size(d->upload)) {
        answer_upload(d, 416);
        return 0;
    }
    if (length > 0 && length != last - first + 1) {
        dist_error(d, DIST_SIZE_INVALID, NULL);
        return 0;
    }
    return 1;
}

static int append(struct dist *d, const void *p, size_t n)
{
    struct gt_err err = GT_ERR_INIT;
    int r = blob_upload_write(d->upload, p, n, &err);
    return r < 0 ? dist_fault(d, &err) : 0;
}

static int chunk_body(struct dist *d, const void *p, size_t n)
{
    return need_upload(d) && check_place(d) ? append(d, p, n) : 0;
}

static int patch_end(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    if (!need_upload(d) || !check_place(d)) {
        return 0;
    }
    int r = blob_upload_sync(d->upload, &err);
    return r < 0 ? dist_fault(d, &err) : answer_upload(d, 202);
}

/* Publishes d->upload under the digest of the query. */
static int commit(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest digest;
    if (oci_digest_parse(dist_query(d, "digest"), &digest, &err) < 0) {
        return dist_error(d, DIST_DIGEST_INVALID, err.msg);
    }
    struct blob_upload *u = d->upload;
    int64_t size = blob_upload_size(u);
    d->upload = NULL;
    int r = blob_upload_commit(u, &digest, &err);
    if (r == -EBADMSG) {
        return dist_error(d, DIST_DIGEST_INVALID, err.msg);
    }
    if (r == 0) {
        r = registry_blob_link(dist_store(d)->registry, d->repo.store, &digest, size,
                               data_now(route_data(d->rq)), &err);
    }
    if (r == -ESTALE) {
        return dist_error(d, DIST_NAME_UNKNOWN, NULL);
    }
    return r < 0 ? dist_fault(d, &err) : answer_created(d, &digest);
}

static int put_end(struct dist *d)
{
    return need_upload(d) && check_place(d) ? commit(d) : 0;
}

static int status_end(struct dist *d)
{
    return need_upload(d) ? answer_upload(d, 204) : 0;
}

static int cancel_end(struct dist *d)
{
    if (!need_upload(d)) {
        return 0;
    }
    blob_upload_cancel(d->upload);
    d->upload = NULL;
    struct http_answer a = dist_answer(204);
    route_answer(d->rq, &a);
    return 0;
}

/* -- POST -- */

/* A new upload: 1, or 0 when it was answered that there is none. */
static int new_upload(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    if (d->upload) {
        return 1;
    }
    if (!dist_need_repo(d)) {
        return 0;
    }
    int r = blobs_upload_new(blobs_of(d), d->repo.store, &d->upload, &err);
    if (r < 0) {
        d->upload = NULL;
        dist_fault(d, &err);
    }
    return r == 0;
}

/* The body of a POST counts only when it brings the whole blob. */
static int post_body(struct dist *d, const void *p, size_t n)
{
    if (!d->checked) {
        d->checked = true;
        d->one_shot = dist_query(d, "digest").n > 0;
    }
    return !d->one_shot || !new_upload(d) ? 0 : append(d, p, n);
}

/* 1: mounted and answered. 0: there is nothing to mount, and an ordinary upload begins. The caller
 * may read every repository of its own registry, and of no other. */
static int mount(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest digest;
    struct ecr_repo source;
    struct gt_str from = dist_query(d, "from"), what = dist_query(d, "mount");
    struct ecr_scope scope = {.account = d->repo.account, .region = d->repo.region};
    if (!from.n || oci_digest_parse(what, &digest, NULL) < 0 ||
        ecr_repo_find(route_data(d->rq), scope, (struct gt_str){0}, from, &source, &err) < 0) {
        return 0;
    }
    int r = registry_blob_mount(dist_store(d)->registry, source.store, d->repo.store, &digest,
                                data_now(route_data(d->rq)), &err);
    if (r == -ESTALE) {
        dist_error(d, DIST_NAME_UNKNOWN, NULL);
        return 1;
    }
    if (r == -ENOENT) {
        return 0;
    }
    r < 0 ? dist_fault(d, &err) : answer_created(d, &digest);
    return 1;
}

static int post_end(struct dist *d)
{
    if (!dist_need_repo(d)) {
        return 0;
    }
    d->one_shot = dist_query(d, "digest").n > 0;
    if (!d->one_shot && dist_query(d, "mount").n && mount(d)) {
        return 0;
    }
    if (!new_upload(d)) {
        return 0;
    }
    if (d->one_shot) {
        return commit(d);
    }
    struct gt_err err = GT_ERR_INIT;
    int r = blob_upload_sync(d->upload, &err);
    return r < 0 ? dist_fault(d, &err) : answer_upload(d, 202);
}

const struct dist_op dist_upload_ops[] = {
    {DIST_UPLOADS, HTTP_POST, /* writes= */ true, post_body, post_end},
    {DIST_UPLOAD, HTTP_PATCH, /* writes= */ true, chunk_body, patch_end},
    {DIST_UPLOAD, HTTP_PUT, /* writes= */ true, chunk_body, put_end},
    {DIST_UPLOAD, HTTP_GET | HTTP_HEAD, /* writes= */ true, NULL, status_end},
    {DIST_UPLOAD, HTTP_DELETE, /* writes= */ true, NULL, cancel_end},
    {0},
};
