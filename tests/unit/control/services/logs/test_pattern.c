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

GT_TEST(what_is_not_there_is_refused)
{
    static const char *const bad[] = {"{ $.a = 1 }", "[ip, user]", "%re%",   "\"open", "?",
                                      "-",           "\"\"",       "a\"b\"", "\"a\"b"};
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
                                       GT_CASE(what_is_not_there_is_refused)};
    gt_arena_init(&arena, 1 << 20);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    gt_arena_fini(&arena);
    return r;
}
