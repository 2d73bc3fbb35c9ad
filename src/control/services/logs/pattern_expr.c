#include "control/services/logs/pattern_expr.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 64, MAX_FIELDS = 256 };

enum op {
    OP_AND,
    OP_OR,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_TRUE,
    OP_FALSE,
    OP_NULL,
    OP_NOT_EXISTS,
};

struct path_step {
    struct gt_str name; /* p NULL: an element of a list */
    long index;         /* -1: any */
};

struct pattern_expr {
    enum op op;
    const struct pattern_expr *left, *right; /* AND, OR */
    struct path_step *path;
    size_t n_path;
    struct gt_str text; /* what it is compared with */
    bool is_number;
    double number;
};

/* -- reading -- */

struct parser {
    const char *p, *end;
    struct gt_arena *arena;
    struct gt_err *err;
    bool json;
    struct gt_str field; /* the name of the field that conditions are about */
    int depth;
};

static int invalid(struct parser *c, const char *why)
{
    return gt_err_set(c->err, GT_ERR_INVALID, "Invalid filter pattern: %s", why);
}

static void skip_blanks(struct parser *c)
{
    while (c->p < c->end && strchr(" \t\r\n", *c->p)) {
        c->p++;
    }
}

static bool take(struct parser *c, const char *token)
{
    skip_blanks(c);
    size_t n = strlen(token);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, token, n) != 0) {
        return false;
    }
    c->p += n;
    return true;
}

/* A word of letters, whole. */
static bool take_word(struct parser *c, const char *word)
{
    const char *from = c->p;
    if (take(c, word) && (c->p == c->end || strchr(" \t\r\n)}&|", *c->p))) {
        return true;
    }
    c->p = from;
    return false;
}

static struct gt_str take_until(struct parser *c, const char *stop)
{
    const char *from = c->p;
    while (c->p < c->end && *c->p && !strchr(stop, *c->p)) {
        c->p++;
    }
    return gt_str_n(from, (size_t)(c->p - from));
}

/* From behind the opening quote to behind the closing one. */
static int read_quoted(struct parser *c, char quote, struct gt_str *ret)
{
    char *to = gt_arena_alloc(c->arena, (size_t)(c->end - c->p) + 1);
    size_t n = 0;
    for (; c->p < c->end && *c->p != quote; c->p++) {
        if (*c->p == '\\' && c->p + 1 < c->end && (c->p[1] == quote || c->p[1] == '\\')) {
            c->p++;
        }
        to[n++] = *c->p;
    }
    *ret = gt_str_n(to, n);
    return c->p++ < c->end ? 0 : invalid(c, "a quotation mark is missing");
}

static bool parse_number(struct gt_str s, double *ret)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof(text) || !strchr("+-.0123456789", s.p[0])) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (strspn(text, "+-.0123456789eE") != s.n) {
        return false; /* no 0x, no nan */
    }
    *ret = strtod(text, &end);
    return *end == '\0';
}

static int read_value(struct parser *c, struct pattern_expr *e)
{
    skip_blanks(c);
    if (c->p < c->end && *c->p == '%') {
        return invalid(c, "regular expressions are not supported");
    }
    if (take(c, "\"")) {
        return read_quoted(c, '"', &e->text);
    }
    e->text = take_until(c, c->json ? " \t\r\n)}&|\"" : " \t\r\n),]&|\"");
    if (e->text.n == 0) {
        return invalid(c, "a value is missing");
    }
    e->is_number = parse_number(e->text, &e->number);
    return 0;
}

static int read_comparison(struct parser *c, struct pattern_expr *e)
{
    static const struct {
        const char *token;
        enum op op;
    } ops[] = {{"!=", OP_NE}, {"<=", OP_LE}, {">=", OP_GE},
               {"=", OP_EQ},  {"<", OP_LT},  {">", OP_GT}};
    for (size_t i = 0; i < GT_ARRAY_LEN(ops); i++) {
        if (take(c, ops[i].token)) {
            e->op = ops[i].op;
            int r = read_value(c, e);
            bool order = e->op >= OP_LT && e->op <= OP_GE;
            return r == 0 && order && !e->is_number ? invalid(c, "a number is missing") : r;
        }
    }
    return invalid(c, "an operator is missing");
}

static int read_step(struct parser *c, struct path_step *s)
{
    static const char stop[] = " \t\r\n.[]=!<>()&|{},\"'";
    *s = (struct path_step){.index = -1};
    if (*c->p == '.') {
        c->p++;
        s->name = take_until(c, stop);
        return s->name.n ? 0 : invalid(c, "a property's name is missing");
    }
    c->p++; /* [ */
    int r = 0;
    if (take(c, "'")) {
        r = read_quoted(c, '\'', &s->name);
    } else if (take(c, "\"")) {
        r = read_quoted(c, '"', &s->name);
    } else if (!take(c, "*")) {
        struct gt_str digits = take_until(c, stop);
        char text[16], *end;
        snprintf(text, sizeof(text), GT_STR_FMT, GT_STR_ARG(digits));
        s->index = strtol(text, &end, 10);
        if (digits.n == 0 || digits.n > 9 || *end || s->index < 0) {
            return invalid(c, "an index is malformed");
        }
    }
    return r < 0 || take(c, "]") ? r : invalid(c, "a ] is missing");
}

