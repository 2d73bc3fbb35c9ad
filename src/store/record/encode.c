#include "store/record/record_priv.h"
#include "store/record/varint.h"

#include "lib/base/mem.h"

static void encode_struct(const struct rec_desc *desc, const void *rec, struct gt_buf *to,
                          int depth);

static void put_tag(struct gt_buf *to, const struct rec_field *f, enum rec_form form)
{
    varint_put(to, (uint64_t)f->n << 3 | form);
}

static void put_bytes(struct gt_buf *to, const struct rec_field *f, struct gt_str s)
{
    put_tag(to, f, FORM_BYTES);
    varint_put_bytes(to, s);
}

/* The length goes in front of content that is not written yet: write it behind, then move. */
static void put_nested(struct gt_buf *to, const struct rec_field *f, const void *rec, int depth)
{
    put_tag(to, f, FORM_BYTES);
    size_t start = to->n;
    encode_struct(f->sub, rec, to, depth + 1);
    if (to->overflow) {
        return;
    }
    size_t len = to->n - start;
    varint_put(to, len);
    if (to->overflow) {
        return;
    }
    char head[VARINT_MAX];
    size_t head_len = to->n - start - len;
    memcpy(head, to->p + start + len, head_len);
    memmove(to->p + start + head_len, to->p + start, len);
    memcpy(to->p + start, head, head_len);
}

static void put_i64_list(struct gt_buf *to, const struct rec_field *f,
                         const struct rec_i64_list *list)
{
    size_t len = 0;
    for (size_t i = 0; i < list->n; i++) {
        uint64_t z = rec_zigzag(list->v[i]);
        do {
            len++;
        } while (z >>= 7);
    }
    if (len) {
        put_tag(to, f, FORM_BYTES);
        varint_put(to, len);
        for (size_t i = 0; i < list->n; i++) {
            varint_put(to, rec_zigzag(list->v[i]));
        }
    }
}

static void put_f64(struct gt_buf *to, const struct rec_field *f, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    if (bits) {
        put_tag(to, f, FORM_FIXED64);
        for (int i = 0; i < 8; i++) {
            gt_buf_putc(to, (char)(bits >> (8 * i)));
        }
    }
}

static void put_list(struct gt_buf *to, const struct rec_field *f, const void *at, int depth)
{
    if (f->type == REC_LIST_STR) {
        const struct rec_str_list *list = at;
        for (size_t i = 0; i < list->n; i++) {
            put_bytes(to, f, list->v[i]);
        }
        return;
    }
    const struct rec_any_list *list = at;
    for (size_t i = 0; i < list->n; i++) {
        put_nested(to, f, (const char *)list->v + i * f->sub->size, depth);
    }
}

static void put_field(struct gt_buf *to, const struct rec_field *f, const void *at, int depth)
{
    switch (f->type) {
    case REC_STR: {
        struct gt_str s = *(const struct gt_str *)at;
        if (s.n) {
            put_bytes(to, f, s);
        }
        break;
    }
    case REC_I64: {
        int64_t v = *(const int64_t *)at;
        if (v) {
            put_tag(to, f, FORM_VARINT);
            varint_put(to, rec_zigzag(v));
        }
        break;
    }
    case REC_BOOL:
        if (*(const bool *)at) {
            put_tag(to, f, FORM_VARINT);
            varint_put(to, 1);
        }
        break;
    case REC_F64:
        put_f64(to, f, *(const double *)at);
        break;
    case REC_STRUCT: {
        const void *sub = *(const void *const *)at;
        if (sub) {
            put_nested(to, f, sub, depth);
        }
        break;
    }
    case REC_LIST_I64:
        put_i64_list(to, f, at);
        break;
    case REC_LIST_STR:
    case REC_LIST_STRUCT:
        put_list(to, f, at, depth);
        break;
    }
}

static void encode_struct(const struct rec_desc *desc, const void *rec, struct gt_buf *to,
                          int depth)
{
    GT_ASSERT(depth < REC_MAX_DEPTH);
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct rec_field *f = &desc->fields[i];
        put_field(to, f, (const char *)rec + f->offset, depth);
    }
    gt_buf_str(to, rec_unknown(desc, rec));
}

void rec_encode(const struct rec_desc *desc, const void *rec, struct gt_buf *to)
{
    GT_ASSERT(desc->id != 0);
    gt_buf_putc(to, (char)(desc->id & 0xff));
    gt_buf_putc(to, (char)(desc->id >> 8));
    uint32_t version = *(const uint32_t *)((const char *)rec + desc->version_offset);
    varint_put(to, GT_MAX(version, desc->version));
    encode_struct(desc, rec, to, 0);
}
