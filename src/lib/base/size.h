/* Sizes as people write them: "1048576", "512k", "25m", "2g", with "b" or "ib" behind if you like,
 * in either case; units are powers of 1024. */
#ifndef GT_LIB_BASE_SIZE_H
#define GT_LIB_BASE_SIZE_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* False: it is none, or more than 2^62. */
bool gt_size_parse(struct gt_str text, uint64_t *ret);

#endif
