/*
 * All pairs are sorted by name, '.' below every other character: whatever belongs to one member,
 * one list or one element is then one range, and the descriptors are walked over ranges.
 */
#include "lib/wire/path.h"
#include "lib/wire/query.h"
#include "lib/wire/timestamp.h"
#include "lib/wire/uri.h"
#include "lib/wire/utf8.h"
#include "lib/wire/value.h"

#include "lib/base/base64.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <stdlib.h>

struct pair {
    struct gt_str name, value;
};

/* Pairs whose names agree in the first `at` bytes. */
struct range {
    const struct pair *v;
    size_t n, at;
};

struct decoder {
    struct gt_arena *arena;
    struct gt_err *err;
    struct wire_unknown unknown;
    int depth;
};

static int decode_value(struct decoder *d, const struct wire_shape *shape, bool flattened,
                        struct range r, void *out, const struct wire_path *path);

static int pair_cmp(const void *a, const void *b)
{
    struct gt_str x = ((const struct pair *)a)->name, y = ((const struct pair *)b)->name;
    size_t n = x.n < y.n ? x.n : y.n;
    for (size_t i = 0; i < n; i++) {
        if (x.p[i] != y.p[i]) {
            int cx = x.p[i] == '.' ? -1 : (unsigned char)x.p[i];
            int cy = y.p[i] == '.' ? -1 : (unsigned char)y.p[i];
            return cx < cy ? -1 : 1;
        }
    }
    return (x.n > y.n) - (x.n < y.n);
}

static int malformed(struct decoder *d, const struct wire_path *path, const char *what)
{
    gt_auto_buf struct gt_buf where = GT_BUF_INIT(300);
    wire_path_print(path, &where);
    return gt_err_set(d->err, GT_ERR_MALFORMED, "%s at '" GT_STR_FMT "'", what,
                      GT_STR_ARG(gt_buf_view(&where)));
}

static int too_large(struct decoder *d)
{
    return gt_err_set(d->err, GT_ERR_TOO_LARGE, "the request needs more memory than a request may");
}

/* The component of a name that begins at `at`. */
static struct gt_str component(struct gt_str name, size_t at)
{
    const char *dot = at < name.n ? memchr(name.p + at, '.', name.n - at) : NULL;
    return gt_str_n(name.p + at, (dot ? (size_t)(dot - name.p) : name.n) - at);
}

/* The next group of pairs that share the component at rest->at; false at the end. Pairs whose
 * name ends there, with no component, are passed over. */
static bool next_group(struct range *rest, struct gt_str *ret_name, struct range *ret)
{
    while (rest->n > 0 && rest->v->name.n < rest->at) {
        rest->v++;
        rest->n--;
    }
    if (rest->n == 0) {
        return false;
    }
    *ret_name = component(rest->v->name, rest->at);
    size_t n = 1;
    while (n < rest->n && gt_str_eq(component(rest->v[n].name, rest->at), *ret_name)) {
        n++;
    }
    *ret = (struct range){rest->v, n, rest->at + ret_name->n + 1};
    rest->v += n;
    rest->n -= n;
    return true;
}

/* The value of the one pair whose name ends where the range begins; NULL when there is none, or
 * more. */
static const struct gt_str *leaf(struct range r)
{
    return r.n == 1 && r.v->name.n < r.at ? &r.v->value : NULL;
}

static int parse_integer(struct gt_str s, int64_t *ret)
{
    char text[32], *end;
    if (s.n == 0 || s.n >= sizeof(text) || !((s.p[0] >= '0' && s.p[0] <= '9') || s.p[0] == '-')) {
        return -EINVAL;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return *end || errno ? -EINVAL : 0;
}

static int parse_double(struct gt_str s, double *ret)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof(text) || strspn(s.p, "0123456789+-.eE") < 1) {
        return -EINVAL;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *ret = strtod(text, &end);
    return *end ? -EINVAL : 0;
}

static int decode_blob(struct decoder *d, struct gt_str s, struct gt_str *out)
{
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(s.n + 1);
    char *copy = gt_arena_try_alloc(d->arena, s.n + 1);
    if (!copy || gt_base64_decode(s, &bytes) < 0) {
        return -EINVAL;
    }
    if (bytes.n) {
        memcpy(copy, bytes.p, bytes.n);
    }
    *out = gt_str_n(copy, bytes.n);
    return 0;
}

