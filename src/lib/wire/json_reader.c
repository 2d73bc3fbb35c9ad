#include "lib/wire/json_reader.h"

#include "lib/base/limits.h"
#include "lib/wire/json_text.h"
#include "lib/wire/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void json_reader_init(struct json_reader *r, struct gt_str text, struct gt_arena *arena)
{
    *r = (struct json_reader){.p = text.p, .end = text.p + text.n, .arena = arena};
}

static bool wrong(struct json_reader *r, const char *why)
{
    if (!r->wrong) {
        r->wrong = why;
    }
    return false;
}

static inline void skip_space(struct json_reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r')) {
        r->p++;
    }
}

enum json_kind json_peek(struct json_reader *r)
{
    skip_space(r);
    if (r->p == r->end) {
        return JSON_NONE;
    }
    switch (*r->p) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return *r->p == '-' || (*r->p >= '0' && *r->p <= '9') ? JSON_NUMBER : JSON_NONE;
    }
}

static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) {
            return -1;
        }
        v = v << 4 | d;
    }
    return v;
}

/* After "\u": the code point, a surrogate without its partner as U+FFFD; -1 when not four digits.
 */
static int32_t read_u(const char **pp, const char *end)
{
    int hi = hex4(*pp, end);
    if (hi < 0) {
        return -1;
    }
    *pp += 4;
    if (hi < 0xd800 || hi > 0xdfff) {
        return hi;
    }
    if (hi < 0xdc00 && end - *pp >= 6 && (*pp)[0] == '\\' && (*pp)[1] == 'u') {
        int lo = hex4(*pp + 2, end);
        if (lo >= 0xdc00 && lo <= 0xdfff) {
            *pp += 6;
            return 0x10000 + ((hi - 0xd800) << 10) + (lo - 0xdc00);
        }
    }
    return 0xfffd;
}

/* One escape at *pp (after the backslash) into `to`; returns bytes written, 0 when wrong. */
static size_t unescape(const char **pp, const char *end, char *to, bool *saw_nul)
{
    static const char from[] = "\"\\/bfnrt", out[] = "\"\\/\b\f\n\r\t";
    if (*pp == end) {
        return 0;
    }
    char c = *(*pp)++;
    if (c == 'u') {
        int32_t cp = read_u(pp, end);
        if (cp < 0) {
            return 0;
        }
        *saw_nul |= cp == 0;
        return wire_utf8_put((uint32_t)cp, to);
    }
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) {
        return 0;
    }
    *to = out[at - from];
    return 1;
}

/* The end of the string whose text begins at p: where its closing quote is, or NULL. */
static const char *scan_string(struct json_reader *r, const char *p, bool *ret_escapes)
{
    *ret_escapes = false;
    for (;;) {
        p = json_plain_run(p, r->end);
        if (p == r->end) {
            wrong(r, "a string does not end");
            return NULL;
        }
        unsigned char c = (unsigned char)*p;
        if (c == '"') {
            return p;
        }
        if (c < 0x20) {
            wrong(r, "a control character stands in a string");
            return NULL;
        }
        if (c == '\\') {
            *ret_escapes = true;
            p += r->end - p > 1 ? 2 : 1;
            continue;
        }
        size_t n = wire_utf8_len(p, r->end);
        if (n == 0) {
            wrong(r, "the text is not UTF-8");
            return NULL;
        }
        p += n;
    }
}

bool json_text(struct json_reader *r, struct gt_str *ret)
{
    bool escapes;
    const char *p = r->p + 1, *close = scan_string(r, p, &escapes);

    r->saw_nul = false;
    if (!close) {
        return false;
    }
    r->p = close + 1;
    if (!escapes) {
        *ret = gt_str_n(p, (size_t)(close - p));
        return true;
    }
    /* Unescaping never makes text longer. */
    char *to = gt_arena_try_alloc(r->arena, (size_t)(close - p) + 1), *at = to;
    if (!to) {
        r->too_large = true;
        return wrong(r, "the request is too large");
    }
    while (p < close) {
        if (*p != '\\') {
            *at++ = *p++;
            continue;
        }
        p++;
        size_t n = unescape(&p, close, at, &r->saw_nul);
        if (n == 0) {
            return wrong(r, "a string holds an unknown escape");
        }
        at += n;
    }
    *ret = gt_str_n(to, (size_t)(at - to));
    return true;
}

static inline bool is_digit(const struct json_reader *r)
{
    return r->p < r->end && *r->p >= '0' && *r->p <= '9';
}

