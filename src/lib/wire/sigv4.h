/*
 * AWS Signature Version 4: verification of requests, and signing of our own.
 *
 * Verification has three steps, because who the key belongs to is not known here:
 *   1. sigv4_parse() reads the Authorization header or the X-Amz-* query parameters;
 *   2. the caller looks up auth.key_id (unknown: sigv4_unknown_key());
 *   3. sigv4_verify() checks time, scope, session token and signature.
 *
 * Errors are GT_ERR_UNAUTHENTICATED with the name that JSON services use in aws_code
 * (MissingAuthenticationTokenException, IncompleteSignatureException, UnrecognizedClientException,
 * InvalidSignatureException, ExpiredTokenException); call.h translates it for XML services.
 *
 * Source: "Create a signed AWS API request", AWS IAM user guide; botocore/auth.py for what clients
 * do. Paths are encoded twice, except for the service s3. There is no replay cache: two identical
 * calls in one second are legal.
 */
#ifndef GT_LIB_WIRE_SIGV4_H
#define GT_LIB_WIRE_SIGV4_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdint.h>

enum { SIGV4_SKEW_MS = 5 * 60 * 1000, SIGV4_MAX_EXPIRES = 7 * 24 * 3600, SIGV4_MAX_HEADERS = 100 };

#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct sigv4_header {
    struct gt_str name, value; /* the name in any case; the value as received */
};

/* A request as it stands on the wire; nothing decoded. */
struct sigv4_request {
    struct gt_str method; /* "POST" */
    struct gt_str path;   /* "/", before the '?' */
    struct gt_str query;  /* after the '?'; may be empty */
    const struct sigv4_header *headers;
    size_t n_headers;
};

struct sigv4_auth {
    bool presigned;          /* in the query string */
    struct gt_str key_id;    /* access key id */
    struct gt_str date;      /* of the scope: "20261123" */
    struct gt_str region;    /* of the scope */
    struct gt_str service;   /* of the scope */
    struct gt_str headers;   /* signed ones: "host;x-amz-date" */
    struct gt_str signature; /* 64 hex digits */
    struct gt_str amz_date;  /* "20261123T101112Z" */
    struct gt_str token;     /* session token; p NULL: none */
    /* What the request says of its body (x-amz-content-sha256): 64 hex digits or
     * UNSIGNED-PAYLOAD; p NULL: nothing. */
    struct gt_str payload_hash;
    int64_t time;    /* ms since 1970 */
    int64_t expires; /* seconds, presigned only */
};

/* Texts of `auth` point into the request or lie in the arena. */
int sigv4_parse(const struct sigv4_request *rq, struct gt_arena *arena, struct sigv4_auth *ret,
                struct gt_err *err);

/* The error for a key that does not exist. */
int sigv4_unknown_key(struct gt_err *err);

/* Derived signing keys, by (key id, date, region, service). Safe for several threads. */
struct sigv4_keys;
struct sigv4_keys *sigv4_keys_new(void);
void sigv4_keys_free(struct sigv4_keys *k);

struct sigv4_secret {
    struct gt_str secret;
    struct gt_str token;   /* session token that belongs to the key; p NULL: none */
    int64_t token_expires; /* ms since 1970; 0: never */
};

struct sigv4_check {
    const struct sigv4_secret *secret;
    const char *service; /* the scope must name it; NULL: any */
    int64_t now;         /* ms since 1970 */
    /* SHA-256 of the body in hex. NULL: the body is still to come; then the request must declare
     * it (auth.payload_hash), and the caller compares what it received with that. */
    const char *body_sha256;
    bool allow_unsigned_payload;
    struct sigv4_keys *keys; /* NULL: no cache */
};

int sigv4_verify(const struct sigv4_request *rq, const struct sigv4_auth *auth,
                 const struct sigv4_check *check, struct gt_err *err);

/*
 * Signing. libcurl 7.88 can sign too (CURLOPT_AWS_SIGV4), but takes the query as it stands: it is
 * right only for parameters in sorted order, fully encoded, and for paths without '%'.
 */
struct sigv4_signer {
    struct gt_str key_id, secret;
    struct gt_str token; /* p NULL: none */
    const char *region, *service;
    struct sigv4_keys *keys; /* NULL: no cache */
};

/*
 * The headers that the caller must send with the request, beside those in rq->headers. All of
 * rq->headers are signed; they must contain `host` and whatever else matters (content-type,
 * x-amz-target), and none of those that are made here. `body_sha256`: hex of the body's SHA-256,
 * or SIGV4_UNSIGNED_PAYLOAD.
 */
struct sigv4_signature {
    char amz_date[17];           /* x-amz-date */
    struct gt_str authorization; /* Authorization; points into `buf` */
    /* x-amz-content-sha256 (body_sha256) and, with a token, x-amz-security-token (token) are to be
     * sent too: both are signed. */
};
void sigv4_sign(const struct sigv4_request *rq, const struct sigv4_signer *signer, int64_t now,
                const char *body_sha256, struct gt_buf *buf, struct sigv4_signature *ret);

#endif
