#include "lib/wire/validate.h"
#include "lib/wire/path.h"
#include "lib/wire/utf8.h"
#include "lib/wire/value.h"

#include "lib/base/buf.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN_VALUE = 128 /* bytes of a wrong value that a message repeats */ };

struct check {
    enum wire_validation_style style;
    struct gt_buf text; /* the violations so far */
    size_t count;
};

static void check_value(struct check *c, const struct wire_shape *shape, const void *in,
                        const struct wire_path *path);

static struct gt_str shown(struct gt_str s)
{
    if (s.n > SHOWN_VALUE) {
        s.n = SHOWN_VALUE;
        while (!wire_utf8_valid(s)) { /* not in the middle of a character */
            s.n--;
        }
    }
    return s;
}

static void put_value(const struct wire_shape *shape, const void *in, struct gt_buf *to)
{
    if (!in) {
        gt_buf_puts(to, "null");
    } else if (shape->flags & WIRE_SENSITIVE) {
        gt_buf_puts(to, "'****'");
    } else if (shape->type == WIRE_STRING) {
        gt_buf_printf(to, "'" GT_STR_FMT "'", GT_STR_ARG(shown(*(const struct gt_str *)in)));
    } else if (shape->type == WIRE_INTEGER || shape->type == WIRE_LONG) {
        gt_buf_printf(to, "'%" PRId64 "'", *(const int64_t *)in);
    } else if (shape->type == WIRE_DOUBLE) {
        gt_buf_printf(to, "'%g'", *(const double *)in);
    } else if (shape->type == WIRE_LIST && shape->of->type == WIRE_STRING) {
        const struct wire_str_list *list = in;
        gt_buf_puts(to, "'[");
        for (size_t i = 0; i < list->n && i < 10; i++) {
            gt_buf_puts(to, i ? ", " : "");
            gt_buf_str(to, shown(list->v[i]));
        }
        gt_buf_puts(to, "]'");
    } else {
        gt_buf_puts(to, "'[...]'");
    }
}

/* `what` without "Member ". */
static void violation(struct check *c, const struct wire_shape *shape, const void *in,
                      const struct wire_path *path, const char *what)
{
    gt_auto_buf struct gt_buf where = GT_BUF_INIT(512);

    if (c->style == WIRE_STYLE_ECR && c->count > 0) {
        return; /* it names the first one only */
    }
    wire_path_print(path, &where);
    c->count++;
    if (c->style == WIRE_STYLE_ECR) {
        gt_buf_printf(&c->text,
                      "Invalid parameter at '" GT_STR_FMT "' failed to satisfy "
                      "constraint: '%s'",
                      GT_STR_ARG(gt_buf_view(&where)), what);
        return;
    }
    gt_buf_puts(&c->text, c->count > 1 ? "; Value " : "Value ");
    put_value(shape, in, &c->text);
    gt_buf_printf(&c->text, " at '" GT_STR_FMT "' failed to satisfy constraint: Member %s",
                  GT_STR_ARG(gt_buf_view(&where)), what);
}

/* `noun`: "length" or "value". */
static void check_bounds(struct check *c, const struct wire_shape *shape, const void *in, int64_t v,
                         const char *noun, const struct wire_path *path)
{
    char what[80];
    if ((shape->flags & WIRE_HAS_MAX) && v > shape->max) {
        snprintf(what, sizeof(what), "must have %s less than or equal to %" PRId64, noun,
                 shape->max);
        violation(c, shape, in, path, what);
    }
    if ((shape->flags & WIRE_HAS_MIN) && v < shape->min) {
        snprintf(what, sizeof(what), "must have %s greater than or equal to %" PRId64, noun,
                 shape->min);
        violation(c, shape, in, path, what);
    }
}

bool wire_enum_has(const struct wire_shape *shape, struct gt_str text)
{
    if (!shape->enums) {
        return true;
    }
    for (const char *const *e = shape->enums; *e; e++) {
        if (gt_str_is(text, *e)) {
            return true;
        }
    }
    return false;
}

static void wrong_enum(struct check *c, const struct wire_shape *shape, const void *in,
                       const struct wire_path *path)
{
    gt_auto_buf struct gt_buf what = GT_BUF_INIT(1024);
    gt_buf_puts(&what, "must satisfy enum value set: [");
    for (const char *const *e = shape->enums; *e; e++) {
        gt_buf_puts(&what, e == shape->enums ? "" : ", ");
        gt_buf_puts(&what, *e);
    }
    gt_buf_putc(&what, ']');
    violation(c, shape, in, path, what.p);
}

