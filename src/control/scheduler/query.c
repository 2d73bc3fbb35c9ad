/* The parser: recursive descent over the text, which it copies first. */
#include "control/scheduler/query_priv.h"
#include "lib/base/mem.h"

enum { MAX_TEXT = 2000, MAX_DEPTH = 32, MAX_VALUES = 100 };

struct parser {
    struct gt_str text;
    size_t at;
    struct gt_arena *arena;
    struct gt_err *err;
    int depth;
};

/* Of two that begin alike the longer one is first. */
static const struct {
    const char *word;
    enum query_op op;
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
    {"=~", OP_MATCH},
    {"matches", OP_MATCH},
    {"!~", OP_NO_MATCH},
    {"not_matches", OP_NO_MATCH},
};

#define BIT(op) (1U << (op))
#define EQUALITY (BIT(OP_EQ) | BIT(OP_NE))
#define ORDER (BIT(OP_LT) | BIT(OP_LE) | BIT(OP_GT) | BIT(OP_GE))
#define CHOICE (BIT(OP_IN) | BIT(OP_NOT_IN) | BIT(OP_MATCH) | BIT(OP_NO_MATCH))
#define PRESENCE (BIT(OP_EXISTS) | BIT(OP_ABSENT))

static const struct {
    const char *word; /* NULL: with a name behind it */
    unsigned ops;
} subjects[] = {
    [SUBJECT_ATTRIBUTE] = {NULL, EQUALITY | ORDER | CHOICE | PRESENCE},
    [SUBJECT_GROUP] = {"task:group", EQUALITY | ORDER | CHOICE | PRESENCE},
    [SUBJECT_CONNECTED] = {"agentConnected", EQUALITY | CHOICE},
    [SUBJECT_INSTANCE] = {"ec2InstanceId", EQUALITY | CHOICE},
    [SUBJECT_VERSION] = {"agentVersion", EQUALITY | ORDER},
    [SUBJECT_REGISTERED] = {"registeredAt", EQUALITY | ORDER},
    [SUBJECT_RUNNING] = {"runningTasksCount", EQUALITY | ORDER},
};

static const struct query *parse_or(struct parser *p);

static const struct query *refuse(struct parser *p, const char *what)
{
    gt_err_set(p->err, GT_ERR_INVALID, "Invalid expression '" GT_STR_FMT "': %s at character %zu.",
               (int)GT_MIN(p->text.n, (size_t)200), p->text.p ? p->text.p : "", what, p->at + 1);
    return NULL;
}

static bool no(struct parser *p, const char *what)
{
    return refuse(p, what) != NULL;
}

static char peek(const struct parser *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct parser *p)
{
    while (is_space(peek(p))) {
        p->at++;
    }
}

static bool is_word(char c)
{
    return (unsigned char)c > ' ' && c != 127 && !strchr("\"'()[],&|!=<>~", c);
}

/* A pattern ends at a space, and at the ')' that closes what it is in. */
static bool is_pattern(char c)
{
    return c && !is_space(c) && c != ')';
}

/* Text up to the first character that is none of its kind, or in quotes; p NULL: there is none. */
static struct gt_str take_text(struct parser *p, bool (*belongs)(char c))
{
    skip_space(p);
    char quote = peek(p);
    if (quote == '"' || quote == '\'') {
        const char *from = p->text.p + p->at + 1;
        const char *end = memchr(from, quote, p->text.n - p->at - 1);
        if (!end) {
            return gt_str(NULL);
        }
        p->at = (size_t)(end - p->text.p) + 1;
        return gt_str_n(from, (size_t)(end - from));
    }
    size_t from = p->at;
    while (belongs(peek(p))) {
        p->at++;
    }
    return p->at > from ? gt_str_n(p->text.p + from, p->at - from) : gt_str(NULL);
}

/* Takes the word if it is next: one of letters must not run on into more letters. */
static bool take(struct parser *p, const char *w)
{
    skip_space(p);
    size_t n = strlen(w);
    if (p->text.n - p->at < n || memcmp(p->text.p + p->at, w, n) != 0) {
        return false;
    }
    if (is_word(w[n - 1]) && p->at + n < p->text.n && is_word(p->text.p[p->at + n])) {
        return false;
    }
    p->at += n;
    return true;
}

