#include "gt_test.h"

#include "node/image/remote_priv.h"

GT_TEST(reads_challenges)
{
    static const struct {
        const char *header;
        int scheme;
        const char *realm, *service, *scope;
    } cases[] = {
        {"Basic realm=\"x\"", CHALLENGE_BASIC, "", "", ""},
        {"basic", CHALLENGE_BASIC, "", "", ""},
        {"Bearer realm=\"https://a/token\",service=\"reg\",scope=\"repository:x:pull,push\"",
         CHALLENGE_BEARER, "https://a/token", "reg", "repository:x:pull,push"},
        {"bearer  realm=https://a/t , service=\"a \\\" b\"", CHALLENGE_BEARER, "https://a/t",
         "a \" b", ""},
        {"Bearer service=\"no realm\"", CHALLENGE_NONE, "", "no realm", ""},
        {"Bearer", CHALLENGE_NONE, "", "", ""},
        {"Bearer realm=\"open", CHALLENGE_BEARER, "open", "", ""},
        {"Negotiate", CHALLENGE_NONE, "", "", ""},
        {"", CHALLENGE_NONE, "", "", ""},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct remote_challenge ch;
        remote_challenge_parse(cases[i].header, &ch);
        assert_int_equal(ch.scheme, cases[i].scheme);
        assert_string_equal(ch.realm, cases[i].realm);
        assert_string_equal(ch.service, cases[i].service);
        assert_string_equal(ch.scope, cases[i].scope);
    }
}

GT_RUN(GT_CASE(reads_challenges))
