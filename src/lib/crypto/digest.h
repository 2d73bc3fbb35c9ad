/* SHA-256 and HMAC-SHA-256 over OpenSSL 3, and comparison that takes the same time for any input.
 */
#ifndef GT_LIB_CRYPTO_DIGEST_H
#define GT_LIB_CRYPTO_DIGEST_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { GT_SHA256_LEN = 32, GT_SHA256_HEX = 65 /* with the NUL */ };

/* Incremental. The context is OpenSSL's, allocated by init and freed by fini; final() leaves it
 * ready for init again without a new allocation. */
struct gt_sha256 {
    void *ctx;
};
void gt_sha256_init(struct gt_sha256 *s);
void gt_sha256_restart(struct gt_sha256 *s); /* begins anew, keeps the context */
void gt_sha256_add(struct gt_sha256 *s, const void *p, size_t n);
void gt_sha256_final(struct gt_sha256 *s, unsigned char out[static GT_SHA256_LEN]);
void gt_sha256_fini(struct gt_sha256 *s);

void gt_sha256(const void *p, size_t n, unsigned char out[static GT_SHA256_LEN]);
/* 64 lower-case hex digits and a NUL. */
void gt_sha256_hex(const void *p, size_t n, char out[static GT_SHA256_HEX]);

void gt_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
                    unsigned char out[static GT_SHA256_LEN]);

/* Equal length and bytes; how long it takes says nothing about where they differ. */
bool gt_const_eq(const void *a, const void *b, size_t n);

/* Overwrites a secret; not removed by the compiler. */
void gt_wipe(void *p, size_t n);

#endif
