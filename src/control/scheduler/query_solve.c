#include "control/scheduler/query_solve.h"

#include "control/scheduler/query_priv.h"
#include "lib/base/mem.h"

#include <string.h>

enum { EDITS_MAX = 32 };

struct edits {
    const struct query_edit *v;
    size_t n;
    bool ok;
};

/* The subject after the edits; of two edits of one attribute the later one counts. */
static struct query_subject edited(const struct query_subject *s, struct edits e,
                                   struct gt_arena *a)
{
    struct query_subject after = *s;
    struct query_attr *v = gt_arena_array(a, struct query_attr, s->n_attrs + e.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s->n_attrs + e.n; i++) {
        bool old = i < s->n_attrs;
        const struct query_edit *own = old ? NULL : &e.v[i - s->n_attrs];
        struct gt_str name = old ? s->attrs[i].name : own->name;
        bool replaced = own && own->remove;
        for (size_t k = old ? 0 : i - s->n_attrs + 1; k < e.n; k++) {
            replaced = replaced || gt_str_eq(e.v[k].name, name);
        }
        if (!replaced) {
            v[n++] = (struct query_attr){name, old ? s->attrs[i].value : own->value};
        }
    }
    after.attrs = v;
    after.n_attrs = n;
    return after;
}

/* A number one above or below another. */
static struct gt_str beside(struct gt_str value, int by, struct gt_arena *a)
{
    double v;
    return query_number(value, &v) ? gt_str(gt_arena_printf(a, "%.15g", v + by)) : value;
}

static bool try_edit(const struct query *q, const struct query_subject *s, bool want,
                     struct query_edit edit, struct gt_arena *a, struct edits *ret)
{
    struct query_edit *e = gt_arena_new(a, struct query_edit);
    *e = edit;
    *ret = (struct edits){.v = e, .n = 1, .ok = true};
    struct query_subject after = edited(s, *ret, a);
    return query_matches(q, &after) == want;
}

/* One test: a value of its own text, or near it, or none at all. */
static struct edits solve_test(const struct query *q, const struct query_subject *s, bool want,
                               struct gt_arena *a)
{
    struct edits e = {.ok = query_matches(q, s) == want};
    if (e.ok || q->subject != SUBJECT_ATTRIBUTE) {
        return e;
    }
    for (size_t i = 0; i < q->n_values; i++) {
        const struct gt_str near[] = {
            q->values[i], beside(q->values[i], 1, a), beside(q->values[i], -1, a),
            gt_str(gt_arena_printf(a, GT_STR_FMT "0", GT_STR_ARG(q->values[i])))};
        for (size_t k = 0; k < GT_ARRAY_LEN(near); k++) {
            if (try_edit(q, s, want, (struct query_edit){q->attribute, near[k], false}, a, &e)) {
                return e;
            }
        }
    }
    if (try_edit(q, s, want, (struct query_edit){.name = q->attribute, .remove = true}, a, &e) ||
        try_edit(q, s, want, (struct query_edit){q->attribute, GT_STR_LIT("true"), false}, a, &e)) {
        return e;
    }
    return (struct edits){0};
}

static struct edits joined(struct edits x, struct edits y, struct gt_arena *a)
{
    if (!x.ok || !y.ok || x.n + y.n > EDITS_MAX) {
        return (struct edits){0};
    }
    struct query_edit *v = gt_arena_array(a, struct query_edit, x.n + y.n + 1);
    for (size_t i = 0; i < x.n + y.n; i++) {
        v[i] = i < x.n ? x.v[i] : y.v[i - x.n];
    }
    return (struct edits){.v = v, .n = x.n + y.n, .ok = true};
}

/* want: what the expression is to be. Wanted false, an `and` is an `or` of what is wanted false. */
static struct edits solve(const struct query *q, const struct query_subject *s, bool want,
                          struct gt_arena *a)
{
    if (q->kind == Q_NOT) {
        return solve(q->left, s, !want, a);
    }
    if (q->kind == Q_TEST) {
        return solve_test(q, s, want, a);
    }
    struct edits x = solve(q->left, s, want, a);
    if ((q->kind == Q_AND) == want) {
        /* The right side as it is when the left one holds: what is mended twice is so once. */
        struct query_subject after = edited(s, x, a);
        return x.ok ? joined(x, solve(q->right, &after, want, a), a) : x;
    }
    struct edits y = solve(q->right, s, want, a);
    return !y.ok || (x.ok && x.n <= y.n) ? x : y;
}

bool query_solve(const struct query *q, const struct query_subject *s, struct gt_arena *a,
                 const struct query_edit **ret, size_t *ret_n)
{
    struct edits e = solve(q, s, /* want= */ true, a);
    if (e.ok) {
        struct query_subject after = edited(s, e, a);
        e.ok = query_matches(q, &after); /* two halves may want opposite things */
    }
    if (e.ok) {
        *ret = e.v;
        *ret_n = e.n;
    }
    return e.ok;
}
