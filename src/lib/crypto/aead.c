#include "lib/crypto/aead.h"

#include "lib/base/mem.h"

#include <openssl/evp.h>

/* One pass; when opening, `tag` is checked. */
static bool pass(bool seal, const unsigned char *key, const unsigned char *nonce,
                 struct gt_str bound, struct gt_str from, unsigned char *to, unsigned char *tag)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    const unsigned char *text = (const unsigned char *)from.p;
    int len = 0;

    bool ok = c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1 &&
              EVP_CipherUpdate(c, NULL, &len, (const unsigned char *)bound.p, (int)bound.n) == 1 &&
              EVP_CipherUpdate(c, to, &len, text, (int)from.n) == 1;
    if (ok && !seal) {
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, GT_AEAD_TAG, tag) == 1;
    }
    ok = ok && EVP_CipherFinal_ex(c, to + len, &len) == 1;
    if (ok && seal) {
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, GT_AEAD_TAG, tag) == 1;
    }
    EVP_CIPHER_CTX_free(c);
    return ok;
}

void gt_aead_seal(const unsigned char key[static GT_AEAD_KEY],
                  const unsigned char nonce[static GT_AEAD_NONCE], struct gt_str bound,
                  struct gt_str text, unsigned char *to, unsigned char tag[static GT_AEAD_TAG])
{
    bool ok = pass(/* seal= */ true, key, nonce, bound, text, to, tag);
    GT_ASSERT(ok);
}

bool gt_aead_open(const unsigned char key[static GT_AEAD_KEY],
                  const unsigned char nonce[static GT_AEAD_NONCE], struct gt_str bound,
                  struct gt_str sealed, const unsigned char tag[static GT_AEAD_TAG],
                  unsigned char *to)
{
    unsigned char copy[GT_AEAD_TAG];
    memcpy(copy, tag, sizeof(copy));
    return pass(/* seal= */ false, key, nonce, bound, sealed, to, copy);
}
