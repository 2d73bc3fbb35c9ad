#include "lib/http/head.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <strings.h>

/* RFC 9110, 5.6.2 */
static bool is_tchar(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_tchar((unsigned char)s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

static bool is_plain_value(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_word(struct gt_str s, const char *word)
{
    size_t n = strlen(word);
    return s.n == n && strncasecmp(s.p, word, n) == 0;
}

/* Digits only: no sign, no list, no blank; 18 digits cannot overflow. */
static int64_t parse_length(struct gt_str s)
{
    if (s.n == 0 || s.n > 18) {
        return -1;
    }
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return -1;
        }
        v = v * 10 + (s.p[i] - '0');
    }
    return v;
}

/* Headers of which two would leave it open which one counts. */
static const char *const once[] = {
    "content-length",       "transfer-encoding",    "host",         "authorization",
    "content-encoding",     "content-type",         "x-amz-target", "x-amz-date",
    "x-amz-security-token", "x-amz-content-sha256", "expect"};

static int check_once(const struct http_header *v, size_t n, struct gt_err *err)
{
    unsigned seen = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof(once) / sizeof(once[0]); k++) {
            if (!gt_str_is(v[i].name, once[k])) {
                continue;
            }
            if (seen & (1U << k)) {
                return gt_err_set(err, GT_ERR_INVALID, "header '%s' is repeated", once[k]);
            }
            seen |= 1U << k;
        }
    }
    return 0;
}

static int check_framing(const struct http_header *v, size_t n, bool http11, struct http_head *ret,
                         struct gt_err *err)
{
    struct gt_str te = http_head_find(v, n, "transfer-encoding");
    struct gt_str cl = http_head_find(v, n, "content-length");
    if (te.p != NULL) {
        if (cl.p != NULL) {
            return gt_err_set(err, GT_ERR_INVALID,
                              "'content-length' beside 'transfer-encoding' is refused");
        }
        if (!http11 || !is_word(te, "chunked")) {
            return gt_err_set(err, GT_ERR_INVALID, "transfer coding '" GT_STR_FMT "' is refused",
                              GT_STR_ARG(gt_str_n(te.p, GT_MIN(te.n, 100U))));
        }
        ret->chunked = true;
        ret->content_length = -1;
    } else if (cl.p != NULL) {
        ret->content_length = parse_length(cl);
        if (ret->content_length < 0) {
            return gt_err_set(err, GT_ERR_INVALID, "'content-length' is not a number");
        }
    }
    return 0;
}

int http_head_check(const struct http_header *v, size_t n, bool http11, struct http_head *ret,
                    struct gt_err *err)
{
    *ret = (struct http_head){0};
    for (size_t i = 0; i < n; i++) {
        if (!is_token(v[i].name)) {
            return gt_err_set(err, GT_ERR_INVALID, "a header's name is not a token");
        }
        if (!is_plain_value(v[i].value)) {
            return gt_err_set(err, GT_ERR_INVALID, "header '" GT_STR_FMT "' has control characters",
                              GT_STR_ARG(gt_str_n(v[i].name.p, GT_MIN(v[i].name.n, 100U))));
        }
    }
    int r = check_once(v, n, err);
    if (r == 0) {
        r = check_framing(v, n, http11, ret, err);
    }
    if (r < 0) {
        return r;
    }
    struct gt_str encoding = http_head_find(v, n, "content-encoding");
    ret->gzip = is_word(encoding, "gzip") || is_word(encoding, "x-gzip");
    ret->encoded = encoding.n > 0 && !is_word(encoding, "identity");
    ret->expect_continue = is_word(http_head_find(v, n, "expect"), "100-continue");
    return 0;
}

struct gt_str http_head_find(const struct http_header *v, size_t n, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < n; i++) {
        if (v[i].name.n == len && memcmp(v[i].name.p, name, len) == 0) {
            return v[i].value;
        }
    }
    return (struct gt_str){0};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

ptrdiff_t http_percent_decode(struct gt_str s, bool plus, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int lo = hi >= 0 ? hex_digit(s.p[i + 2]) : -1;
            if (lo < 0) {
                return -EINVAL;
            }
            c = (char)(hi * 16 + lo);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0') {
            return -EINVAL;
        }
        to[n++] = c;
    }
    return (ptrdiff_t)n;
}

struct gt_str http_query_find(struct gt_str query, const char *name)
{
    size_t len = strlen(name);
    const char *p = query.p, *end = query.p + query.n;
    while (p != NULL && p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p));
        const char *stop = amp ? amp : end;
        const char *eq = memchr(p, '=', (size_t)(stop - p));
        const char *name_end = eq ? eq : stop;
        if ((size_t)(name_end - p) == len && memcmp(p, name, len) == 0) {
            const char *value = eq ? eq + 1 : stop;
            return gt_str_n(value, (size_t)(stop - value));
        }
        p = amp ? amp + 1 : end;
    }
    return (struct gt_str){0};
}
