/* One policy, one request, one verdict. */
#include "gt_test.h"
#include "json.h"

#include "lib/base/mem.h"

#include <time.h>

#define TASK "arn:aws:ecs:us-east-1:000000000000:task/default/0123"

static const struct gt_str team[] = {{"web", 3}}, keys[] = {{"team", 4}, {"env", 3}},
                           stars[] = {{"a*b", 3}}, ip[] = {{"10.1.2.3", 8}},
                           issued[] = {{"2026-11-25T12:00:00Z", 20}}, five[] = {{"5", 1}},
                           yes[] = {{"true", 4}}, mfa[] = {{"junk", 4}},
                           arn[] = {{"arn:aws:iam::000000000000:role/app/web", 38}};
static const struct policy_key context[] = {
    {{"aws:PrincipalTag/team", 21}, team, 1},
    {{"aws:TagKeys", 11}, keys, 2},
    {{"aws:Stars", 9}, stars, 1},
    {{"aws:SourceIp", 12}, ip, 1},
    {{"aws:TokenIssueTime", 18}, issued, 1},
    {{"ecs:count", 9}, five, 1},
    {{"aws:SecureTransport", 19}, yes, 1},
    {{"aws:Junk", 8}, mfa, 1},
    {{"aws:PrincipalArn", 16}, arn, 1},
};

static enum policy_effect judge(enum policy_kind kind, const char *statement,
                                const struct policy_request *rq)
{
    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    const struct policy *p;
    gt_arena_init(&a, 1024 * 1024);
    char *text = gt_arena_printf(&a, "{'Version': '2012-10-17', 'Statement': [%s]}", statement);
    if (policy_parse(quoted(&a, text), kind, &a, &p, &err) < 0) {
        fail_msg("%s: %s", statement, err.msg);
    }
    enum policy_effect e = policy_evaluate(p, rq);
    gt_arena_fini(&a);
    return e;
}

#define A(more) "{'Effect': 'Allow', " more "}"
#define D(more) "{'Effect': 'Deny', " more "}"
#define ANY "'Action': '*', 'Resource': '*'"

GT_TEST(actions_and_resources)
{
    static const struct {
        const char *statement;
        enum policy_effect want;
    } cases[] = {
        {A(ANY), POLICY_ALLOW},
        {A(ANY) "," D(ANY), POLICY_DENY},
        {D(ANY) "," A(ANY), POLICY_DENY},
        {A("'Action': 'ecs:stoptask', 'Resource': '*'"), POLICY_ALLOW},
        {A("'Action': ['s3:*', 'ecs:St?p*'], 'Resource': '*'"), POLICY_ALLOW},
        {A("'Action': 'ecs:StopTas', 'Resource': '*'"), POLICY_NEUTRAL},
        {A("'NotAction': 'ecs:Run*', 'Resource': '*'"), POLICY_ALLOW},
        {A("'NotAction': 'ecs:*', 'Resource': '*'"), POLICY_NEUTRAL},
        {A("'Action': '*', 'Resource': '" TASK "'"), POLICY_ALLOW},
        {A("'Action': '*', 'Resource': 'arn:aws:ecs:*:*:task/default/*'"), POLICY_ALLOW},
        {A("'Action': '*', 'Resource': 'arn:aws:ecs:*:*:TASK/default/*'"), POLICY_NEUTRAL},
        {A("'Action': '*', 'Resource': 'arn:aws:ecs:*'"), POLICY_ALLOW},
        {A("'Action': '*', 'Resource': 'arn:*'"), POLICY_ALLOW},
        /* a '*' stays in its part */
        {A("'Action': '*', 'Resource': 'arn:aws:*:task/default/0123'"), POLICY_NEUTRAL},
        {A("'Action': '*', 'Resource': 'arn:aws:ecs:us-east-?:000000000000:task/*/?1?3'"),
         POLICY_ALLOW},
        {A("'Action': '*', 'NotResource': 'arn:aws:ecs:*:*:task/other/*'"), POLICY_ALLOW},
        {A("'Action': '*', 'NotResource': 'arn:aws:ecs:*:*:task/def*'"), POLICY_NEUTRAL},
        {D("'Action': '*', 'Resource': 'arn:aws:s3:::b'"), POLICY_NEUTRAL},
        /* variables */
        {A("'Action': '*', 'Resource': 'arn:aws:ecs:*:*:task/${aws:None}/*'"), POLICY_NEUTRAL},
        {A("'Action': '*', 'NotResource': 'arn:aws:ecs:*:*:task/${aws:None}/*'"), POLICY_NEUTRAL},
        {D("'Action': '*', 'NotResource': 'arn:aws:ecs:*:*:task/${aws:None}/*'"), POLICY_DENY},
    };
    const struct policy_request rq = {.action = GT_STR_LIT("ecs:StopTask"),
                                      .resource = GT_STR_LIT(TASK),
                                      .keys = context,
                                      .n_keys = GT_ARRAY_LEN(context)};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        if (judge(POLICY_IDENTITY, cases[i].statement, &rq) != cases[i].want) {
            fail_msg("%s: not %d", cases[i].statement, cases[i].want);
        }
    }
}

