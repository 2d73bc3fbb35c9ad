#include "control/simulate/fields.h"

#include "control/services/ecs/taskdef.h"
#include "control/simulate/scenario.h"
#include "lib/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

int field_wrong(struct reader *r, const char *where, const struct doc *at, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++) {
        *c = iscntrl((unsigned char)*c) ? '?' : *c;
    }
    return doc_wrong(r->name, at, r->err, "%s%s%s", where, *where ? " " : "", text);
}

/* The value as it is shown in a message. */
static const char *shown(struct reader *r, const struct doc *v)
{
    static const char *const kinds[] = {[DOC_LIST] = "a list", [DOC_MAP] = "a mapping"};
    if (v->kind != DOC_TEXT) {
        return kinds[v->kind];
    }
    return gt_arena_printf(r->arena, v->quoted || !v->text.n ? "'%.60s'" : "%.60s", v->text.p);
}

/* ---- mappings ---- */

static const char *known(struct reader *r, const struct field *fields)
{
    const char *all = "";
    for (const struct field *f = fields; f->name; f++) {
        all = gt_arena_printf(r->arena, "%s%s%s", all, *all ? ", " : "", f->name);
    }
    return all;
}

static const char *whole_name(struct reader *r, const char *where, const char *name)
{
    return gt_arena_printf(r->arena, "%s%s%.60s", where, *where ? "." : "", name);
}

static const struct doc *member(const struct doc *map, const char *name)
{
    const struct doc *v = map->first;
    while (v && !gt_str_is(v->key->text, name)) {
        v = v->next;
    }
    return v;
}

int fields_read(struct reader *r, const char *where, const struct doc *map,
                const struct field *fields, void *to)
{
    if (map->kind != DOC_MAP) {
        return field_wrong(r, where, map, "must be a mapping with %s, not %s", known(r, fields),
                           shown(r, map));
    }
    for (const struct doc *v = map->first; v; v = v->next) {
        const struct field *f = fields;
        while (f->name && !gt_str_is(v->key->text, f->name)) {
            f++;
        }
        const char *name = whole_name(r, where, v->key->text.p);
        if (!f->name) {
            return field_wrong(r, "", v->key, "unknown field %s; known here: %s", name,
                               known(r, fields));
        }
        int rc = f->read(r, name, v, f, (char *)to + f->at);
        if (rc < 0) {
            return rc;
        }
    }
    for (const struct field *f = fields; f->name; f++) {
        if (f->required && !member(map, f->name)) {
            return field_wrong(r, whole_name(r, where, f->name), map, "is missing");
        }
    }
    return 0;
}

/* ---- numbers ---- */

static bool parse_int(const struct doc *v, int64_t *ret)
{
    if (v->kind != DOC_TEXT || v->quoted || !v->text.n || isspace((unsigned char)v->text.p[0])) {
        return false;
    }
    char *end;
    errno = 0;
    *ret = strtoll(v->text.p, &end, 10);
    return !errno && !*end;
}

static int in_bounds(struct reader *r, const char *where, const struct doc *v,
                     const struct field *f, int64_t n)
{
    if (n >= f->low && n <= f->high) {
        return 0;
    }
    return field_wrong(r, where, v, "must be %lld to %lld, not %s", (long long)f->low,
                       (long long)f->high, shown(r, v));
}

int field_int(struct reader *r, const char *where, const struct doc *v, const struct field *f,
              void *to)
{
    if (!parse_int(v, to)) {
        return field_wrong(r, where, v, "must be a whole number, %lld to %lld, not %s",
                           (long long)f->low, (long long)f->high, shown(r, v));
    }
    return in_bounds(r, where, v, f, *(int64_t *)to);
}

int field_seed(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    int64_t n;
    if (!parse_int(v, &n) || n < 0) {
        return field_wrong(r, where, v, "must be a whole number from 0 on, not %s", shown(r, v));
    }
    *(uint64_t *)to = (uint64_t)n;
    return 0;
}

