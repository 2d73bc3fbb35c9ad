#include "gt_test.h"
#include "json.h"

#include "lib/base/mem.h"

#define DOC(statement) "{'Version': '2012-10-17', 'Statement': [" statement "]}"
#define S(more) DOC("{'Effect': 'Allow', 'Action': 'ecs:RunTask', 'Resource': '*'" more "}")
#define C(condition) S(", 'Condition': {" condition "}")
#define T(more) DOC("{'Effect': 'Allow', 'Action': 'sts:AssumeRole'" more "}")

struct doc {
    enum policy_kind kind;
    const char *text, *why; /* NULL: it is fine */
};

static const struct doc documents[] = {
    {POLICY_IDENTITY, S(""), NULL},
    {POLICY_IDENTITY, "{'Statement': {'Effect': 'Deny', 'NotAction': '*', 'NotResource': '*'}}",
     NULL},
    {POLICY_IDENTITY, "{'Version': '2008-10-17', 'Id': 'x', 'Statement': []}", "Syntax errors"},
    {POLICY_IDENTITY, "{'Version': '2012-10-18', 'Statement': []}", "valid version string"},
    {POLICY_IDENTITY, "{'Version': '2012-10-17'}", "Syntax errors"},
    {POLICY_IDENTITY, "{'Version': '2012-10-17', 'statement': []}", "Syntax errors"},
    {POLICY_IDENTITY, "", "invalid Json"},
    {POLICY_IDENTITY, "{'Version': '2012-10-17', 'Version': '2012-10-17'}", "invalid Json"},
    {POLICY_IDENTITY, "[]", "Syntax errors"},
    {POLICY_IDENTITY, DOC("1"), "Syntax errors"},
    {POLICY_IDENTITY, DOC("{'Action': 'a:b', 'Resource': '*'}"), "Effect"},
    {POLICY_IDENTITY, DOC("{'Effect': 'allow', 'Action': 'a:b', 'Resource': '*'}"),
     "Invalid effect: allow"},
    {POLICY_IDENTITY, DOC("{'Effect': 'Allow', 'Resource': '*'}"), "must contain actions"},
    {POLICY_IDENTITY, DOC("{'Effect': 'Allow', 'Action': [], 'Resource': '*'}"),
     "must contain actions"},
    {POLICY_IDENTITY, DOC("{'Effect': 'Allow', 'Action': 'a:b'}"), "must contain resources"},
    {POLICY_IDENTITY, DOC("{'Effect': 'Allow', 'Action': 'RunTask', 'Resource': '*'}"),
     "prefaced by a vendor"},
    {POLICY_IDENTITY,
     DOC("{'Effect': 'Allow', 'Action': 'a:b', 'NotAction': 'a:c', 'Resource': '*'}"),
     "Syntax errors"},
    {POLICY_IDENTITY, DOC("{'Effect': 'Allow', 'Action': 'a:b', 'Resource': 'web'}"),
     "Resource web must be in ARN format"},
    {POLICY_IDENTITY, DOC("{'Effect': 'Allow', 'Action': 'a:b', 'Resource': 'arn:aws:s3:::${x'}"),
     "must be in ARN format"},
    {POLICY_IDENTITY, S(", 'Principal': '*'"), "should not specify a principal"},
    {POLICY_IDENTITY, S(", 'Prinzipal': '*'"), "Syntax errors"},
    {POLICY_IDENTITY, S(", 'Sid': 'a b'"), "alpha-numeric"},
    {POLICY_IDENTITY,
     DOC("{'Sid': 'a', 'Effect': 'Allow', 'Action': 'a:b', 'Resource': '*'},"
         "{'Sid': 'a', 'Effect': 'Allow', 'Action': 'a:b', 'Resource': '*'}"),
     "must be unique"},
    {POLICY_IDENTITY, C("'StringEquals': {'aws:PrincipalTag/team': ['a', 'b']}"), NULL},
    {POLICY_IDENTITY, C("'ForAllValues:StringLikeIfExists': {'aws:TagKeys': 'a*'}"), NULL},
    {POLICY_IDENTITY, C("'StringMatches': {'aws:username': 'a'}"),
     "Invalid Condition type : StringMatches."},
    {POLICY_IDENTITY, C("'ForSomeValues:StringLike': {'aws:username': 'a'}"), "Condition type"},
    {POLICY_IDENTITY, C("'NullIfExists': {'aws:username': 'true'}"), "Condition type"},
    {POLICY_IDENTITY, C("'StringLike': {'username': 'a'}"), "Invalid condition key: username"},
    {POLICY_IDENTITY, C("'StringLike': {'aws:username': []}"), "Syntax errors"},
    {POLICY_IDENTITY, C("'StringLike': {'aws:username': {}}"), "Syntax errors"},
    {POLICY_IDENTITY, C("'StringLike': {}"), "Syntax errors"},
    {POLICY_IDENTITY, C("'StringLike': {'aws:username': '${nokey}'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'StringLike': {'aws:username': '\\u0001'}"), "Syntax errors"},
    {POLICY_IDENTITY, C("'NumericLessThan': {'s3:max-keys': [10, '1e3', -1.5]}"), NULL},
    {POLICY_IDENTITY, C("'NumericLessThan': {'s3:max-keys': 'ten'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'NumericLessThan': {'s3:max-keys': '0x10'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'DateLessThan': {'aws:TokenIssueTime': '2026-11-25T00:00:00Z'}"), NULL},
    {POLICY_IDENTITY, C("'DateLessThan': {'aws:TokenIssueTime': '2026-11-25'}"), NULL},
    {POLICY_IDENTITY, C("'DateLessThan': {'aws:TokenIssueTime': 'yesterday'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'Bool': {'aws:SecureTransport': true}"), NULL},
    {POLICY_IDENTITY, C("'Bool': {'aws:SecureTransport': 'yes'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'IpAddress': {'aws:SourceIp': ['10.0.0.0/8', '::1', 'fe80::/10']}"), NULL},
    {POLICY_IDENTITY, C("'IpAddress': {'aws:SourceIp': '10.0.0.0/33'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'IpAddress': {'aws:SourceIp': '10.0.0.0/'}"), "Invalid value"},
    {POLICY_IDENTITY, C("'IpAddress': {'aws:SourceIp': '10.0.0.*'}"), "Invalid value"},
    {POLICY_TRUST, T(", 'Principal': {'AWS': '123456789012'}"), NULL},
    {POLICY_TRUST, T(", 'Principal': '*'"), NULL},
    {POLICY_TRUST, T(", 'Principal': {'Service': ['ecs-tasks.amazonaws.com'], 'AWS': '*'}"), NULL},
    {POLICY_TRUST, T(""), "Missing required field Principal"},
    {POLICY_TRUST, T(", 'NotPrincipal': {'AWS': '123456789012'}"), "NotPrincipal"},
    {POLICY_TRUST, T(", 'Principal': {}"), "Syntax errors"},
    {POLICY_TRUST, T(", 'Principal': {'User': 'x'}"), "Syntax errors"},
    {POLICY_TRUST, T(", 'Principal': {'AWS': 'bob'}"),
     "Invalid principal in policy: \"AWS\":\"bob\""},
    {POLICY_TRUST, T(", 'Principal': {'AWS': 'arn:aws:iam::123456789012:role/*'}"),
     "Invalid principal"},
    {POLICY_TRUST, T(", 'Principal': {'Service': 'ecs-tasks'}"), "Invalid principal"},
    {POLICY_TRUST, T(", 'Principal': '*', 'Resource': '*'"), "prohibited field Resource"},
    {POLICY_TRUST, DOC("{'Effect': 'Allow', 'Principal': '*', 'Action': 'ecs:RunTask'}"),
     "may only specify STS AssumeRole"},
};

