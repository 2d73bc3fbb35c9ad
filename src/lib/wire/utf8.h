/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef GT_LIB_WIRE_UTF8_H
#define GT_LIB_WIRE_UTF8_H

#include "lib/base/str.h"

#include <stdint.h>

/* Length of the sequence at p (1 to 4), 0 when it is not valid; never reads at or past end. */
size_t wire_utf8_len(const char *p, const char *end);
bool wire_utf8_valid(struct gt_str s);
/* Puts '?' where bytes are no text, such as in a message with a name from an archive, or one that
 * was cut in the middle of a character. */
void wire_utf8_clean(char *s);
/* Code points of valid text. */
size_t wire_utf8_count(struct gt_str s);
/* Writes a code point (not a surrogate) in up to 4 bytes; returns how many. */
size_t wire_utf8_put(uint32_t cp, char to[static 4]);

#endif
