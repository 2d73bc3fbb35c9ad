#include "control/scheduler/query.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 32, MAX_VALUES = 100 };

enum kind { Q_AND, Q_OR, Q_NOT, Q_TEST };
enum test_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_EXISTS, OP_ABSENT, OP_IN, OP_NOT_IN };
enum subject { SUBJECT_ATTRIBUTE, SUBJECT_CONNECTED, SUBJECT_VERSION, SUBJECT_RUNNING };

struct query {
    enum kind kind;
    const struct query *left, *right;
    enum subject subject;
    struct gt_str attribute;
    enum test_op op;
    struct gt_str *values;
    size_t n_values;
};

struct parser {
    struct gt_str text;
    size_t at;
    struct gt_arena *arena;
    struct gt_err *err;
    int depth;
};

static const struct {
    const char *word;
    enum test_op op;
} op_words[] = {
    {"==", OP_EQ},
    {"equals", OP_EQ},
    {"!=", OP_NE},
    {"not_equals", OP_NE},
    {"<=", OP_LE},
    {"less_than_equal", OP_LE},
    {"<", OP_LT},
    {"less_than", OP_LT},
    {">=", OP_GE},
    {"greater_than_equal", OP_GE},
    {">", OP_GT},
    {"greater_than", OP_GT},
    {"exists", OP_EXISTS},
    {"!exists", OP_ABSENT},
    {"not_exists", OP_ABSENT},
    {"in", OP_IN},
    {"!in", OP_NOT_IN},
    {"not_in", OP_NOT_IN},
};

static const struct query *parse_or(struct parser *p);

static const struct query *refuse(struct parser *p, const char *what)
{
    gt_err_set(p->err, GT_ERR_INVALID, "Invalid expression '" GT_STR_FMT "': %s at character %zu.",
               (int)GT_MIN(p->text.n, (size_t)200), p->text.p ? p->text.p : "", what, p->at + 1);
    return NULL;
}

static char peek(const struct parser *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : 0;
}

static void skip_space(struct parser *p)
{
    while (peek(p) == ' ' || peek(p) == '\t' || peek(p) == '\n') {
        p->at++;
    }
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || c == '/';
}

static struct gt_str word(struct parser *p)
{
    skip_space(p);
    if (peek(p) == '"' || peek(p) == '\'') {
        char quote = peek(p);
        size_t from = ++p->at;
        while (p->at < p->text.n && peek(p) != quote) {
            p->at++;
        }
        struct gt_str s = gt_str_n(p->text.p + from, p->at - from);
        p->at += p->at < p->text.n;
        return s;
    }
    size_t from = p->at;
    while (word_char(peek(p))) {
        p->at++;
    }
    return gt_str_n(p->text.p + from, p->at - from);
}

/* Takes the word if it is next: one of letters must not run on into more letters. */
static bool take(struct parser *p, const char *w)
{
    skip_space(p);
    size_t n = strlen(w);
    if (p->text.n - p->at < n || memcmp(p->text.p + p->at, w, n) != 0) {
        return false;
    }
    if (word_char(w[n - 1]) && p->at + n < p->text.n && word_char(p->text.p[p->at + n])) {
        return false;
    }
    p->at += n;
    return true;
}

static bool parse_subject(struct parser *p, struct query *q)
{
    struct gt_str s = word(p);
    if (gt_str_starts(s, GT_STR_LIT("attribute:")) && s.n > 10) {
        q->subject = SUBJECT_ATTRIBUTE;
        q->attribute = gt_str_n(s.p + 10, s.n - 10);
    } else if (gt_str_is(s, "agentConnected")) {
        q->subject = SUBJECT_CONNECTED;
    } else if (gt_str_is(s, "agentVersion")) {
        q->subject = SUBJECT_VERSION;
    } else if (gt_str_is(s, "runningTasksCount")) {
        q->subject = SUBJECT_RUNNING;
    } else {
        return refuse(p, "unknown or unsupported subject") != NULL;
    }
    return true;
}

static bool parse_values(struct parser *p, struct query *q)
{
    if (q->op == OP_EXISTS || q->op == OP_ABSENT) {
        return true;
    }
    q->values = gt_arena_array(p->arena, struct gt_str, MAX_VALUES);
    if (q->op != OP_IN && q->op != OP_NOT_IN) {
        q->values[q->n_values++] = word(p);
        return q->values[0].n > 0 || refuse(p, "a value is missing") != NULL;
    }
    if (!take(p, "[")) {
        return refuse(p, "'[' is missing") != NULL;
    }
    do {
        if (q->n_values == MAX_VALUES) {
            return refuse(p, "too many values") != NULL;
        }
        q->values[q->n_values++] = word(p);
    } while (take(p, ","));
    return take(p, "]") || refuse(p, "']' is missing") != NULL;
}

