#include "lib/wire/json.h"
#include "lib/wire/json_reader.h"
#include "lib/wire/path.h"
#include "lib/wire/timestamp.h"
#include "lib/wire/value.h"

#include "lib/base/base64.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

struct decoder {
    struct json_reader r;
    struct gt_arena *arena;
    struct gt_err *err;
    struct wire_unknown unknown;
    bool failed; /* err holds a message of its own */
};

static bool decode_value(struct decoder *d, const struct wire_shape *shape, void *out,
                         const struct wire_path *path);

static bool say(struct decoder *d, const struct wire_path *path, const char *what)
{
    gt_auto_buf struct gt_buf where = GT_BUF_INIT(300);
    wire_path_print(path, &where);
    if (!d->failed) {
        gt_err_set(d->err, GT_ERR_MALFORMED, "%s at '" GT_STR_FMT "'", what,
                   GT_STR_ARG(gt_buf_view(&where)));
    }
    d->failed = true;
    return false;
}

static bool full(struct decoder *d)
{
    d->r.too_large = true;
    return false;
}

static bool mismatch(struct decoder *d, const struct wire_shape *shape, enum json_kind kind,
                     const struct wire_path *path)
{
    static const char *const found[] = {
        [JSON_OBJECT] = "START_OBJECT", [JSON_ARRAY] = "START_ARRAY",
        [JSON_STRING] = "STRING_VALUE", [JSON_NUMBER] = "NUMBER_VALUE",
        [JSON_TRUE] = "TRUE_VALUE",     [JSON_FALSE] = "FALSE_VALUE",
        [JSON_NULL] = "NULL_VALUE",
    };
    static const char *const wanted[] = {
        [WIRE_STRING] = "a String", [WIRE_BLOB] = "a Blob",           [WIRE_INTEGER] = "an Integer",
        [WIRE_LONG] = "a Long",     [WIRE_TIMESTAMP] = "a Timestamp", [WIRE_BOOLEAN] = "a Boolean",
        [WIRE_DOUBLE] = "a Double", [WIRE_STRUCTURE] = "a Structure", [WIRE_LIST] = "a List",
        [WIRE_MAP] = "a Map",
    };
    if (kind == JSON_NONE) {
        return json_skip(&d->r); /* notes why it is no value */
    }
    char text[80];
    snprintf(text, sizeof(text), "%s can not be converted to %s", found[kind], wanted[shape->type]);
    return say(d, path, text);
}

static bool decode_string(struct decoder *d, const struct wire_shape *shape, struct gt_str *out,
                          const struct wire_path *path)
{
    if (!json_text(&d->r, out)) {
        return false;
    }
    if (d->r.saw_nul && !(shape->flags & WIRE_ALLOW_NUL)) {
        return say(d, path, "a string holds the character U+0000");
    }
    return true;
}

static bool decode_blob(struct decoder *d, struct gt_str *out, const struct wire_path *path)
{
    struct gt_str text;
    if (!json_text(&d->r, &text)) {
        return false;
    }
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(text.n + 1);
    char *copy = gt_arena_try_alloc(d->arena, text.n + 1);
    if (!copy) {
        return full(d);
    }
    if (gt_base64_decode(text, &bytes) < 0) {
        return say(d, path, "a blob is not base64");
    }
    if (bytes.n > 0) {
        memcpy(copy, bytes.p, bytes.n);
    }
    *out = gt_str_n(copy, bytes.n);
    return true;
}

static bool decode_integer(struct decoder *d, const struct wire_shape *shape, int64_t *out,
                           const struct wire_path *path)
{
    struct json_number number;
    if (!json_number(&d->r, &number)) {
        return false;
    }
    bool fits = number.integral &&
                (shape->type == WIRE_LONG || (number.i >= INT32_MIN && number.i <= INT32_MAX));
    if (!fits) {
        return mismatch(d, shape, JSON_NUMBER, path);
    }
    *out = number.i;
    return true;
}

static bool decode_time(struct decoder *d, const struct wire_shape *shape, enum json_kind kind,
                        int64_t *out, const struct wire_path *path)
{
    struct json_number number;
    struct gt_str text;

    if (kind == JSON_STRING) {
        if (!json_text(&d->r, &text)) {
            return false;
        }
        return wire_time_parse(text, out) == 0 || mismatch(d, shape, kind, path);
    }
    if (!json_number(&d->r, &number)) {
        return false;
    }
    double ms = number.d * 1000.0;
    if (!(ms > -9e15 && ms < 9e15)) { /* year 287396; also keeps the cast defined */
        return mismatch(d, shape, kind, path);
    }
    *out = (int64_t)llround(ms);
    return true;
}

static bool decode_scalar(struct decoder *d, const struct wire_shape *shape, enum json_kind kind,
                          void *out, const struct wire_path *path)
{
    struct json_number number;

    if (kind == JSON_STRING && shape->type == WIRE_STRING) {
        return decode_string(d, shape, out, path);
    }
    if (kind == JSON_STRING && shape->type == WIRE_BLOB) {
        return decode_blob(d, out, path);
    }
    if (shape->type == WIRE_TIMESTAMP && (kind == JSON_NUMBER || kind == JSON_STRING)) {
        return decode_time(d, shape, kind, out, path);
    }
    if (kind == JSON_NUMBER && (shape->type == WIRE_INTEGER || shape->type == WIRE_LONG)) {
        return decode_integer(d, shape, out, path);
    }
    if (kind == JSON_NUMBER && shape->type == WIRE_DOUBLE) {
        bool ok = json_number(&d->r, &number);
        *(double *)out = ok ? number.d : 0;
        return ok;
    }
    if ((kind == JSON_TRUE || kind == JSON_FALSE) && shape->type == WIRE_BOOLEAN) {
        *(bool *)out = kind == JSON_TRUE;
        return json_literal(&d->r, kind == JSON_TRUE ? "true" : "false");
    }
    return mismatch(d, shape, kind, path);
}

