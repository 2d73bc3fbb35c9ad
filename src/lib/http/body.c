/* The body of a collected request: capped, inflated, and charged against the server's total. */
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/http/server_priv.h"

enum { GZIP_WINDOW = 15 + 16, FIRST_RESERVE = 64 * 1024 };

static bool refuse(struct http_req *rq, int status, enum gt_err_kind kind, const char *msg)
{
    struct gt_err err = GT_ERR_INIT;
    gt_err_set(&err, kind, "%s", msg);
    rq->course = HTTP_COURSE_DROP;
    http_body_free(rq);
    http_req_refuse(rq, status, &err, false);
    return false;
}

static bool too_large(struct http_req *rq)
{
    struct gt_err err = GT_ERR_INIT;
    gt_err_set(&err, GT_ERR_TOO_LARGE, "the request body has more than %llu bytes",
               (unsigned long long)rq->body_max);
    rq->course = HTTP_COURSE_DROP;
    http_body_free(rq);
    http_req_refuse(rq, 413, &err, false);
    return false;
}

/* Room for n more bytes, within the request's limit and the server's. */
static bool make_room(struct http_req *rq, size_t n)
{
    if (rq->body.n + n > rq->body_max) {
        return too_large(rq);
    }
    size_t before = rq->body.cap;
    gt_buf_reserve(&rq->body, n);
    size_t grown = rq->body.cap - before;
    rq->charged += grown;
    if (atomic_fetch_add(&rq->server->collected, grown) + grown > rq->server->max_collected) {
        return refuse(rq, 503, GT_ERR_UNAVAILABLE, "too many request bodies at once");
    }
    return true;
}

bool http_body_start(struct http_req *rq)
{
    rq->body = GT_BUF_INIT((size_t)rq->body_max);
    if (rq->head.encoded && !rq->head.gzip) {
        return refuse(rq, 415, GT_ERR_INVALID, "content encodings other than gzip are not known");
    }
    if (rq->head.content_length > 0 && (uint64_t)rq->head.content_length > rq->body_max) {
        return too_large(rq);
    }
    if (rq->head.gzip && rq->head.content_length != 0) {
        rq->inflate = gt_new(z_stream);
        GT_ASSERT(inflateInit2(rq->inflate, GZIP_WINDOW) == Z_OK);
        gt_sha256_init(&rq->sent);
        return true;
    }
    if (rq->head.content_length > 0) {
        return make_room(rq, (size_t)GT_MIN(rq->head.content_length, FIRST_RESERVE));
    }
    return true;
}

static bool inflate_some(struct http_req *rq, const char *p, size_t n)
{
    z_stream *z = rq->inflate;
    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    for (bool more = true; more && !rq->inflate_done;) {
        unsigned char out[8192];
        z->next_out = out;
        z->avail_out = sizeof(out);
        int zr = inflate(z, Z_NO_FLUSH);
        size_t got = sizeof(out) - z->avail_out;
        if (zr != Z_OK && zr != Z_STREAM_END && zr != Z_BUF_ERROR) {
            return refuse(rq, 400, GT_ERR_INVALID, "the request body is not valid gzip");
        }
        if (got > 0) {
            if (!make_room(rq, got)) {
                return false;
            }
            gt_buf_add(&rq->body, out, got);
        }
        rq->inflate_done = zr == Z_STREAM_END;
        more = zr == Z_OK && (z->avail_in > 0 || z->avail_out == 0);
    }
    if (rq->inflate_done && z->avail_in > 0) {
        return refuse(rq, 400, GT_ERR_INVALID, "the request body goes on after its gzip stream");
    }
    return true;
}

bool http_body_add(struct http_req *rq, const char *p, size_t n)
{
    if (rq->inflate != NULL) {
        gt_sha256_add(&rq->sent, p, n);
        return inflate_some(rq, p, n);
    }
    if (!make_room(rq, n)) {
        return false;
    }
    gt_buf_add(&rq->body, p, n);
    return true;
}

bool http_body_finish(struct http_req *rq)
{
    if (rq->inflate != NULL && !rq->inflate_done) {
        return refuse(rq, 400, GT_ERR_INVALID, "the request body is truncated gzip");
    }
    if (rq->inflate != NULL) {
        unsigned char sum[GT_SHA256_LEN];
        gt_sha256_final(&rq->sent, sum);
        gt_hex_encode(sum, sizeof(sum), rq->sent_hex);
    }
    return true;
}

void http_body_free(struct http_req *rq)
{
    if (rq->inflate != NULL) {
        inflateEnd(rq->inflate);
        gt_sha256_fini(&rq->sent);
        free(rq->inflate);
        rq->inflate = NULL;
    }
    gt_buf_fini(&rq->body);
    atomic_fetch_sub(&rq->server->collected, rq->charged);
    rq->charged = 0;
}