static const struct query *parse_test(struct parser *p)
{
    struct query *q = gt_arena_new(p->arena, struct query);
    q->kind = Q_TEST;
    if (!parse_subject(p, q)) {
        return NULL;
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(op_words); i++) {
        if (take(p, op_words[i].word)) {
            q->op = op_words[i].op;
            return parse_values(p, q) ? q : NULL;
        }
    }
    return refuse(p, "unknown or unsupported operator");
}

static const struct query *parse_unary(struct parser *p)
{
    if (++p->depth > MAX_DEPTH) {
        return refuse(p, "nested too deeply");
    }
    const struct query *q;
    if (take(p, "!") || take(p, "not")) {
        struct query *n = gt_arena_new(p->arena, struct query);
        n->kind = Q_NOT;
        n->left = parse_unary(p);
        q = n->left ? n : NULL;
    } else if (take(p, "(")) {
        q = parse_or(p);
        if (q && !take(p, ")")) {
            q = refuse(p, "')' is missing");
        }
    } else {
        q = parse_test(p);
    }
    p->depth--;
    return q;
}

static const struct query *join(struct parser *p, enum kind kind, const struct query *left,
                                const struct query *right)
{
    struct query *q = gt_arena_new(p->arena, struct query);
    *q = (struct query){.kind = kind, .left = left, .right = right};
    return q;
}

static const struct query *parse_and(struct parser *p)
{
    const struct query *q = parse_unary(p);
    while (q && (take(p, "&&") || take(p, "and"))) {
        const struct query *right = parse_unary(p);
        q = right ? join(p, Q_AND, q, right) : NULL;
    }
    return q;
}

static const struct query *parse_or(struct parser *p)
{
    const struct query *q = parse_and(p);
    while (q && (take(p, "||") || take(p, "or"))) {
        const struct query *right = parse_and(p);
        q = right ? join(p, Q_OR, q, right) : NULL;
    }
    return q;
}

const struct query *query_parse(struct gt_str text, struct gt_arena *a, struct gt_err *err)
{
    struct parser p = {.text = text, .arena = a, .err = err};
    if (text.n > 2000) {
        return refuse(&p, "longer than 2000 characters");
    }
    const struct query *q = parse_or(&p);
    skip_space(&p);
    return q && p.at < text.n ? refuse(&p, "unexpected text") : q;
}

static bool subject_value(const struct query *q, const struct query_subject *s, struct gt_str *ret,
                          char number[static 24])
{
    switch (q->subject) {
    case SUBJECT_CONNECTED:
        *ret = gt_str(s->connected ? "true" : "false");
        return true;
    case SUBJECT_VERSION:
        *ret = s->agent_version;
        return ret->n > 0;
    case SUBJECT_RUNNING:
        snprintf(number, 24, "%lld", (long long)s->running_tasks);
        *ret = gt_str(number);
        return true;
    case SUBJECT_ATTRIBUTE:
        break;
    }
    for (size_t i = 0; i < s->n_attrs; i++) {
        if (gt_str_eq(s->attrs[i].name, q->attribute)) {
            *ret = s->attrs[i].value;
            return true;
        }
    }
    return false;
}

static bool as_number(struct gt_str s, double *ret)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *ret = strtod(text, &end);
    return *end == 0;
}

static int order(struct gt_str a, struct gt_str b)
{
    double x, y;
    if (as_number(a, &x) && as_number(b, &y)) {
        return (x > y) - (x < y);
    }
    return gt_str_cmp(a, b);
}

static bool test_matches(const struct query *q, const struct query_subject *s)
{
    char number[24];
    struct gt_str v = {NULL, 0};
    bool there = subject_value(q, s, &v, number);
    bool found = false;
    for (size_t i = 0; there && i < q->n_values; i++) {
        found = found || gt_str_eq(v, q->values[i]);
    }
    switch (q->op) {
    case OP_EXISTS:
        return there;
    case OP_ABSENT:
        return !there;
    case OP_EQ:
    case OP_IN:
        return found;
    case OP_NE:
    case OP_NOT_IN:
        return !found;
    case OP_LT:
        return there && order(v, q->values[0]) < 0;
    case OP_LE:
        return there && order(v, q->values[0]) <= 0;
    case OP_GT:
        return there && order(v, q->values[0]) > 0;
    case OP_GE:
        return there && order(v, q->values[0]) >= 0;
    }
    return false;
}

bool query_matches(const struct query *q, const struct query_subject *s)
{
    switch (q->kind) {
    case Q_AND:
        return query_matches(q->left, s) && query_matches(q->right, s);
    case Q_OR:
        return query_matches(q->left, s) || query_matches(q->right, s);
    case Q_NOT:
        return !query_matches(q->left, s);
    case Q_TEST:
        return test_matches(q, s);
    }
    return false;
}
