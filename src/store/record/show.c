#include "store/record/record_priv.h"

#include <inttypes.h>

static void show_struct(const struct rec_desc *desc, const void *rec, struct gt_buf *to);

static void show_str(struct gt_str s, struct gt_buf *to)
{
    gt_buf_putc(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            gt_buf_putc(to, '\\');
            gt_buf_putc(to, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            gt_buf_printf(to, "\\u%04x", c);
        } else {
            gt_buf_putc(to, (char)c);
        }
    }
    gt_buf_putc(to, '"');
}

static size_t list_length(const struct rec_field *f, const void *at)
{
    return f->type >= REC_LIST_STR ? ((const struct rec_any_list *)at)->n : 0;
}

static void show_element(const struct rec_field *f, const void *at, size_t i, struct gt_buf *to)
{
    if (f->type == REC_LIST_STR) {
        show_str(((const struct rec_str_list *)at)->v[i], to);
    } else if (f->type == REC_LIST_I64) {
        gt_buf_printf(to, "%" PRId64, ((const struct rec_i64_list *)at)->v[i]);
    } else {
        const struct rec_any_list *list = at;
        show_struct(f->sub, (const char *)list->v + i * f->sub->size, to);
    }
}

void rec_show_field(const struct rec_field *f, const void *at, struct gt_buf *to)
{
    switch (f->type) {
    case REC_STR:
        show_str(*(const struct gt_str *)at, to);
        break;
    case REC_I64:
        gt_buf_printf(to, "%" PRId64, *(const int64_t *)at);
        break;
    case REC_BOOL:
        gt_buf_puts(to, *(const bool *)at ? "true" : "false");
        break;
    case REC_F64:
        gt_buf_printf(to, "%.17g", *(const double *)at);
        break;
    case REC_STRUCT:
        show_struct(f->sub, *(const void *const *)at, to);
        break;
    case REC_LIST_STR:
    case REC_LIST_I64:
    case REC_LIST_STRUCT:
        gt_buf_putc(to, '[');
        for (size_t i = 0; i < list_length(f, at); i++) {
            gt_buf_puts(to, i ? "," : "");
            show_element(f, at, i, to);
        }
        gt_buf_putc(to, ']');
        break;
    }
}

bool rec_field_empty(const struct rec_field *f, const void *at)
{
    switch (f->type) {
    case REC_STR:
        return ((const struct gt_str *)at)->n == 0;
    case REC_I64:
        return *(const int64_t *)at == 0;
    case REC_BOOL:
        return !*(const bool *)at;
    case REC_F64:
        return *(const double *)at == 0;
    case REC_STRUCT:
        return *(const void *const *)at == NULL;
    case REC_LIST_STR:
    case REC_LIST_I64:
    case REC_LIST_STRUCT:
        break;
    }
    return list_length(f, at) == 0;
}

static void show_struct(const struct rec_desc *desc, const void *rec, struct gt_buf *to)
{
    const char *comma = "";
    gt_buf_putc(to, '{');
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct rec_field *f = &desc->fields[i];
        const void *at = (const char *)rec + f->offset;
        if (!rec_field_empty(f, at)) {
            gt_buf_printf(to, "%s\"%s\":", comma, f->name);
            rec_show_field(f, at, to);
            comma = ",";
        }
    }
    struct gt_str unknown = rec_unknown(desc, rec);
    if (unknown.n) {
        gt_buf_printf(to, "%s\"unknown_\":%zu", comma, unknown.n);
    }
    gt_buf_putc(to, '}');
}

void rec_show(const struct rec_desc *desc, const void *rec, struct gt_buf *to)
{
    show_struct(desc, rec, to);
}