GT_TEST(conditions)
{
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"'StringEquals': {'aws:principaltag/team': 'web'}", true},
        {"'StringEquals': {'aws:PrincipalTag/Team': ['db', 'web']}", true},
        {"'StringEquals': {'aws:PrincipalTag/team': 'WEB'}", false},
        {"'StringEquals': {'aws:PrincipalTag/team': 'w*'}", false},
        {"'StringEqualsIgnoreCase': {'aws:PrincipalTag/team': 'WEB'}", true},
        {"'StringNotEqualsIgnoreCase': {'aws:PrincipalTag/team': 'WEB'}", false},
        {"'StringLike': {'aws:PrincipalTag/team': 'w*b'}", true},
        {"'StringNotLike': {'aws:PrincipalTag/team': ['x*', 'w?b']}", false},
        {"'StringNotLike': {'aws:PrincipalTag/team': ['x*', 'y*']}", true},
        {"'StringEquals': {'aws:None': 'x'}", false},
        {"'StringNotEquals': {'aws:None': 'x'}", true},
        {"'StringEqualsIfExists': {'aws:None': 'x'}", true},
        {"'StringEqualsIfExists': {'aws:PrincipalTag/team': 'x'}", false},
        {"'Null': {'aws:None': 'true', 'aws:TagKeys': 'false'}", true},
        {"'Null': {'aws:TagKeys': true}", false},
        {"'ForAllValues:StringEquals': {'aws:TagKeys': ['team', 'env', 'x']}", true},
        {"'ForAllValues:StringEquals': {'aws:TagKeys': ['team']}", false},
        {"'ForAllValues:StringEquals': {'aws:None': ['team']}", true},
        {"'ForAnyValue:StringEquals': {'aws:TagKeys': ['team']}", true},
        {"'ForAnyValue:StringEquals': {'aws:TagKeys': ['x']}", false},
        {"'ForAnyValue:StringEquals': {'aws:None': ['x']}", false},
        {"'ForAnyValue:StringNotEquals': {'aws:None': ['x']}", false},
        {"'ForAnyValue:StringNotEquals': {'aws:TagKeys': ['team']}", true},
        {"'ForAllValues:StringNotEquals': {'aws:TagKeys': ['team']}", false},
        {"'StringEquals': {'aws:TagKeys': 'env'}", true},
        {"'StringNotEquals': {'aws:TagKeys': 'env'}", false},
        {"'StringLike': {'aws:Stars': 'a${*}b'}", true},
        {"'StringLike': {'aws:PrincipalTag/team': 'we${*}'}", false},
        {"'StringEquals': {'aws:PrincipalTag/team': '${aws:PrincipalTag/team}'}", true},
        {"'StringLike': {'aws:PrincipalTag/team': '${aws:Stars}'}", false},
        {"'StringNotEquals': {'aws:PrincipalTag/team': '${aws:None}'}", false},
        {"'IpAddress': {'aws:SourceIp': '10.0.0.0/8'}", true},
        {"'IpAddress': {'aws:SourceIp': ['10.1.2.4', '10.1.2.2/31']}", true},
        {"'NotIpAddress': {'aws:SourceIp': '10.1.2.3'}", false},
        {"'IpAddress': {'aws:SourceIp': '::/0'}", true},
        {"'IpAddress': {'aws:SourceIp': '11.0.0.0/8'}", false},
        {"'DateLessThan': {'aws:TokenIssueTime': '2026-11-25T12:00:01Z'}", true},
        {"'DateLessThan': {'aws:TokenIssueTime': '2026-11-25T12:00:00Z'}", false},
        {"'DateLessThanEquals': {'aws:TokenIssueTime': '2026-11-25T12:00:00Z'}", true},
        {"'DateGreaterThan': {'aws:TokenIssueTime': '2026-11-25'}", true},
        {"'NumericEquals': {'ecs:count': '5.0'}", true},
        {"'NumericNotEquals': {'ecs:count': 5}", false},
        {"'NumericGreaterThanEquals': {'ecs:count': 6}", false},
        {"'NumericLessThan': {'aws:Junk': 6}", false},
        {"'NumericLessThanIfExists': {'aws:Junk': 6}", false},
        {"'Bool': {'aws:SecureTransport': true}", true},
        {"'Bool': {'aws:SecureTransport': 'false'}", false},
        {"'ArnLike': {'aws:PrincipalArn': 'arn:aws:iam::*:role/*/web'}", true},
        {"'ArnEquals': {'aws:PrincipalArn': 'arn:aws:iam::000000000000:role/app/*'}", true},
        {"'ArnNotLike': {'aws:PrincipalArn': 'arn:aws:iam::*:role/*'}", false},
        /* every operator and every key must hold */
        {"'StringEquals': {'aws:PrincipalTag/team': 'web'}, 'Bool': {'aws:SecureTransport': false}",
         false},
        {"'StringEquals': {'aws:PrincipalTag/team': 'web', 'aws:Junk': 'x'}", false},
    };
    const struct policy_request rq = {.action = GT_STR_LIT("ecs:StopTask"),
                                      .resource = GT_STR_LIT(TASK),
                                      .keys = context,
                                      .n_keys = GT_ARRAY_LEN(context)};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        char statement[512];
        snprintf(statement, sizeof(statement), "{'Effect': 'Allow', " ANY ", 'Condition': {%s}}",
                 cases[i].condition);
        enum policy_effect e = judge(POLICY_IDENTITY, statement, &rq);
        if ((e == POLICY_ALLOW) != cases[i].holds) {
            fail_msg("%s: not %d", cases[i].condition, cases[i].holds);
        }
    }
}

