/*
 * The store's end of the unpack worker (unpack/worker.h): starts one for a layer, feeds it, and
 * reads its answer with distrust. Used by one thread, which must live as long as the worker does
 * (the worker dies with the thread that started it).
 */
#ifndef GT_NODE_IMAGE_UNPACKER_H
#define GT_NODE_IMAGE_UNPACKER_H

#include "lib/base/err.h"
#include "lib/oci/digest.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct unpacker {
    pid_t pid;
    int input; /* -1 when the worker reads a file by itself, or after unpacker_finish */
    int result;
};

struct unpacker_result {
    struct oci_digest diff_id; /* as the worker says */
    uint64_t bytes, files;
};

#define UNPACKER_INIT ((struct unpacker){-1, -1, -1})

/* `layer` is the open, empty folder. With `file` >= 0 the worker reads that; otherwise bytes go
 * through unpacker_feed(). SIGPIPE must be blocked in this thread. */
int unpacker_start(struct unpacker *u, const char *worker, int layer, int file, struct gt_err *err);
/* -EPIPE when the worker has given up: unpacker_finish() says why. err is not filled for that. */
int unpacker_feed(struct unpacker *u, const void *p, size_t n, struct gt_err *err);
/* End of the layer: waits for the answer, marks opaque directories, reaps. */
int unpacker_finish(struct unpacker *u, int layer, struct unpacker_result *ret, struct gt_err *err);
/* Kills and reaps what is left. */
void unpacker_abort(struct unpacker *u);

#endif
