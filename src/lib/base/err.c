#include "lib/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int status;
    const char *aws;
} kinds[] = {
#define X(name, status, aws) [GT_ERR_##name] = {status, aws},
    GT_ERR_KINDS(X)
#undef X
};

static int kind_errno(enum gt_err_kind kind)
{
    switch (kind) {
    case GT_ERR_NONE:
        return 0;
    case GT_ERR_NOT_FOUND:
        return ENOENT;
    case GT_ERR_EXISTS:
        return EEXIST;
    case GT_ERR_CONFLICT:
        return EBUSY;
    case GT_ERR_LIMIT:
        return EDQUOT;
    case GT_ERR_DENIED:
    case GT_ERR_UNAUTHENTICATED:
        return EACCES;
    case GT_ERR_TOO_LARGE:
        return EMSGSIZE;
    case GT_ERR_THROTTLED:
        return EAGAIN;
    case GT_ERR_TIMEOUT:
        return ETIMEDOUT;
    case GT_ERR_UNAVAILABLE:
        return ECONNREFUSED;
    case GT_ERR_UNSUPPORTED:
    case GT_ERR_UNKNOWN_OPERATION:
        return EOPNOTSUPP;
    case GT_ERR_CORRUPT:
        return EBADMSG;
    case GT_ERR_IO:
    case GT_ERR_INTERNAL:
        return EIO;
    case GT_ERR_INVALID:
    case GT_ERR_VALIDATION:
    case GT_ERR_MALFORMED:
    default:
        return EINVAL;
    }
}

static enum gt_err_kind errno_kind(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return GT_ERR_NOT_FOUND;
    case EEXIST:
        return GT_ERR_EXISTS;
    case EACCES:
    case EPERM:
        return GT_ERR_DENIED;
    case ETIMEDOUT:
        return GT_ERR_TIMEOUT;
    default:
        return GT_ERR_IO;
    }
}

static int fill(struct gt_err *err, enum gt_err_kind kind, const char *aws_code, int sys,
                const char *fmt, va_list ap) __attribute__((format(printf, 5, 0)));

static int fill(struct gt_err *err, enum gt_err_kind kind, const char *aws_code, int sys,
                const char *fmt, va_list ap)
{
    if (err) {
        /* The arguments may point into err->msg: format first, store after. */
        char msg[sizeof err->msg];
        vsnprintf(msg, sizeof msg, fmt, ap);
        err->kind = kind;
        err->sys_errno = sys;
        err->aws_code = aws_code;
        memcpy(err->msg, msg, sizeof msg);
    }
    return sys ? -sys : -kind_errno(kind);
}

int gt_err_set(struct gt_err *err, enum gt_err_kind kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = fill(err, kind, NULL, 0, fmt, ap);
    va_end(ap);
    return r;
}

int gt_err_aws(struct gt_err *err, enum gt_err_kind kind, const char *aws_code, const char *fmt,
               ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = fill(err, kind, aws_code, 0, fmt, ap);
    va_end(ap);
    return r;
}

int gt_err_errno(struct gt_err *err, int errnum, const char *fmt, ...)
{
    int sys = abs(errnum);
    va_list ap;
    va_start(ap, fmt);
    int r = fill(err, errno_kind(sys), NULL, sys ? sys : EIO, fmt, ap);
    va_end(ap);
    if (err) {
        size_t used = strlen(err->msg);
        snprintf(err->msg + used, sizeof err->msg - used, ": %s", strerror(sys));
    }
    return r;
}

int gt_err_wrap(struct gt_err *err, const char *fmt, ...)
{
    if (!err) {
        return -EIO;
    }
    char old[sizeof err->msg];
    memcpy(old, err->msg, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    size_t used = strlen(err->msg);
    snprintf(err->msg + used, sizeof err->msg - used, ": %.*s", (int)sizeof old - 1, old);
    return gt_err_code(err);
}

int gt_err_code(const struct gt_err *err)
{
    return err->sys_errno ? -err->sys_errno : -kind_errno(err->kind);
}

int gt_err_http_status(const struct gt_err *err)
{
    return kinds[err->kind].status;
}

const char *gt_err_aws_name(const struct gt_err *err)
{
    return err->aws_code ? err->aws_code : kinds[err->kind].aws;
}
