/*
 * One layer, from where it is to a folder in the store's tmp/ that is unpacked and verified but
 * not yet durable.
 */
#ifndef GT_NODE_IMAGE_LAYER_FETCH_H
#define GT_NODE_IMAGE_LAYER_FETCH_H

#include "lib/oci/manifest.h"
#include "node/image/remote.h"
#include "node/image/unpacker.h"

struct layer_fetch {
    /* in */
    struct remote *remote;
    const char *worker, *local_blobs; /* the latter may be NULL */
    int tmp;                          /* descriptor of tmp/ */
    const char *stem;                 /* the folder to make there */
    const struct oci_descriptor *blob;
    const struct oci_digest *diff_id;
    atomic_bool *stop; /* the pull has come to nothing; may be NULL */
    void (*progress)(void *arg, uint64_t done);
    void *arg;
    /* out */
    struct unpacker_result result;
};

/* The folder is removed again when this does not succeed. Blocks SIGPIPE in its thread. */
int layer_fetch(struct layer_fetch *f, struct gt_err *err);

/* A file of the local blob store, or -ENOENT. Nothing about it was verified. */
int local_blob_open(const char *local_blobs, const struct oci_digest *digest, int64_t size);

#endif
