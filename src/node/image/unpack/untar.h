/*
 * Reads a layer's tar stream and hands its entries to a sink; the place where a hostile archive is
 * refused. libarchive parses (tar dialects, pax records, sparse files); what its answers may be is
 * decided here. The policy, with reasons, is docs/adr/0010-unpack-worker.md.
 */
#ifndef GT_NODE_IMAGE_UNPACK_UNTAR_H
#define GT_NODE_IMAGE_UNPACK_UNTAR_H

#include "lib/base/err.h"
#include "node/image/unpack/inflate.h"
#include "node/image/unpack/layer_sink.h"

#include <stdint.h>

struct untar_limits {
    uint64_t bytes; /* of the tar stream, and of all files together, holes included */
    uint64_t files; /* entries */
    /* Bytes that the source took in so far, for GT_LIMIT_UNPACK_RATIO; NULL: not watched. */
    const uint64_t *packed;
};

#define UNTAR_LIMITS_DEFAULT                                                                       \
    ((struct untar_limits){.bytes = GT_LIMIT_UNPACKED, .files = GT_LIMIT_UNPACKED_FILES})

struct untar_result {
    uint8_t sha256[32]; /* of the whole stream: the diff_id */
    uint64_t bytes;     /* of files, holes included */
    uint64_t files;
};

/* Once for each process, before the first untar() and before a sandbox closes: makes names that
 * are not ASCII readable, and loads what hashing needs. */
void untar_prepare(void);

/* Reads to the end of the source (trailing bytes belong to the diff_id) and finishes the sink. */
int untar(inflate_source_fn source, void *arg, const struct untar_limits *limits,
          struct layer_sink *sink, struct untar_result *ret, struct gt_err *err);

/* Turns a name of an archive into a path of layer_sink.h, in place: leading "./" and trailing "/"
 * go; anything else unusual is refused. */
int untar_check_path(char *path, struct gt_err *err);

#endif