static bool parse_subject(struct parser *p, struct query *q)
{
    static const struct gt_str attribute = GT_STR_LIT("attribute:");
    skip_space(p);
    size_t from = p->at;
    struct gt_str s = take_text(p, is_word);
    if (gt_str_starts(s, attribute) && s.n > attribute.n) {
        q->subject = SUBJECT_ATTRIBUTE;
        q->attribute = gt_str_n(s.p + attribute.n, s.n - attribute.n);
        return true;
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(subjects); i++) {
        if (subjects[i].word && gt_str_is(s, subjects[i].word)) {
            q->subject = (enum query_subject_kind)i;
            return true;
        }
    }
    p->at = from;
    return no(p, "unknown subject");
}

static bool parse_op(struct parser *p, struct query *q)
{
    skip_space(p);
    size_t from = p->at;
    for (size_t i = 0; i < GT_ARRAY_LEN(op_words); i++) {
        if (!take(p, op_words[i].word)) {
            continue;
        }
        q->op = op_words[i].op;
        if (subjects[q->subject].ops & BIT(q->op)) {
            return true;
        }
        p->at = from;
        return no(p, "the subject does not take this operator");
    }
    return no(p, "unknown operator");
}

static bool parse_list(struct parser *p, struct query *q, struct gt_str *values)
{
    if (!take(p, "[")) {
        return no(p, "'[' is missing");
    }
    do {
        if (q->n_values == MAX_VALUES) {
            return no(p, "too many values");
        }
        values[q->n_values] = take_text(p, is_word);
        if (!values[q->n_values++].p) {
            return no(p, "a value is missing");
        }
    } while (take(p, ","));
    return take(p, "]") || no(p, "']' is missing");
}

static bool check_value(struct parser *p, struct query *q)
{
    double number;
    if (q->subject == SUBJECT_RUNNING && !query_number(q->values[0], &number)) {
        return no(p, "not a number");
    }
    if (q->subject == SUBJECT_REGISTERED && !query_date(q->values[0], &q->seconds)) {
        return no(p, "not a date");
    }
    return true;
}

static bool parse_values(struct parser *p, struct query *q)
{
    if (BIT(q->op) & PRESENCE) {
        return true;
    }
    bool list = q->op == OP_IN || q->op == OP_NOT_IN;
    struct gt_str *values = gt_arena_array(p->arena, struct gt_str, list ? MAX_VALUES : 1);
    q->values = values;
    if (list) {
        return parse_list(p, q, values);
    }
    skip_space(p);
    size_t from = p->at;
    bool pattern = q->op == OP_MATCH || q->op == OP_NO_MATCH;
    values[q->n_values++] = take_text(p, pattern ? is_pattern : is_word);
    if (!values[0].p) {
        return no(p, "a value is missing");
    }
    size_t end = p->at;
    p->at = from; /* where to point */
    if (pattern && !(q->pattern = query_pattern_compile(values[0], p->arena))) {
        return no(p, "not a regular expression");
    }
    if (!check_value(p, q)) {
        return false;
    }
    p->at = end;
    return true;
}

static const struct query *parse_test(struct parser *p)
{
    struct query *q = gt_arena_new(p->arena, struct query);
    q->kind = Q_TEST;
    if (!parse_subject(p, q) || !parse_op(p, q) || !parse_values(p, q)) {
        return NULL;
    }
    q->asks_tasks = q->subject == SUBJECT_RUNNING || q->subject == SUBJECT_GROUP;
    return q;
}

static const struct query *join(struct parser *p, enum query_kind kind, const struct query *left,
                                const struct query *right)
{
    struct query *q = gt_arena_new(p->arena, struct query);
    *q = (struct query){.kind = kind, .left = left, .right = right};
    q->asks_tasks = left->asks_tasks || (right && right->asks_tasks);
    return q;
}

static const struct query *parse_unary(struct parser *p)
{
    if (++p->depth > MAX_DEPTH) {
        return refuse(p, "nested too deeply");
    }
    const struct query *q;
    if (take(p, "!") || take(p, "not")) {
        q = parse_unary(p);
        q = q ? join(p, Q_NOT, q, NULL) : NULL;
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
    if (text.n > MAX_TEXT) {
        return refuse(&p, "longer than 2000 characters");
    }
    p.text.p = gt_arena_str(a, text);
    const struct query *q = parse_or(&p);
    skip_space(&p);
    if (q && p.at < p.text.n) {
        return refuse(&p, "unexpected text");
    }
    if (!q) {
        return NULL;
    }
    struct query *root = gt_arena_new(a, struct query);
    *root = *q;
    root->text = p.text;
    return root;
}
