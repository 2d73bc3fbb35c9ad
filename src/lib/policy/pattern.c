/*
 * Patterns: text with '*' and '?', and with variables that are put in when the request is known.
 * What a variable puts in stands for itself, whatever characters it has.
 */
#include "lib/policy/policy_priv.h"

#include <strings.h>

bool policy_name_eq(struct gt_str a, struct gt_str b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

const struct policy_key *policy_key_find(const struct policy_request *rq, struct gt_str name)
{
    for (size_t i = 0; i < rq->n_keys; i++) {
        if (rq->keys[i].n > 0 && policy_name_eq(rq->keys[i].name, name)) {
            return &rq->keys[i];
        }
    }
    return NULL;
}

static void add(struct pattern *p, struct pattern_part part)
{
    if (part.variable || part.text.n > 0) {
        p->parts[p->n++] = part;
    }
}

static void put_wildcards(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)(text[i] == '*' ? PATTERN_MANY : text[i] == '?' ? PATTERN_ONE : text[i]);
    }
}

static struct gt_str trimmed(struct gt_str s)
{
    while (s.n > 0 && s.p[0] == ' ') {
        s.p++, s.n--;
    }
    while (s.n > 0 && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    return s;
}

/* What is between "${" and "}": a character that is meant as itself, a key, or a key and what
 * stands in for it: `key, 'text'`. */
static bool parse_variable(struct gt_str inner, struct pattern_part *ret)
{
    if (inner.n == 1 && strchr("*?$", inner.p[0])) {
        *ret = (struct pattern_part){.text = inner};
        return true;
    }
    const char *comma = inner.n ? memchr(inner.p, ',', inner.n) : NULL;
    struct gt_str key = trimmed(gt_str_n(inner.p, comma ? (size_t)(comma - inner.p) : inner.n));
    *ret = (struct pattern_part){.variable = true, .text = key};
    if (comma) {
        struct gt_str rest = trimmed(gt_str_n(comma + 1, inner.n - (size_t)(comma - inner.p) - 1));
        if (rest.n < 2 || rest.p[0] != '\'' || rest.p[rest.n - 1] != '\'') {
            return false;
        }
        ret->fallback = gt_str_n(rest.p + 1, rest.n - 2);
        ret->has_fallback = true;
    }
    return key.n > 0 && memchr(key.p, ':', key.n);
}

bool pattern_parse(struct gt_str text, int syntax, struct gt_arena *a, struct pattern *ret)
{
    if (text.n > POLICY_LIMIT_PATTERN) {
        return false;
    }
    size_t variables = 0;
    for (size_t i = 0; i < text.n; i++) {
        variables += i + 1 < text.n && text.p[i] == '$' && text.p[i + 1] == '{';
    }
    *ret = (struct pattern){.parts = gt_arena_array(a, struct pattern_part, 2 * variables + 1)};
    char *copy = gt_arena_str(a, text);
    size_t from = 0;
    for (size_t i = 0; (syntax & PATTERN_VARIABLES) && i + 1 < text.n; i++) {
        if (copy[i] != '$' || copy[i + 1] != '{') {
            continue;
        }
        const char *end = memchr(copy + i, '}', text.n - i);
        struct pattern_part part;
        if (!end || !parse_variable(gt_str_n(copy + i + 2, (size_t)(end - copy) - i - 2), &part)) {
            return false;
        }
        add(ret, (struct pattern_part){.text = gt_str_n(copy + from, i - from)});
        add(ret, part);
        if (syntax & PATTERN_WILDCARDS) {
            put_wildcards(copy + from, i - from);
        }
        from = (size_t)(end - copy) + 1;
        i = from - 1;
    }
    add(ret, (struct pattern_part){.text = gt_str_n(copy + from, text.n - from)});
    if (syntax & PATTERN_WILDCARDS) {
        put_wildcards(copy + from, text.n - from);
    }
    return true;
}

/* The pattern with its variables put in; p NULL: one has no value, or it gets too long. A value
 * that could be taken for a wildcard is no value. */
static struct gt_str expand(const struct pattern *p, const struct policy_request *rq,
                            char to[static POLICY_LIMIT_PATTERN])
{
    size_t n = 0;
    if (p->n == 0) {
        return GT_STR_LIT("");
    }
    if (p->n == 1 && !p->parts[0].variable) {
        return p->parts[0].text;
    }
    for (size_t i = 0; i < p->n; i++) {
        struct gt_str s = p->parts[i].text;
        if (p->parts[i].variable) {
            const struct policy_key *k = policy_key_find(rq, s);
            bool one = k && k->n == 1 &&
                       !memchr(k->v[0].p ? k->v[0].p : "", PATTERN_MANY, k->v[0].n) &&
                       !memchr(k->v[0].p ? k->v[0].p : "", PATTERN_ONE, k->v[0].n);
            if (!one && !p->parts[i].has_fallback) {
                return (struct gt_str){0};
            }
            s = one ? k->v[0] : p->parts[i].fallback;
        }
        if (s.n > POLICY_LIMIT_PATTERN - n) {
            return (struct gt_str){0};
        }
        if (s.n) {
            memcpy(to + n, s.p, s.n);
        }
        n += s.n;
    }
    return gt_str_n(to, n);
}

static bool same(char pattern, char c, bool nocase)
{
    return pattern == PATTERN_ONE || pattern == c || (nocase && strncasecmp(&pattern, &c, 1) == 0);
}

/* After a mismatch only the last '*' takes one character more: at most pattern times text steps. */
static bool glob(struct gt_str pattern, struct gt_str text, bool nocase)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == PATTERN_MANY) {
            star = p++;
            from = t;
        } else if (p < pattern.n && same(pattern.p[p], text.p[t], nocase)) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == PATTERN_MANY) {
        p++;
    }
    return p == pattern.n;
}

/* Cuts off what is before the next ':'; the sixth part of an ARN is all the rest. */
static struct gt_str cut(struct gt_str *rest, int part)
{
    const char *colon = part < 5 && rest->n ? memchr(rest->p, ':', rest->n) : NULL;
    struct gt_str head = *rest;
    if (!colon) {
        *rest = (struct gt_str){0};
        return head;
    }
    head.n = (size_t)(colon - rest->p);
    *rest = gt_str_n(colon + 1, rest->n - head.n - 1);
    return head;
}

static bool arn_matches(struct gt_str pattern, struct gt_str text)
{
    static const char many[] = {PATTERN_MANY};
    if (gt_str_eq(pattern, gt_str_n(many, 1))) {
        return true;
    }
    for (int part = 0; part < 6; part++) {
        bool left_out = part > 0 && !pattern.p;
        struct gt_str want = left_out ? gt_str_n(many, 1) : cut(&pattern, part);
        if ((part > 0 && !text.p) || !glob(want, cut(&text, part), /* nocase= */ false)) {
            return false;
        }
    }
    return true;
}

bool pattern_matches(const struct pattern *p, struct gt_str value, enum pattern_how how,
                     const struct policy_request *rq, bool doubt)
{
    char room[POLICY_LIMIT_PATTERN];
    struct gt_str pattern = expand(p, rq, room);
    if (!pattern.p) {
        return doubt;
    }
    return how == PATTERN_ARN ? arn_matches(pattern, value)
                              : glob(pattern, value, how == PATTERN_NOCASE);
}
