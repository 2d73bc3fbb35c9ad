#include "lib/wire/uri.h"

#include "lib/base/hex.h"

static bool unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

void wire_uri_encode(struct gt_str s, bool keep_slash, struct gt_buf *to)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t i = 0;

    while (i < s.n) {
        size_t start = i;
        while (i < s.n && (unreserved((unsigned char)s.p[i]) || (keep_slash && s.p[i] == '/'))) {
            i++;
        }
        gt_buf_add(to, s.p + start, i - start);
        if (i < s.n) {
            unsigned char c = (unsigned char)s.p[i++];
            char out[3] = {'%', hex[c >> 4], hex[c & 15]};
            gt_buf_add(to, out, sizeof(out));
        }
    }
}

bool wire_uri_decode(struct gt_str s, bool plus, struct gt_arena *arena, struct gt_str *ret)
{
    if (s.n == 0 || (!memchr(s.p, '%', s.n) && !(plus && memchr(s.p, '+', s.n)))) {
        *ret = s.p ? s : GT_STR_LIT("");
        return true;
    }
    char *to = gt_arena_try_alloc(arena, s.n + 1);
    size_t n = 0;
    if (!to) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            if (s.n - i < 3 || gt_hex_decode(s.p + i + 1, 2, to + n, 1) < 0) {
                return false;
            }
            n++;
            i += 2;
        } else {
            to[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    *ret = gt_str_n(to, n);
    return true;
}

bool wire_query_next(struct gt_str *rest, struct gt_str *ret_name, struct gt_str *ret_value)
{
    while (rest->n > 0) {
        const char *amp = memchr(rest->p, '&', rest->n);
        struct gt_str piece = gt_str_n(rest->p, amp ? (size_t)(amp - rest->p) : rest->n);
        size_t used = piece.n + (amp ? 1 : 0);
        rest->p += used;
        rest->n -= used;
        if (piece.n == 0) {
            continue;
        }
        const char *eq = memchr(piece.p, '=', piece.n);
        size_t name = eq ? (size_t)(eq - piece.p) : piece.n;
        *ret_name = gt_str_n(piece.p, name);
        *ret_value = eq ? gt_str_n(eq + 1, piece.n - name - 1) : gt_str_n(piece.p + name, 0);
        return true;
    }
    return false;
}
