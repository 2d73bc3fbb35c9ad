#include "control/services/logs/pattern.h"

#include "gt_test.h"

static struct gt_arena arena;

static bool matches(const char *pattern, const char *event)
{
    struct log_pattern p;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(log_pattern_parse(gt_str(pattern), &arena, &p, &err), err);
    return log_pattern_match(&p, gt_str(event));
}

GT_TEST(terms_phrases_alternatives_exclusions)
{
    static const struct {
        const char *pattern, *event;
        bool want;
    } cases[] = {
        {"", "anything", true},
        {"  ", "anything", true},
        {"ERROR", "[ERROR] 42", true},
        {"ERROR", "[error] 42", false},
        {"ERROR Exception", "Exception: ERROR", true},
        {"ERROR Exception", "only ERROR", false},
        {"\"out of memory\"", "it is out of memory now", true},
        {"\"out of memory\"", "out  of memory", false},
        {"\"say \\\"hi\\\"\"", "they say \"hi\" again", true},
        {"?ERROR ?WARN", "WARN: x", true},
        {"?ERROR ?WARN", "INFO: x", false},
        {"ERROR -Exiting", "ERROR going on", true},
        {"ERROR -Exiting", "ERROR Exiting", false},
        {"-\"shut down\"", "all is shut down", false},
        {"-\"shut down\"", "all is up", true},
        {"ERROR ?WARN", "ERROR", true},
        {"ERROR ?WARN", "WARN", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (matches(cases[i].pattern, cases[i].event) != cases[i].want) {
            fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].event);
        }
    }
}

