#include "gt_test.h"
#include "lib/crypto/digest.h"
#include "lib/wire/sigv4.h"
#include "unit/lib/wire/sigv4_vectors.h"

struct fixture {
    struct sigv4_request rq;
    struct sigv4_header headers[12];
    struct gt_arena arena;
    struct sigv4_auth auth;
    struct sigv4_secret secret;
    struct sigv4_check check;
    char hash[GT_SHA256_HEX];
    struct gt_err err;
};

static void load(struct fixture *f, const struct vector *v)
{
    *f = (struct fixture){0};
    f->rq = (struct sigv4_request){.method = gt_str(v->method),
                                   .path = gt_str(v->path),
                                   .query = gt_str(v->query),
                                   .headers = f->headers};
    for (size_t i = 0; v->headers[i].name; i++) {
        f->headers[f->rq.n_headers++] =
            (struct sigv4_header){gt_str(v->headers[i].name), gt_str(v->headers[i].value)};
    }
    gt_arena_init(&f->arena, 65536);
    gt_sha256_hex(v->body, strlen(v->body), f->hash);
    f->secret = (struct sigv4_secret){.secret = gt_str(VECTOR_SECRET), .token = gt_str(v->token)};
    f->check = (struct sigv4_check){.secret = &f->secret,
                                    .service = v->service,
                                    .now = VECTOR_NOW,
                                    .body_sha256 = f->hash,
                                    .allow_unsigned_payload = gt_streq(v->service, "s3")};
    if (gt_streq(v->name, "presigned-s3")) { /* botocore signs UNSIGNED-PAYLOAD there */
        f->headers[f->rq.n_headers++] = (struct sigv4_header){GT_STR_LIT("x-amz-content-sha256"),
                                                              GT_STR_LIT(SIGV4_UNSIGNED_PAYLOAD)};
    }
}

static int run(struct fixture *f)
{
    f->err = GT_ERR_INIT;
    int r = sigv4_parse(&f->rq, &f->arena, &f->auth, &f->err);
    return r < 0 ? r : sigv4_verify(&f->rq, &f->auth, &f->check, &f->err);
}

static const struct vector *find(const char *name)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        if (gt_streq(vectors[i].name, name)) {
            return &vectors[i];
        }
    }
    fail_msg("no vector %s", name);
    return NULL;
}

static void expect(struct fixture *f, const char *code)
{
    int r = run(f);
    if (!code) {
        gt_assert_ok(r, f->err);
    } else {
        assert_true(r < 0);
        assert_int_equal(f->err.kind, GT_ERR_UNAUTHENTICATED);
        assert_string_equal(f->err.aws_code, code);
    }
    gt_arena_fini(&f->arena);
}

GT_TEST(botocore_signatures_verify)
{
    struct sigv4_keys *keys = sigv4_keys_new();
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
            struct fixture f;
            load(&f, &vectors[i]);
            if (gt_streq(vectors[i].name, "presigned-s3")) {
                f.rq.n_headers--; /* said in no header: see unsigned_payload */
                f.check.body_sha256 = SIGV4_UNSIGNED_PAYLOAD;
            }
            f.check.keys = keys;
            if (run(&f) < 0) {
                fail_msg("%s: %s", vectors[i].name, f.err.msg);
            }
            assert_true(gt_str_is(f.auth.key_id, VECTOR_KEY));
            assert_true(gt_str_is(f.auth.service, vectors[i].service));
            assert_true(gt_str_is(f.auth.region, "us-east-1"));
            gt_arena_fini(&f.arena);
        }
    }
    sigv4_keys_free(keys);
}

GT_TEST(any_change_is_refused)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        if (gt_streq(vectors[i].name, "presigned-s3")) {
            continue;
        }
        struct fixture f;
        load(&f, &vectors[i]);
        f.rq.method = GT_STR_LIT("PATCH");
        expect(&f, "InvalidSignatureException");
        load(&f, &vectors[i]);
        f.rq.path = GT_STR_LIT("/other");
        expect(&f, "InvalidSignatureException");
        load(&f, &vectors[i]);
        f.hash[5] ^= 1;
        expect(&f, "InvalidSignatureException");
        load(&f, &vectors[i]);
        f.headers[0].value = GT_STR_LIT("evil");
        expect(&f, "InvalidSignatureException");
        load(&f, &vectors[i]);
        f.secret.secret = GT_STR_LIT("other");
        expect(&f, "InvalidSignatureException");
        load(&f, &vectors[i]);
        f.check.service = "iam";
        expect(&f, "InvalidSignatureException");
    }
}