int field_number(struct reader *r, const char *where, const struct doc *v, const struct field *f,
                 void *to)
{
    char *end = NULL;
    double d = 0;
    bool plain = v->kind == DOC_TEXT && !v->quoted && v->text.n &&
                 strspn(v->text.p, "0123456789.") == v->text.n;
    if (plain) {
        d = strtod(v->text.p, &end);
    }
    if (!plain || *end || d < (double)f->low || d > (double)f->high) {
        return field_wrong(r, where, v, "must be a number, %lld to %lld, not %s", (long long)f->low,
                           (long long)f->high, shown(r, v));
    }
    *(double *)to = d;
    return 0;
}

int field_cpu(struct reader *r, const char *where, const struct doc *v, const struct field *f,
              void *to)
{
    if (v->kind != DOC_TEXT || taskdef_cpu(v->text, to) < 0) {
        return field_wrong(r, where, v, "must be CPU units such as 512, or 2 vCPU, not %s",
                           shown(r, v));
    }
    return in_bounds(r, where, v, f, *(int64_t *)to);
}

int field_memory(struct reader *r, const char *where, const struct doc *v, const struct field *f,
                 void *to)
{
    if (v->kind != DOC_TEXT || taskdef_memory(v->text, to) < 0) {
        return field_wrong(r, where, v, "must be MiB such as 512, or 2 GB, not %s", shown(r, v));
    }
    return in_bounds(r, where, v, f, *(int64_t *)to);
}

/* ---- times ---- */

static const struct {
    const char *unit;
    int64_t ms;
} UNITS[] = {{"d", 86400000}, {"h", 3600000}, {"ms", 1}, {"m", 60000}, {"s", 1000}};

/* One part, "90s"; moves p. */
static bool time_part(const char **p, const char *end, int64_t *sum)
{
    int64_t n = 0;
    const char *start = *p;
    for (; *p < end && isdigit((unsigned char)**p); ++*p) {
        n = n * 10 + (**p - '0');
        if (n > 100000000000) {
            return false;
        }
    }
    for (size_t i = 0; *p > start && i < GT_ARRAY_LEN(UNITS); i++) {
        struct gt_str unit = gt_str(UNITS[i].unit);
        if (gt_str_starts(gt_str_n(*p, (size_t)(end - *p)), unit)) {
            *p += unit.n;
            *sum += n * UNITS[i].ms;
            return *sum <= 100000000000;
        }
    }
    return false;
}

bool time_parse(struct gt_str text, int64_t *ret_ms)
{
    const char *p = text.p, *end = p + text.n;
    *ret_ms = 0;
    if (gt_str_is(text, "0")) {
        return true;
    }
    while (p < end) {
        if (!time_part(&p, end, ret_ms)) {
            return false;
        }
    }
    return text.n > 0;
}

static const char *time_shown(struct reader *r, int64_t ms)
{
    static const int order[] = {0, 1, 3, 4, 2};
    const char *all = "";
    for (size_t i = 0; i < GT_ARRAY_LEN(order); i++) {
        int64_t n = ms / UNITS[order[i]].ms;
        ms -= n * UNITS[order[i]].ms;
        if (n) {
            all = gt_arena_printf(r->arena, "%s%lld%s", all, (long long)n, UNITS[order[i]].unit);
        }
    }
    return *all ? all : "0s";
}

static int time_wrong(struct reader *r, const char *where, const struct doc *v,
                      const struct field *f)
{
    return field_wrong(r, where, v, "must be a time from %s to %s, such as 90s or 1h30m, not %s",
                       time_shown(r, f->low), time_shown(r, f->high), shown(r, v));
}

int field_time(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    int64_t ms;
    if (v->kind != DOC_TEXT || !time_parse(v->text, &ms) || ms < f->low || ms > f->high) {
        return time_wrong(r, where, v, f);
    }
    *(int64_t *)to = ms;
    return 0;
}