GT_TEST(conditions_on_json)
{
    static const char event[] = "{\"user\": {\"id\": 17, \"name\": \"Ann B\"}, \"list\": [{\"x\": "
                                "\"one\"}, {\"x\": \"two\"}],"
                                " \"ok\": true, \"bad\": false, \"none\": null, \"t\": -1.5e2, \"a "
                                "b\": \"q\\\"q\", \"s\": \"42\"}";
    static const struct {
        const char *pattern;
        bool want;
    } cases[] = {
        {"{ $.user.id = 17 }", true},
        {"{$.user.id=17}", true},
        {"{ $.user.id = 1.7e1 }", true},
        {"{ $.user.id != 17 }", false},
        {"{ $.user.id > 16 && $.user.id <= 17 }", true},
        {"{ $.user.id < 17 || $.t < -149 }", true},
        {"{ $.t >= -150 }", true},
        {"{ $.user.id = 1* }", true},
        {"{ $.user.name = \"Ann B\" }", true},
        {"{ $.user.name = \"Ann*\" }", true},
        {"{ $.user.name = *B }", true},
        {"{ $.user.name = Ann }", false},
        {"{ $.user.name != \"Bob\" }", true},
        {"{ $.user.name > 5 }", false},
        {"{ $.list[1].x = two }", true},
        {"{ $.list[0].x = two }", false},
        {"{ $.list[*].x = two }", true},
        {"{ $.list[7].x = two }", false},
        {"{ $.list = two }", false},
        {"{ $.user != two }", false},
        {"{ $.ok IS TRUE }", true},
        {"{ $.ok IS FALSE }", false},
        {"{ $.bad IS FALSE }", true},
        {"{ $.none IS NULL }", true},
        {"{ $.ok IS NULL }", false},
        {"{ $.gone NOT EXISTS }", true},
        {"{ $.user.id NOT EXISTS }", false},
        {"{ $.user NOT EXISTS }", false},
        {"{ $.gone != 1 }", false},
        {"{ $.gone.deeper = 1 }", false},
        {"{ $['a b'] = \"q\\\"q\" }", true},
        {"{ $.['a b'] = q* }", true},
        {"{ $.s = 42 }", true},
        {"{ ($.user.id = 1 || $.ok IS TRUE) && $.s = \"4*\" }", true},
        {"{ $.user.id = 1 || $.ok IS TRUE && $.s = 5 }", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (matches(cases[i].pattern, event) != cases[i].want) {
            fail_msg("%s", cases[i].pattern);
        }
    }
    assert_false(matches("{ $.a NOT EXISTS }", "no JSON"));
    assert_true(matches("{ $.a NOT EXISTS }", "{}"));
    assert_true(matches("{ $[0] = 1 }", "[1]"));
}

GT_TEST(conditions_on_fields)
{
    static const char event[] =
        "127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] \"GET /index.html HTTP/1.0\" 404 1534";
    static const struct {
        const char *pattern;
        bool want;
    } cases[] = {
        {"[ip, user, username, timestamp, request, status_code, bytes]", true},
        {"[ip, user, username, timestamp, request, status_code]", false},
        {"[ip, user, username, timestamp, request, status_code, bytes, more]", false},
        {"[ip, ..., status_code, bytes]", true},
        {"[ip, user, username, timestamp, request, status_code = 4*, bytes]", true},
        {"[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes > 1500]", true},
        {"[ip, user, username, timestamp, request, status_code = 5*, bytes]", false},
        {"[..., status_code=404 || status_code=410, bytes]", true},
        {"[..., (status_code=500 || status_code=404) && status_code!=410, bytes]", true},
        {"[..., bytes<1000]", false},
        {"[ip=127.0.0.*, ...]", true},
        {"[ip!=127.0.0.1, ...]", false},
        {"[ip, user, name=frank, ...]", true},
        {"[ip, user, name=\"frank\", time=\"10/Oct*\", ...]", true},
        {"[a, b, c, d, e, f, g, ...]", true},
        {"[a, b, c, d, e, f, g, h, ...]", false},
        {"[...]", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (matches(cases[i].pattern, event) != cases[i].want) {
            fail_msg("%s", cases[i].pattern);
        }
    }
    assert_true(matches("[w1=ERROR, w2]", "ERROR  here"));
    assert_false(matches("[w1=ERROR, w2]", "WARN here"));
    assert_true(matches("[a]", "\"open"));
}

GT_TEST(what_is_not_there_is_refused)
{
    static const char *const bad[] = {"%re%",
                                      "\"open",
                                      "?",
                                      "-",
                                      "\"\"",
                                      "a\"b\"",
                                      "\"a\"b",
                                      "{",
                                      "{}",
                                      "{ $.a }",
                                      "{ $.a = }",
                                      "{ $.a = 1",
                                      "{ $.a = 1 } x",
                                      "{ a = 1 }",
                                      "{ $ = 1 }",
                                      "{ $.a[x] = 1 }",
                                      "{ $.a[0 = 1 }",
                                      "{ $.a = %re% }",
                                      "{ $.a IS NEW }",
                                      "{ $.a NOT 1 }",
                                      "{ $.a < b }",
                                      "{ ($.a = 1 }",
                                      "{ $.a = 1 && }",
                                      "{ $.a = \"x }",
                                      "[",
                                      "[]",
                                      "[a, ]",
                                      "[a b]",
                                      "[..., ...]",
                                      "[a=%re%]",
                                      "[a=1 && b=2]",
                                      "[a] x",
                                      "[a",
                                      "x { $.a = 1 }",
                                      "[a<x]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct log_pattern p;
        struct gt_err err = GT_ERR_INIT;
        assert_int_equal(log_pattern_parse(gt_str(bad[i]), &arena, &p, &err), -EINVAL);
        assert_string_equal(gt_err_aws_name(&err), "InvalidParameterException");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {GT_CASE(terms_phrases_alternatives_exclusions),
                                       GT_CASE(conditions_on_json), GT_CASE(conditions_on_fields),
                                       GT_CASE(what_is_not_there_is_refused)};
    gt_arena_init(&arena, 1 << 20);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    gt_arena_fini(&arena);
    return r;
}
