/* Varints as in protocol buffers: 7 bits a byte, least significant first. For this folder and the
 * journal, which frames its entries with them. */
#ifndef GT_STORE_RECORD_VARINT_H
#define GT_STORE_RECORD_VARINT_H

#include "lib/base/buf.h"

#include <stdint.h>

enum { VARINT_MAX = 10 };

static inline void varint_put(struct gt_buf *to, uint64_t v)
{
    char b[VARINT_MAX];
    size_t n = 0;
    do {
        b[n++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    gt_buf_add(to, b, n);
}

/* Takes one from the front of `from`. False when there is none, or it is longer than 64 bits. */
static inline bool varint_take(struct gt_str *from, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < from->n && i < VARINT_MAX; i++) {
        unsigned char b = (unsigned char)from->p[i];
        if (i == VARINT_MAX - 1 && b > 1) {
            return false;
        }
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (!(b & 0x80)) {
            *from = gt_str_n(from->p + i + 1, from->n - i - 1);
            *ret = v;
            return true;
        }
    }
    return false;
}

/* A varint length and so many bytes. */
static inline bool varint_take_bytes(struct gt_str *from, struct gt_str *ret)
{
    uint64_t n;
    struct gt_str rest = *from;
    if (!varint_take(&rest, &n) || n > rest.n) {
        return false;
    }
    *ret = gt_str_n(rest.p, (size_t)n);
    *from = gt_str_n(rest.p + n, rest.n - (size_t)n);
    return true;
}

static inline void varint_put_bytes(struct gt_buf *to, struct gt_str s)
{
    varint_put(to, s.n);
    gt_buf_str(to, s);
}

#endif
