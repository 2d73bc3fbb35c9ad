#include "store/logs/block.h"

#include "lib/base/mem.h"
#include "store/logs/logs.h"

#include <endian.h>
#include <errno.h>
#include <zlib.h>

#define MAGIC 0x314b4c47U /* "GLK1" */

static void put32(unsigned char *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, 4);
}

static void put64(unsigned char *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, 8);
}

static uint32_t get32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, 4);
    return le32toh(v);
}

static uint64_t get64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, 8);
    return le64toh(v);
}

uint32_t log_crc(const void *p, size_t n)
{
    return (uint32_t)crc32_z(0, p, n);
}

static uint32_t head_crc(const unsigned char *head, uint32_t salt)
{
    return (uint32_t)crc32_z(salt, head + 8, LOG_HEAD_BYTES - 8);
}

void log_head_encode(const struct log_head *h, uint32_t salt,
                     unsigned char to[static LOG_HEAD_BYTES])
{
    memset(to, 0, LOG_HEAD_BYTES);
    put32(to, MAGIC);
    put32(to + 8, h->len);
    put32(to + 12, h->crc);
    put64(to + 16, h->stream);
    put64(to + 24, h->pos);
    put64(to + 32, (uint64_t)h->min);
    put64(to + 40, (uint64_t)h->max);
    put64(to + 48, (uint64_t)h->ingested);
    put64(to + 56, h->spool);
    put64(to + 64, h->want);
    to[72] = h->kind;
    to[73] = h->mid;
    put32(to + 76, h->batch);
    put32(to + 4, head_crc(to, salt));
}

bool log_head_decode(const unsigned char from[static LOG_HEAD_BYTES], uint32_t salt,
                     struct log_head *ret)
{
    if (get32(from) != MAGIC || get32(from + 4) != head_crc(from, salt)) {
        return false;
    }
    *ret = (struct log_head){
        .len = get32(from + 8),
        .crc = get32(from + 12),
        .stream = get64(from + 16),
        .pos = get64(from + 24),
        .min = (int64_t)get64(from + 32),
        .max = (int64_t)get64(from + 40),
        .ingested = (int64_t)get64(from + 48),
        .spool = get64(from + 56),
        .want = get64(from + 64),
        .kind = from[72],
        .mid = from[73],
        .batch = get32(from + 76),
    };
    return ret->kind == LOG_EVENTS || ret->kind == LOG_FRAMES;
}

size_t log_head_search(const char *p, size_t n, size_t at)
{
    unsigned char magic[4];
    put32(magic, MAGIC);
    const char *found = at < n ? memmem(p + at, n - at, magic, sizeof(magic)) : NULL;
    return found ? (size_t)(found - p) : n;
}

ptrdiff_t log_frame_decode(const char *p, size_t n, struct log_frame *ret)
{
    if (n < LOG_FRAME_HEAD) {
        return 0;
    }
    uint64_t time = get64(p);
    uint32_t source = get32(p + 8), len = get32(p + 12);
    if (source < 1 || source > LOG_SOURCES || len > LOG_FRAME_MAX || time > INT64_MAX / 2) {
        return -EINVAL;
    }
    if (n - LOG_FRAME_HEAD < len) {
        return 0;
    }
    ret->time = (int64_t)time;
    ret->source = source - 1;
    ret->text = gt_str_n(p + LOG_FRAME_HEAD, len);
    return (ptrdiff_t)(LOG_FRAME_HEAD + len);
}

static void end_line(struct log_cutter *c, const struct log_frame *f, struct gt_buf *to)
{
    unsigned char head[LOG_FRAME_HEAD];
    put64(head, (uint64_t)f->time);
    put32(head + 8, f->source + 1);
    put32(head + 12, 0);
    gt_buf_add(to, head, sizeof(head));
    c->lines.mid &= (uint8_t) ~(1U << f->source);
    c->lines.len[f->source] = 0;
}

/* How much of the frame belongs to the line that was begun before it. */
static size_t line_part(const struct log_frame *f)
{
    const char *nl = f->text.n ? memchr(f->text.p, '\n', f->text.n) : NULL;
    return nl ? (size_t)(nl - f->text.p) : f->text.n;
}

