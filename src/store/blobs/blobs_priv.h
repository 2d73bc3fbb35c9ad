/* For store/blobs alone. */
#ifndef GT_STORE_BLOBS_BLOBS_PRIV_H
#define GT_STORE_BLOBS_BLOBS_PRIV_H

#include "lib/base/table.h"
#include "store/blobs/blobs.h"

#include <pthread.h>

/* "sha256/ab/<hex>" */
#define BLOBS_PATH_MAX (7 + 3 + OCI_DIGEST_HEX + 1)

struct blobs {
    int dir, uploads; /* descriptors of the folders */
    /* Held over each look-then-change of a published name (publish, link, touch, delete): short
     * system calls, no data, no sync. */
    pthread_mutex_t names;
    pthread_mutex_t lock;  /* of `table` and of taken, used_ms of each upload */
    struct gt_table table; /* id -> struct blob_upload */
};

void blobs_path(const struct oci_digest *d, char to[static BLOBS_PATH_MAX]);
/* Syncs the folder that holds the digest's name, and makes it where it is missing. */
int blobs_shard_make(struct blobs *b, const struct oci_digest *d, struct gt_err *err);
int blobs_shard_sync(struct blobs *b, const struct oci_digest *d, struct gt_err *err);
/* Frees the uploads' memory; their files stay. */
void blobs_uploads_fini(struct blobs *b);

#endif
