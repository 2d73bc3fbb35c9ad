/*
 * Takes the compression off a layer: gzip (also several members, as pigz and eStargz make them),
 * zstd (several frames) or none. Which one is seen from the first bytes, as every engine does;
 * media types lie too often. Memory is bounded: a zstd window is at most 128 MiB.
 */
#ifndef GT_NODE_IMAGE_UNPACK_INFLATE_H
#define GT_NODE_IMAGE_UNPACK_INFLATE_H

#include "lib/base/err.h"
#include "lib/base/mem.h"

#include <stddef.h>
#include <sys/types.h>

/* Sets *p to the next bytes, which stay until the next call. Returns how many, 0 at the end, or a
 * negative errno with err filled. */
typedef ssize_t (*inflate_source_fn)(void *arg, const void **p, struct gt_err *err);

struct inflate;

struct inflate *inflate_new(inflate_source_fn source, void *arg);
void inflate_free(struct inflate *in);
GT_DEFINE_AUTO(inflate, struct inflate *, inflate_free)

/* As inflate_source_fn; `arg` is the struct inflate. A stream that ends in the middle, or goes on
 * with something else after its end, is CORRUPT. */
ssize_t inflate_read(void *arg, const void **p, struct gt_err *err);

#endif
