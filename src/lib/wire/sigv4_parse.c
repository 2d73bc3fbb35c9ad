#include "lib/wire/sigv4_priv.h"
#include "lib/wire/timestamp.h"
#include "lib/wire/uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <time.h>

bool sigv4_name_eq(struct gt_str any_case, struct gt_str lower)
{
    if (any_case.n != lower.n) {
        return false;
    }
    for (size_t i = 0; i < lower.n; i++) {
        if (tolower((unsigned char)any_case.p[i]) != lower.p[i]) {
            return false;
        }
    }
    return true;
}

const struct sigv4_header *sigv4_header_find(const struct sigv4_request *rq, const char *name,
                                             size_t *ret_count)
{
    const struct sigv4_header *found = NULL;
    struct gt_str want = gt_str(name);
    *ret_count = 0;
    for (size_t i = 0; i < rq->n_headers; i++) {
        if (sigv4_name_eq(rq->headers[i].name, want)) {
            found = found ? found : &rq->headers[i];
            ++*ret_count;
        }
    }
    return found;
}

static int incomplete(struct gt_err *err, const char *what)
{
    return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "IncompleteSignatureException", "%s", what);
}

static int missing(struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "MissingAuthenticationTokenException",
                      "Missing Authentication Token");
}

int sigv4_unknown_key(struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "UnrecognizedClientException",
                      "The security token included in the request is invalid.");
}

static struct gt_str cut(struct gt_str *rest, char at)
{
    const char *sep = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    struct gt_str piece = gt_str_n(rest->p, sep ? (size_t)(sep - rest->p) : rest->n);
    size_t used = piece.n + (sep ? 1 : 0);
    rest->p += used;
    rest->n -= used;
    return piece;
}

static struct gt_str trim(struct gt_str s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* "AKID/20261123/us-east-1/ecs/aws4_request"; the key id itself has no slash. */
static bool parse_credential(struct gt_str text, struct sigv4_auth *a)
{
    a->key_id = cut(&text, '/');
    a->date = cut(&text, '/');
    a->region = cut(&text, '/');
    a->service = cut(&text, '/');
    if (!gt_str_is(text, "aws4_request") || a->date.n != 8) {
        return false;
    }
    return a->key_id.n > 0 && a->key_id.n <= 128 && a->region.n > 0 && a->region.n <= 64 &&
           a->service.n > 0 && a->service.n <= 64;
}

/* HTTP's own Date header, for clients that send no X-Amz-Date. */
static int parse_http_date(struct gt_str text, int64_t *ret)
{
    char copy[64];
    struct tm tm = {0};
    if (text.n >= sizeof(copy)) {
        return -1;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end) {
        return -1;
    }
    *ret = (int64_t)timegm(&tm) * 1000;
    return 0;
}

static int parse_date(const struct sigv4_request *rq, struct gt_arena *arena, struct sigv4_auth *a,
                      struct gt_err *err)
{
    size_t n;
    const struct sigv4_header *h = sigv4_header_find(rq, "x-amz-date", &n);

    if (!a->presigned && h) {
        a->amz_date = trim(h->value);
    } else if (!a->presigned) {
        h = sigv4_header_find(rq, "date", &n);
        if (!h) {
            return incomplete(err, "Authorization header requires existence of either a "
                                   "'X-Amz-Date' or a 'Date' header.");
        }
        if (parse_http_date(trim(h->value), &a->time) == 0) {
            char *text = gt_arena_alloc(arena, 17);
            sigv4_put_date(a->time, text);
            a->amz_date = gt_str(text);
        } else {
            a->amz_date = trim(h->value);
        }
    }
    if (a->amz_date.n != 16 || wire_time_parse(a->amz_date, &a->time) < 0) {
        return incomplete(err, "Date must be in ISO-8601 'basic format'.");
    }
    if (memcmp(a->amz_date.p, a->date.p, 8) != 0) {
        return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "InvalidSignatureException",
                          "Date in Credential scope does not match YYYYMMDD from ISO-8601 version "
                          "of date from HTTP.");
    }
    return 0;
}

