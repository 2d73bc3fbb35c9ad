#include "control/server/server_priv.h"

#include "lib/base/clock.h"
#include "lib/crypto/digest.h"

static void fill(struct http_req *rq, struct gt_arena *arena, struct sigv4_request *ret)
{
    size_t n = 0;
    const struct http_header *headers = http_req_headers(rq, &n);
    struct sigv4_header *h = gt_arena_array(arena, struct sigv4_header, n);
    for (size_t i = 0; i < n; i++) {
        h[i] = (struct sigv4_header){headers[i].name, headers[i].value};
    }
    *ret = (struct sigv4_request){.method = http_req_method_name(rq),
                                  .path = http_req_path(rq),
                                  .query = http_req_query(rq),
                                  .headers = h,
                                  .n_headers = n};
}

struct gt_str server_scope_service(struct http_req *rq, struct gt_arena *arena)
{
    struct sigv4_request s;
    struct sigv4_auth auth;
    fill(rq, arena, &s);
    return sigv4_parse(&s, arena, &auth, NULL) == 0 ? auth.service : (struct gt_str){0};
}

int server_known(struct server *s, struct http_req *rq, struct gt_arena *arena, struct gt_err *err)
{
    struct sigv4_request request;
    struct sigv4_auth auth;
    struct principal principal;
    char secret[64];
    fill(rq, arena, &request);
    int r = sigv4_parse(&request, arena, &auth, err);
    if (r == 0 && !keys_find(&s->keys, auth.key_id, secret, arena, &principal).p) {
        r = sigv4_unknown_key(err);
    }
    gt_wipe(secret, sizeof secret);
    return r;
}

int server_verify(struct server *s, struct http_req *rq, const struct gt_str *body,
                  struct gt_arena *arena, const char *service, struct sigv4_auth *auth,
                  struct principal *principal, struct gt_err *err)
{
    struct sigv4_request request;
    char secret[64], digest[GT_SHA256_HEX];
    fill(rq, arena, &request);
    int r = sigv4_parse(&request, arena, auth, err);
    if (r < 0) {
        return r;
    }
    struct sigv4_secret key = {.secret =
                                   keys_find(&s->keys, auth->key_id, secret, arena, principal)};
    if (!key.secret.p) {
        return sigv4_unknown_key(err);
    }
    const char *sent = body ? http_req_sent_sha256(rq) : NULL;
    if (body && !sent) {
        gt_sha256_hex(body->p, body->n, digest);
    }
    struct sigv4_check check = {.secret = &key,
                                .service = service,
                                .now = gt_clock_real_ms(),
                                .body_sha256 = sent   ? sent
                                               : body ? digest
                                                      : NULL,
                                .allow_unsigned_payload = !body,
                                .keys = s->signing_keys};
    return sigv4_verify(&request, auth, &check, err);
}
