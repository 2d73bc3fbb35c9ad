/*
 * The AWS Query protocol: a form (`Action=...&Tags.member.1.Key=...`) to generated structs.
 *
 * Order does not matter; a list's indexes may have gaps, which close. Names that the shape does
 * not have are counted, `Action`, `Version` and `X-Amz-*` apart.
 */
#ifndef GT_LIB_WIRE_QUERY_H
#define GT_LIB_WIRE_QUERY_H

#include "lib/wire/json.h"

enum { WIRE_QUERY_MAX_PAIRS = 20000 };

int wire_query_decode(const struct wire_shape *shape, struct gt_str form, struct gt_arena *arena,
                      void *out, struct wire_unknown *ret_unknown, struct gt_err *err);

/* The decoded value of one top-level name; false: not there or malformed. */
bool wire_query_get(struct gt_str form, const char *name, struct gt_arena *arena,
                    struct gt_str *ret);

#endif