static bool digits(struct json_reader *r)
{
    if (!is_digit(r)) {
        return wrong(r, "a number is incomplete");
    }
    while (is_digit(r)) {
        r->p++;
    }
    return true;
}

/* The number from `start` to r->p has a fraction or exponent, or does not fit. */
static bool number_slow(struct json_reader *r, const char *start, struct json_number *ret)
{
    char text[64];
    size_t n = (size_t)(r->p - start);
    if (n >= sizeof(text)) {
        return wrong(r, "a number is too long");
    }
    memcpy(text, start, n);
    text[n] = '\0';
    *ret = (struct json_number){.d = strtod(text, NULL)};
    /* 2^63 is not representable as int64_t; the cast below must stay in range. */
    if (ret->d >= -0x1p63 && ret->d < 0x1p63) {
        ret->i = (int64_t)ret->d;
        ret->integral = (double)ret->i == ret->d;
    }
    return true;
}

bool json_number(struct json_reader *r, struct json_number *ret)
{
    const char *start = r->p;
    bool minus = *r->p == '-', simple;
    uint64_t value = 0;

    r->p += minus;
    const char *first = r->p;
    if (!digits(r)) {
        return false;
    }
    if (*first == '0' && r->p - first > 1) {
        return wrong(r, "a number begins with 0");
    }
    simple = r->p - first <= 19; /* what a uint64_t can hold of any digits */
    for (const char *p = first; simple && p < r->p; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
    }
    simple = simple && value <= (uint64_t)INT64_MAX + minus;
    if (r->p < r->end && *r->p == '.') {
        simple = false;
        r->p++;
        if (!digits(r)) {
            return false;
        }
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        simple = false;
        r->p++;
        r->p += r->p < r->end && (*r->p == '+' || *r->p == '-');
        if (!digits(r)) {
            return false;
        }
    }
    if (!simple) {
        return number_slow(r, start, ret);
    }
    int64_t i = (int64_t)(minus ? -value : value);
    *ret = (struct json_number){.integral = true, .i = i, .d = (double)i};
    return true;
}

bool json_literal(struct json_reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) {
        return wrong(r, "a value is not JSON");
    }
    r->p += n;
    return true;
}

bool json_enter(struct json_reader *r, char open)
{
    skip_space(r);
    if (r->p == r->end || *r->p != open) {
        return wrong(r, "a value is not JSON");
    }
    if (++r->depth > GT_LIMIT_JSON_DEPTH) {
        return wrong(r, "the text is nested too deeply");
    }
    r->p++;
    return true;
}

bool json_more(struct json_reader *r, bool *first, char close)
{
    if (r->wrong) {
        return false;
    }
    skip_space(r);
    if (r->p < r->end && *r->p == close) {
        r->p++;
        r->depth--;
        return false;
    }
    if (!*first) {
        if (r->p == r->end || *r->p != ',') {
            return wrong(r, "a comma or the end of a list or object is missing");
        }
        r->p++;
    }
    *first = false;
    return true;
}

bool json_key(struct json_reader *r, struct gt_str *ret)
{
    skip_space(r);
    if (r->p == r->end || *r->p != '"') {
        return wrong(r, "a member's name is missing");
    }
    if (!json_text(r, ret)) {
        return false;
    }
    skip_space(r);
    if (r->p == r->end || *r->p != ':') {
        return wrong(r, "the colon after a member's name is missing");
    }
    r->p++;
    return true;
}

bool json_skip(struct json_reader *r)
{
    struct gt_str text;
    struct json_number number;
    bool first = true;

    switch (json_peek(r)) {
    case JSON_OBJECT:
        if (!json_enter(r, '{')) {
            return false;
        }
        while (json_more(r, &first, '}')) {
            if (!json_key(r, &text) || !json_skip(r)) {
                return false;
            }
        }
        return !r->wrong;
    case JSON_ARRAY:
        if (!json_enter(r, '[')) {
            return false;
        }
        while (json_more(r, &first, ']')) {
            if (!json_skip(r)) {
                return false;
            }
        }
        return !r->wrong;
    case JSON_STRING:
        return json_text(r, &text);
    case JSON_NUMBER:
        return json_number(r, &number);
    case JSON_TRUE:
        return json_literal(r, "true");
    case JSON_FALSE:
        return json_literal(r, "false");
    case JSON_NULL:
        return json_literal(r, "null");
    case JSON_NONE:
        break;
    }
    return wrong(r, "a value is not JSON");
}

bool json_at_end(struct json_reader *r)
{
    skip_space(r);
    return r->p == r->end || wrong(r, "text follows the end of the document");
}
