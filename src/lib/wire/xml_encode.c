#include "lib/wire/timestamp.h"
#include "lib/wire/utf8.h"
#include "lib/wire/value.h"
#include "lib/wire/xml.h"

#include "lib/base/base64.h"

#include <inttypes.h>

static void encode_value(const struct wire_shape *shape, const void *in, struct gt_buf *to);

static const char *entity(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\r':
        return "&#xD;";
    default:
        return c < 0x20 && c != '\t' && c != '\n' ? "\xef\xbf\xbd" : NULL;
    }
}

void wire_xml_text(struct gt_buf *to, struct gt_str text)
{
    for (const char *p = text.p, *end = text.p + text.n; p < end;) {
        const char *start = p;
        const char *instead = NULL;
        while (p < end && !(instead = entity((unsigned char)*p))) {
            size_t n = wire_utf8_len(p, end);
            if (n == 0) {
                instead = "\xef\xbf\xbd";
                break;
            }
            p += n;
        }
        gt_buf_add(to, start, (size_t)(p - start));
        if (instead) {
            gt_buf_puts(to, instead);
            p++;
        }
    }
}

static void encode_member(const struct wire_shape *shape, const char *name, const void *in,
                          struct gt_buf *to)
{
    gt_buf_printf(to, "<%s>", name);
    encode_value(shape, in, to);
    gt_buf_printf(to, "</%s>", name);
}

static void encode_elements(const struct wire_shape *shape, const char *name,
                            const struct wire_list *list, struct gt_buf *to)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *at = (const char *)list->v + i * shape->elem_size;
        if (shape->type == WIRE_LIST) {
            encode_member(shape->of, name, at, to);
            continue;
        }
        gt_buf_printf(to, "<%s>", name);
        encode_member(shape->key, "key", at, to);
        encode_member(shape->of, "value", at + shape->value_offset, to);
        gt_buf_printf(to, "</%s>", name);
    }
}

static const char *element_name(const struct wire_shape *shape)
{
    return shape->type == WIRE_MAP ? "entry" : shape->elem_name ? shape->elem_name : "member";
}

static void encode_structure(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    for (uint32_t i = 0; i < shape->n_members; i++) {
        const struct wire_member *m = &shape->members[i];
        const void *value = wire_member_value(m, in);
        if (!value || m->location != WIRE_IN_BODY) {
            continue;
        }
        if (m->flattened) {
            encode_elements(m->shape, m->wire, value, to);
        } else {
            encode_member(m->shape, m->wire, value, to);
        }
    }
}

static void encode_value(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    switch (shape->type) {
    case WIRE_STRING:
        wire_xml_text(to, *(const struct gt_str *)in);
        break;
    case WIRE_BLOB:
        gt_base64_encode(((const struct gt_str *)in)->p, ((const struct gt_str *)in)->n, to);
        break;
    case WIRE_INTEGER:
    case WIRE_LONG:
        gt_buf_printf(to, "%" PRId64, *(const int64_t *)in);
        break;
    case WIRE_TIMESTAMP:
        wire_time_put_iso(*(const int64_t *)in, to);
        break;
    case WIRE_BOOLEAN:
        gt_buf_puts(to, *(const bool *)in ? "true" : "false");
        break;
    case WIRE_DOUBLE:
        gt_buf_printf(to, "%.17g", *(const double *)in);
        break;
    case WIRE_STRUCTURE:
        encode_structure(shape, in, to);
        break;
    case WIRE_LIST:
    case WIRE_MAP:
        encode_elements(shape, element_name(shape), in, to);
        break;
    }
}

void wire_xml_encode(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    encode_structure(shape, in, to);
}
