#include "lib/wire/token.h"
#include "lib/wire/json.h"
#include "lib/wire/value.h"

#include "lib/base/base64.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/crypto/aead.h"
#include "lib/crypto/digest.h"

enum { NONCE = GT_AEAD_NONCE, TAG = GT_AEAD_TAG, MAX_TOKEN = 4096 };

void wire_token_params(const struct wire_op *op, const void *in, uint8_t ret[static 32])
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_API_BODY);

    for (uint32_t i = 0; i < op->in->n_members; i++) {
        const struct wire_member *m = &op->in->members[i];
        bool pages = (op->page.in && gt_streq(m->name, op->page.in)) ||
                     (op->page.limit && gt_streq(m->name, op->page.limit));
        if (!pages && wire_member_value(m, in)) {
            struct wire_member one = *m;
            const struct wire_shape shape = {
                .type = WIRE_STRUCTURE, .members = &one, .n_members = 1};
            one.location = WIRE_IN_BODY;
            wire_json_encode(&shape, in, &text);
        }
    }
    gt_sha256(text.p, text.n, ret);
}

/* What the token is bound to, each part with its length. */
static void put_scope(const struct wire_token_scope *scope, struct gt_buf *to)
{
    gt_buf_printf(to, "%zu:", scope->principal.n);
    gt_buf_str(to, scope->principal);
    gt_buf_printf(to, "%zu:%s", strlen(scope->operation), scope->operation);
    gt_buf_add(to, scope->params, sizeof(scope->params));
}

static void make_nonce(const uint8_t *key, struct gt_str bound, struct gt_str position,
                       unsigned char out[static NONCE])
{
    gt_auto_buf struct gt_buf all = GT_BUF_INIT(GT_MIB);
    unsigned char sub[GT_SHA256_LEN], mac[GT_SHA256_LEN];

    gt_hmac_sha256(key, WIRE_TOKEN_KEY_LEN, "nonce", 5, sub);
    gt_buf_str(&all, bound);
    gt_buf_str(&all, position);
    gt_hmac_sha256(sub, sizeof(sub), all.p, all.n, mac);
    memcpy(out, mac, NONCE);
    gt_wipe(sub, sizeof(sub));
}

struct gt_str wire_token_seal(const uint8_t key[static WIRE_TOKEN_KEY_LEN],
                              const struct wire_token_scope *scope, struct gt_str position,
                              struct gt_arena *arena)
{
    gt_auto_buf struct gt_buf bound = GT_BUF_INIT(64 * 1024), text = GT_BUF_INIT(MAX_TOKEN);
    unsigned char raw[NONCE + TAG + WIRE_TOKEN_MAX_POSITION];

    GT_ASSERT(position.n > 0 && position.n <= WIRE_TOKEN_MAX_POSITION);
    put_scope(scope, &bound);
    make_nonce(key, gt_buf_view(&bound), position, raw);
    gt_aead_seal(key, raw, gt_buf_view(&bound), position, raw + NONCE + TAG, raw + NONCE);
    gt_base64_encode(raw, NONCE + TAG + position.n, &text);
    for (size_t i = 0; i < text.n; i++) { /* the URL-safe alphabet: some clients do not escape */
        text.p[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
    }
    while (text.n > 0 && text.p[text.n - 1] == '=') {
        text.n--;
    }
    return gt_str_n(gt_arena_str(arena, gt_buf_view(&text)), text.n);
}

static int refuse(struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_INVALID, "Invalid token");
}

int wire_token_open(const uint8_t key[static WIRE_TOKEN_KEY_LEN],
                    const struct wire_token_scope *scope, struct gt_str token,
                    struct gt_arena *arena, struct gt_str *ret_position, struct gt_err *err)
{
    gt_auto_buf struct gt_buf bound = GT_BUF_INIT(64 * 1024), raw = GT_BUF_INIT(MAX_TOKEN);
    char text[MAX_TOKEN];

    if (token.n == 0 || token.n > sizeof(text)) {
        return refuse(err);
    }
    for (size_t i = 0; i < token.n; i++) {
        char c = token.p[i];
        text[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    if (gt_base64_decode(gt_str_n(text, token.n), &raw) < 0 || raw.n <= NONCE + TAG ||
        raw.n > NONCE + TAG + WIRE_TOKEN_MAX_POSITION) {
        return refuse(err);
    }
    put_scope(scope, &bound);
    size_t n = raw.n - NONCE - TAG;
    char *out = gt_arena_alloc(arena, n + 1);
    unsigned char *bytes = (unsigned char *)raw.p;
    if (!gt_aead_open(key, bytes, gt_buf_view(&bound), gt_str_n(raw.p + NONCE + TAG, n),
                      bytes + NONCE, (unsigned char *)out)) {
        return refuse(err);
    }
    *ret_position = gt_str_n(out, n);
    return 0;
}
