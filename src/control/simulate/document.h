/*
 * A YAML document as a tree in which every value knows its line and column, so that whatever is
 * wrong with it can be pointed at. JSON is YAML, too.
 *
 * What is read is YAML 1.1 by libyaml, less what a scenario has no use for and what makes small
 * files large: anchors and aliases, tags, a second document, a key twice in one mapping, keys that
 * are not plain text. Text is at most GT_LIMIT_SCENARIO long, nested at most DOC_DEPTH
 * deep, and has at most DOC_VALUES_MAX values.
 */
#ifndef GT_CONTROL_SIMULATE_DOCUMENT_H
#define GT_CONTROL_SIMULATE_DOCUMENT_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

enum { DOC_DEPTH = 16, DOC_VALUES_MAX = 100000 };

enum doc_kind { DOC_TEXT, DOC_LIST, DOC_MAP };

struct doc {
    enum doc_kind kind;
    unsigned line, column; /* from 1 */
    struct gt_str text;    /* DOC_TEXT; with a NUL after it */
    bool quoted;           /* "80" rather than 80 */
    struct doc *first;     /* DOC_LIST, DOC_MAP: what is in it, in order */
    size_t n;
    struct doc *next; /* in the list or mapping that this one is in */
    struct doc *key;  /* of a mapping: what it is called there */
};

/* In the arena. `name` begins every message: "<name>:<line>:<column>: ...". NULL with err filled
 * when it is none. */
struct doc *doc_parse(const char *name, struct gt_str text, struct gt_arena *a, struct gt_err *err);

/* What is wrong at a place of the document. Returns -EINVAL. */
int doc_wrong(const char *name, const struct doc *at, struct gt_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
