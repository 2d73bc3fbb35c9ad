#include "store/record/record_priv.h"
#include "store/record/varint.h"

#include "lib/base/mem.h"

struct decoder {
    struct gt_arena *arena;
    bool full; /* the arena's cap was reached */
};

/* One field as it stands in the bytes. */
struct item {
    uint64_t n;
    enum rec_form form;
    uint64_t value; /* varint and fixed64 */
    struct gt_str bytes;
    struct gt_str raw; /* tag and content */
};

static bool take_item(struct gt_str *from, struct item *it)
{
    const char *start = from->p;
    uint64_t tag;
    if (!varint_take(from, &tag)) {
        return false;
    }
    it->n = tag >> 3;
    it->form = tag & 7;
    if (it->n == 0 || it->form > FORM_BYTES) {
        return false;
    }
    if (it->form == FORM_VARINT) {
        if (!varint_take(from, &it->value)) {
            return false;
        }
    } else if (it->form == FORM_FIXED64) {
        if (from->n < 8) {
            return false;
        }
        it->value = 0;
        for (int i = 0; i < 8; i++) {
            it->value |= (uint64_t)(unsigned char)from->p[i] << (8 * i);
        }
        *from = gt_str_n(from->p + 8, from->n - 8);
    } else if (!varint_take_bytes(from, &it->bytes)) {
        return false;
    }
    it->raw = gt_str_n(start, (size_t)(from->p - start));
    return true;
}

static void *take_memory(struct decoder *d, size_t n)
{
    void *p = gt_arena_try_alloc(d->arena, n);
    d->full = d->full || !p;
    return p;
}

/* Room for `more` elements at the end of a list. Elements of one list stand together, so this is
 * called once for each run of them; a list in pieces costs a copy for each piece. */
static bool grow_list(struct decoder *d, struct rec_any_list *list, size_t size, size_t more)
{
    void *v = take_memory(d, (list->n + more) * size);
    if (!v) {
        return false;
    }
    if (list->n) {
        memcpy(v, list->v, list->n * size);
    }
    list->v = v;
    return true;
}

/* How many items with the number of `first` follow each other, first included. */
static size_t run_length(const struct item *first, struct gt_str rest)
{
    size_t n = 1;
    struct item it;
    while (take_item(&rest, &it) && it.n == first->n && it.form == FORM_BYTES) {
        n++;
    }
    return n;
}

static bool decode_struct(struct decoder *d, const struct rec_desc *desc, struct gt_str bytes,
                          char *rec, int depth);

static bool decode_i64_list(struct decoder *d, struct gt_str bytes, struct rec_i64_list *list)
{
    size_t more = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        more += !((unsigned char)bytes.p[i] & 0x80);
    }
    struct rec_any_list any = {list->v, list->n};
    if (more && !grow_list(d, &any, sizeof(int64_t), more)) {
        return false;
    }
    list->v = any.v;
    uint64_t z;
    while (bytes.n) {
        if (!varint_take(&bytes, &z)) {
            return false;
        }
        list->v[list->n++] = rec_unzigzag(z);
    }
    return true;
}

/* Takes the whole run of elements that starts with `it`. */
static bool decode_list(struct decoder *d, const struct rec_field *f, struct item *it,
                        struct gt_str *rest, struct rec_any_list *list, int depth)
{
    size_t size = f->type == REC_LIST_STR ? sizeof(struct gt_str) : f->sub->size;
    size_t run = run_length(it, *rest);
    if (!grow_list(d, list, size, run)) {
        return false;
    }
    for (size_t i = 0; i < run; i++) {
        if (i && !take_item(rest, it)) {
            return false;
        }
        char *at = (char *)list->v + list->n * size;
        if (f->type == REC_LIST_STR) {
            *(struct gt_str *)at = it->bytes;
        } else if (!decode_struct(d, f->sub, it->bytes, at, depth + 1)) {
            return false;
        }
        list->n++;
    }
    return true;
}

static enum rec_form form_of(enum rec_type type)
{
    if (type == REC_F64) {
        return FORM_FIXED64;
    }
    return type == REC_I64 || type == REC_BOOL ? FORM_VARINT : FORM_BYTES;
}

