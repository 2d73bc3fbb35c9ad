/*
 * Ranges of bytes, as the distribution API has them: `Range: bytes=a-b` of a download
 * (RFC 9110 14.1.2, one range) and `Content-Range: a-b` of an uploaded chunk (distribution-spec,
 * "Pushing a blob in chunks"; some clients put "bytes " before it and "/total" after).
 */
#ifndef GT_LIB_OCI_RANGE_H
#define GT_LIB_OCI_RANGE_H

#include "lib/base/str.h"

#include <stdint.h>

enum oci_range {
    OCI_RANGE_NONE,          /* absent, of another unit, malformed or several: send everything */
    OCI_RANGE_ONE,           /* send [offset, offset + size) as 206 */
    OCI_RANGE_UNSATISFIABLE, /* 416: beyond the end, or the last byte is before the first */
};

/* `total` is the size of what is served. Outputs are set for OCI_RANGE_ONE only. */
enum oci_range oci_range_parse(struct gt_str header, int64_t total, int64_t *ret_offset,
                               int64_t *ret_size);

/* first and last byte, both inclusive. -EINVAL unless 0 <= first <= last; an empty chunk has no
 * range, and a number of 2^62 or more is not taken. */
int oci_content_range_parse(struct gt_str header, int64_t *ret_first, int64_t *ret_last);

#endif