static int decode_scalar(struct decoder *d, const struct wire_shape *shape, struct gt_str s,
                         void *out, const struct wire_path *path)
{
    int r = 0;
    int64_t i;

    switch (shape->type) {
    case WIRE_STRING:
        *(struct gt_str *)out = s;
        break;
    case WIRE_BLOB:
        r = decode_blob(d, s, out);
        break;
    case WIRE_INTEGER:
    case WIRE_LONG:
        r = parse_integer(s, &i);
        if (r == 0 && shape->type == WIRE_INTEGER && (i < INT32_MIN || i > INT32_MAX)) {
            r = -EINVAL;
        }
        *(int64_t *)out = r == 0 ? i : 0;
        break;
    case WIRE_TIMESTAMP:
        r = wire_time_parse(s, out);
        break;
    case WIRE_BOOLEAN:
        *(bool *)out = gt_str_is(s, "true");
        r = gt_str_is(s, "true") || gt_str_is(s, "false") ? 0 : -EINVAL;
        break;
    case WIRE_DOUBLE:
        r = parse_double(s, out);
        break;
    case WIRE_STRUCTURE:
    case WIRE_LIST:
    case WIRE_MAP:
        r = -EINVAL;
        break;
    }
    return r == 0 ? 0 : malformed(d, path, "the value has the wrong type");
}

static const struct wire_member *find_member(const struct wire_shape *shape, struct gt_str name)
{
    for (uint32_t i = 0; i < shape->n_members; i++) {
        const struct wire_member *m = &shape->members[i];
        if (gt_str_is(name, m->query ? m->query : m->wire)) {
            return m;
        }
    }
    return NULL;
}

static int decode_structure(struct decoder *d, const struct wire_shape *shape, struct range r,
                            void *out, const struct wire_path *path)
{
    struct range group;
    struct gt_str name;

    while (next_group(&r, &name, &group)) {
        const struct wire_member *m = find_member(shape, name);
        struct wire_path here = {.up = path};
        if (!m) {
            if (d->unknown.count++ == 0) {
                d->unknown.first = group.v->name;
            }
            continue;
        }
        void *place = wire_member_place(m, out, d->arena);
        if (!place) {
            return too_large(d);
        }
        here.name = m->name;
        int res = decode_value(d, m->shape, m->flattened, group, place, &here);
        if (res < 0) {
            return res;
        }
    }
    return 0;
}

struct element {
    int64_t index;
    struct range range;
};

static int element_cmp(const void *a, const void *b)
{
    int64_t x = ((const struct element *)a)->index, y = ((const struct element *)b)->index;
    return (x > y) - (x < y);
}

/* The numbered groups of a list or map, in the order of their numbers. */
static int collect(struct decoder *d, struct range r, struct element **ret, size_t *ret_n,
                   const struct wire_path *path)
{
    struct range rest = r, group;
    struct gt_str name;
    size_t n = 0;

    while (next_group(&rest, &name, &group)) {
        n++;
    }
    struct element *v = gt_arena_try_alloc(d->arena, (n + 1) * sizeof(*v));
    if (!v) {
        return too_large(d);
    }
    n = 0;
    for (rest = r; next_group(&rest, &name, &group); n++) {
        v[n].range = group;
        if (parse_integer(name, &v[n].index) < 0 || v[n].index < 0) {
            return malformed(d, path, "an element's number is missing");
        }
    }
    qsort(v, n, sizeof(*v), element_cmp);
    *ret = v;
    *ret_n = n;
    return 0;
}

static int decode_pair(struct decoder *d, const struct wire_shape *shape, struct range r, char *out,
                       const struct wire_path *path)
{
    struct range group;
    struct gt_str name;
    int res = 0;

    while (res == 0 && next_group(&r, &name, &group)) {
        if (gt_str_is(name, "key") || gt_str_is(name, "Name")) {
            res = decode_value(d, shape->key, false, group, out, path);
        } else if (gt_str_is(name, "value") || gt_str_is(name, "Value")) {
            res = decode_value(d, shape->of, false, group, out + shape->value_offset, path);
        }
    }
    if (res == 0 && !((const struct gt_str *)(const void *)out)->p) {
        return malformed(d, path, "a map's key is missing");
    }
    return res;
}

static int decode_elements(struct decoder *d, const struct wire_shape *shape, bool flattened,
                           struct range r, struct wire_list *out, const struct wire_path *path)
{
    const char *step = shape->type == WIRE_MAP ? "entry" : shape->elem_name;
    struct element *v = NULL;
    size_t n = 0;
    struct gt_str name;
    struct range group = r;