static bool decode_field(struct decoder *d, const struct rec_field *f, struct item *it,
                         struct gt_str *rest, char *at, int depth)
{
    if (it->form != form_of(f->type)) {
        return false;
    }
    switch (f->type) {
    case REC_STR:
        *(struct gt_str *)at = it->bytes;
        return true;
    case REC_I64:
        *(int64_t *)at = rec_unzigzag(it->value);
        return true;
    case REC_BOOL:
        *(bool *)at = it->value != 0;
        return true;
    case REC_F64:
        memcpy(at, &it->value, sizeof it->value);
        return true;
    case REC_STRUCT: {
        char *sub = take_memory(d, f->sub->size);
        *(void **)at = sub;
        return sub && decode_struct(d, f->sub, it->bytes, sub, depth + 1);
    }
    case REC_LIST_I64:
        return decode_i64_list(d, it->bytes, (struct rec_i64_list *)at);
    case REC_LIST_STR:
    case REC_LIST_STRUCT:
        return decode_list(d, f, it, rest, (struct rec_any_list *)at, depth);
    }
    return false;
}

/* Unknown fields may lie anywhere; they are gathered in one piece, which is never longer than all
 * that is still to come. */
static bool keep_unknown(struct decoder *d, struct gt_str raw, struct gt_str rest,
                         struct gt_str *unknown)
{
    if (!unknown->p) {
        unknown->p = take_memory(d, raw.n + rest.n);
        if (!unknown->p) {
            return false;
        }
    }
    memcpy((char *)unknown->p + unknown->n, raw.p, raw.n);
    unknown->n += raw.n;
    return true;
}

static bool decode_struct(struct decoder *d, const struct rec_desc *desc, struct gt_str bytes,
                          char *rec, int depth)
{
    if (depth >= REC_MAX_DEPTH) {
        return false;
    }
    struct gt_str *unknown = (struct gt_str *)(rec + desc->unknown_offset);
    size_t next = 0; /* fields rise in the bytes as in the table */
    struct item it;
    while (bytes.n) {
        if (!take_item(&bytes, &it)) {
            return false;
        }
        if (next >= desc->n_fields || desc->fields[next].n > it.n) {
            next = 0;
        }
        while (next < desc->n_fields && desc->fields[next].n < it.n) {
            next++;
        }
        bool known = next < desc->n_fields && desc->fields[next].n == it.n;
        if (known ? !decode_field(d, &desc->fields[next], &it, &bytes,
                                  rec + desc->fields[next].offset, depth)
                  : !keep_unknown(d, it.raw, bytes, unknown)) {
            return false;
        }
    }
    return true;
}

uint16_t rec_id(struct gt_str bytes)
{
    if (bytes.n < 3) {
        return 0;
    }
    return (uint16_t)((unsigned char)bytes.p[0] | (unsigned char)bytes.p[1] << 8);
}

const struct rec_desc *rec_desc_by_id(uint16_t id)
{
    for (size_t i = 0; rec_all[i]; i++) {
        if (rec_all[i]->id == id) {
            return rec_all[i];
        }
    }
    return NULL;
}

int rec_decode(const struct rec_desc *desc, struct gt_str bytes, struct gt_arena *arena,
               void **ret_rec, struct gt_err *err)
{
    if (rec_id(bytes) != desc->id) {
        return gt_err_set(err, GT_ERR_CORRUPT, "record is no \"%s\" but of type %u", desc->name,
                          rec_id(bytes));
    }
    struct decoder d = {.arena = arena};
    struct gt_str body = gt_str_n(bytes.p + 2, bytes.n - 2);
    uint64_t version;
    if (!varint_take(&body, &version) || version > UINT32_MAX) {
        return gt_err_set(err, GT_ERR_CORRUPT, "record \"%s\" has no version", desc->name);
    }
    char *rec = take_memory(&d, desc->size);
    if (!rec || !decode_struct(&d, desc, body, rec, 0)) {
        return d.full ? gt_err_set(err, GT_ERR_TOO_LARGE,
                                   "no room for a record \"%s\" of %zu bytes", desc->name, bytes.n)
                      : gt_err_set(err, GT_ERR_CORRUPT, "record \"%s\" is damaged", desc->name);
    }
    *(uint32_t *)(rec + desc->version_offset) = (uint32_t)version;
    *ret_rec = rec;
    return 0;
}
