/* Percent encoding (RFC 3986) as AWS uses it, and query strings. */
#ifndef GT_LIB_WIRE_URI_H
#define GT_LIB_WIRE_URI_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#include <stdbool.h>

/* Everything but A-Z a-z 0-9 - _ . ~ as %XX, upper-case digits; '/' too unless keep_slash. */
void wire_uri_encode(struct gt_str s, bool keep_slash, struct gt_buf *to);

/* %XX decoded, '+' as a space when `plus` (forms). False: a '%' without two hex digits, or the
 * arena is full. Text without either is returned as it is. */
bool wire_uri_decode(struct gt_str s, bool plus, struct gt_arena *arena, struct gt_str *ret);

/* Cuts the next name[=value] off a query string or form, nothing decoded; false at the end.
 * Empty pieces are passed over. */
bool wire_query_next(struct gt_str *rest, struct gt_str *ret_name, struct gt_str *ret_value);

#endif
