#include "control/simulate/document.h"

#include "lib/base/limits.h"
#include "lib/base/mem.h"

#include <stdio.h>
#include <yaml.h>

struct parse {
    yaml_parser_t parser;
    yaml_event_t event;
    const char *name;
    struct gt_arena *arena;
    struct gt_err *err;
    size_t values;
};

int doc_wrong(const char *name, const struct doc *at, struct gt_err *err, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return gt_err_set(err, GT_ERR_INVALID, "%s:%u:%u: %s", name, at->line, at->column, text);
}

static struct doc place(const yaml_mark_t *mark)
{
    return (struct doc){.line = (unsigned)mark->line + 1, .column = (unsigned)mark->column + 1};
}

static int wrong_here(struct parse *p, const char *what)
{
    struct doc at = place(&p->event.start_mark);
    return doc_wrong(p->name, &at, p->err, "%s", what);
}

/* Into p->event. */
static int next_event(struct parse *p)
{
    yaml_event_delete(&p->event);
    if (yaml_parser_parse(&p->parser, &p->event)) {
        return 0;
    }
    p->event = (yaml_event_t){0};
    const char *context = p->parser.context, *problem = p->parser.problem;
    struct doc at = place(&p->parser.problem_mark);
    return doc_wrong(p->name, &at, p->err, "%s%s%s", context ? context : "",
                     context && problem ? ": " : "", problem ? problem : "not YAML");
}

static int read_value(struct parse *p, unsigned depth, struct doc *to);

static int read_text(struct parse *p, struct doc *to)
{
    size_t n = p->event.data.scalar.length;
    char *text = gt_arena_alloc(p->arena, n + 1);
    memcpy(text, p->event.data.scalar.value, n);
    to->kind = DOC_TEXT;
    to->text = gt_str_n(text, n);
    to->quoted = p->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return memchr(text, '\0', n) ? wrong_here(p, "text with a NUL in it") : 0;
}

static int read_list(struct parse *p, unsigned depth, struct doc *to)
{
    struct doc **last = &to->first;
    to->kind = DOC_LIST;
    for (;;) {
        int r = next_event(p);
        if (r < 0 || p->event.type == YAML_SEQUENCE_END_EVENT) {
            return r;
        }
        struct doc *v = gt_arena_new(p->arena, struct doc);
        r = read_value(p, depth, v);
        if (r < 0) {
            return r;
        }
        *last = v;
        last = &v->next;
        to->n++;
    }
}

static int read_key(struct parse *p, const struct doc *map, struct doc *key)
{
    if (p->event.type != YAML_SCALAR_EVENT) {
        return wrong_here(p, "a key must be plain text");
    }
    *key = place(&p->event.start_mark);
    int r = read_text(p, key);
    for (const struct doc *other = map->first; r == 0 && other; other = other->next) {
        if (gt_str_eq(other->key->text, key->text)) {
            return doc_wrong(p->name, key, p->err,
                             "'%s' is here for the second time (first: %u:%u)", key->text.p,
                             other->key->line, other->key->column);
        }
    }
    return r;
}

/* The most members of one mapping: each key is compared with all before it. */
enum { MEMBERS_MAX = 1000 };

static int read_map(struct parse *p, unsigned depth, struct doc *to)
{
    struct doc **last = &to->first;
    to->kind = DOC_MAP;
    for (;;) {
        int r = next_event(p);
        if (r < 0 || p->event.type == YAML_MAPPING_END_EVENT) {
            return r;
        }
        struct doc *v = gt_arena_new(p->arena, struct doc),
                   *key = gt_arena_new(p->arena, struct doc);
        if (to->n == MEMBERS_MAX) {
            return wrong_here(p, "too many members");
        }
        r = read_key(p, to, key);
        r = r < 0 ? r : next_event(p);
        r = r < 0 ? r : read_value(p, depth, v);
        if (r < 0) {
            return r;
        }
        v->key = key;
        *last = v;
        last = &v->next;
        to->n++;
    }
}

static bool decorated(const yaml_event_t *e)
{
    if (e->type == YAML_SCALAR_EVENT) {
        return e->data.scalar.anchor || e->data.scalar.tag;
    }
    if (e->type == YAML_SEQUENCE_START_EVENT) {
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    }
    if (e->type == YAML_MAPPING_START_EVENT) {
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    }
    return e->type == YAML_ALIAS_EVENT;
}

/* Of the event that is there. */
static int read_value(struct parse *p, unsigned depth, struct doc *to)
{
    *to = place(&p->event.start_mark);
    if (decorated(&p->event)) {
        return wrong_here(p, "anchors, aliases and tags are not for scenarios");
    }
    if (depth == DOC_DEPTH || ++p->values > DOC_VALUES_MAX) {
        return wrong_here(p, depth == DOC_DEPTH ? "nested too deeply" : "too many values");
    }
    if (p->event.type == YAML_SCALAR_EVENT) {
        return read_text(p, to);
    }
    if (p->event.type == YAML_SEQUENCE_START_EVENT) {
        return read_list(p, depth + 1, to);
    }
    GT_ASSERT(p->event.type == YAML_MAPPING_START_EVENT);
    return read_map(p, depth + 1, to);
}

static int read_document(struct parse *p, struct doc *to)
{
    int r = next_event(p); /* the stream's start */
    r = r < 0 ? r : next_event(p);
    if (r == 0 && p->event.type == YAML_STREAM_END_EVENT) {
        return wrong_here(p, "the document is empty");
    }
    r = r < 0 ? r : next_event(p); /* behind the document's start */
    r = r < 0 ? r : read_value(p, 0, to);
    r = r < 0 ? r : next_event(p); /* the document's end */
    r = r < 0 ? r : next_event(p);
    if (r == 0 && p->event.type != YAML_STREAM_END_EVENT) {
        return wrong_here(p, "only one document is read");
    }
    return r;
}

struct doc *doc_parse(const char *name, struct gt_str text, struct gt_arena *a, struct gt_err *err)
{
    struct parse p = {.name = name, .arena = a, .err = err};
    if (text.n > GT_LIMIT_SCENARIO) {
        gt_err_set(err, GT_ERR_TOO_LARGE, "%s: longer than %lu bytes", name, GT_LIMIT_SCENARIO);
        return NULL;
    }
    struct doc *root = gt_arena_new(a, struct doc);
    GT_ASSERT(yaml_parser_initialize(&p.parser));
    yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p.parser, (const unsigned char *)text.p, text.n);
    int r = read_document(&p, root);
    yaml_event_delete(&p.event);
    yaml_parser_delete(&p.parser);
    return r < 0 ? NULL : root;
}
