#include "gt_test.h"

#include "lib/base/mem.h"
#include "node/agent/standing.h"

GT_TEST(each_refusal_is_told_apart)
{
    static const struct {
        const char *exception;
        bool registering;
        enum standing_kind kind;
        const char *says;
    } cases[] = {
        {"", false, STANDING_AWAY, "trying again"},
        {"ThrottlingException", true, STANDING_AWAY, "trying again"},
        {"UnrecognizedClientException", true, STANDING_REFUSED, "remove /s/agent/node.json"},
        {"InvalidSignatureException", false, STANDING_REFUSED, "gantry token create"},
        {"StaleSessionException", false, STANDING_AWAY, "trying again"},
        {"StaleSessionException", true, STANDING_SUPERSEDED, "changes nothing any more"},
        {"InactiveNodeException", true, STANDING_REMOVED, "what the server said"},
    };
    struct gt_err err;
    gt_err_set(&err, GT_ERR_DENIED, "what the server said");
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct standing s;
        standing_judge(cases[i].exception, &err, cases[i].registering, "/s", &s);
        assert_int_equal(s.kind, cases[i].kind);
        assert_non_null(strstr(s.text, cases[i].says));
        assert_non_null(strstr(s.text, "what the server said"));
    }
}

GT_TEST(pauses_grow_to_their_most)
{
    int64_t away = 0, refused = 0;
    for (int i = 0; i < 20; i++) {
        int64_t a = standing_pause(STANDING_AWAY, away);
        int64_t r = standing_pause(STANDING_SUPERSEDED, refused);
        assert_true(a >= away && r >= refused && a > 0);
        away = a;
        refused = r;
    }
    assert_int_equal(away, 2000);
    assert_int_equal(refused, 60000);
    assert_int_equal(standing_pause(STANDING_AWAY, refused), 2000);
}

GT_RUN(GT_CASE(each_refusal_is_told_apart), GT_CASE(pauses_grow_to_their_most))