int field_span(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    struct span *s = to;
    const char *dots = v->kind == DOC_TEXT ? strstr(v->text.p, "..") : NULL;
    if (!dots) {
        int rc = field_time(r, where, v, f, &s->low);
        s->high = s->low;
        return rc;
    }
    if (!time_parse(gt_str_n(v->text.p, (size_t)(dots - v->text.p)), &s->low) ||
        !time_parse(gt_str(dots + 2), &s->high) || s->low < f->low || s->high > f->high) {
        return time_wrong(r, where, v, f);
    }
    return s->low <= s->high ? 0
                             : field_wrong(r, where, v, "ends before it begins: %s", shown(r, v));
}

/* ---- texts ---- */

int field_name(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    bool good = v->kind == DOC_TEXT && v->text.n && v->text.n <= 255;
    for (size_t i = 0; good && i < v->text.n; i++) {
        unsigned char c = (unsigned char)v->text.p[i];
        good = isalnum(c) || c == '-' || c == '_';
    }
    if (!good) {
        return field_wrong(r, where, v, "must be 1 to 255 letters, digits, '-' or '_', not %s",
                           shown(r, v));
    }
    *(struct gt_str *)to = v->text;
    return 0;
}

int field_text(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    if (v->kind != DOC_TEXT || !v->text.n || (int64_t)v->text.n > f->high) {
        return field_wrong(r, where, v, "must be text of 1 to %lld bytes, not %s",
                           (long long)f->high, shown(r, v));
    }
    *(struct gt_str *)to = v->text;
    return 0;
}

int field_word(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    const char *all = "";
    for (const char *const *word = f->more; *word; word++) {
        if (v->kind == DOC_TEXT && gt_str_is(v->text, *word)) {
            *(struct gt_str *)to = v->text;
            return 0;
        }
        all = gt_arena_printf(r->arena, "%s%s%s", all, *all ? ", " : "", *word);
    }
    return field_wrong(r, where, v, "must be one of %s, not %s", all, shown(r, v));
}

int field_bool(struct reader *r, const char *where, const struct doc *v, const struct field *f,
               void *to)
{
    bool yes = v->kind == DOC_TEXT && gt_str_is(v->text, "true");
    if (!yes && !(v->kind == DOC_TEXT && gt_str_is(v->text, "false"))) {
        return field_wrong(r, where, v, "must be true or false, not %s", shown(r, v));
    }
    *(bool *)to = yes;
    return 0;
}

int field_list(struct reader *r, const char *where, const struct doc *value, const struct field *f,
               size_t size, void *v, size_t *n)
{
    if (value->kind != DOC_LIST) {
        return field_wrong(r, where, value, "must be a list, not %s", shown(r, value));
    }
    if ((int64_t)value->n < f->low || (int64_t)value->n > f->high) {
        return field_wrong(r, where, value, "must have %lld to %lld entries, not %zu",
                           (long long)f->low, (long long)f->high, value->n);
    }
    size_t there = *n;
    char *all = gt_arena_try_alloc(r->arena, (there + value->n) * size + 1);
    if (!all) {
        return field_wrong(r, where, value, "is too large");
    }
    if (there) {
        memcpy(all, *(void **)v, there * size);
    }
    *(void **)v = all;
    *n = there + value->n;
    return 0;
}

int field_names(struct reader *r, const char *where, const struct doc *v, const struct field *f,
                void *to)
{
    struct texts *t = to;
    if (v->kind != DOC_LIST) {
        t->v = gt_arena_new(r->arena, struct gt_str);
        t->n = 1;
        return field_name(r, where, v, f, t->v);
    }
    int rc = field_list(r, where, v, f, sizeof *t->v, &t->v, &t->n);
    size_t i = 0;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next) {
        rc = field_name(r, where, one, f, &t->v[i++]);
    }
    return rc;
}
