#include "lib/base/hex.h"

#include <errno.h>

void gt_hex_encode(const void *p, size_t n, char *to)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[b[i] >> 4];
        *to++ = digits[b[i] & 15];
    }
    *to = '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int gt_hex_decode(const char *from, size_t digits, void *to, size_t n)
{
    unsigned char *b = to;
    if (digits != 2 * n) {
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++) {
        int hi = digit(from[2 * i]), lo = digit(from[2 * i + 1]);
        if (hi < 0 || lo < 0) {
            return -EINVAL;
        }
        b[i] = (unsigned char)(hi << 4 | lo);
    }
    return 0;
}
