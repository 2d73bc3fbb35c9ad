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

void server_from(struct http_req *rq, struct gt_arena *arena, struct principal *p)
{
    char *address = gt_arena_alloc(arena, HTTP_ADDRESS);
    http_req_address(rq, address);
    p->source_ip = gt_str(address);
    p->secure = http_req_tls(rq);
}

/* Whose key it is: one that the server has, or that of a session, which its token says. */
static bool find_key(struct server *s, const struct sigv4_auth *auth, struct gt_arena *arena,
                     char to[static 64], struct sigv4_secret *ret_secret, struct principal *ret)
{
    struct gt_str prefix = GT_STR_LIT(STS_KEY_PREFIX);
    *ret_secret = (struct sigv4_secret){0};
    if (!gt_str_starts(auth->key_id, prefix)) {
        ret_secret->secret = keys_find(&s->keys, auth->key_id, to, arena, ret);
    } else if (sts_session_open(&s->sealer, auth->key_id, auth->token, arena, to, ret) == 0) {
        *ret_secret = (struct sigv4_secret){.secret = gt_str(to),
                                            .token = ret->session->token,
                                            .token_expires = ret->session->expires_at};
    }
    return ret_secret->secret.p != NULL;
}

int server_known(struct server *s, struct http_req *rq, struct gt_arena *arena, struct gt_err *err)
{
    struct sigv4_request request;
    struct sigv4_auth auth;
    struct principal principal;
    struct sigv4_secret key;
    char secret[64];
    fill(rq, arena, &request);
    int r = sigv4_parse(&request, arena, &auth, err);
    if (r == 0 && !find_key(s, &auth, arena, secret, &key, &principal)) {
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
    struct sigv4_secret key;
    if (!find_key(s, auth, arena, secret, &key, principal)) {
        return sigv4_unknown_key(err);
    }
    if (principal->session) {
        server_from(rq, arena, principal);
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
