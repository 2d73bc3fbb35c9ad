/*
 * A reader of JSON tokens (RFC 8259), strict: one value, no trailing commas, no control characters
 * in strings, UTF-8 checked, depth capped. It knows nothing of shapes. Functions return false
 * after they noted what is wrong; nothing may be read after that.
 */
#ifndef GT_LIB_WIRE_JSON_READER_H
#define GT_LIB_WIRE_JSON_READER_H

#include "lib/base/arena.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct json_reader {
    const char *p, *end;
    struct gt_arena *arena; /* for strings with escapes */
    const char *wrong;      /* static text, once something is */
    int depth;
    bool too_large; /* the arena's cap was reached */
    bool saw_nul;   /* the last string held U+0000 */
};

enum json_kind {
    JSON_NONE, /* not the start of a value */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

struct json_number {
    bool integral; /* value is exact in `i` */
    int64_t i;
    double d;
};

void json_reader_init(struct json_reader *r, struct gt_str text, struct gt_arena *arena);
/* What the next value is, by its first byte; consumes white space only. */
enum json_kind json_peek(struct json_reader *r);
bool json_text(struct json_reader *r, struct gt_str *ret);
bool json_number(struct json_reader *r, struct json_number *ret);
bool json_literal(struct json_reader *r, const char *word); /* true, false, null */
/* '{' or '['; counts depth. */
bool json_enter(struct json_reader *r, char open);
/* After json_enter, and after each value: is there another one? Consumes commas and `close`.
 * `first` is kept by the caller, true at the beginning. */
bool json_more(struct json_reader *r, bool *first, char close);
/* A member's name and its colon. */
bool json_key(struct json_reader *r, struct gt_str *ret);
/* Any value, checked and dropped. */
bool json_skip(struct json_reader *r);
/* Nothing but white space is left. */
bool json_at_end(struct json_reader *r);

#endif