static int read_path(struct parser *c, struct pattern_expr *e)
{
    if (!take(c, "$")) {
        return invalid(c, "a property selector begins with $");
    }
    e->path = gt_arena_alloc(c->arena, (size_t)(c->end - c->p + 1) * sizeof(*e->path));
    while (c->p < c->end && (*c->p == '.' || *c->p == '[')) {
        if (*c->p == '.' && c->p + 1 < c->end && c->p[1] == '[') {
            c->p++; /* $.['a b'] */
        }
        int r = read_step(c, &e->path[e->n_path++]);
        if (r < 0) {
            return r;
        }
    }
    return e->n_path ? 0 : invalid(c, "a property selector names nothing");
}

static int read_json_test(struct parser *c, struct pattern_expr *e)
{
    int r = read_path(c, e);
    if (r < 0) {
        return r;
    }
    if (take_word(c, "NOT")) {
        e->op = OP_NOT_EXISTS;
        return take_word(c, "EXISTS") ? 0 : invalid(c, "EXISTS is missing behind NOT");
    }
    if (take_word(c, "IS")) {
        e->op = take_word(c, "TRUE") ? OP_TRUE : take_word(c, "FALSE") ? OP_FALSE : OP_NULL;
        return e->op != OP_NULL || take_word(c, "NULL")
                   ? 0
                   : invalid(c, "TRUE, FALSE or NULL is missing behind IS");
    }
    return read_comparison(c, e);
}

static struct gt_str read_field_name(struct parser *c)
{
    skip_blanks(c);
    return take_until(c, " \t\r\n,]=!<>()&|\"%");
}

static int read_field_test(struct parser *c, struct pattern_expr *e)
{
    struct gt_str name = read_field_name(c);
    if (name.n == 0) {
        return invalid(c, "a field's name is missing");
    }
    if (c->field.p && !gt_str_eq(c->field, name)) {
        return invalid(c, "the conditions of a field must all name it");
    }
    c->field = name;
    return read_comparison(c, e);
}

static int read_or(struct parser *c, const struct pattern_expr **ret);

static int read_primary(struct parser *c, const struct pattern_expr **ret)
{
    if (take(c, "(")) {
        if (++c->depth > MAX_DEPTH) {
            return invalid(c, "too many parentheses");
        }
        int r = read_or(c, ret);
        c->depth--;
        return r < 0 || take(c, ")") ? r : invalid(c, "a ) is missing");
    }
    struct pattern_expr *e = gt_arena_new(c->arena, struct pattern_expr);
    *ret = e;
    return c->json ? read_json_test(c, e) : read_field_test(c, e);
}

static int read_chain(struct parser *c, const char *token, enum op op,
                      int (*part)(struct parser *c, const struct pattern_expr **ret),
                      const struct pattern_expr **ret)
{
    int r = part(c, ret);
    while (r == 0 && take(c, token)) {
        struct pattern_expr *e = gt_arena_new(c->arena, struct pattern_expr);
        e->op = op;
        e->left = *ret;
        r = part(c, &e->right);
        *ret = e;
    }
    return r;
}

static int read_and(struct parser *c, const struct pattern_expr **ret)
{
    return read_chain(c, "&&", OP_AND, read_primary, ret);
}

static int read_or(struct parser *c, const struct pattern_expr **ret)
{
    return read_chain(c, "||", OP_OR, read_and, ret);
}

static int at_end(struct parser *c)
{
    skip_blanks(c);
    return c->p == c->end ? 0 : invalid(c, "something follows its end");
}

int pattern_json_parse(struct gt_str text, struct gt_arena *arena, const struct pattern_expr **ret,
                       struct gt_err *err)
{
    struct parser c = {
        .p = text.p, .end = text.p + text.n, .arena = arena, .err = err, .json = true};
    if (!take(&c, "{")) {
        return invalid(&c, "a { is missing");
    }
    int r = read_or(&c, ret);
    if (r == 0 && !take(&c, "}")) {
        r = invalid(&c, "a } is missing");
    }
    return r < 0 ? r : at_end(&c);
}

/* A name by itself, or conditions. */
static int read_field(struct parser *c, const struct pattern_expr **ret)
{
    const char *from = c->p;
    struct gt_str name = read_field_name(c);
    skip_blanks(c);
    *ret = NULL;
    if (name.n > 0 && c->p < c->end && (*c->p == ',' || *c->p == ']')) {
        return 0;
    }
    c->p = from;
    c->field = (struct gt_str){0};
    return read_or(c, ret);
}