static int parse_header(struct gt_str value, struct sigv4_auth *a, struct gt_err *err)
{
    struct gt_str rest = trim(value), scheme = cut(&rest, ' ');

    if (!gt_str_is(scheme, SIGV4_ALGORITHM)) {
        return incomplete(err, "Unsupported AWS 'algorithm' in the Authorization header.");
    }
    while (rest.n > 0) {
        struct gt_str pair = trim(cut(&rest, ',')), name = cut(&pair, '=');
        if (gt_str_is(name, "Credential")) {
            if (!parse_credential(pair, a)) {
                return incomplete(err, "Credential must have exactly 5 slash-delimited elements, "
                                       "e.g. keyid/date/region/service/term.");
            }
        } else if (gt_str_is(name, "SignedHeaders")) {
            a->headers = pair;
        } else if (gt_str_is(name, "Signature")) {
            a->signature = pair;
        } else {
            return incomplete(err, "The Authorization header holds an unknown or incomplete "
                                   "key=value pair.");
        }
    }
    if (!a->key_id.p || !a->headers.n || !a->signature.n) {
        return incomplete(err, "Authorization header requires 'Credential', 'SignedHeaders' and "
                               "'Signature' parameters.");
    }
    return 0;
}

static int parse_expires(struct gt_str text, int64_t *ret, struct gt_err *err)
{
    int64_t v = 0;
    bool ok = text.n > 0 && text.n <= 7;
    for (size_t i = 0; ok && i < text.n; i++) {
        ok = text.p[i] >= '0' && text.p[i] <= '9';
        v = v * 10 + (text.p[i] - '0');
    }
    if (!ok || v < 1 || v > SIGV4_MAX_EXPIRES) {
        return incomplete(err, "X-Amz-Expires must be a number between 1 and 604800 seconds.");
    }
    *ret = v;
    return 0;
}

static int parse_presigned(const struct sigv4_request *rq, struct gt_arena *arena,
                           struct sigv4_auth *a, struct gt_err *err)
{
    struct gt_str rest = rq->query, name, raw, value, algorithm = {0}, credential = {0},
                  expires = {0};
    const struct {
        const char *name;
        struct gt_str *to;
    } params[] = {
        {"X-Amz-Algorithm", &algorithm},      {"X-Amz-Credential", &credential},
        {"X-Amz-Date", &a->amz_date},         {"X-Amz-Expires", &expires},
        {"X-Amz-SignedHeaders", &a->headers}, {"X-Amz-Signature", &a->signature},
        {"X-Amz-Security-Token", &a->token},
    };
    while (wire_query_next(&rest, &name, &raw)) {
        for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
            if (!gt_str_is(name, params[i].name)) {
                continue;
            }
            if (params[i].to->p || !wire_uri_decode(raw, /* plus= */ false, arena, &value)) {
                return incomplete(err, "An X-Amz-* query parameter is repeated or malformed.");
            }
            *params[i].to = value;
        }
    }
    a->presigned = true;
    if (!gt_str_is(algorithm, SIGV4_ALGORITHM) || !parse_credential(credential, a) ||
        !a->amz_date.n || !a->headers.n || !a->signature.n) {
        return incomplete(err, "AWS query-string parameters must include 'X-Amz-Algorithm', "
                               "'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders' and "
                               "'X-Amz-Date'.");
    }
    return parse_expires(expires, &a->expires, err);
}

static bool asks_presigned(struct gt_str query)
{
    struct gt_str name, value;
    while (wire_query_next(&query, &name, &value)) {
        if (gt_str_is(name, "X-Amz-Signature") || gt_str_is(name, "X-Amz-Algorithm")) {
            return true;
        }
    }
    return false;
}

int sigv4_parse(const struct sigv4_request *rq, struct gt_arena *arena, struct sigv4_auth *ret,
                struct gt_err *err)
{
    size_t n, others;
    const struct sigv4_header *h = sigv4_header_find(rq, "authorization", &n);
    bool presigned = asks_presigned(rq->query);
    int r;

    *ret = (struct sigv4_auth){0};
    if (!h && !presigned) {
        return missing(err);
    }
    if (n > 1 || (h && presigned) || rq->n_headers > SIGV4_MAX_HEADERS) {
        return incomplete(err, "Only one way of authentication is allowed in a request.");
    }
    r = presigned ? parse_presigned(rq, arena, ret, err) : parse_header(h->value, ret, err);
    if (r < 0) {
        return r;
    }
    if (!presigned && (h = sigv4_header_find(rq, "x-amz-security-token", &others))) {
        ret->token = trim(h->value);
    }
    if ((h = sigv4_header_find(rq, "x-amz-content-sha256", &others))) {
        ret->payload_hash = trim(h->value);
    }
    return parse_date(rq, arena, ret, err);
}
