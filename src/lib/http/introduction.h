/*
 * What a server says of itself to a machine that wants to join (GET /_gantry/introduction): its
 * region, and the certificate of its own authority, if it has one.
 *
 * Nobody is believed yet. With `hash` (SHA-256 of the authority's certificate, from the token) the
 * connection is not verified, but the certificate must have that hash; further calls are verified
 * against it. Without one the connection itself is verified, against ca_file or the system's
 * authorities.
 */
#ifndef GT_LIB_HTTP_INTRODUCTION_H
#define GT_LIB_HTTP_INTRODUCTION_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct introduction {
    char region[64];
    struct gt_buf authority; /* PEM; n == 0: it has none. The caller's to free, on errors too. */
};

/* What it said, which nobody has vouched for: GT_ERR_CORRUPT when it makes no sense. */
int introduction_parse(struct gt_str answer, struct introduction *ret, struct gt_err *err);

/* GT_ERR_DENIED: it is not the server that is meant. GT_ERR_UNAVAILABLE: nobody answered. hash and
 * ca_file may be NULL. */
int introduction_fetch(const char *endpoint, const char *hash, const char *ca_file,
                       struct introduction *ret, struct gt_err *err);

#endif