static void follow_line(struct log_cutter *c, const struct log_frame *f)
{
    const char *nl = f->text.n ? memrchr(f->text.p, '\n', f->text.n) : NULL;
    uint32_t rest = (uint32_t)(nl ? f->text.p + f->text.n - (nl + 1) : (ptrdiff_t)f->text.n);
    uint32_t len = (nl ? 0 : c->lines.len[f->source]) + rest;
    bool mid = len > 0 || (nl == NULL && f->text.n > 0);
    if (f->text.n == 0) {
        len = 0;
        mid = false;
    }
    c->lines.len[f->source] = len;
    c->lines.mid = (uint8_t)((c->lines.mid & ~(1U << f->source)) | (unsigned)mid << f->source);
}

static void put_piece(struct log_cutter *c, struct log_frame piece, struct gt_buf *to)
{
    unsigned char head[LOG_FRAME_HEAD];
    put64(head, (uint64_t)piece.time);
    put32(head + 8, piece.source + 1);
    put32(head + 12, (uint32_t)piece.text.n);
    gt_buf_add(to, head, sizeof(head));
    gt_buf_str(to, piece.text);
    follow_line(c, &piece);
}

/* Where to cut p at or before n: not within a character, if it is UTF-8. */
static size_t cut_at(const char *p, size_t n)
{
    size_t back = 0;
    while (back < 3 && back < n && ((unsigned char)p[n - back] & 0xc0) == 0x80) {
        back++;
    }
    return n - back;
}

/* How much of the text may be written before a line gets too long; *ret_cut: that is not all. */
static size_t fitting(struct gt_str text, size_t room, bool *ret_cut)
{
    size_t at = 0;
    for (;;) {
        const char *nl = memchr(text.p + at, '\n', text.n - at);
        size_t part = nl ? (size_t)(nl - (text.p + at)) : text.n - at;
        *ret_cut = part > room;
        if (*ret_cut) {
            return at + cut_at(text.p + at, room);
        }
        if (nl == NULL || at + part + 1 == text.n) {
            return text.n;
        }
        at += part + 1;
        room = LOG_LINE_MAX;
    }
}

/* The frame as it is, or in pieces: no line has more than LOG_LINE_MAX bytes. */
static void put_frame(struct log_cutter *c, const struct log_frame *f, const char *raw,
                      size_t raw_n, struct gt_buf *to)
{
    uint32_t *len = &c->lines.len[f->source];
    if (*len + line_part(f) <= LOG_LINE_MAX && f->text.n <= LOG_LINE_MAX) {
        gt_buf_add(to, raw, raw_n);
        follow_line(c, f);
        return;
    }
    struct log_frame piece = *f;
    for (size_t at = 0; at < f->text.n; at += piece.text.n) {
        bool cut;
        struct gt_str rest = gt_str_n(f->text.p + at, f->text.n - at);
        piece.text = gt_str_n(rest.p, fitting(rest, LOG_LINE_MAX - *len, &cut));
        if (piece.text.n > 0) {
            put_piece(c, piece, to);
        }
        if (cut) {
            end_line(c, f, to);
        }
    }
}

ptrdiff_t log_cutter_next(struct log_cutter *c, size_t block_bytes, struct gt_buf *to,
                          struct log_head *h)
{
    size_t start = to->n, took = 0;
    h->kind = LOG_FRAMES;
    h->mid = c->lines.mid;
    while (took < c->n) {
        struct log_frame f;
        ptrdiff_t n = log_frame_decode(c->p + took, c->n - took, &f);
        if (n <= 0) {
            return -EINVAL;
        }
        bool first = to->n == start;
        /* The next block: this one is full, or the clock was set back. */
        if (!first && (to->n - start + (size_t)n > block_bytes || f.time < h->max)) {
            break;
        }
        if (first) {
            h->min = f.time;
        }
        h->max = f.time;
        unsigned bit = 1U << f.source;
        if ((c->lines.cut & bit) && (c->lines.mid & bit)) {
            end_line(c, &f, to);
        }
        c->lines.cut &= (uint8_t)~bit;
        put_frame(c, &f, c->p + took, (size_t)n, to);
        took += (size_t)n;
    }
    c->p += took;
    c->n -= took;
    h->len = (uint32_t)(to->n - start);
    h->crc = log_crc(to->p ? to->p + start : "", h->len);
    return (ptrdiff_t)took;
}
