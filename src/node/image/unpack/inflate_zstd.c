#include "lib/base/mem.h"
#include "node/image/unpack/inflate_priv.h"

#include <zstd.h>

#define WINDOW_LOG_MAX 27 /* 128 MiB: what `zstd --long` makes and every engine takes */

struct zstd {
    ZSTD_DStream *stream;
    bool at_end;
};

static void *zstd_new(void)
{
    struct zstd *z = gt_new(struct zstd);
    z->stream = ZSTD_createDStream();
    GT_ASSERT(z->stream);
    ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    z->at_end = true;
    return z;
}

static void zstd_free(void *state)
{
    struct zstd *z = state;
    ZSTD_freeDStream(z->stream);
    free(z);
}

static int zstd_step(void *state, struct inflate_step *io, struct gt_err *err)
{
    struct zstd *z = state;
    if (z->at_end && io->n_in == 0) {
        io->at_end = true;
        return 0;
    }
    ZSTD_inBuffer in = {io->in, io->n_in, 0};
    ZSTD_outBuffer out = {io->out, io->n_out, 0};
    size_t r = ZSTD_decompressStream(z->stream, &out, &in);
    if (ZSTD_isError(r)) {
        return gt_err_set(err, GT_ERR_CORRUPT, "zstd stream: %s", ZSTD_getErrorName(r));
    }
    io->in += in.pos;
    io->n_in -= in.pos;
    io->out += out.pos;
    io->n_out -= out.pos;
    z->at_end = r == 0;
    io->at_end = z->at_end;
    return 0;
}

const struct inflate_codec inflate_zstd = {"zstd", zstd_new, zstd_free, zstd_step};
