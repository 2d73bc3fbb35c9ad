/*
 * Errors: a value on the caller's stack that says what was tried, on what, and why it failed.
 *
 * A function returns 0 (or a count) on success and a negative errno otherwise. One that knows what
 * it was doing takes `struct gt_err *err` as its last parameter (NULL allowed) and fills it before
 * it returns. Messages are lower case, quote values, and leave out the words "error" and "failed".
 * Library code never logs an error that it returns.
 */
#ifndef GT_LIB_BASE_ERR_H
#define GT_LIB_BASE_ERR_H

#include <stdarg.h>

/* kind, HTTP status, the AWS exception that a service without a better name of its own answers */
#define GT_ERR_KINDS(X)                                                                            \
    X(NONE, 200, "")                                                                               \
    X(INVALID, 400, "InvalidParameterException")                                                   \
    X(VALIDATION, 400, "ValidationException")                                                      \
    X(UNSUPPORTED, 400, "UnsupportedFeatureException")                                             \
    X(UNKNOWN_OPERATION, 400, "UnknownOperationException")                                         \
    X(MALFORMED, 400, "SerializationException")                                                    \
    X(NOT_FOUND, 400, "ResourceNotFoundException")                                                 \
    X(EXISTS, 400, "ResourceAlreadyExistsException")                                               \
    X(CONFLICT, 400, "ConflictException")                                                          \
    X(LIMIT, 400, "LimitExceededException")                                                        \
    X(DENIED, 400, "AccessDeniedException")                                                        \
    X(UNAUTHENTICATED, 403, "UnrecognizedClientException")                                         \
    X(TOO_LARGE, 413, "RequestEntityTooLargeException")                                            \
    X(THROTTLED, 400, "ThrottlingException")                                                       \
    X(TIMEOUT, 504, "RequestTimeoutException")                                                     \
    X(UNAVAILABLE, 503, "ServiceUnavailableException")                                             \
    X(IO, 500, "InternalServerError")                                                              \
    X(CORRUPT, 500, "InternalServerError")                                                         \
    X(INTERNAL, 500, "InternalServerError")

enum gt_err_kind {
#define X(name, status, aws) GT_ERR_##name,
    GT_ERR_KINDS(X)
#undef X
};

struct gt_err {
    enum gt_err_kind kind;
    int sys_errno;        /* positive; 0 when no system call is behind it */
    const char *aws_code; /* static text that overrides the kind's exception name; NULL: none */
    char msg[512];
};

#define GT_ERR_INIT ((struct gt_err){0})

/* Fills err and returns the negative errno that belongs to the kind (-EINVAL, -ENOENT ...). */
int gt_err_set(struct gt_err *err, enum gt_err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As above, with an exception name of the service's own. `aws_code` must be static text. */
int gt_err_aws(struct gt_err *err, enum gt_err_kind kind, const char *aws_code, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));

/* A system call on something did not work: appends ": <strerror>". errnum may have either sign.
 * Returns -|errnum|. */
int gt_err_errno(struct gt_err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message on the way up. Returns the negative errno already there. */
int gt_err_wrap(struct gt_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int gt_err_code(const struct gt_err *err);        /* the negative errno; 0 when nothing is set */
int gt_err_http_status(const struct gt_err *err); /* 200 when nothing is set */
const char *gt_err_aws_name(const struct gt_err *err); /* aws_code, or the kind's */

#endif