    *out = (struct wire_list){.has = true};
    if (!flattened && !next_group(&r, &name, &group)) {
        return 0; /* `Names=`: empty */
    }
    if (!flattened && (!gt_str_is(name, step ? step : "member") || r.n > 0)) {
        return malformed(d, path, "an element is not named as one");
    }
    int res = collect(d, group, &v, &n, path);
    if (res < 0 || n == 0) {
        return res;
    }
    out->v = gt_arena_try_alloc(d->arena, n * shape->elem_size);
    if (!out->v) {
        return too_large(d);
    }
    out->n = n;
    for (size_t i = 0; res == 0 && i < n; i++) {
        struct wire_path here = {.up = path, .index = i + 1};
        char *at = (char *)out->v + i * shape->elem_size;
        res = shape->type == WIRE_MAP ? decode_pair(d, shape, v[i].range, at, &here)
                                      : decode_value(d, shape->of, false, v[i].range, at, &here);
    }
    return res;
}

static int decode_value(struct decoder *d, const struct wire_shape *shape, bool flattened,
                        struct range r, void *out, const struct wire_path *path)
{
    int res;

    if (d->depth >= GT_LIMIT_JSON_DEPTH) {
        return malformed(d, path, "the request is nested too deeply");
    }
    d->depth++;
    if (shape->type == WIRE_STRUCTURE) {
        res = decode_structure(d, shape, r, out, path);
    } else if (shape->type == WIRE_LIST || shape->type == WIRE_MAP) {
        res = decode_elements(d, shape, flattened, r, out, path);
    } else {
        const struct gt_str *value = leaf(r);
        res = value ? decode_scalar(d, shape, *value, out, path)
                    : malformed(d, path, "the value has the wrong type");
    }
    d->depth--;
    return res;
}

/* Names that are no parameters of the operation. */
static bool belongs_to_frame(struct gt_str name)
{
    return gt_str_is(name, "Action") || gt_str_is(name, "Version") ||
           gt_str_starts(name, GT_STR_LIT("X-Amz-"));
}

/* Which one would be meant is for nobody to guess. */
static int check_once(struct decoder *d, struct gt_str name, unsigned *seen)
{
    unsigned bit = gt_str_is(name, "Action") ? 1 : gt_str_is(name, "Version") ? 2 : 0;
    if (*seen & bit) {
        return gt_err_set(d->err, GT_ERR_MALFORMED, "the parameter '" GT_STR_FMT "' is repeated",
                          GT_STR_ARG(name));
    }
    *seen |= bit;
    return 0;
}

static int read_pairs(struct decoder *d, struct gt_str form, struct pair **ret, size_t *ret_n)
{
    struct gt_str rest = form, name, value;
    size_t n = 0;

    while (wire_query_next(&rest, &name, &value)) {
        n++;
    }
    struct pair *v =
        n > WIRE_QUERY_MAX_PAIRS ? NULL : gt_arena_try_alloc(d->arena, (n + 1) * sizeof(*v));
    if (!v) {
        return too_large(d);
    }
    unsigned seen = 0;
    n = 0;
    for (rest = form; wire_query_next(&rest, &name, &value);) {
        struct pair *p = &v[n];
        if (!wire_uri_decode(name, true, d->arena, &p->name) ||
            !wire_uri_decode(value, true, d->arena, &p->value)) {
            return gt_err_set(d->err, GT_ERR_MALFORMED, "the form is not well encoded");
        }
        if (!wire_utf8_valid(p->name) || !wire_utf8_valid(p->value) ||
            memchr(p->value.p, '\0', p->value.n)) {
            return gt_err_set(d->err, GT_ERR_MALFORMED, "the text is not UTF-8, or holds U+0000");
        }
        if (check_once(d, p->name, &seen) < 0) {
            return gt_err_code(d->err);
        }
        n += !belongs_to_frame(p->name);
    }
    qsort(v, n, sizeof(*v), pair_cmp);
    *ret = v;
    *ret_n = n;
    return 0;
}

int wire_query_decode(const struct wire_shape *shape, struct gt_str form, struct gt_arena *arena,
                      void *out, struct wire_unknown *ret_unknown, struct gt_err *err)
{
    struct decoder d = {.arena = arena, .err = err};
    struct pair *v = NULL;
    size_t n = 0;

    *ret_unknown = (struct wire_unknown){0};
    int r = read_pairs(&d, form, &v, &n);
    if (r == 0) {
        r = decode_value(&d, shape, false, (struct range){v, n, 0}, out, NULL);
    }
    *ret_unknown = d.unknown;
    return r;
}

bool wire_query_get(struct gt_str form, const char *name, struct gt_arena *arena,
                    struct gt_str *ret)
{
    struct gt_str key, value;
    while (wire_query_next(&form, &key, &value)) {
        if (gt_str_is(key, name)) {
            return wire_uri_decode(value, true, arena, ret);
        }
    }
    return false;
}