GT_TEST(a_changed_secret_is_not_served_from_the_cache)
{
    struct sigv4_keys *keys = sigv4_keys_new();
    struct fixture f;
    load(&f, find("json"));
    f.check.keys = keys;
    expect(&f, NULL);
    load(&f, find("json"));
    f.check.keys = keys;
    f.secret.secret = GT_STR_LIT("other");
    expect(&f, "InvalidSignatureException");
    load(&f, find("json"));
    f.check.keys = keys;
    expect(&f, NULL);
    sigv4_keys_free(keys);
}

GT_TEST(clocks)
{
    static const struct {
        const char *vector;
        int64_t off;
        const char *code, *message;
    } cases[] = {
        {"json", 300000, NULL, NULL},
        {"json", -300000, NULL, NULL},
        {"json", 300001, "InvalidSignatureException",
         "Signature expired: 20261123T101112Z is now earlier than 20261123T101112Z "
         "(20261123T101612Z - 5 min.)"},
        {"json", 600000, "InvalidSignatureException",
         "Signature expired: 20261123T101112Z is now earlier than 20261123T101612Z "
         "(20261123T102112Z - 5 min.)"},
        {"json", -301000, "InvalidSignatureException",
         "Signature not yet current: 20261123T101112Z is still later than 20261123T101111Z "
         "(20261123T100611Z + 5 min.)"},
        {"presigned", 899000, NULL, NULL},
        {"presigned", 901000, "InvalidSignatureException", NULL},
        {"presigned", -301000, "InvalidSignatureException", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        load(&f, find(cases[i].vector));
        f.check.now += cases[i].off;
        expect(&f, cases[i].code);
        if (cases[i].message) {
            assert_string_equal(f.err.msg, cases[i].message);
        }
    }
}

GT_TEST(tokens)
{
    struct fixture f;
    load(&f, find("token"));
    f.secret.token = (struct gt_str){0};
    expect(&f, "UnrecognizedClientException");
    load(&f, find("json"));
    f.secret.token = GT_STR_LIT("x");
    expect(&f, "UnrecognizedClientException");
    load(&f, find("presigned-token"));
    f.secret.token_expires = VECTOR_NOW;
    expect(&f, "ExpiredTokenException");
    load(&f, find("token"));
    f.secret.token_expires = VECTOR_NOW + 1;
    expect(&f, NULL);
}

GT_TEST(what_steers_must_be_signed)
{
    struct fixture f;
    load(&f, find("query"));
    f.headers[f.rq.n_headers++] =
        (struct sigv4_header){GT_STR_LIT("X-Amz-Target"), GT_STR_LIT("X.DeleteAll")};
    expect(&f, "InvalidSignatureException");
    load(&f, find("json")); /* a second host */
    f.headers[f.rq.n_headers++] = (struct sigv4_header){GT_STR_LIT("host"), GT_STR_LIT("b")};
    expect(&f, "InvalidSignatureException");
    load(&f, find("json")); /* not the signer's business */
    f.headers[f.rq.n_headers++] =
        (struct sigv4_header){GT_STR_LIT("X-Amzn-Trace-Id"), GT_STR_LIT("b")};
    expect(&f, NULL);
}

GT_TEST(malformed)
{
    static const struct {
        const char *authorization, *code;
    } cases[] = {
        {NULL, "MissingAuthenticationTokenException"},
        {"", "IncompleteSignatureException"},
        {"Basic abc", "IncompleteSignatureException"},
        {"AWS4-HMAC-SHA256", "IncompleteSignatureException"},
        {"AWS4-HMAC-SHA256 ,,,", "IncompleteSignatureException"},
        {"AWS4-HMAC-SHA256 Credential", "IncompleteSignatureException"},
        {"AWS4-HMAC-SHA256 Credential=a/20261123/r/s/aws4_request, Signature=x",
         "IncompleteSignatureException"},
        {"AWS4-HMAC-SHA256 Credential=a/20261123/r/aws4_request, SignedHeaders=host, Signature=x",
         "IncompleteSignatureException"},
        {"AWS4-HMAC-SHA256 Credential=a/20261124/us-east-1/ecs/aws4_request, SignedHeaders=host, "
         "Signature=x",
         "InvalidSignatureException"},
        {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/ecs/aws4_request, "
         "SignedHeaders=x-amz-date;x-amz-target, Signature=x",
         "InvalidSignatureException"},
        {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/ecs/aws4_request, "
         "SignedHeaders=host;;x-amz-date;x-amz-target, Signature=x",
         "InvalidSignatureException"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        load(&f, find("json"));
        for (size_t h = 0; h < f.rq.n_headers; h++) {
            if (gt_str_is(f.headers[h].name, "Authorization")) {
                f.headers[h] =
                    cases[i].authorization
                        ? (struct sigv4_header){f.headers[h].name, gt_str(cases[i].authorization)}
                        : (struct sigv4_header){GT_STR_LIT("x"), GT_STR_LIT("y")};
            }
        }
        expect(&f, cases[i].code);
    }
}

GT_TEST(payload_hashes)
{
    struct fixture f;
    load(&f, find("json"));
    f.headers[f.rq.n_headers++] = (struct sigv4_header){GT_STR_LIT("X-Amz-Content-Sha256"),
                                                        GT_STR_LIT(SIGV4_UNSIGNED_PAYLOAD)};
    expect(&f, "InvalidSignatureException"); /* not signed, and not allowed */
    load(&f, find("s3")); /* declares its hash: may be verified before the body came */
    f.check.body_sha256 = NULL;
    expect(&f, NULL);
    load(&f, find("json"));
    f.check.body_sha256 = NULL;
    expect(&f, "InvalidSignatureException");
}

GT_TEST(signs_what_it_verifies)
{
    static const char *const tokens[] = {NULL, "tok/en=="};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        gt_auto_buf struct gt_buf buf = GT_BUF_INIT(4096);
        struct sigv4_signature s;
        struct sigv4_header h[] = {{GT_STR_LIT("X-Amz-Target"), GT_STR_LIT("GantryAgent.Poll")},
                                   {GT_STR_LIT("Host"), GT_STR_LIT("127.0.0.1:4566")}};
        struct sigv4_request rq = {.method = GT_STR_LIT("POST"),
                                   .path = GT_STR_LIT("/_gantry/l"),
                                   .query = GT_STR_LIT("group=a%2Fb&stream=x&seq=1"),
                                   .headers = h,
                                   .n_headers = 2};
        struct sigv4_signer signer = {.key_id = GT_STR_LIT("K"),
                                      .secret = GT_STR_LIT("S"),
                                      .token = gt_str(tokens[i]),
                                      .region = "eu-west-1",
                                      .service = "gantry"};
        load(&f, find("json"));
        sigv4_sign(&rq, &signer, VECTOR_NOW, f.hash, &buf, &s);
        struct sigv4_header sent[] = {h[0],
                                      h[1],
                                      {GT_STR_LIT("x-amz-date"), gt_str(s.amz_date)},
                                      {GT_STR_LIT("x-amz-content-sha256"), gt_str(f.hash)},
                                      {GT_STR_LIT("Authorization"), s.authorization},
                                      {GT_STR_LIT("x-amz-security-token"), gt_str(tokens[i])}};
        f.rq = rq;
        f.rq.headers = sent;
        f.rq.n_headers = tokens[i] ? 6 : 5;
        f.secret = (struct sigv4_secret){.secret = GT_STR_LIT("S"), .token = gt_str(tokens[i])};
        f.check.service = "gantry";
        expect(&f, NULL);
    }
}

GT_RUN(GT_CASE(botocore_signatures_verify), GT_CASE(any_change_is_refused),
       GT_CASE(a_changed_secret_is_not_served_from_the_cache), GT_CASE(clocks), GT_CASE(tokens),
       GT_CASE(what_steers_must_be_signed), GT_CASE(malformed), GT_CASE(payload_hashes),
       GT_CASE(signs_what_it_verifies))
