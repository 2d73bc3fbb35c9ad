#include "control/services/logs/pattern.h"

#include <errno.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int invalid(struct gt_err *err, const char *why)
{
    return gt_err_set(err, GT_ERR_INVALID, "Invalid filter pattern: %s", why);
}

/* A phrase from behind its opening quote; returns what follows the closing one, NULL: none. */
static const char *read_phrase(const char *p, const char *end, struct gt_arena *arena,
                               struct gt_str *ret)
{
    char *to = gt_arena_alloc(arena, (size_t)(end - p) + 1);
    size_t n = 0;
    for (; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\')) {
            p++;
        }
        to[n++] = *p;
    }
    *ret = gt_str_n(to, n);
    return p < end ? p + 1 : NULL;
}

static const char *read_word(const char *p, const char *end, struct gt_str *ret)
{
    const char *from = p;
    while (p < end && !is_blank(*p) && *p != '"') {
        p++;
    }
    *ret = gt_str_n(from, (size_t)(p - from));
    return p < end && *p == '"' ? NULL : p;
}

int log_pattern_parse(struct gt_str text, struct gt_arena *arena, struct log_pattern *ret,
                      struct gt_err *err)
{
    const char *p = text.p, *end = text.p + text.n;
    while (p < end && is_blank(*p)) {
        p++;
    }
    if (p < end && (*p == '{' || *p == '[')) {
        struct gt_str rest = gt_str_n(p, (size_t)(end - p));
        *ret = (struct log_pattern){.kind = *p == '{' ? PATTERN_JSON : PATTERN_FIELDS};
        return *p == '{' ? pattern_json_parse(rest, arena, &ret->json, err)
                         : pattern_fields_parse(rest, arena, &ret->fields, err);
    }
    *ret = (struct log_pattern){.only_any = true};
    ret->terms = gt_arena_alloc(arena, (text.n / 2 + 1) * sizeof(ret->terms[0]));
    for (;;) {
        while (p < end && is_blank(*p)) {
            p++;
        }
        if (p >= end) {
            return 0;
        }
        enum term_kind kind = *p == '?' ? TERM_ANY : *p == '-' ? TERM_NOT : TERM_ALL;
        p += kind != TERM_ALL;
        if (p < end && *p == '%') {
            return invalid(err, "regular expressions are not supported");
        }
        if (p < end && (*p == '{' || *p == '[')) {
            return invalid(err, "a pattern of conditions stands alone");
        }
        struct gt_str term = {0};
        if (p < end) {
            p = *p == '"' ? read_phrase(p + 1, end, arena, &term) : read_word(p, end, &term);
        }
        if (p == NULL || term.n == 0) {
            return invalid(err, p ? "a term is empty" : "a quotation mark is missing");
        }
        if (p < end && !is_blank(*p)) {
            return invalid(err, "a blank is missing behind a quoted phrase");
        }
        ret->only_any = ret->only_any && kind == TERM_ANY;
        ret->terms[ret->n].kind = kind;
        ret->terms[ret->n++].text = term;
    }
}

bool log_pattern_match(const struct log_pattern *p, struct gt_str event)
{
    if (p->kind == PATTERN_JSON) {
        return pattern_json_match(p->json, event);
    }
    if (p->kind == PATTERN_FIELDS) {
        return pattern_fields_match(&p->fields, event);
    }
    for (size_t i = 0; i < p->n; i++) {
        struct gt_str t = p->terms[i].text;
        bool there = event.n >= t.n && memmem(event.p, event.n, t.p, t.n) != NULL;
        if (p->terms[i].kind == TERM_ANY) {
            if (p->only_any && there) {
                return true;
            }
        } else if (there != (p->terms[i].kind == TERM_ALL)) {
            return false;
        }
    }
    return p->n == 0 || !p->only_any;
}
