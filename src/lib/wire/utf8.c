#include "lib/wire/utf8.h"

#include <string.h>

static bool continues(const char *p, size_t i)
{
    return ((unsigned char)p[i] & 0xc0) == 0x80;
}

size_t wire_utf8_len(const char *p, const char *end)
{
    unsigned char c = (unsigned char)p[0];
    size_t left = (size_t)(end - p);

    if (c < 0x80) {
        return 1;
    }
    unsigned char second = left > 1 ? (unsigned char)p[1] : 0;
    if (c >= 0xc2 && c <= 0xdf) {
        return left > 1 && continues(p, 1) ? 2 : 0;
    }
    if (c >= 0xe0 && c <= 0xef) {
        bool bounds = !(c == 0xe0 && second < 0xa0) && !(c == 0xed && second > 0x9f);
        return left > 2 && bounds && continues(p, 1) && continues(p, 2) ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        bool bounds = !(c == 0xf0 && second < 0x90) && !(c == 0xf4 && second > 0x8f);
        return left > 3 && bounds && continues(p, 1) && continues(p, 2) && continues(p, 3) ? 4 : 0;
    }
    return 0;
}

bool wire_utf8_valid(struct gt_str s)
{
    for (const char *p = s.p, *end = s.p + s.n; p < end;) {
        size_t n = wire_utf8_len(p, end);
        if (n == 0) {
            return false;
        }
        p += n;
    }
    return true;
}

void wire_utf8_clean(char *s)
{
    for (char *p = s, *end = s + strlen(s); p < end;) {
        size_t n = wire_utf8_len(p, end);
        if (n == 0) {
            *p = '?';
            n = 1;
        }
        p += n;
    }
}

size_t wire_utf8_count(struct gt_str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.n; i++) {
        count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return count;
}

size_t wire_utf8_put(uint32_t cp, char to[static 4])
{
    if (cp < 0x80) {
        to[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        to[0] = (char)(0xc0 | cp >> 6);
        to[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        to[0] = (char)(0xe0 | cp >> 12);
        to[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        to[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | cp >> 18);
    to[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    to[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    to[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}
