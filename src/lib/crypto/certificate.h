/*
 * X.509 for a server that is its own authority: EC keys on P-256, in PEM.
 *
 * Times are milliseconds since 1970. Certificates begin GT_CERTIFICATE_EARLY_MS before they are
 * made, so that a peer whose clock is behind takes them. Source: RFC 5280.
 */
#ifndef GT_LIB_CRYPTO_CERTIFICATE_H
#define GT_LIB_CRYPTO_CERTIFICATE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/crypto/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define GT_CERTIFICATE_EARLY_MS (2 * 24 * 3600 * (int64_t)1000)

/* A certificate and its private key, as text. */
struct gt_certificate {
    struct gt_buf pem, key;
};
#define GT_CERTIFICATE_INIT                                                                        \
    ((struct gt_certificate){.pem = GT_BUF_INIT(65536), .key = GT_BUF_INIT(65536)})
void gt_certificate_fini(struct gt_certificate *c); /* wipes the key */

/* An authority that signs itself and may sign nothing but certificates of servers. */
int gt_certificate_authority(const char *name, int64_t now, int64_t life,
                             struct gt_certificate *ret, struct gt_err *err);
/* A server's, for DNS names and addresses ("10.0.0.1", "::1"). */
int gt_certificate_issue(const struct gt_certificate *authority, const char *const *names, size_t n,
                         int64_t now, int64_t life, struct gt_certificate *ret, struct gt_err *err);

/* Whether it is of this authority, belongs to its key and has all the names. */
bool gt_certificate_fits(const struct gt_certificate *c, const struct gt_certificate *authority,
                         const char *const *names, size_t n);
/* When it ends; 0: it cannot be read. */
int64_t gt_certificate_end(const struct gt_certificate *c);
/* SHA-256 over the DER form of the first certificate in a PEM text, in hex. */
int gt_certificate_hash(struct gt_str pem, char to[static GT_SHA256_HEX], struct gt_err *err);

#endif
