#ifndef GT_STORE_RECORD_RECORD_PRIV_H
#define GT_STORE_RECORD_RECORD_PRIV_H

#include "store/record/record.h"

enum rec_form { FORM_VARINT = 0, FORM_FIXED64 = 1, FORM_BYTES = 2 };

static inline uint64_t rec_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t rec_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline struct gt_str rec_unknown(const struct rec_desc *desc, const void *rec)
{
    return *(const struct gt_str *)((const char *)rec + desc->unknown_offset);
}

/* show.c: one field's value as JSON; whether it is what an absent one is. */
void rec_show_field(const struct rec_field *f, const void *at, struct gt_buf *to);
bool rec_field_empty(const struct rec_field *f, const void *at);

/* Every struct list has the layout of this one. */
struct rec_any_list {
    void *v;
    size_t n;
};

#endif
