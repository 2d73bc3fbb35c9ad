#include "control/services/sts/session.h"

#include "lib/base/base64.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/crypto/aead.h"
#include "lib/crypto/digest.h"
#include "store/record/gen/rec_iam.h"
#include "store/record/record.h"

#include <errno.h>
#include <stdio.h>

enum { HEAD = GT_AEAD_NONCE + GT_AEAD_TAG };

/* Each key for one purpose. */
static void derive(const unsigned char *secret, const char *purpose, unsigned char out[static 32])
{
    gt_hmac_sha256(secret, 32, purpose, strlen(purpose), out);
}

void sts_sealer_init(struct sts_sealer *s, const unsigned char secret[static 32])
{
    derive(secret, "gantry-session-seal-1", s->seal);
    derive(secret, "gantry-session-key-1", s->secrets);
}

static void secret_of(const struct sts_sealer *s, struct gt_str key_id,
                      char to[static STS_KEY_SECRET])
{
    unsigned char mac[GT_SHA256_LEN];
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64);
    gt_hmac_sha256(s->secrets, sizeof s->secrets, key_id.p, key_id.n, mac);
    gt_base64_encode(mac, 30, &b);
    snprintf(to, STS_KEY_SECRET, "%s", b.p);
    gt_wipe(b.p, b.n);
    gt_wipe(mac, sizeof(mac));
}

static void make_key_id(char to[static STS_KEY_ID])
{
    unsigned char bytes[16];
    gt_rand_bytes(bytes, sizeof(bytes));
    snprintf(to, STS_KEY_ID, STS_KEY_PREFIX);
    for (int i = 0; i < 16; i++) {
        to[4 + i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bytes[i] & 31];
    }
    to[20] = '\0';
}

static void encode(const struct principal_session *session, struct rec_iam_session *rec,
                   struct gt_arena *arena, struct gt_buf *to)
{
    rec->role_id = session->role_id;
    rec->name = session->name;
    rec->issued_at = session->issued_at;
    rec->expires_at = session->expires_at;
    rec->policy = session->policy;
    rec->source_identity = session->source_identity;
    rec->tags.n = session->n_tags;
    rec->tags.v = gt_arena_array(arena, struct rec_iam_session_tag, session->n_tags + 1);
    for (size_t i = 0; i < session->n_tags; i++) {
        const struct principal_tag *t = &session->tags[i];
        rec->tags.v[i] = (struct rec_iam_session_tag){
            .key = t->key, .value = t->value, .transitive = t->transitive};
    }
    rec_encode(&rec_iam_session_desc, rec, to);
}

int sts_session_make(const struct sts_sealer *s, struct gt_str account, struct gt_str role,
                     const struct principal_session *session, struct gt_arena *arena,
                     struct sts_keys *ret, struct gt_err *err)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(64 * 1024), token = GT_BUF_INIT(STS_LIMIT_TOKEN);
    unsigned char raw[HEAD + STS_LIMIT_SESSION];

    make_key_id(ret->key_id);
    struct rec_iam_session rec = {.key_id = gt_str(ret->key_id), .account = account, .role = role};
    encode(session, &rec, arena, &text);
    if (!gt_buf_ok(&text) || text.n > STS_LIMIT_SESSION) {
        return gt_err_aws(err, GT_ERR_INVALID, "PackedPolicyTooLargeException",
                          "Packed size of session policies and tags consumes more than 100%% of "
                          "the allotted space.");
    }
    gt_rand_bytes(raw, GT_AEAD_NONCE);
    gt_aead_seal(s->seal, raw, (struct gt_str){0}, gt_buf_view(&text), raw + HEAD,
                 raw + GT_AEAD_NONCE);
    gt_base64_encode(raw, HEAD + text.n, &token);
    secret_of(s, rec.key_id, ret->secret);
    ret->token = gt_str_n(gt_arena_str(arena, gt_buf_view(&token)), token.n);
    ret->expires_at = session->expires_at;
    ret->packed_percent = (int)(text.n * 100 / STS_LIMIT_SESSION);
    return 0;
}

static void fill(const struct rec_iam_session *rec, struct gt_str token, struct gt_arena *arena,
                 struct principal *ret)
{
    struct principal_session *session = gt_arena_new(arena, struct principal_session);
    struct principal_tag *tags = gt_arena_array(arena, struct principal_tag, rec->tags.n + 1);
    for (size_t i = 0; i < rec->tags.n; i++) {
        tags[i] = (struct principal_tag){.key = rec->tags.v[i].key,
                                         .value = rec->tags.v[i].value,
                                         .transitive = rec->tags.v[i].transitive};
    }
    *session = (struct principal_session){
        .role_id = rec->role_id,
        .name = rec->name,
        .policy = rec->policy,
        .source_identity = rec->source_identity,
        .token = token,
        .issued_at = rec->issued_at,
        .expires_at = rec->expires_at,
        .tags = tags,
        .n_tags = rec->tags.n,
    };
    *ret = (struct principal){
        .kind = PRINCIPAL_ROLE,
        .account = rec->account,
        .key_id = rec->key_id,
        .name = rec->role,
        .session = session,
        .arn = gt_str(gt_arena_printf(
            arena, "arn:aws:sts::" GT_STR_FMT ":assumed-role/" GT_STR_FMT "/" GT_STR_FMT,
            GT_STR_ARG(rec->account), GT_STR_ARG(rec->role), GT_STR_ARG(rec->name))),
    };
}

int sts_session_open(const struct sts_sealer *s, struct gt_str key_id, struct gt_str token,
                     struct gt_arena *arena, char secret[static STS_KEY_SECRET],
                     struct principal *ret)
{
    gt_auto_buf struct gt_buf raw = GT_BUF_INIT(HEAD + STS_LIMIT_SESSION);
    void *rec;
    if (token.n == 0 || token.n > STS_LIMIT_TOKEN || gt_base64_decode(token, &raw) < 0 ||
        !gt_buf_ok(&raw) || raw.n <= HEAD) {
        return -EBADMSG;
    }
    const unsigned char *bytes = (const unsigned char *)raw.p;
    struct gt_str sealed = gt_str_n(raw.p + HEAD, raw.n - HEAD);
    char *text = gt_arena_alloc(arena, sealed.n);
    if (!gt_aead_open(s->seal, bytes, (struct gt_str){0}, sealed, bytes + GT_AEAD_NONCE,
                      (unsigned char *)text) ||
        rec_decode(&rec_iam_session_desc, gt_str_n(text, sealed.n), arena, &rec, NULL) < 0) {
        return -EBADMSG;
    }
    const struct rec_iam_session *r = rec;
    if (!gt_str_eq(r->key_id, key_id)) {
        return -EBADMSG;
    }
    secret_of(s, key_id, secret);
    fill(r, gt_str(gt_arena_str(arena, token)), arena, ret);
    return 0;
}
