#include "store/record/record_priv.h"

#include "lib/base/mem.h"

#include <stdio.h>

enum { PATH_MAX_LENGTH = 256 };

struct diff {
    rec_diff_fn *fn;
    void *arg;
    struct gt_buf from, to;
    char path[PATH_MAX_LENGTH];
};

static void structs(struct diff *d, const struct rec_desc *desc, const char *a, const char *b,
                    size_t path);

static const struct gt_buf empty_buf = GT_BUF_INIT(REC_DIFF_MAX);

/* A text that is too long ends in dots. */
static struct gt_str text_of(struct gt_buf *b)
{
    if (b->overflow) {
        b->n = GT_MIN(b->n, (size_t)REC_DIFF_MAX - 4);
        b->overflow = false;
        gt_buf_puts(b, "...");
    }
    return gt_buf_view(b);
}

static void tell(struct diff *d)
{
    struct gt_str from = text_of(&d->from), to = text_of(&d->to);
    if (!gt_str_eq(from, to)) {
        d->fn(d->arg, d->path, from, to);
    }
    gt_buf_fini(&d->from);
    gt_buf_fini(&d->to);
    d->from = d->to = empty_buf;
}

/* The path with one more part; what is too long is cut. */
static size_t extend(struct diff *d, size_t path, const char *before, const char *name, size_t i)
{
    size_t room = sizeof d->path - path;
    int n = name ? snprintf(d->path + path, room, "%s%s", before, name)
                 : snprintf(d->path + path, room, "[%zu]", i);
    return GT_MIN(path + (size_t)n, sizeof d->path - 1);
}

static void lists(struct diff *d, const struct rec_field *f, const char *a, const char *b,
                  size_t path)
{
    static const struct rec_any_list none;
    const struct rec_any_list *la = a ? (const void *)a : &none;
    const struct rec_any_list *lb = b ? (const void *)b : &none;
    for (size_t i = 0; i < GT_MAX(la->n, lb->n); i++) {
        size_t end = extend(d, path, "", NULL, i);
        const char *ea = i < la->n ? (const char *)la->v + i * f->sub->size : NULL;
        const char *eb = i < lb->n ? (const char *)lb->v + i * f->sub->size : NULL;
        structs(d, f->sub, ea, eb, end);
    }
}

static void fields(struct diff *d, const struct rec_field *f, const char *a, const char *b,
                   size_t path)
{
    if (f->type == REC_LIST_STRUCT) {
        lists(d, f, a, b, path);
        return;
    }
    if (f->type == REC_STRUCT) {
        structs(d, f->sub, a ? *(const char *const *)a : NULL, b ? *(const char *const *)b : NULL,
                path);
        return;
    }
    if (a && !rec_field_empty(f, a)) {
        rec_show_field(f, a, &d->from);
    }
    if (b && !rec_field_empty(f, b)) {
        rec_show_field(f, b, &d->to);
    }
    tell(d);
}

static void structs(struct diff *d, const struct rec_desc *desc, const char *a, const char *b,
                    size_t path)
{
    for (size_t i = 0; i < desc->n_fields && (a || b); i++) {
        const struct rec_field *f = &desc->fields[i];
        size_t end = extend(d, path, path ? "." : "", f->name, 0);
        fields(d, f, a ? a + f->offset : NULL, b ? b + f->offset : NULL, end);
        d->path[path] = '\0';
    }
}

void rec_diff(const struct rec_desc *desc, const void *a, const void *b, rec_diff_fn *fn, void *arg)
{
    struct diff d = {.fn = fn, .arg = arg, .from = empty_buf, .to = empty_buf};
    structs(&d, desc, a, b, 0);
}
