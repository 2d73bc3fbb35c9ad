#include "control/services/ecr/token.h"

#include "lib/base/base64.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define MAC GT_SHA256_LEN
#define TEXT_MAX (1024 + STS_LIMIT_TOKEN)
/* Keeps this MAC apart from others under the same secret. */
#define PURPOSE "gantry-ecr-token-1\n"

static void mac(const unsigned char *secret, struct gt_str text, unsigned char out[static MAC])
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(TEXT_MAX + sizeof(PURPOSE));
    gt_buf_puts(&b, PURPOSE);
    gt_buf_str(&b, text);
    gt_hmac_sha256(secret, ECR_TOKEN_SECRET, b.p, b.n, out);
}

static bool fits(struct gt_str s, size_t size)
{
    return s.n > 0 && s.n < size && !memchr(s.p, '|', s.n) && !memchr(s.p, 0, s.n);
}

int ecr_token_make(const unsigned char secret[static ECR_TOKEN_SECRET], struct gt_str key_id,
                   struct gt_str account, struct gt_str region, struct gt_str session,
                   int64_t expires_ms, struct gt_buf *to)
{
    struct ecr_token t;
    if (!fits(key_id, sizeof(t.key_id)) || !fits(account, sizeof(t.account)) ||
        !fits(region, sizeof(t.region)) || (session.n && !fits(session, sizeof(t.session)))) {
        return -EINVAL;
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(TEXT_MAX);
    unsigned char sum[MAC];
    gt_buf_printf(&b, "%" PRId64 "|" GT_STR_FMT "|" GT_STR_FMT "|" GT_STR_FMT "%s" GT_STR_FMT,
                  expires_ms, GT_STR_ARG(key_id), GT_STR_ARG(account), GT_STR_ARG(region),
                  session.n ? "|" : "", GT_STR_ARG(session));
    mac(secret, gt_buf_view(&b), sum);
    gt_buf_add(&b, sum, sizeof(sum));
    gt_base64_encode(b.p, b.n, to);
    return 0;
}

static int refuse(struct gt_err *err, const char *why)
{
    return gt_err_set(err, GT_ERR_UNAUTHENTICATED, "%s", why);
}

/* The text up to the next '|' or the end, into `to`. */
static bool part(struct gt_str *s, char *to, size_t size)
{
    const char *bar = s->n ? memchr(s->p, '|', s->n) : NULL;
    size_t n = bar ? (size_t)(bar - s->p) : s->n;
    if (n == 0 || n >= size) {
        return false;
    }
    memcpy(to, s->p, n);
    to[n] = 0;
    *s = bar ? gt_str_n(bar + 1, s->n - n - 1) : (struct gt_str){0};
    return true;
}

int ecr_token_check(const unsigned char secret[static ECR_TOKEN_SECRET], struct gt_str password,
                    int64_t now_ms, struct ecr_token *ret, struct gt_err *err)
{
    static const char not_ours[] = "Your authorization token is not valid.";
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(TEXT_MAX + MAC + 4);
    if (password.n > GT_BASE64_LEN(TEXT_MAX + MAC) || gt_base64_decode(password, &b) < 0 ||
        !gt_buf_ok(&b) || b.n <= MAC) {
        return refuse(err, not_ours);
    }
    struct gt_str text = gt_str_n(b.p, b.n - MAC);
    unsigned char sum[MAC];
    mac(secret, text, sum);
    if (!gt_const_eq(sum, b.p + text.n, MAC)) {
        return refuse(err, not_ours);
    }
    char expires[24];
    struct ecr_token t;
    if (!part(&text, expires, sizeof(expires)) || !part(&text, t.key_id, sizeof(t.key_id)) ||
        !part(&text, t.account, sizeof(t.account)) || !part(&text, t.region, sizeof(t.region))) {
        return refuse(err, not_ours);
    }
    t.session[0] = '\0';
    if (text.n && !part(&text, t.session, sizeof(t.session))) {
        return refuse(err, not_ours);
    }
    t.expires_ms = strtoll(expires, NULL, 10);
    if (now_ms >= t.expires_ms) {
        return refuse(err, "Your authorization token has expired. Reauthenticate and try again.");
    }
    *ret = t;
    return 0;
}

int ecr_token_check_basic(const unsigned char secret[static ECR_TOKEN_SECRET],
                          struct gt_str authorization, int64_t now_ms, struct ecr_token *ret,
                          struct gt_err *err)
{
    static const char scheme[] = "Basic ", user[] = "AWS:";
    if (authorization.n < 6 || strncasecmp(authorization.p, scheme, 6) != 0) {
        return refuse(err, "no basic auth credentials");
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(2 * TEXT_MAX);
    struct gt_str code = gt_str_n(authorization.p + 6, authorization.n - 6);
    if (code.n > 4 * TEXT_MAX || gt_base64_decode(code, &b) < 0 || !gt_buf_ok(&b)) {
        return refuse(err, "the credentials are not base64");
    }
    struct gt_str plain = gt_buf_view(&b);
    if (!gt_str_starts(plain, gt_str(user))) {
        return refuse(err, "the user name is not AWS");
    }
    return ecr_token_check(secret, gt_str_n(plain.p + 4, plain.n - 4), now_ms, ret, err);
}
