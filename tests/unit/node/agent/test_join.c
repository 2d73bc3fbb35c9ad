#include "gt_test.h"

#include "lib/base/mem.h"
#include "node/agent/join.h"

#define SECRET "00112233445566778899aabbccddeeff"
#define HASH SECRET SECRET

GT_TEST(tokens)
{
    static const struct {
        const char *text, *key_id, *hash;
    } good[] = {
        {"a1b2c3." SECRET "." HASH, "GTJOIN-a1b2c3", HASH},
        {"  a1b2c3." SECRET "\n", "GTJOIN-a1b2c3", ""},
        {"0a-0b." SECRET, "GTJOIN-0a-0b", ""},
    };
    static const char *const bad[] = {
        "",
        ".",
        "a",
        "a.b",
        "a." SECRET "0",
        "." SECRET,
        "a." SECRET "." SECRET,
        "a." SECRET "." HASH "0",
        "a." SECRET "." HASH ".",
        "a." SECRET "." HASH ".x",
        "A." SECRET,
        "a.0011223344556677 8899aabbccddeef",
        "a b." SECRET,
        "0000000000" SECRET SECRET "." SECRET,
    };
    struct join_token t;
    struct gt_err err = GT_ERR_INIT;
    for (size_t i = 0; i < GT_ARRAY_LEN(good); i++) {
        gt_assert_ok(join_token_parse(gt_str(good[i].text), &t, &err), err);
        assert_string_equal(t.key_id, good[i].key_id);
        assert_string_equal(t.secret, SECRET);
        assert_string_equal(t.hash, good[i].hash);
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        assert_true(join_token_parse(gt_str(bad[i]), &t, &err) < 0);
    }
    assert_true(join_token_parse(gt_str_n("a\0." SECRET, 3 + 32), &t, &err) < 0);
}

GT_TEST(urls)
{
    static const struct {
        const char *text, *url;
    } good[] = {
        {"https://server:4566", "https://server:4566"},
        {"https://server/", "https://server"},
        {"10.0.0.1:4566", "https://10.0.0.1:4566"},
        {"http://127.0.0.1:1", "http://127.0.0.1:1"},
        {"http://localhost:1", "http://localhost:1"},
        {"http://[::1]:1", "http://[::1]:1"},
        {"https://[fd00::1]:1", "https://[fd00::1]:1"},
    };
    static const char *const bad[] = {"",
                                      "https://",
                                      "http:///",
                                      "://",
                                      "http://10.0.0.1:4566",
                                      "http://server",
                                      "http://localhost.evil:1",
                                      "ftp://server",
                                      "https://server/path",
                                      "https://user@server",
                                      "https://a b",
                                      "http://127.0.0.1@evil:1"};
    char to[64];
    struct gt_err err;
    for (size_t i = 0; i < GT_ARRAY_LEN(good); i++) {
        gt_assert_ok(join_url(good[i].text, to, sizeof to, &err), err);
        assert_string_equal(to, good[i].url);
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        assert_true(join_url(bad[i], to, sizeof to, &err) < 0);
    }
    char small[8];
    assert_true(join_url("https://server:4566", small, sizeof small, &err) < 0);
    assert_true(join_url("a-long-name-before-the://", small, sizeof small, &err) < 0);
}

GT_RUN(GT_CASE(tokens), GT_CASE(urls))
