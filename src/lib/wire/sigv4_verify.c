#include "lib/wire/sigv4_priv.h"

#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

void sigv4_put_date(int64_t ms, char out[static 17])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 17, "%Y%m%dT%H%M%SZ", &tm);
}

static int invalid(struct gt_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int invalid(struct gt_err *err, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "InvalidSignatureException", "%s", text);
}

static int check_time(const struct sigv4_auth *a, int64_t now, struct gt_err *err)
{
    int64_t early = a->time - SIGV4_SKEW_MS;
    int64_t late = a->presigned ? a->time + a->expires * 1000 : a->time + SIGV4_SKEW_MS;
    char sent[17], here[17], bound[17];

    if (now >= early && now <= late) {
        return 0;
    }
    sigv4_put_date(a->time, sent);
    sigv4_put_date(now, here);
    if (now > late) {
        sigv4_put_date(a->presigned ? now : now - SIGV4_SKEW_MS, bound);
        return a->presigned
                   ? invalid(err, "Signature expired: %s is now earlier than %s", sent, bound)
                   : invalid(err, "Signature expired: %s is now earlier than %s (%s - 5 min.)",
                             sent, bound, here);
    }
    sigv4_put_date(now + SIGV4_SKEW_MS, bound);
    return invalid(err, "Signature not yet current: %s is still later than %s (%s + 5 min.)", sent,
                   bound, here);
}

static bool is_signed(struct gt_str signed_headers, struct gt_str any_case)
{
    while (signed_headers.n > 0) {
        const char *sep = memchr(signed_headers.p, ';', signed_headers.n);
        size_t n = sep ? (size_t)(sep - signed_headers.p) : signed_headers.n;
        if (sigv4_name_eq(any_case, gt_str_n(signed_headers.p, n))) {
            return true;
        }
        n += sep ? 1 : 0;
        signed_headers.p += n;
        signed_headers.n -= n;
    }
    return false;
}

/* Whatever steers the request must be under the signature: host, and every x-amz-* header. */
static int check_signed_headers(const struct sigv4_request *rq, const struct sigv4_auth *a,
                                struct gt_err *err)
{
    size_t hosts;
    if (!is_signed(a->headers, GT_STR_LIT("host")) || !sigv4_header_find(rq, "host", &hosts) ||
        hosts != 1) {
        return invalid(err, "'Host' or ':authority' must be a 'SignedHeader' in the AWS "
                            "Authorization.");
    }
    for (size_t i = 0; i < rq->n_headers; i++) {
        struct gt_str name = rq->headers[i].name;
        bool amz = name.n > 6 && sigv4_name_eq(gt_str_n(name.p, 6), GT_STR_LIT("x-amz-"));
        if (amz && !is_signed(a->headers, name)) {
            return invalid(err,
                           "The header '" GT_STR_FMT "' must be a 'SignedHeader' in the AWS "
                           "Authorization.",
                           GT_STR_ARG(name));
        }
    }
    return 0;
}

static int check_token(const struct sigv4_auth *a, const struct sigv4_check *c, struct gt_err *err)
{
    struct gt_str want = c->secret->token;
    bool same = a->token.n == want.n && gt_const_eq(a->token.p, want.p, want.n);

    if (!same) {
        return sigv4_unknown_key(err);
    }
    if (c->secret->token_expires && c->now >= c->secret->token_expires) {
        return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "ExpiredTokenException",
                          "The security token included in the request is expired");
    }
    return 0;
}

static bool is_hash(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
            return false;
        }
    }
    return s.n == GT_SHA256_HEX - 1;
}

/* What stands for the body in the canonical request. */
static int payload(const struct sigv4_auth *a, const struct sigv4_check *c, struct gt_str *ret,
                   struct gt_err *err)
{
    if (gt_str_is(a->payload_hash, SIGV4_UNSIGNED_PAYLOAD)) {
        *ret = a->payload_hash;
        return c->allow_unsigned_payload
                   ? 0
                   : invalid(err, "The payload of this request must be signed.");
    }
    if (a->payload_hash.p && !is_hash(a->payload_hash)) {
        return invalid(err, "The value of 'x-amz-content-sha256' is not valid.");
    }
    if (!c->body_sha256) {
        *ret = a->payload_hash;
        return a->payload_hash.p ? 0 : invalid(err, "'x-amz-content-sha256' is missing.");
    }
    *ret = gt_str(c->body_sha256);
    if (a->payload_hash.p && !gt_str_eq(a->payload_hash, *ret)) {
        return invalid(err, "The value of 'x-amz-content-sha256' does not match the SHA-256 of "
                            "the body.");
    }
    return 0;
}

static int check_signature(const struct sigv4_request *rq, const struct sigv4_auth *a,
                           const struct sigv4_check *c, struct gt_str hash, struct gt_err *err)
{
    gt_auto_buf struct gt_buf canonical = GT_BUF_INIT(SIGV4_CANONICAL_MAX);
    unsigned char key[GT_SHA256_LEN];
    char want[GT_SHA256_HEX];

    gt_buf_reserve(&canonical, 1024);
    sigv4_canonical(rq, a->service, a->headers, hash, &canonical);
    sigv4_signing_key(c->keys, c->secret->secret, a->key_id, a->date, a->region, a->service, key);
    sigv4_signature_hex(key, a->amz_date, a->date, a->region, a->service, gt_buf_view(&canonical),
                        want);
    gt_wipe(key, sizeof(key));
    bool same = gt_buf_ok(&canonical) && a->signature.n == GT_SHA256_HEX - 1 &&
                gt_const_eq(a->signature.p, want, GT_SHA256_HEX - 1);
    return same ? 0
                : invalid(err, "The request signature we calculated does not match the signature "
                               "you provided. Check your AWS Secret Access Key and signing method. "
                               "Consult the service documentation for details.");
}

int sigv4_verify(const struct sigv4_request *rq, const struct sigv4_auth *auth,
                 const struct sigv4_check *check, struct gt_err *err)
{
    struct gt_str hash;
    int r = check_time(auth, check->now, err);

    if (r == 0) {
        r = check_signed_headers(rq, auth, err);
    }
    if (r == 0 && check->service && !gt_str_is(auth->service, check->service)) {
        r = invalid(err, "Credential should be scoped to correct service: '%s'.", check->service);
    }
    if (r == 0) {
        r = payload(auth, check, &hash, err);
    }
    if (r == 0) {
        r = check_signature(rq, auth, check, hash, err);
    }
    /* Last: who cannot sign learns nothing of a token's life. */
    return r == 0 ? check_token(auth, check, err) : r;
}
