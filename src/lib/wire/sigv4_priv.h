/* Shared by the files of SigV4. */
#ifndef GT_LIB_WIRE_SIGV4_PRIV_H
#define GT_LIB_WIRE_SIGV4_PRIV_H

#include "lib/crypto/digest.h"
#include "lib/wire/sigv4.h"

#define SIGV4_ALGORITHM "AWS4-HMAC-SHA256"
enum { SIGV4_CANONICAL_MAX = 128 * 1024 };

/* The header of that name (lower case), counting how many there are. */
const struct sigv4_header *sigv4_header_find(const struct sigv4_request *rq, const char *name,
                                             size_t *ret_count);
bool sigv4_name_eq(struct gt_str any_case, struct gt_str lower);

/* Appends the canonical request. The signature's own query parameter is left out. */
void sigv4_canonical(const struct sigv4_request *rq, struct gt_str service,
                     struct gt_str signed_headers, struct gt_str payload_hash, struct gt_buf *to);

/* The signing key, from the cache when there is one. */
void sigv4_signing_key(struct sigv4_keys *keys, struct gt_str secret, struct gt_str key_id,
                       struct gt_str date, struct gt_str region, struct gt_str service,
                       unsigned char out[static GT_SHA256_LEN]);

/* Signature in hex over a canonical request. */
void sigv4_signature_hex(const unsigned char key[static GT_SHA256_LEN], struct gt_str amz_date,
                         struct gt_str date, struct gt_str region, struct gt_str service,
                         struct gt_str canonical, char out[static GT_SHA256_HEX]);

void sigv4_put_date(int64_t ms, char out[static 17]); /* "20261123T101112Z" */

#endif
