/*
 * For services/ecr alone: one request of the distribution API.
 *
 * begin() (network thread) checks the token, the path and the method. body() and end() (a worker)
 * look the repository up in the core, once, and do the work. A handler answers with route_answer()
 * or one of the functions below; whatever it holds is given back in done().
 */
#ifndef GT_CONTROL_SERVICES_ECR_DIST_H
#define GT_CONTROL_SERVICES_ECR_DIST_H

#include "control/services/ecr/dist_path.h"
#include "control/services/ecr/repository.h"
#include "control/services/ecr/token.h"

/* code, status, what it means: distribution-spec 1.1, "Error Codes" */
#define DIST_ERRORS(X)                                                                             \
    X(BLOB_UNKNOWN, 404, "blob unknown to registry")                                               \
    X(BLOB_UPLOAD_INVALID, 400, "blob upload invalid")                                             \
    X(BLOB_UPLOAD_UNKNOWN, 404, "blob upload unknown to registry")                                 \
    X(DIGEST_INVALID, 400, "provided digest did not match uploaded content")                       \
    X(MANIFEST_BLOB_UNKNOWN, 400, "manifest references a manifest or blob unknown to registry")    \
    X(MANIFEST_INVALID, 400, "manifest invalid")                                                   \
    X(MANIFEST_UNKNOWN, 404, "manifest unknown to registry")                                       \
    X(NAME_INVALID, 400, "invalid repository name")                                                \
    X(NAME_UNKNOWN, 404, "repository name not known to registry")                                  \
    X(SIZE_INVALID, 400, "provided length did not match content length")                           \
    X(TAG_INVALID, 400, "tag invalid")                                                             \
    X(UNAUTHORIZED, 401, "authentication required")                                                \
    X(DENIED, 403, "requested access to the resource is denied")                                   \
    X(UNSUPPORTED, 405, "the operation is unsupported")                                            \
    X(TOOMANYREQUESTS, 429, "too many requests")                                                   \
    X(NOT_FOUND, 404, "no such path")                                                              \
    X(PAGINATION_NUMBER_INVALID, 400, "invalid number of results requested")                       \
    X(RANGE_INVALID, 416, "the chunk does not begin where the upload ends")                        \
    X(TOO_LARGE, 413, "larger than the registry takes")                                            \
    X(DISK_FULL, 507, "the registry's disk is full")                                               \
    X(UNKNOWN, 500, "internal error")

enum dist_code {
#define X(name, status, text) DIST_##name,
    DIST_ERRORS(X)
#undef X
};

struct dist {
    struct route_req *rq;
    struct ecr_token caller;
    bool node;      /* a node's key: may pull only */
    bool role;      /* a session of a role: may do what policies allow */
    bool permitted; /* it was asked */
    char *decoded;  /* the path */
    struct dist_path path;
    enum http_method method;
    bool has_repo;
    struct ecr_repo repo;
    /* of an upload */
    struct blob_upload *upload; /* taken */
    bool one_shot;              /* the upload ends with this request, whatever comes of it */
    bool checked;               /* the place of this chunk was checked */
    struct gt_buf document;     /* a manifest's body */
};

/* An operation: any of the two may be NULL. They return 0 when they answered or want to go on. */
struct dist_op {
    enum dist_kind kind;
    unsigned methods;
    bool writes;
    int (*body)(struct dist *d, const void *p, size_t n);
    int (*end)(struct dist *d);
};
extern const struct dist_op dist_blob_ops[], dist_upload_ops[], dist_manifest_ops[],
    dist_list_ops[];

static inline struct ecr_store *dist_store(struct dist *d)
{
    return data_store(route_data(d->rq));
}
static inline struct gt_arena *dist_arena(struct dist *d)
{
    return data_arena(route_data(d->rq));
}

/* The error's JSON, with `message` (NULL: the code's own). Returns 0 always. */
int dist_error(struct dist *d, enum dist_code code, const char *message);
/* For an error of a store or the core that no operation expects. */
int dist_fault(struct dist *d, const struct gt_err *err);
/* An answer with the headers that every one has. */
struct http_answer dist_answer(int status);

/* Whether the caller's policies allow the request: 1, or 0 when it answered that they do not. On a
 * worker. */
int dist_permitted(struct dist *d);
/* d->repo of d->path.name: 1, or 0 when it answered that there is none. */
int dist_need_repo(struct dist *d);
/* d->path.reference as a digest: 1, or 0 when it answered that it is none. */
int dist_need_digest(struct dist *d, struct oci_digest *ret);
/* A parameter of the query, decoded; empty when it is not there. */
struct gt_str dist_query(struct dist *d, const char *name);

#endif
