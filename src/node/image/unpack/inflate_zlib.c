/* gzip with zlib, where ISA-L is not to be had. */
#include "lib/base/mem.h"
#include "node/image/unpack/inflate_priv.h"

#include <zlib.h>

struct gzip {
    z_stream z;
    bool fresh; /* nothing of the next member was read yet */
};

static void *gzip_new(void)
{
    struct gzip *g = gt_new(struct gzip);
    GT_ASSERT(inflateInit2(&g->z, 15 + 16) == Z_OK);
    g->fresh = true;
    return g;
}

static void gzip_free(void *state)
{
    struct gzip *g = state;
    inflateEnd(&g->z);
    free(g);
}

static int gzip_step(void *state, struct inflate_step *io, struct gt_err *err)
{
    struct gzip *g = state;
    if (g->fresh && io->n_in == 0) {
        io->at_end = true;
        return 0;
    }
    g->z.next_in = (Bytef *)(uintptr_t)io->in;
    g->z.avail_in = (uInt)io->n_in;
    g->z.next_out = io->out;
    g->z.avail_out = (uInt)io->n_out;
    g->fresh = false;
    int r = inflate(&g->z, Z_NO_FLUSH);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) {
        return gt_err_set(err, GT_ERR_CORRUPT, "gzip stream: %s",
                          g->z.msg ? g->z.msg : "bad block");
    }
    io->in = g->z.next_in;
    io->n_in = g->z.avail_in;
    io->out = g->z.next_out;
    io->n_out = g->z.avail_out;
    if (r == Z_STREAM_END) {
        inflateReset(&g->z);
        g->fresh = true;
    }
    io->at_end = g->fresh;
    return 0;
}

const struct inflate_codec inflate_gzip = {"gzip", gzip_new, gzip_free, gzip_step};
