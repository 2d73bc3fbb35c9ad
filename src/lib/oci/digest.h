/*
 * Content digests as OCI writes them: "sha256:" and 64 lower-case hexadecimal digits
 * (image-spec, descriptor.md, "Digests"). Only registered algorithms that Gantry computes.
 */
#ifndef GT_LIB_OCI_DIGEST_H
#define GT_LIB_OCI_DIGEST_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCI_DIGEST_BYTES 32
#define OCI_DIGEST_HEX (2 * OCI_DIGEST_BYTES)
#define OCI_DIGEST_TEXT (7 + OCI_DIGEST_HEX) /* "sha256:" and the digits, without a NUL */

struct oci_digest {
    uint8_t b[OCI_DIGEST_BYTES];
};

/* -ENOTSUP for a well-formed digest of an algorithm that Gantry does not have, -EINVAL for anything
 * else that is not a digest. Upper-case digits are refused as the specification asks. */
int oci_digest_parse(struct gt_str text, struct oci_digest *ret, struct gt_err *err);
/* "sha256:..." and a NUL. Returns `to`. */
char *oci_digest_text(const struct oci_digest *d, char to[static OCI_DIGEST_TEXT + 1]);
/* The digits alone and a NUL. Returns `to`. */
char *oci_digest_hex(const struct oci_digest *d, char to[static OCI_DIGEST_HEX + 1]);
/* The digest of bytes that are all in memory. */
void oci_digest_of(const void *p, size_t n, struct oci_digest *ret);

static inline bool oci_digest_eq(const struct oci_digest *a, const struct oci_digest *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

#endif