/* Clients send members in some order that is often the model's: begin after the last one found. */
static const struct wire_member *find_member(const struct wire_shape *shape, struct gt_str name,
                                             uint32_t *hint)
{
    for (uint32_t i = 0, at = *hint; i < shape->n_members; i++, at++) {
        if (at >= shape->n_members) {
            at -= shape->n_members;
        }
        const struct wire_member *m = &shape->members[at];
        if (m->wire_len == name.n && memcmp(m->wire, name.p, name.n) == 0) {
            *hint = at + 1;
            return m;
        }
    }
    return NULL;
}

static bool decode_structure(struct decoder *d, const struct wire_shape *shape, void *out,
                             const struct wire_path *path)
{
    struct gt_str name;
    uint32_t hint = 0;
    bool first = true;

    if (!json_enter(&d->r, '{')) {
        return false;
    }
    while (json_more(&d->r, &first, '}')) {
        if (!json_key(&d->r, &name)) {
            return false;
        }
        const struct wire_member *m = find_member(shape, name, &hint);
        if (!m) {
            if (d->unknown.count++ == 0) {
                d->unknown.first = name;
            }
            if (!json_skip(&d->r)) {
                return false;
            }
            continue;
        }
        if (json_peek(&d->r) == JSON_NULL) {
            if (!json_literal(&d->r, "null")) {
                return false;
            }
            wire_member_clear(m, out);
            continue;
        }
        struct wire_path here = {.up = path, .name = m->name};
        void *place = wire_member_place(m, out, d->arena);
        if (!place) {
            return full(d);
        }
        if (!decode_value(d, m->shape, place, &here)) {
            return false;
        }
    }
    return !d->r.wrong;
}

static bool decode_list(struct decoder *d, const struct wire_shape *shape, struct wire_list *out,
                        const struct wire_path *path)
{
    size_t cap = 0;
    bool first = true;

    *out = (struct wire_list){.has = true};
    if (!json_enter(&d->r, '[')) {
        return false;
    }
    while (json_more(&d->r, &first, ']')) {
        void *place = wire_list_grow(shape, out, &cap, d->arena);
        struct wire_path here = {.up = path, .index = out->n};
        if (!place) {
            return full(d);
        }
        if (!decode_value(d, shape->of, place, &here)) {
            return false;
        }
    }
    return !d->r.wrong;
}

static bool decode_map(struct decoder *d, const struct wire_shape *shape, struct wire_list *out,
                       const struct wire_path *path)
{
    size_t cap = 0;
    bool first = true;
    struct gt_str key;

    *out = (struct wire_list){.has = true};
    if (!json_enter(&d->r, '{')) {
        return false;
    }
    while (json_more(&d->r, &first, '}')) {
        if (!json_key(&d->r, &key)) {
            return false;
        }
        struct wire_path here = {.up = path, .key = key};
        if (d->r.saw_nul) {
            return say(d, path, "a key holds the character U+0000");
        }
        char *pair = wire_list_grow(shape, out, &cap, d->arena);
        if (!pair) {
            return full(d);
        }
        *(struct gt_str *)(void *)pair = key;
        if (!decode_value(d, shape->of, pair + shape->value_offset, &here)) {
            return false;
        }
    }
    return !d->r.wrong;
}

static bool decode_value(struct decoder *d, const struct wire_shape *shape, void *out,
                         const struct wire_path *path)
{
    enum json_kind kind = json_peek(&d->r);
    if (shape->type == WIRE_STRUCTURE && kind == JSON_OBJECT) {
        return decode_structure(d, shape, out, path);
    }
    if (shape->type == WIRE_LIST && kind == JSON_ARRAY) {
        return decode_list(d, shape, out, path);
    }
    if (shape->type == WIRE_MAP && kind == JSON_OBJECT) {
        return decode_map(d, shape, out, path);
    }
    return decode_scalar(d, shape, kind, out, path);
}

int wire_json_decode_noting(const struct wire_shape *shape, struct gt_str text,
                            struct gt_arena *arena, void *out, struct wire_unknown *ret_unknown,
                            struct gt_err *err)
{
    struct decoder d = {.arena = arena, .err = err};

    *ret_unknown = (struct wire_unknown){0};
    if (text.n == 0) {
        return 0;
    }
    json_reader_init(&d.r, text, arena);
    bool ok = decode_value(&d, shape, out, NULL) && json_at_end(&d.r);
    *ret_unknown = d.unknown;
    if (ok) {
        return 0;
    }
    if (d.r.too_large) {
        return gt_err_set(err, GT_ERR_TOO_LARGE,
                          "the request needs more memory than a request may");
    }
    if (!d.failed) {
        return gt_err_set(err, GT_ERR_MALFORMED, "%s (byte %zu)", d.r.wrong,
                          (size_t)(d.r.p - text.p));
    }
    return err ? gt_err_code(err) : -EINVAL;
}

int wire_json_decode(const struct wire_shape *shape, struct gt_str text, struct gt_arena *arena,
                     void *out, struct gt_err *err)
{
    struct wire_unknown unknown;
    return wire_json_decode_noting(shape, text, arena, out, &unknown, err);
}