static void check_string(struct check *c, const struct wire_shape *shape, const struct gt_str *s,
                         const struct wire_path *path)
{
    if (shape->flags & (WIRE_HAS_MIN | WIRE_HAS_MAX)) {
        check_bounds(c, shape, s, (int64_t)wire_utf8_count(*s), "length", path);
    }
    if (!wire_enum_has(shape, *s)) {
        wrong_enum(c, shape, s, path);
    }
    if (shape->pattern && !wire_pattern_matches(shape->pattern, *s)) {
        gt_auto_buf struct gt_buf what = GT_BUF_INIT(1024);
        gt_buf_printf(&what,
                      c->style == WIRE_STYLE_ECR ? "must satisfy regular expression '%s'"
                                                 : "must satisfy regular expression pattern: %s",
                      shape->pattern->text);
        violation(c, shape, s, path, what.p ? what.p : "must satisfy regular expression pattern");
    }
}

static void check_structure(struct check *c, const struct wire_shape *shape, const void *in,
                            const struct wire_path *path)
{
    for (uint32_t i = 0; i < shape->n_members; i++) {
        const struct wire_member *m = &shape->members[i];
        const void *value = wire_member_value(m, in);
        struct wire_path here = {.up = path, .name = m->name};
        if (value) {
            check_value(c, m->shape, value, &here);
        } else if (m->required) {
            violation(c, m->shape, NULL, &here, "must not be null");
        }
    }
}

static void check_elements(struct check *c, const struct wire_shape *shape,
                           const struct wire_list *list, const struct wire_path *path)
{
    check_bounds(c, shape, list, (int64_t)list->n, "length", path);
    for (size_t i = 0; i < list->n; i++) {
        const char *at = (const char *)list->v + i * shape->elem_size;
        struct wire_path here = {.up = path, .index = i + 1};
        if (shape->type == WIRE_MAP) {
            here.index = 0;
            here.key = *(const struct gt_str *)(const void *)at;
            check_value(c, shape->key, at, &here);
            at += shape->value_offset;
        }
        check_value(c, shape->of, at, &here);
    }
}

static void check_value(struct check *c, const struct wire_shape *shape, const void *in,
                        const struct wire_path *path)
{
    switch (shape->type) {
    case WIRE_STRING:
        check_string(c, shape, in, path);
        break;
    case WIRE_BLOB:
        check_bounds(c, shape, in, (int64_t)((const struct gt_str *)in)->n, "length", path);
        break;
    case WIRE_INTEGER:
    case WIRE_LONG:
        check_bounds(c, shape, in, *(const int64_t *)in, "value", path);
        break;
    case WIRE_DOUBLE:
        if (shape->flags & (WIRE_HAS_MIN | WIRE_HAS_MAX)) {
            double v = *(const double *)in; /* bounds are whole numbers: compare the next one out */
            check_bounds(c, shape, in,
                         v > (double)shape->max   ? shape->max + 1
                         : v < (double)shape->min ? shape->min - 1
                                                  : shape->min,
                         "value", path);
        }
        break;
    case WIRE_STRUCTURE:
        check_structure(c, shape, in, path);
        break;
    case WIRE_LIST:
    case WIRE_MAP:
        check_elements(c, shape, in, path);
        break;
    case WIRE_TIMESTAMP:
    case WIRE_BOOLEAN:
        break;
    }
}

int wire_validate(const struct wire_shape *shape, const void *in, enum wire_validation_style style,
                  struct gt_err *err)
{
    struct check c = {.style = style, .text = GT_BUF_INIT(4096)};

    check_value(&c, shape, in, NULL);
    if (c.count == 0) {
        gt_buf_fini(&c.text);
        return 0;
    }
    int r;
    if (style == WIRE_STYLE_ECR) {
        r = gt_err_set(err, GT_ERR_VALIDATION, "%s", c.text.p);
    } else {
        r = gt_err_set(err, GT_ERR_VALIDATION, "%zu validation error%s detected: %s", c.count,
                       c.count > 1 ? "s" : "", c.text.p);
    }
    gt_buf_fini(&c.text);
    return r;
}
