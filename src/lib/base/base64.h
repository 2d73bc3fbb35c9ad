/* RFC 4648 base64, standard alphabet, padded. */
#ifndef GT_LIB_BASE_BASE64_H
#define GT_LIB_BASE_BASE64_H

#include "lib/base/buf.h"

#include <stddef.h>

#define GT_BASE64_LEN(n) (((n) + 2) / 3 * 4)

void gt_base64_encode(const void *p, size_t n, struct gt_buf *to);
/* Appends the bytes; missing padding is accepted. -EINVAL on anything outside the alphabet, and on
 * bits left over that are not zero: no two texts are one token (RFC 4648 section 3.5). */
int gt_base64_decode(struct gt_str from, struct gt_buf *to);

#endif
