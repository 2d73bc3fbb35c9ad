/*
 * One repository of a registry, for the length of a pull: the client's half of the distribution
 * API (distribution-spec 1.1, "Pulling manifests", "Pulling blobs") with docker's token flow
 * (WWW-Authenticate: Bearer realm=..., RFC 6750). Several threads may use one at the same time.
 *
 * What may pass by itself is tried again with growing pauses: no connection, a broken one or one
 * that only trickles, 429 and 5xx, of the registry or of its token service; a blob goes on where it
 * stopped. Credentials go to the registry's own host and to the realm
 * that it names, never with a redirect to another host, and never in plain text unless the
 * registry itself speaks plain HTTP.
 */
#ifndef GT_NODE_IMAGE_REMOTE_H
#define GT_NODE_IMAGE_REMOTE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "node/image/image.h"

struct remote;
struct remote_grant; /* what a registry has granted: how to speak to it, and as whom */
struct remote_pool;  /* idle connections, for all remotes of a store */

struct remote_options {
    const char *host, *repository;
    const char *ca_file; /* may be NULL */
    unsigned retries, timeout_ms;
    bool plain_http;
    int (*credentials)(void *arg, const char *host, struct image_credentials *to);
    void *arg;
    atomic_bool *cancel; /* may be NULL */
    struct remote_pool *pool;
    const struct remote_grant *grant; /* to begin with; copied; may be NULL or out of date */
};

/* No network yet. Options and what they point to outlive the remote. */
struct remote *remote_new(const struct remote_options *options);
void remote_free(struct remote *r);
GT_DEFINE_AUTO(remote, struct remote *, remote_free)

/* What was granted meanwhile; the caller frees it. NULL when there is nothing to know. */
struct remote_grant *remote_granted(struct remote *r);
void remote_grant_free(struct remote_grant *g); /* NULL is allowed */

struct remote_pool *remote_pool_new(void);
void remote_pool_free(struct remote_pool *p);

/* A manifest by tag or digest, at most body->max bytes. `content_type` gets what the registry
 * says it is. */
int remote_manifest(struct remote *r, const char *reference, struct gt_buf *body,
                    struct gt_buf *content_type, struct gt_err *err);

/* Hands the blob's bytes over in order, exactly `size` of them, each once. A negative errno of
 * `take` ends it, with the err that take filled. */
typedef int (*remote_take_fn)(void *arg, const void *p, size_t n, struct gt_err *err);
int remote_blob(struct remote *r, const char *digest, uint64_t size, remote_take_fn take, void *arg,
                struct gt_err *err);

#endif
