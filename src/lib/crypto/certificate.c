#include "lib/crypto/certificate.h"

#include "lib/base/mem.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

GT_DEFINE_AUTO(x509, X509 *, X509_free)
GT_DEFINE_AUTO(pkey, EVP_PKEY *, EVP_PKEY_free)

void gt_certificate_fini(struct gt_certificate *c)
{
    if (c->key.p) {
        gt_wipe(c->key.p, c->key.n);
    }
    gt_buf_fini(&c->key);
    gt_buf_fini(&c->pem);
}

/* --- to and from PEM */

static X509 *read_certificate(struct gt_str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)GT_MIN(pem.n, (size_t)65536));
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, (void *)"") : NULL;
    BIO_free(bio);
    return x;
}

static EVP_PKEY *read_key(struct gt_str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)GT_MIN(pem.n, (size_t)65536));
    EVP_PKEY *k = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
    BIO_free(bio);
    return k;
}

static bool write_pem(X509 *x, EVP_PKEY *key, struct gt_certificate *ret)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *p = NULL;
    bool ok = bio && PEM_write_bio_X509(bio, x) == 1;
    long n = ok ? BIO_get_mem_data(bio, &p) : 0;
    gt_buf_add(&ret->pem, p, (size_t)n);
    ok = ok && BIO_reset(bio) == 1 &&
         PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    n = ok ? BIO_get_mem_data(bio, &p) : 0;
    gt_buf_add(&ret->key, p, (size_t)n);
    BIO_free(bio);
    return ok;
}

/* --- making */

static bool extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static bool set_times(X509 *x, int64_t now, int64_t life)
{
    time_t from = (time_t)((now - GT_CERTIFICATE_EARLY_MS) / 1000);
    time_t until = (time_t)((now + life) / 1000);
    return ASN1_TIME_set(X509_getm_notBefore(x), from) &&
           ASN1_TIME_set(X509_getm_notAfter(x), until);
}

static bool set_serial(X509 *x)
{
    unsigned char bytes[16];
    BIGNUM *n = RAND_bytes(bytes, sizeof bytes) == 1 ? BN_bin2bn(bytes, sizeof bytes, NULL) : NULL;
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

/* Without extensions and signature. issuer NULL: itself. */
static bool begin(X509 *x, EVP_PKEY *key, const char *name, X509 *issuer, int64_t now, int64_t life)
{
    X509_NAME *subject = X509_get_subject_name(x);
    return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && set_times(x, now, life) &&
           X509_set_pubkey(x, key) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x)) == 1;
}

int gt_certificate_authority(const char *name, int64_t now, int64_t life,
                             struct gt_certificate *ret, struct gt_err *err)
{
    gt_auto(x509) X509 *x = X509_new();
    gt_auto(pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
    bool ok = x && key && begin(x, key, name, NULL, now, life) &&
              extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              extension(x, x, NID_subject_key_identifier, "hash") &&
              X509_sign(x, key, EVP_sha256()) > 0 && write_pem(x, key, ret);
    return ok ? 0 : gt_err_set(err, GT_ERR_INTERNAL, "make an authority's certificate");
}

static bool is_address(const char *name)
{
    unsigned char to[16];
    return inet_pton(AF_INET, name, to) == 1 || inet_pton(AF_INET6, name, to) == 1;
}

int gt_certificate_issue(const struct gt_certificate *authority, const char *const *names, size_t n,
                         int64_t now, int64_t life, struct gt_certificate *ret, struct gt_err *err)
{
    gt_auto(x509) X509 *ca = read_certificate(gt_buf_view(&authority->pem));
    gt_auto(pkey) EVP_PKEY *ca_key = read_key(gt_buf_view(&authority->key));
    gt_auto(x509) X509 *x = X509_new();
    gt_auto(pkey) EVP_PKEY *key = EVP_EC_gen("P-256");
    gt_auto_buf struct gt_buf alt = GT_BUF_INIT(65536);
    for (size_t i = 0; i < n; i++) {
        gt_buf_printf(&alt, "%s%s:%s", i ? "," : "", is_address(names[i]) ? "IP" : "DNS", names[i]);
    }
    bool ok = ca && ca_key && x && key && n > 0 && begin(x, key, "gantry server", ca, now, life) &&
              extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
              extension(x, ca, NID_key_usage, "critical,digitalSignature") &&
              extension(x, ca, NID_ext_key_usage, "serverAuth") &&
              extension(x, ca, NID_authority_key_identifier, "keyid:always") &&
              extension(x, ca, NID_subject_alt_name, alt.p) &&
              X509_sign(x, ca_key, EVP_sha256()) > 0 && write_pem(x, key, ret);
    return ok ? 0
              : gt_err_set(err, GT_ERR_INVALID, "make the server's certificate for '%.400s'",
                           alt.p ? alt.p : "");
}

/* --- looking */

bool gt_certificate_fits(const struct gt_certificate *c, const struct gt_certificate *authority,
                         const char *const *names, size_t n)
{
    gt_auto(x509) X509 *x = read_certificate(gt_buf_view(&c->pem));
    gt_auto(x509) X509 *ca = read_certificate(gt_buf_view(&authority->pem));
    gt_auto(pkey) EVP_PKEY *key = read_key(gt_buf_view(&c->key));
    bool ok = x && ca && key && X509_check_private_key(x, key) == 1 &&
              X509_verify(x, X509_get0_pubkey(ca)) == 1;
    for (size_t i = 0; ok && i < n; i++) {
        ok = is_address(names[i]) ? X509_check_ip_asc(x, names[i], 0) == 1
                                  : X509_check_host(x, names[i], 0, 0, NULL) == 1;
    }
    return ok;
}

int64_t gt_certificate_end(const struct gt_certificate *c)
{
    gt_auto(x509) X509 *x = read_certificate(gt_buf_view(&c->pem));
    struct tm tm;
    return x && ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

int gt_certificate_hash(struct gt_str pem, char to[static GT_SHA256_HEX], struct gt_err *err)
{
    gt_auto(x509) X509 *x = read_certificate(pem);
    unsigned char *der = NULL;
    int n = x ? i2d_X509(x, &der) : -1;
    if (n <= 0) {
        return gt_err_set(err, GT_ERR_CORRUPT, "there is no certificate in PEM form");
    }
    gt_sha256_hex(der, (size_t)n, to);
    OPENSSL_free(der);
    return 0;
}
