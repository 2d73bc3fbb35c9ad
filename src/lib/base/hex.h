#ifndef GT_LIB_BASE_HEX_H
#define GT_LIB_BASE_HEX_H

#include <stddef.h>

/* Writes 2n lower-case digits and a NUL. */
void gt_hex_encode(const void *p, size_t n, char *to);
/* Decodes exactly 2n digits (either case); -EINVAL when anything else is there. */
int gt_hex_decode(const char *from, size_t digits, void *to, size_t n);

#endif
