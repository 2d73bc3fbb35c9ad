/*
 * Heads of signed requests. Input: lines; the first is "METHOD target", the others "Name: value".
 * A signature must never verify: the secret is not in the corpus.
 */
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"
#include "lib/wire/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gt_str cut(struct gt_str *rest, char at)
{
    const char *sep = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    struct gt_str piece = gt_str_n(rest->p, sep ? (size_t)(sep - rest->p) : rest->n);
    size_t used = piece.n + (sep ? 1 : 0);
    rest->p += used;
    rest->n -= used;
    return piece;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sigv4_header headers[SIGV4_MAX_HEADERS + 2];
    struct sigv4_request rq = {.headers = headers};
    struct gt_str rest = gt_str_n((const char *)data, size), line = cut(&rest, '\n');
    struct sigv4_auth auth;
    struct gt_arena arena;
    struct gt_err err = GT_ERR_INIT;

    rq.method = cut(&line, ' ');
    rq.path = cut(&line, '?');
    rq.query = line;
    while (rest.n > 0 && rq.n_headers < GT_ARRAY_LEN(headers)) {
        line = cut(&rest, '\n');
        struct gt_str name = cut(&line, ':');
        headers[rq.n_headers++] = (struct sigv4_header){name, line};
    }
    gt_arena_init(&arena, GT_MIB);
    if (sigv4_parse(&rq, &arena, &auth, &err) == 0) {
        unsigned char secret[24];
        char hash[GT_SHA256_HEX];
        gt_sha256_hex("", 0, hash);
        memset(secret, 's', sizeof(secret));
        struct sigv4_secret s = {.secret = gt_str_n((char *)secret, sizeof(secret))};
        struct sigv4_check check = {.secret = &s, .now = auth.time, .body_sha256 = hash};
        int r = sigv4_verify(&rq, &auth, &check, &err);
        GT_ASSERT(r < 0);
    }
    gt_arena_fini(&arena);
    return 0;
}
