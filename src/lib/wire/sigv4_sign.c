#include "lib/wire/sigv4_priv.h"

#include "lib/base/mem.h"

#include <ctype.h>
#include <stdlib.h>

static int name_cmp(const void *a, const void *b)
{
    const struct sigv4_header *x = a, *y = b;
    return gt_str_cmp(x->name, y->name);
}

static struct gt_str lower(struct gt_str s, struct gt_arena *arena)
{
    char *to = gt_arena_str(arena, s);
    for (size_t i = 0; i < s.n; i++) {
        to[i] = (char)tolower((unsigned char)to[i]);
    }
    return gt_str_n(to, s.n);
}

/* The request's headers and ours, names in lower case, sorted. */
static size_t all_headers(const struct sigv4_request *rq, const struct sigv4_signer *s,
                          const char *amz_date, const char *body_sha256, struct gt_arena *arena,
                          struct sigv4_header *to)
{
    size_t n = 0;
    for (size_t i = 0; i < rq->n_headers; i++) {
        to[n++] = (struct sigv4_header){lower(rq->headers[i].name, arena), rq->headers[i].value};
    }
    to[n++] = (struct sigv4_header){GT_STR_LIT("x-amz-date"), gt_str(amz_date)};
    to[n++] = (struct sigv4_header){GT_STR_LIT("x-amz-content-sha256"), gt_str(body_sha256)};
    if (s->token.p) {
        to[n++] = (struct sigv4_header){GT_STR_LIT("x-amz-security-token"), s->token};
    }
    qsort(to, n, sizeof(*to), name_cmp);
    return n;
}

void sigv4_sign(const struct sigv4_request *rq, const struct sigv4_signer *signer, int64_t now,
                const char *body_sha256, struct gt_buf *buf, struct sigv4_signature *ret)
{
    gt_auto_buf struct gt_buf names = GT_BUF_INIT(16 * 1024);
    gt_auto_buf struct gt_buf canonical = GT_BUF_INIT(SIGV4_CANONICAL_MAX);
    struct sigv4_header headers[SIGV4_MAX_HEADERS + 3];
    struct sigv4_request whole = *rq;
    struct gt_arena arena;
    unsigned char key[GT_SHA256_LEN];
    char hex[GT_SHA256_HEX];

    GT_ASSERT(rq->n_headers <= SIGV4_MAX_HEADERS);
    gt_arena_init(&arena, 64 * 1024);
    sigv4_put_date(now, ret->amz_date);
    whole.headers = headers;
    whole.n_headers = all_headers(rq, signer, ret->amz_date, body_sha256, &arena, headers);
    for (size_t i = 0; i < whole.n_headers; i++) {
        if (i == 0 || !gt_str_eq(headers[i].name, headers[i - 1].name)) {
            gt_buf_puts(&names, i ? ";" : "");
            gt_buf_str(&names, headers[i].name);
        }
    }
    struct gt_str date = gt_str_n(ret->amz_date, 8), amz_date = gt_str(ret->amz_date);
    struct gt_str region = gt_str(signer->region), service = gt_str(signer->service);
    sigv4_canonical(&whole, service, gt_buf_view(&names), gt_str(body_sha256), &canonical);
    sigv4_signing_key(signer->keys, signer->secret, signer->key_id, date, region, service, key);
    sigv4_signature_hex(key, amz_date, date, region, service, gt_buf_view(&canonical), hex);
    gt_wipe(key, sizeof(key));

    size_t start = buf->n;
    gt_buf_printf(buf,
                  SIGV4_ALGORITHM " Credential=" GT_STR_FMT "/" GT_STR_FMT
                                  "/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
                  GT_STR_ARG(signer->key_id), GT_STR_ARG(date), signer->region, signer->service,
                  names.p, hex);
    ret->authorization = gt_str_n(buf->p + start, buf->n - start);
    gt_arena_fini(&arena);
}
