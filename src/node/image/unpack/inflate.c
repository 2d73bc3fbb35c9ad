#include "node/image/unpack/inflate.h"

#include "lib/base/limits.h"
#include "node/image/unpack/inflate_priv.h"

#include <string.h>

#define OUT_SIZE (256 * GT_KIB)
#define MAGIC_SIZE 4

struct inflate {
    inflate_source_fn source;
    void *arg;
    const struct inflate_codec *codec; /* NULL: bytes pass as they are */
    void *state;
    const uint8_t *in;
    size_t n_in;
    bool started, source_ended, between; /* between: the codec stands between members */
    uint8_t head[MAGIC_SIZE];            /* first bytes when the source gave fewer at once */
    uint8_t *out;
};

struct inflate *inflate_new(inflate_source_fn source, void *arg)
{
    struct inflate *in = gt_new(struct inflate);
    in->source = source;
    in->arg = arg;
    return in;
}

void inflate_free(struct inflate *in)
{
    if (!in) {
        return;
    }
    if (in->codec && in->state) {
        in->codec->free(in->state);
    }
    free(in->out);
    free(in);
}

static int refill(struct inflate *in, struct gt_err *err)
{
    const void *p;
    ssize_t n = in->source(in->arg, &p, err);
    if (n < 0) {
        return (int)n;
    }
    in->in = p;
    in->n_in = (size_t)n;
    in->source_ended = n == 0;
    return 0;
}

static const struct inflate_codec *codec_of(const uint8_t *p, size_t n)
{
    if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
        return &inflate_gzip;
    }
    if (n >= 4 && p[1] == 0xb5 && p[0] == 0x28 && p[2] == 0x2f && p[3] == 0xfd) {
        return &inflate_zstd;
    }
    /* A zstd stream may begin with a skippable frame, 0x184D2A50 to 5F. */
    if (n >= 4 && (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18) {
        return &inflate_zstd;
    }
    return NULL;
}

/* Looks at the first four bytes, which the source may have handed over one by one. They go to the
 * codec, or out, from a small buffer; the rest of the block follows. */
static int start(struct inflate *in, size_t *ret_head, struct gt_err *err)
{
    size_t have = 0;
    while (have < MAGIC_SIZE && !in->source_ended) {
        if (in->n_in == 0) {
            int r = refill(in, err);
            if (r < 0) {
                return r;
            }
            continue;
        }
        in->head[have++] = *in->in++;
        in->n_in--;
    }
    in->started = true;
    in->codec = codec_of(in->head, have);
    if (in->codec) {
        in->state = in->codec->new ();
        in->out = gt_malloc(OUT_SIZE);
    }
    *ret_head = have;
    return 0;
}

static int step(struct inflate *in, struct inflate_step *io, struct gt_err *err)
{
    int r = in->codec->step(in->state, io, err);
    in->between = io->at_end;
    return r;
}

static ssize_t read_coded(struct inflate *in, size_t head, const void **p, struct gt_err *err)
{
    struct inflate_step io = {.out = in->out, .n_out = OUT_SIZE};
    for (size_t from = 0; from < head;) {
        io.in = in->head + from;
        io.n_in = head - from;
        int r = step(in, &io, err);
        if (r < 0) {
            return r;
        }
        if (io.n_in == head - from) {
            return gt_err_set(err, GT_ERR_CORRUPT, "%s stream makes no progress", in->codec->name);
        }
        from = head - io.n_in;
    }
    while (io.n_out > 0) {
        if (in->n_in == 0 && !in->source_ended) {
            int r = refill(in, err);
            if (r < 0) {
                return r;
            }
        }
        if (in->source_ended && in->between) {
            break;
        }
        size_t room = io.n_out, given = in->n_in;
        io.in = in->in;
        io.n_in = in->n_in;
        int r = step(in, &io, err);
        if (r < 0) {
            return r;
        }
        in->in = io.in;
        in->n_in = io.n_in;
        if (in->source_ended && !in->between && io.n_out == room) {
            return gt_err_set(err, GT_ERR_CORRUPT, "%s stream ends in the middle", in->codec->name);
        }
        if (!in->source_ended && given == io.n_in && room == io.n_out && given > 0) {
            return gt_err_set(err, GT_ERR_CORRUPT, "%s stream makes no progress", in->codec->name);
        }
    }
    *p = in->out;
    return (ssize_t)(OUT_SIZE - io.n_out);
}

ssize_t inflate_read(void *arg, const void **p, struct gt_err *err)
{
    struct inflate *in = arg;
    size_t head = 0;
    if (!in->started) {
        int r = start(in, &head, err);
        if (r < 0) {
            return r;
        }
    }
    if (in->codec) {
        return read_coded(in, head, p, err);
    }
    if (head > 0) {
        *p = in->head;
        return (ssize_t)head;
    }
    if (in->n_in == 0 && !in->source_ended) {
        int r = refill(in, err);
        if (r < 0) {
            return r;
        }
    }
    *p = in->in;
    size_t n = in->n_in;
    in->n_in = 0;
    return (ssize_t)n;
}
