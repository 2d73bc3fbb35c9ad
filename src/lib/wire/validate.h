/*
 * Checks a decoded structure against its model: required members, ranges, lengths (in code
 * points), patterns, enums, through the whole tree. GT_ERR_VALIDATION with AWS's wording; which
 * exception that is, is the service's (call.h). Strings must be valid UTF-8, as decoders leave
 * them.
 */
#ifndef GT_LIB_WIRE_VALIDATE_H
#define GT_LIB_WIRE_VALIDATE_H

#include "lib/base/err.h"
#include "lib/wire/wire.h"

int wire_validate(const struct wire_shape *shape, const void *in, enum wire_validation_style style,
                  struct gt_err *err);

/* Whether the whole text matches; compiles the pattern at first use. Safe for several threads. */
bool wire_pattern_matches(struct wire_pattern *pattern, struct gt_str text);

/* Whether the text is one of the shape's enum values; true when it has none. */
bool wire_enum_has(const struct wire_shape *shape, struct gt_str text);

#endif