GT_TEST(what_is_refused_and_how)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(documents); i++) {
        const struct doc *d = &documents[i];
        struct gt_arena a;
        struct gt_err err = GT_ERR_INIT;
        const struct policy *p = NULL;
        gt_arena_init(&a, 1024 * 1024);
        int r = policy_parse(quoted(&a, d->text), d->kind, &a, &p, &err);
        if (d->why ? r == 0 || !strstr(err.msg, d->why) : r < 0) {
            fail_msg("%s: %s", d->text, r < 0 ? err.msg : "is taken");
        }
        if (d->why) {
            assert_string_equal(gt_err_aws_name(&err), "MalformedPolicyDocument");
        } else {
            assert_non_null(p);
        }
        gt_arena_fini(&a);
    }
}

GT_TEST(size_leaves_white_space_out)
{
    assert_int_equal(policy_size(GT_STR_LIT(" { \"a\" :\n\t1 }\r\n")), 7);
}

GT_TEST(principals_are_named_one_by_one)
{
    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    const struct policy *p;
    struct policy_principal who;
    gt_arena_init(&a, 1024 * 1024);
    const char *text = "{'Statement': [{'Effect': 'Allow', 'Action': 'sts:AssumeRole',"
                       " 'Principal': '*'}, {'Effect': 'Deny', 'Action': 'sts:*',"
                       " 'Principal': {'AWS': ['123456789012', '*'], 'Service': 'a.b'}}]}";
    gt_assert_ok(policy_parse(quoted(&a, text), POLICY_TRUST, &a, &p, &err), err);
    size_t at = 0;
    assert_true(policy_next_principal(p, &at, &who));
    assert_string_equal(who.type, "AWS");
    assert_true(gt_str_is(who.id, "arn:aws:iam::123456789012:root"));
    assert_true(policy_next_principal(p, &at, &who));
    assert_string_equal(who.type, "Service");
    assert_false(policy_next_principal(p, &at, &who));
    gt_arena_fini(&a);
}

GT_RUN(GT_CASE(what_is_refused_and_how), GT_CASE(size_leaves_white_space_out),
       GT_CASE(principals_are_named_one_by_one))