/* A document in JSON proper, where a variable has what stands in for it. */
GT_TEST(variable_with_a_default)
{
    static const char text[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\","
        "\"Resource\":\"arn:aws:ecs:*:*:task/${aws:None, 'default'}/*\"}}";
    static const char old[] = "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":"
                              "\"arn:aws:ecs:*:*:task/${aws:None, 'default'}/*\"}}";
    struct policy_request rq = {.action = GT_STR_LIT("ecs:StopTask"), .resource = GT_STR_LIT(TASK)};
    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    const struct policy *p;
    gt_arena_init(&a, 1024 * 1024);
    gt_assert_ok(policy_parse(gt_str(text), POLICY_IDENTITY, &a, &p, &err), err);
    assert_int_equal(policy_evaluate(p, &rq), POLICY_ALLOW);
    /* before 2012 it is text like any other */
    gt_assert_ok(policy_parse(gt_str(old), POLICY_IDENTITY, &a, &p, &err), err);
    assert_int_equal(policy_evaluate(p, &rq), POLICY_NEUTRAL);
    rq.resource = GT_STR_LIT("arn:aws:ecs:r:a:task/${aws:None, 'default'}/x");
    assert_int_equal(policy_evaluate(p, &rq), POLICY_ALLOW);
    gt_arena_fini(&a);
}

/* What a caller can choose is put in as it is: never as a pattern. */
GT_TEST(values_are_no_wildcards)
{
    static const char smuggled[] = {1, 0};
    const struct gt_str v[] = {{smuggled, 1}};
    const struct policy_key k = {GT_STR_LIT("aws:PrincipalTag/x"), v, 1};
    const struct policy_request rq = {.action = GT_STR_LIT("ecs:StopTask"),
                                      .resource = GT_STR_LIT(TASK),
                                      .keys = &k,
                                      .n_keys = 1};
    assert_int_equal(judge(POLICY_IDENTITY,
                           A("'Action': '*', 'Resource': "
                             "'arn:aws:ecs:*:*:task/${aws:PrincipalTag/x}'"),
                           &rq),
                     POLICY_NEUTRAL);
}

GT_TEST(principals)
{
    static const struct policy_principal me[] = {
        {"AWS", {"arn:aws:iam::000000000000:role/web", 34}},
        {"AWS", {"arn:aws:sts::000000000000:assumed-role/web/s", 44}},
        {"AWS", {"arn:aws:iam::000000000000:root", 30}},
    };
    const struct policy_request rq = {
        .action = GT_STR_LIT("sts:AssumeRole"), .principals = me, .n_principals = GT_ARRAY_LEN(me)};
    static const struct {
        const char *statement;
        enum policy_effect want;
    } cases[] = {
        {A("'Action': 'sts:AssumeRole', 'Principal': '*'"), POLICY_ALLOW},
        {A("'Action': 'sts:AssumeRole', 'Principal': {'AWS': '*'}"), POLICY_ALLOW},
        {A("'Action': 'sts:*', 'Principal': {'AWS': '000000000000'}"), POLICY_ALLOW},
        {A("'Action': 'sts:TagSession', 'Principal': '*'"), POLICY_NEUTRAL},
        {A("'Action': 'sts:*', 'Principal': {'AWS': 'arn:aws:iam::000000000000:role/db'}"),
         POLICY_NEUTRAL},
        {A("'Action': 'sts:*', 'Principal': {'Service': 'ecs-tasks.amazonaws.com'}"),
         POLICY_NEUTRAL},
        {A("'Action': 'sts:*', 'Principal': '*'") "," D(
             "'Action': 'sts:*', 'NotPrincipal': {'AWS': 'arn:aws:iam::000000000000:role/db'}"),
         POLICY_DENY},
        {A("'Action': 'sts:*', 'Principal': '*'") "," D(
             "'Action': 'sts:*', 'NotPrincipal': {'AWS': 'arn:aws:iam::000000000000:role/web'}"),
         POLICY_ALLOW},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        if (judge(POLICY_TRUST, cases[i].statement, &rq) != cases[i].want) {
            fail_msg("%s: not %d", cases[i].statement, cases[i].want);
        }
    }
}

/* Many stars against a long text: would take longer than anybody's life if each star tried all. */
GT_TEST(many_stars_are_cheap)
{
    char resource[1500], pattern[1200];
    snprintf(resource, sizeof(resource), "arn:aws:s3:::%01400d", 0);
    int n = snprintf(pattern, sizeof(pattern), "arn:aws:s3:::");
    for (int i = 0; i < 500; i++) {
        pattern[n++] = '*';
        pattern[n++] = '0';
    }
    snprintf(pattern + n, sizeof(pattern) - (size_t)n, "*x");
    char statement[1400];
    snprintf(statement, sizeof(statement), "{'Effect': 'Allow', 'Action': '*', 'Resource': '%s'}",
             pattern);
    const struct policy_request rq = {.action = GT_STR_LIT("s3:GetObject"),
                                      .resource = gt_str(resource)};
    clock_t t = clock();
    assert_int_equal(judge(POLICY_IDENTITY, statement, &rq), POLICY_NEUTRAL);
    assert_true(clock() - t < CLOCKS_PER_SEC);
}

GT_RUN(GT_CASE(actions_and_resources), GT_CASE(conditions), GT_CASE(variable_with_a_default),
       GT_CASE(values_are_no_wildcards), GT_CASE(principals), GT_CASE(many_stars_are_cheap))
