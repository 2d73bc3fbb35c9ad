#include "lib/wire/json.h"
#include "lib/wire/json_text.h"
#include "lib/wire/timestamp.h"
#include "lib/wire/utf8.h"
#include "lib/wire/value.h"

#include "lib/base/base64.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void encode_value(const struct wire_shape *shape, const void *in, struct gt_buf *to);

static size_t escape(unsigned char c, char to[static 6])
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    to[0] = '\\';
    if (c == '"' || c == '\\') {
        to[1] = (char)c;
        return 2;
    }
    if (shorts[c]) {
        to[1] = shorts[c];
        return 2;
    }
    to[1] = 'u';
    to[2] = to[3] = '0';
    to[4] = hex[c >> 4];
    to[5] = hex[c & 15];
    return 6;
}

/* How far text can be copied as it is. */
static const char *verbatim(const char *p, const char *end)
{
    for (;;) {
        p = json_plain_run(p, end);
        size_t n = p < end && (unsigned char)*p >= 0x80 ? wire_utf8_len(p, end) : 0;
        if (n == 0) {
            return p;
        }
        p += n;
    }
}

void wire_json_string(struct gt_buf *to, struct gt_str text)
{
    const char *p = text.p, *end = text.p + text.n;

    gt_buf_putc(to, '"');
    while (p < end) {
        const char *q = verbatim(p, end);
        gt_buf_add(to, p, (size_t)(q - p));
        p = q;
        if (p == end) {
            break;
        }
        char out[6];
        unsigned char c = (unsigned char)*p++;
        if (c < 0x80) {
            gt_buf_add(to, out, escape(c, out));
        } else {
            gt_buf_puts(to, "\xef\xbf\xbd");
        }
    }
    gt_buf_putc(to, '"');
}

/* The shortest text that reads back as the same number. */
static void encode_double(double v, struct gt_buf *to)
{
    char text[40];
    if (!isfinite(v)) {
        gt_buf_puts(to, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    snprintf(text, sizeof(text), "%.15g", v);
    if (strtod(text, NULL) != v) {
        snprintf(text, sizeof(text), "%.17g", v);
    }
    gt_buf_puts(to, text);
}

static void encode_time(const struct wire_member *m, int64_t ms, struct gt_buf *to)
{
    if (m && m->time_format == WIRE_TIME_ISO8601) {
        gt_buf_putc(to, '"');
        wire_time_put_iso(ms, to);
        gt_buf_putc(to, '"');
        return;
    }
    wire_time_put_unix(ms, to);
}

static void encode_name(const struct wire_member *m, bool first, struct gt_buf *to)
{
    char *p = gt_buf_reserve(to, m->wire_len + 4u);
    if (!p) {
        return;
    }
    char *start = p;
    if (!first) {
        *p++ = ',';
    }
    *p++ = '"';
    memcpy(p, m->wire, m->wire_len);
    p += m->wire_len;
    *p++ = '"';
    *p++ = ':';
    to->n += (size_t)(p - start);
}

static void encode_structure(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    bool first = true;

    gt_buf_putc(to, '{');
    for (uint32_t i = 0; i < shape->n_members; i++) {
        const struct wire_member *m = &shape->members[i];
        const void *value = wire_member_value(m, in);
        if (!value || m->location != WIRE_IN_BODY) {
            continue;
        }
        encode_name(m, first, to);
        first = false;
        if (m->shape->type == WIRE_TIMESTAMP) {
            encode_time(m, *(const int64_t *)value, to);
        } else {
            encode_value(m->shape, value, to);
        }
    }
    gt_buf_putc(to, '}');
}

static void encode_list(const struct wire_shape *shape, const struct wire_list *list,
                        struct gt_buf *to)
{
    gt_buf_putc(to, '[');
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0) {
            gt_buf_putc(to, ',');
        }
        encode_value(shape->of, (const char *)list->v + i * shape->elem_size, to);
    }
    gt_buf_putc(to, ']');
}

static void encode_map(const struct wire_shape *shape, const struct wire_list *map,
                       struct gt_buf *to)
{
    gt_buf_putc(to, '{');
    for (size_t i = 0; i < map->n; i++) {
        const char *pair = (const char *)map->v + i * shape->elem_size;
        if (i > 0) {
            gt_buf_putc(to, ',');
        }
        wire_json_string(to, *(const struct gt_str *)(const void *)pair);
        gt_buf_putc(to, ':');
        encode_value(shape->of, pair + shape->value_offset, to);
    }
    gt_buf_putc(to, '}');
}

static void encode_blob(struct gt_str bytes, struct gt_buf *to)
{
    gt_buf_putc(to, '"');
    gt_base64_encode(bytes.p, bytes.n, to);
    gt_buf_putc(to, '"');
}

static void encode_value(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    switch (shape->type) {
    case WIRE_STRING:
        wire_json_string(to, *(const struct gt_str *)in);
        break;
    case WIRE_BLOB:
        encode_blob(*(const struct gt_str *)in, to);
        break;
    case WIRE_INTEGER:
    case WIRE_LONG:
        gt_buf_int(to, *(const int64_t *)in);
        break;
    case WIRE_TIMESTAMP:
        encode_time(NULL, *(const int64_t *)in, to);
        break;
    case WIRE_BOOLEAN:
        gt_buf_puts(to, *(const bool *)in ? "true" : "false");
        break;
    case WIRE_DOUBLE:
        encode_double(*(const double *)in, to);
        break;
    case WIRE_STRUCTURE:
        encode_structure(shape, in, to);
        break;
    case WIRE_LIST:
        encode_list(shape, in, to);
        break;
    case WIRE_MAP:
        encode_map(shape, in, to);
        break;
    }
}

void wire_json_encode(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    encode_value(shape, in, to);
}
