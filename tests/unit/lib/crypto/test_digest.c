#include "gt_test.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"

/* FIPS 180-4 examples */
static const struct {
    const char *text, *hex;
} digests[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

GT_TEST(sha256)
{
    struct gt_sha256 s;
    gt_sha256_init(&s);
    for (size_t i = 0; i < GT_ARRAY_LEN(digests); i++) {
        char hex[GT_SHA256_HEX];
        unsigned char out[GT_SHA256_LEN];
        size_t n = strlen(digests[i].text);
        gt_sha256_hex(digests[i].text, n, hex);
        assert_string_equal(hex, digests[i].hex);

        gt_sha256_restart(&s);
        for (size_t k = 0; k < n; k++) {
            gt_sha256_add(&s, digests[i].text + k, 1);
        }
        gt_sha256_final(&s, out);
        gt_hex_encode(out, sizeof(out), hex);
        assert_string_equal(hex, digests[i].hex);
    }
    gt_sha256_fini(&s);
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block) */
GT_TEST(hmac)
{
    unsigned char key[131], out[GT_SHA256_LEN];
    char hex[GT_SHA256_HEX];

    memset(key, 0x0b, 20);
    gt_hmac_sha256(key, 20, "Hi There", 8, out);
    gt_hex_encode(out, sizeof(out), hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    gt_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    gt_hex_encode(out, sizeof(out), hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    gt_hmac_sha256(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First", 54,
                   out);
    gt_hex_encode(out, sizeof(out), hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

GT_TEST(compares)
{
    assert_true(gt_const_eq("abc", "abc", 3));
    assert_false(gt_const_eq("abc", "abd", 3));
    assert_true(gt_const_eq("", "", 0));
}

GT_RUN(GT_CASE(sha256), GT_CASE(hmac), GT_CASE(compares))
