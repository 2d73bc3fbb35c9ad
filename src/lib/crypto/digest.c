#include "lib/crypto/digest.h"

#include "lib/base/hex.h"
#include "lib/base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>

/* Fetched once: EVP_sha256() would look the provider up at every use, 0.3 us each. */
static EVP_MD *sha256_md;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    GT_ASSERT(sha256_md);
}

void gt_sha256_init(struct gt_sha256 *s)
{
    pthread_once(&once, fetch);
    s->ctx = EVP_MD_CTX_new();
    GT_ASSERT(s->ctx);
    gt_sha256_restart(s);
}

void gt_sha256_restart(struct gt_sha256 *s)
{
    int ok = EVP_DigestInit_ex2(s->ctx, sha256_md, NULL);
    GT_ASSERT(ok == 1);
}

void gt_sha256_add(struct gt_sha256 *s, const void *p, size_t n)
{
    int ok = EVP_DigestUpdate(s->ctx, p, n);
    GT_ASSERT(ok == 1);
}

void gt_sha256_final(struct gt_sha256 *s, unsigned char out[static GT_SHA256_LEN])
{
    int ok = EVP_DigestFinal_ex(s->ctx, out, NULL);
    GT_ASSERT(ok == 1);
}

void gt_sha256_fini(struct gt_sha256 *s)
{
    EVP_MD_CTX_free(s->ctx);
    s->ctx = NULL;
}

/* The one-shot forms run on every request: they use the plain block functions, which allocate
 * nothing. OpenSSL calls them deprecated but they are the same code as behind EVP. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

void gt_sha256(const void *p, size_t n, unsigned char out[static GT_SHA256_LEN])
{
    SHA256_CTX c;
    SHA256_Init(&c);
    SHA256_Update(&c, p, n);
    SHA256_Final(out, &c);
}

void gt_hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
                    unsigned char out[static GT_SHA256_LEN])
{
    unsigned char block[64] = {0}, pad[64];
    SHA256_CTX c;

    if (key_len > sizeof(block)) {
        gt_sha256(key, key_len, block);
    } else if (key_len > 0) {
        memcpy(block, key, key_len);
    }
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] = block[i] ^ 0x36;
    }
    SHA256_Init(&c);
    SHA256_Update(&c, pad, sizeof(pad));
    SHA256_Update(&c, p, n);
    SHA256_Final(out, &c);
    for (size_t i = 0; i < sizeof(pad); i++) {
        pad[i] = block[i] ^ 0x5c;
    }
    SHA256_Init(&c);
    SHA256_Update(&c, pad, sizeof(pad));
    SHA256_Update(&c, out, GT_SHA256_LEN);
    SHA256_Final(out, &c);
    gt_wipe(block, sizeof(block));
    gt_wipe(pad, sizeof(pad));
    gt_wipe(&c, sizeof(c));
}

#pragma GCC diagnostic pop

void gt_sha256_hex(const void *p, size_t n, char out[static GT_SHA256_HEX])
{
    unsigned char digest[GT_SHA256_LEN];
    gt_sha256(p, n, digest);
    gt_hex_encode(digest, sizeof(digest), out);
}

bool gt_const_eq(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

void gt_wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}
