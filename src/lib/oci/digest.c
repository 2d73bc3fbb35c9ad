#include "lib/oci/digest.h"

#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"

#include <errno.h>

static bool algorithm_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '.' || c == '_' ||
           c == '-';
}

static bool encoded_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '=' ||
           c == '_' || c == '-';
}

/* Whether the text is a digest of some algorithm: algorithm ":" encoded. */
static bool well_formed(struct gt_str text)
{
    const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
    if (!colon || colon == text.p || colon == text.p + text.n - 1 || text.n > 256) {
        return false;
    }
    for (const char *c = text.p; c < colon; c++) {
        if (!algorithm_char(*c)) {
            return false;
        }
    }
    for (const char *c = colon + 1; c < text.p + text.n; c++) {
        if (!encoded_char(*c)) {
            return false;
        }
    }
    return true;
}

int oci_digest_parse(struct gt_str text, struct oci_digest *ret, struct gt_err *err)
{
    const size_t prefix = OCI_DIGEST_TEXT - OCI_DIGEST_HEX;
    if (!well_formed(text)) {
        return gt_err_set(err, GT_ERR_INVALID, "'" GT_STR_FMT "' is not a digest",
                          (int)GT_MIN(text.n, (size_t)100), text.p ? text.p : "");
    }
    if (!gt_str_starts(text, GT_STR_LIT("sha256:"))) {
        (void)gt_err_set(err, GT_ERR_UNSUPPORTED, "digest '" GT_STR_FMT "': only sha256 is known",
                         (int)GT_MIN(text.n, (size_t)100), text.p);
        return -ENOTSUP;
    }
    for (size_t i = prefix; i < text.n; i++) {
        if (text.p[i] >= 'A' && text.p[i] <= 'F') {
            return gt_err_set(err, GT_ERR_INVALID, "digest '" GT_STR_FMT "' has upper-case digits",
                              (int)GT_MIN(text.n, (size_t)100), text.p);
        }
    }
    struct oci_digest d;
    if (gt_hex_decode(text.p + prefix, text.n - prefix, d.b, sizeof(d.b)) < 0) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "digest '" GT_STR_FMT "' does not have 64 hexadecimal digits",
                          (int)GT_MIN(text.n, (size_t)100), text.p);
    }
    *ret = d;
    return 0;
}

char *oci_digest_text(const struct oci_digest *d, char to[static OCI_DIGEST_TEXT + 1])
{
    memcpy(to, "sha256:", 7);
    gt_hex_encode(d->b, sizeof(d->b), to + 7);
    return to;
}

char *oci_digest_hex(const struct oci_digest *d, char to[static OCI_DIGEST_HEX + 1])
{
    gt_hex_encode(d->b, sizeof(d->b), to);
    return to;
}

void oci_digest_of(const void *p, size_t n, struct oci_digest *ret)
{
    gt_sha256(p ? p : "", n, ret->b);
}
