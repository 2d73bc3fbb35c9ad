#include "lib/base/base64.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void gt_base64_encode(const void *p, size_t n, struct gt_buf *to)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)b[i] << 16;
        v |= i + 1 < n ? (unsigned)b[i + 1] << 8 : 0;
        v |= i + 2 < n ? (unsigned)b[i + 2] : 0;
        char out[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
                       i + 1 < n ? alphabet[v >> 6 & 63] : '=', i + 2 < n ? alphabet[v & 63] : '='};
        gt_buf_add(to, out, sizeof out);
    }
}

static int value(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

int gt_base64_decode(struct gt_str from, struct gt_buf *to)
{
    unsigned bits = 0, have = 0;
    while (from.n && from.p[from.n - 1] == '=') {
        from.n--;
    }
    if (from.n % 4 == 1) {
        return -EINVAL;
    }
    for (size_t i = 0; i < from.n; i++) {
        int v = value(from.p[i]);
        if (v < 0) {
            return -EINVAL;
        }
        bits = bits << 6 | (unsigned)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            gt_buf_putc(to, (char)(bits >> have & 0xff));
        }
    }
    if (bits & ((1u << have) - 1)) {
        return -EINVAL;
    }
    return gt_buf_ok(to) ? 0 : -EMSGSIZE;
}
