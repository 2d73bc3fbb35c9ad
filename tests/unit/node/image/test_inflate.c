#include "gt_test.h"

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/rand.h"
#include "node/image/unpack/inflate.h"

#include <zlib.h>
#include <zstd.h>

/* Hands `in` over in pieces of `piece` bytes. */
struct pieces {
    struct gt_buf in;
    size_t at, piece;
};

static ssize_t next_piece(void *arg, const void **p, struct gt_err *err)
{
    struct pieces *s = arg;
    size_t n = s->in.n - s->at;
    n = n < s->piece ? n : s->piece;
    *p = s->in.p + s->at;
    s->at += n;
    return (ssize_t)n;
}

static struct gt_buf text_of(size_t n)
{
    struct gt_buf b = GT_BUF_INIT(GT_MIB * 4);
    struct gt_prng rng = {7};
    while (b.n < n) {
        gt_buf_printf(&b, "word%llu ", (unsigned long long)gt_prng_below(&rng, 1000));
    }
    return b;
}

static void add_gzip(struct gt_buf *to, const char *p, size_t n)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, n);
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)gt_buf_reserve(to, room);
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n += z.total_out;
    deflateEnd(&z);
}

static void add_zstd(struct gt_buf *to, const char *p, size_t n)
{
    size_t room = ZSTD_compressBound(n);
    char *at = gt_buf_reserve(to, room);
    size_t r = ZSTD_compress(at, room, p, n, 3);
    assert_false(ZSTD_isError(r));
    to->n += r;
}

static int inflate_all(struct pieces *s, struct gt_buf *out, struct gt_err *err)
{
    gt_auto(inflate) struct inflate *in = inflate_new(next_piece, s);
    const void *p;
    ssize_t n;
    s->at = 0;
    while ((n = inflate_read(in, &p, err)) > 0) {
        gt_buf_add(out, p, (size_t)n);
    }
    return (int)n;
}

typedef void (*add_fn)(struct gt_buf *to, const char *p, size_t n);

static void add_plain(struct gt_buf *to, const char *p, size_t n)
{
    gt_buf_add(to, p, n);
}

static const size_t piece_sizes[] = {1, 7, 511, 65536, 1 << 20};

/* One and two members or frames, in pieces of all sizes. */
static void round_trip(add_fn add)
{
    gt_auto_buf struct gt_buf text = text_of(700000);
    for (int members = 1; members <= 2; members++) {
        struct pieces s = {.in = GT_BUF_INIT(GT_MIB * 8)};
        size_t half = members == 2 ? text.n / 3 : text.n;
        add(&s.in, text.p, half);
        if (members == 2) {
            add(&s.in, text.p + half, text.n - half);
        }
        for (size_t i = 0; i < GT_ARRAY_LEN(piece_sizes); i++) {
            gt_auto_buf struct gt_buf out = GT_BUF_INIT(GT_MIB * 8);
            struct gt_err err = GT_ERR_INIT;
            s.piece = piece_sizes[i];
            gt_assert_ok(inflate_all(&s, &out, &err), err);
            assert_int_equal(out.n, text.n);
            assert_memory_equal(out.p, text.p, text.n);
        }
        gt_buf_fini(&s.in);
    }
}

GT_TEST(reads_gzip)
{
    round_trip(add_gzip);
}
GT_TEST(reads_zstd)
{
    round_trip(add_zstd);
}
GT_TEST(reads_plain)
{
    round_trip(add_plain);
}

GT_TEST(reads_nothing_as_nothing)
{
    struct pieces s = {.piece = 1};
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(10);
    assert_int_equal(inflate_all(&s, &out, NULL), 0);
    assert_int_equal(out.n, 0);
}

static void refuses(add_fn add)
{
    gt_auto_buf struct gt_buf text = text_of(30000);
    gt_auto_buf struct gt_buf packed = GT_BUF_INIT(GT_MIB);
    add(&packed, text.p, text.n);
    /* cut off anywhere */
    for (size_t n = 4; n < packed.n; n += packed.n / 50 + 1) {
        struct pieces s = {.in = packed, .piece = 512};
        s.in.n = n;
        gt_auto_buf struct gt_buf out = GT_BUF_INIT(GT_MIB);
        struct gt_err err = GT_ERR_INIT;
        assert_true(inflate_all(&s, &out, &err) < 0);
        assert_int_equal(err.kind, GT_ERR_CORRUPT);
    }
    /* followed by something else */
    struct pieces s = {.in = packed, .piece = 512};
    gt_buf_puts(&packed, "this is no member");
    s.in = packed;
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(GT_MIB);
    struct gt_err err = GT_ERR_INIT;
    assert_true(inflate_all(&s, &out, &err) < 0);
    /* with a bit turned in the middle */
    packed.n -= strlen("this is no member");
    packed.p[packed.n / 2] ^= 0x10;
    s = (struct pieces){.in = packed, .piece = 512};
    gt_auto_buf struct gt_buf out2 = GT_BUF_INIT(GT_MIB);
    int r = inflate_all(&s, &out2, &err);
    assert_true(r < 0 || out2.n != text.n || memcmp(out2.p, text.p, text.n) != 0);
}

GT_TEST(refuses_damaged_gzip)
{
    refuses(add_gzip);
}
GT_TEST(refuses_damaged_zstd)
{
    refuses(add_zstd);
}

GT_RUN(GT_CASE(reads_gzip), GT_CASE(reads_zstd), GT_CASE(reads_plain),
       GT_CASE(reads_nothing_as_nothing), GT_CASE(refuses_damaged_gzip),
       GT_CASE(refuses_damaged_zstd))
