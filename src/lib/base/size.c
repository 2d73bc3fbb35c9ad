#include "lib/base/size.h"

#include <strings.h>

static bool is_suffix(const char *p, size_t n, const char *suffix)
{
    return strlen(suffix) == n && strncasecmp(p, suffix, n) == 0;
}

bool gt_size_parse(struct gt_str text, uint64_t *ret)
{
    static const char units[] = "kmgt";
    static const uint64_t most = 1ULL << 62;
    uint64_t v = 0;
    size_t i = 0;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        v = v * 10 + (uint64_t)(text.p[i] - '0');
        if (v > most) {
            return false;
        }
    }
    if (i == 0) {
        return false;
    }
    const char *unit = i < text.n ? memchr(units, text.p[i] | 0x20, sizeof units - 1) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    i += unit != NULL;
    const char *p = text.p + i;
    size_t n = text.n - i;
    if (v > most >> shift || !(n == 0 || is_suffix(p, n, "b") || (unit && is_suffix(p, n, "ib")))) {
        return false;
    }
    *ret = v << shift;
    return true;
}
