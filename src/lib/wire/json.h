/*
 * AWS JSON: text to generated structs and back, walking the descriptors.
 *
 * Decoding checks UTF-8, nesting depth and JSON's grammar; members that the shape does not have are
 * skipped (after being checked as JSON) and counted; null is the same as absent. A value of
 * the wrong type is GT_ERR_MALFORMED (SerializationException) with the path of the member.
 * Strings without escapes point into `text`, which must live as long as the struct.
 */
#ifndef GT_LIB_WIRE_JSON_H
#define GT_LIB_WIRE_JSON_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

/* What a request carried that its model does not know. */
struct wire_unknown {
    size_t count;
    struct gt_str first; /* name of the first one; points into the request */
};

/* `out` is a struct of the shape (a structure), all zero. Empty text is an empty structure. */
int wire_json_decode(const struct wire_shape *shape, struct gt_str text, struct gt_arena *arena,
                     void *out, struct gt_err *err);
/* The same; fills *ret_unknown. */
int wire_json_decode_noting(const struct wire_shape *shape, struct gt_str text,
                            struct gt_arena *arena, void *out, struct wire_unknown *ret_unknown,
                            struct gt_err *err);

/* Appends the structure as a JSON object. Whether it fitted: gt_buf_ok(to). */
void wire_json_encode(const struct wire_shape *shape, const void *in, struct gt_buf *to);

/* Appends text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void wire_json_string(struct gt_buf *to, struct gt_str text);

#endif
