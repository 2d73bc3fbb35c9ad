#ifndef GT_NODE_IMAGE_UNPACK_INFLATE_PRIV_H
#define GT_NODE_IMAGE_UNPACK_INFLATE_PRIV_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One format. step() takes some of `in`, gives some of `out`, and says whether it stands between
 * two members, where the input may end. */
struct inflate_step {
    const uint8_t *in;
    size_t n_in;
    uint8_t *out;
    size_t n_out;
    bool at_end;
};

struct inflate_codec {
    const char *name;
    void *(*new)(void);
    void (*free)(void *state);
    int (*step)(void *state, struct inflate_step *io, struct gt_err *err);
};

extern const struct inflate_codec inflate_gzip; /* inflate_isal.c, or inflate_zlib.c without it */
extern const struct inflate_codec inflate_zstd;

#endif