int pattern_fields_parse(struct gt_str text, struct gt_arena *arena, struct pattern_fields *ret,
                         struct gt_err *err)
{
    struct parser c = {.p = text.p, .end = text.p + text.n, .arena = arena, .err = err};
    *ret = (struct pattern_fields){0};
    ret->v = gt_arena_array(arena, const struct pattern_expr *, MAX_FIELDS);
    if (!take(&c, "[")) {
        return invalid(&c, "a [ is missing");
    }
    do {
        if (take(&c, "...")) {
            if (ret->any_number) {
                return invalid(&c, "there may be one ... only");
            }
            ret->any_number = true;
            ret->before = ret->n;
            continue;
        }
        if (ret->n == MAX_FIELDS) {
            return invalid(&c, "too many fields");
        }
        int r = read_field(&c, &ret->v[ret->n++]);
        if (r < 0) {
            return r;
        }
    } while (take(&c, ","));
    return take(&c, "]") ? at_end(&c) : invalid(&c, "a ] is missing");
}

/* -- comparing -- */

/* `*` stands for any text. */
static bool like(struct gt_str text, struct gt_str pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

static bool holds(enum op op, double a, double b)
{
    switch ((int)op) {
    case OP_EQ:
        return a == b;
    case OP_NE:
        return a != b;
    case OP_LT:
        return a < b;
    case OP_LE:
        return a <= b;
    case OP_GT:
        return a > b;
    default:
        return op == OP_GE && a >= b;
    }
}

static bool compare_text(const struct pattern_expr *e, struct gt_str text)
{
    double n;
    if (e->is_number && parse_number(text, &n)) {
        return holds(e->op, n, e->number);
    }
    return e->op == OP_EQ ? like(text, e->text) : e->op == OP_NE && !like(text, e->text);
}

static bool compare_json(const struct pattern_expr *e, const json_t *v)
{
    char text[64];
    switch (json_typeof(v)) {
    case JSON_STRING: {
        struct gt_str s = gt_str_n(json_string_value(v), json_string_length(v));
        return e->op == OP_EQ ? like(s, e->text) : e->op == OP_NE && !like(s, e->text);
    }
    case JSON_INTEGER:
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
        return compare_text(e, gt_str(text));
    case JSON_REAL:
        snprintf(text, sizeof(text), "%.17g", json_real_value(v));
        return compare_text(e, gt_str(text));
    case JSON_TRUE:
        return e->op == OP_TRUE;
    case JSON_FALSE:
        return e->op == OP_FALSE;
    case JSON_NULL:
        return e->op == OP_NULL;
    case JSON_OBJECT:
    case JSON_ARRAY:
    default:
        return false;
    }
}

/* Whether anything that the rest of the path leads to fits. */
static bool walk(const struct pattern_expr *e, size_t step, const json_t *v)
{
    if (!v || step == e->n_path) {
        return v && (e->op == OP_NOT_EXISTS || compare_json(e, v));
    }
    const struct path_step *s = &e->path[step];
    if (s->name.p) {
        return walk(e, step + 1, json_object_getn(v, s->name.p, s->name.n));
    }
    if (s->index >= 0) {
        return walk(e, step + 1, json_array_get(v, (size_t)s->index));
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (walk(e, step + 1, json_array_get(v, i))) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct pattern_expr *e, const json_t *root, struct gt_str field)
{
    if (e->op == OP_AND) {
        return fits(e->left, root, field) && fits(e->right, root, field);
    }
    if (e->op == OP_OR) {
        return fits(e->left, root, field) || fits(e->right, root, field);
    }
    return root ? walk(e, 0, root) != (e->op == OP_NOT_EXISTS) : compare_text(e, field);
}

bool pattern_json_match(const struct pattern_expr *e, struct gt_str event)
{
    json_t *root = json_loadb(event.p, event.n, JSON_ALLOW_NUL, NULL);
    bool yes = root && fits(e, root, (struct gt_str){0});
    json_decref(root);
    return yes;
}

/* The field at *at, which moves behind it. False: there is none. */
static bool next_field(struct gt_str event, size_t *at, struct gt_str *ret)
{
    size_t i = *at;
    while (i < event.n && strchr(" \t\r\n", event.p[i]) && event.p[i]) {
        i++;
    }
    if (i >= event.n) {
        return false;
    }
    char close = event.p[i] == '[' ? ']' : event.p[i] == '"' ? '"' : ' ';
    size_t from = close == ' ' ? i : i + 1;
    const char *end = from < event.n ? memchr(event.p + from, close, event.n - from) : NULL;
    size_t to = end ? (size_t)(end - event.p) : event.n;
    *ret = gt_str_n(event.p + from, to - from);
    *at = to + (end && close != ' ');
    return true;
}

bool pattern_fields_match(const struct pattern_fields *f, struct gt_str event)
{
    struct gt_str found;
    size_t n = 0, at = 0;
    while (next_field(event, &at, &found)) {
        n++;
    }
    if (f->any_number ? n < f->n : n != f->n) {
        return false;
    }
    at = 0;
    for (size_t i = 0; i < n && next_field(event, &at, &found); i++) {
        size_t k = i;
        if (f->any_number && i >= f->before) {
            if (n - i > f->n - f->before) {
                continue; /* one of the "..." */
            }
            k = f->n - (n - i);
        }
        if (f->v[k] && !fits(f->v[k], NULL, found)) {
            return false;
        }
    }
    return true;
}
