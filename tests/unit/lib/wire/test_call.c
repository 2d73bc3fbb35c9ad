#include "gt_test.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/call.h"
#include "lib/wire/gen/ecr.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/logs.h"
#include "lib/wire/gen/sts.h"
#include "lib/wire/query.h"
#include "lib/wire/validate.h"
#include "lib/wire/xml.h"

static const struct wire_service *const models[] = {&ecs_service_model, &ecr_service_model,
                                                    &logs_service_model, &sts_service_model};
static struct gt_arena arena;

static int setup(void **state)
{
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    return 0;
}

static int teardown(void **state)
{
    gt_arena_fini(&arena);
    return 0;
}

#define ECS "AmazonEC2ContainerServiceV20141113."
#define ECR "AmazonEC2ContainerRegistry_V20150921."
#define LOGS "Logs_20140328."
#define FORM "application/x-www-form-urlencoded; charset=utf-8"
#define JSON11 "application/x-amz-json-1.1"

struct asked {
    const char *method, *query, *target, *type, *scope, *body;
};

static struct wire_request request(const struct asked *a)
{
    return (struct wire_request){.method = gt_str(a->method ? a->method : "POST"),
                                 .path = GT_STR_LIT("/"),
                                 .query = gt_str(a->query),
                                 .target = gt_str(a->target),
                                 .content_type = gt_str(a->type),
                                 .scope_service = gt_str(a->scope),
                                 .body = gt_str(a->body)};
}

GT_TEST(routes)
{
    static const struct {
        struct asked a;
        const struct wire_op *op;
        enum wire_protocol protocol;
        const char *code;
    } cases[] = {
        {{.target = ECS "RunTask", .type = JSON11}, &ecs_op_run_task, WIRE_JSON, NULL},
        {{.target = LOGS "PutLogEvents"}, &logs_op_put_log_events, WIRE_JSON, NULL},
        {{.target = ECS "RunTasks"}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.target = ECS}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.target = ".RunTask"}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.target = "RunTask"}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.target = "."}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.type = FORM, .body = "Action=GetCallerIdentity&Version=2011-06-15", .scope = "sts"},
         &sts_op_get_caller_identity,
         WIRE_QUERY,
         NULL},
        {{.method = "GET", .query = "Version=2011-06-15&Action=GetCallerIdentity&X-Amz-Date=x"},
         &sts_op_get_caller_identity,
         WIRE_QUERY,
         NULL},
        {{.type = FORM, .body = "Action=GetCallerIdentitx&Version=2011-06-15"},
         NULL,
         WIRE_QUERY,
         "InvalidAction"},
        {{.type = FORM, .body = "Action=GetCallerIdentity&Version=2011-06-16"},
         NULL,
         WIRE_QUERY,
         "InvalidAction"},
        {{.type = FORM, .body = "Version=2011-06-15"}, NULL, WIRE_QUERY, "MissingAction"},
        {{.method = "GET"}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.method = "GET", .target = ECS "RunTask"}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.method = "PUT", .target = ECS "RunTask"}, NULL, WIRE_JSON, "UnknownOperationException"},
        {{.method = "HEAD", .query = "Version=2011-06-15&Action=GetCallerIdentity"},
         NULL,
         WIRE_QUERY,
         "InvalidAction"},
        {{.method = "DELETE", .type = FORM, .body = "Action=GetCallerIdentity&Version=2011-06-15"},
         NULL,
         WIRE_QUERY,
         "InvalidAction"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct wire_call call;
        struct gt_err err = GT_ERR_INIT;
        struct wire_request rq = request(&cases[i].a);
        int r = wire_route(models, GT_ARRAY_LEN(models), &rq, &arena, &call, &err);
        assert_int_equal(r < 0, cases[i].code != NULL);
        assert_ptr_equal(call.op, cases[i].op);
        assert_int_equal(call.protocol, cases[i].protocol);
        if (cases[i].code) {
            assert_string_equal(wire_call_error_code(&call, &err), cases[i].code);
        }
    }
}

GT_TEST(refusals_of_requests)
{
    static const struct {
        struct asked a;
        int status;
        const char *answer;
    } cases[] = {
        {{.target = ECS "RunTask", .body = "{}"},
         400,
         "{\"__type\":\"InvalidParameterException\",\"message\":\"1 validation error detected: "
         "Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null\"}"},
        {{.target = ECS "RunTask",
          .body = "{\"taskDefinition\":\"x\",\"launchType\":\"EC3\",\"tags\":[{\"key\":\"\"}]}"},
         400,
         "{\"__type\":\"InvalidParameterException\",\"message\":\"2 validation errors detected: "
         "Value 'EC3' at 'launchType' failed to satisfy constraint: Member must satisfy enum value "
         "set: [EC2, FARGATE, EXTERNAL]; Value '' at 'tags.1.member.key' failed to satisfy "
         "constraint: Member must have length greater than or equal to 1\"}"},
        {{.target = ECS "RunTask", .body = "{\"cluster\":1}"},
         400,
         "{\"__type\":\"SerializationException\",\"message\":\"NUMBER_VALUE can not be converted "
         "to a String at 'cluster'\"}"},
        {{.target = LOGS "CreateLogGroup", .body = "{\"logGroupName\":\"a b\"}"},
         400,
         "{\"__type\":\"InvalidParameterException\",\"message\":\"1 validation error detected: "
         "Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular "
         "expression pattern: [\\\\.\\\\-_/#A-Za-z0-9]+\"}"},
        {{.target = LOGS "DescribeLogGroups", .body = "{\"limit\":51}"},
         400,
         "{\"__type\":\"InvalidParameterException\",\"message\":\"1 validation error detected: "
         "Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or "
         "equal to 50\"}"},
        {{.target = ECR "CreateRepository", .body = "{\"repositoryName\":\"A\"}"},
         400,
         "{\"__type\":\"InvalidParameterException\",\"message\":\"Invalid parameter at "
         "'repositoryName' failed to satisfy constraint: 'must have length greater than or equal "
         "to 2'\"}"},
        {{.target = ECR "CreateRepository", .body = "{\"repositoryName\":\"AA\"}"},
         400,
         "{\"__type\":\"InvalidParameterException\",\"message\":\"Invalid parameter at "
         "'repositoryName' failed to satisfy constraint: 'must satisfy regular expression "
         "'[a-z0-9]+((\\\\.|_|__|-+)[a-z0-9]+)*(\\\\/[a-z0-9]+((\\\\.|_|__|-+)[a-z0-9]+)*)*''\"}"},
        {{.type = FORM, .body = "Action=GetSessionToken&Version=2011-06-15&Action=AssumeRole"},
         400,
         "<ErrorResponse "
         "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</"
         "Type><Code>MalformedInput</Code>"
         "<Message>the parameter 'Action' is "
         "repeated</Message></Error><RequestId>rid</RequestId></ErrorResponse>"},
        {{.type = FORM, .body = "Version=2011-06-15&Action=GetSessionToken&Version=2011-06-15"},
         400,
         "<ErrorResponse "
         "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</"
         "Type><Code>MalformedInput</Code>"
         "<Message>the parameter 'Version' is "
         "repeated</Message></Error><RequestId>rid</RequestId></ErrorResponse>"},
        {{.type = FORM,
          .body =
              "Action=GetSessionToken&Version=2011-06-15&DurationSeconds=900&DurationSeconds=901"},
         400,
         "<ErrorResponse "
         "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</"
         "Type><Code>MalformedInput</Code>"
         "<Message>the value has the wrong type at "
         "'durationSeconds'</Message></Error><RequestId>rid</RequestId></ErrorResponse>"},
        {{.type = FORM, .body = "Action=GetSessionToken&Version=2011-06-15&DurationSeconds=5"},
         400,
         "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender"
         "</Type><Code>ValidationError</Code><Message>1 validation error detected: Value '5' at "
         "'durationSeconds' failed to satisfy constraint: Member must have value greater than or "
         "equal to 900</Message></Error><RequestId>rid</RequestId></ErrorResponse>"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        gt_auto_buf struct gt_buf body = GT_BUF_INIT(GT_MIB);
        struct wire_call call;
        struct wire_unknown unknown;
        struct wire_answer answer;
        struct gt_err err = GT_ERR_INIT;
        struct wire_request rq = request(&cases[i].a);
        gt_assert_ok(wire_route(models, GT_ARRAY_LEN(models), &rq, &arena, &call, &err), err);
        void *in = gt_arena_alloc(&arena, call.op->in->size);
        assert_true(wire_call_decode(&call, &arena, in, &unknown, &err) < 0);
        wire_call_error(&call, &err, GT_STR_LIT("rid"), &body, &answer);
        assert_string_equal(body.p, cases[i].answer);
        assert_int_equal(answer.status, cases[i].status);
    }
}

GT_TEST(errors_of_handlers)
{
    static const struct {
        const struct wire_op *op;
        enum gt_err_kind kind;
        const char *own, *code;
        int status;
    } cases[] = {
        {&ecs_op_run_task, GT_ERR_NOT_FOUND, "ClusterNotFoundException", "ClusterNotFoundException",
         400},
        {&ecs_op_run_task, GT_ERR_INTERNAL, NULL, "ServerException", 500},
        {&ecs_op_run_task, GT_ERR_UNSUPPORTED, NULL, "UnsupportedFeatureException", 400},
        {&ecs_op_run_task, GT_ERR_UNAUTHENTICATED, "InvalidSignatureException",
         "InvalidSignatureException", 400},
        {&ecr_op_describe_images, GT_ERR_IO, NULL, "ServerException", 500},
        {&logs_op_put_log_events, GT_ERR_INTERNAL, NULL, "ServiceUnavailableException", 500},
        {&sts_op_assume_role, GT_ERR_UNAUTHENTICATED, "InvalidSignatureException",
         "SignatureDoesNotMatch", 403},
        {&sts_op_assume_role, GT_ERR_UNAUTHENTICATED, "UnrecognizedClientException",
         "InvalidClientTokenId", 403},
        {&sts_op_assume_role, GT_ERR_DENIED, NULL, "AccessDenied", 403},
        {&sts_op_assume_role, GT_ERR_INTERNAL, NULL, "InternalFailure", 500},
        {&sts_op_assume_role, GT_ERR_INVALID, "MalformedPolicyDocumentException",
         "MalformedPolicyDocument", 400},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        gt_auto_buf struct gt_buf body = GT_BUF_INIT(GT_MIB);
        struct wire_call call = {.service = cases[i].op->service,
                                 .op = cases[i].op,
                                 .protocol = cases[i].op->service->protocol};
        struct gt_err err = GT_ERR_INIT;
        struct wire_answer answer;
        gt_err_aws(&err, cases[i].kind, cases[i].own, "secret <insides>");
        wire_call_error(&call, &err, GT_STR_LIT("rid"), &body, &answer);
        assert_string_equal(wire_call_error_code(&call, &err), cases[i].code);
        assert_int_equal(answer.status, cases[i].status);
        assert_non_null(strstr(body.p, cases[i].code));
        assert_null(strstr(body.p, answer.status == 500 ? "insides" : "\n"));
    }
}

GT_TEST(answers)
{
    gt_auto_buf struct gt_buf body = GT_BUF_INIT(GT_MIB);
    struct wire_answer answer;
    struct wire_call call = {
        .service = &sts_service_model, .op = &sts_op_get_caller_identity, .protocol = WIRE_QUERY};
    struct sts_get_caller_identity_out who = {.user_id = GT_STR_LIT("A<&\x01\xff>"),
                                              .account = GT_STR_LIT("000000000000"),
                                              .arn = GT_STR_LIT("arn:x")};
    wire_call_answer(&call, &who, GT_STR_LIT("rid"), &body, &answer);
    assert_string_equal(
        body.p, "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                "<GetCallerIdentityResult><UserId>A&lt;&amp;\xef\xbf\xbd\xef\xbf\xbd&gt;</UserId>"
                "<Account>000000000000</Account><Arn>arn:x</Arn></GetCallerIdentityResult>"
                "<ResponseMetadata><RequestId>rid</RequestId></ResponseMetadata>"
                "</GetCallerIdentityResponse>");
    assert_string_equal(answer.content_type, "text/xml");

    static const struct {
        const struct wire_op *op;
        const char *body;
    } empty[] = {{&logs_op_create_log_group, ""}, {&ecs_op_tag_resource, "{}"}};
    for (size_t i = 0; i < GT_ARRAY_LEN(empty); i++) {
        struct ecs_tag_resource_out none = {0};
        gt_buf_reset(&body);
        call = (struct wire_call){.service = empty[i].op->service, .op = empty[i].op};
        wire_call_answer(&call, &none, GT_STR_LIT("rid"), &body, &answer);
        assert_string_equal(body.p, empty[i].body);
        assert_int_equal(answer.status, 200);
    }
}

GT_TEST(query_forms)
{
    static const struct {
        const char *form, *json; /* json NULL: refused */
    } cases[] = {
        {"", "{}"},
        {"RoleArn=a%2Fb+c%C3%A9", "{\"RoleArn\":\"a/b c\xc3\xa9\"}"},
        {"Tags.member.2.Key=b&Tags.member.10.Key=c&Tags.member.1.Key=a&Tags.member.1.Value=",
         "{\"Tags\":[{\"Key\":\"a\",\"Value\":\"\"},{\"Key\":\"b\"},{\"Key\":\"c\"}]}"},
        {"PolicyArns.member.1.arn=x", "{\"PolicyArns\":[{\"arn\":\"x\"}]}"},
        {"TransitiveTagKeys.member.1=x&TransitiveTagKeys.member.2=y",
         "{\"TransitiveTagKeys\":[\"x\",\"y\"]}"},
        {"Tags=", "{\"Tags\":[]}"},
        {"DurationSeconds=900&Unknown.member.1=x", "{\"DurationSeconds\":900}"},
        {"DurationSeconds=-7", "{\"DurationSeconds\":-7}"},
        {"DurationSeconds=9x", NULL},
        {"DurationSeconds=", NULL},
        {"DurationSeconds=3000000000", NULL},
        {"DurationSeconds.member=1", NULL},
        {"Tags.member.x.Key=1", NULL},
        {"Tags.1.Key=1", NULL},
        {"Tags.member.1=1&Tags.item.2=1", NULL},
        {"RoleArn=a&RoleArn=b", NULL},
        {"RoleArn=%", NULL},
        {"RoleArn=%zz", NULL},
        {"RoleArn=%ff", NULL},
        {"RoleArn=%00", NULL},
        {"&&=&=x&RoleArn=z", "{\"RoleArn\":\"z\"}"},
        {".=1&..=2&RoleArn.=3&RoleArn=z", NULL},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        gt_auto_buf struct gt_buf out = GT_BUF_INIT(GT_MIB);
        struct sts_assume_role_in in = {0};
        struct wire_unknown unknown;
        struct gt_err err = GT_ERR_INIT;
        int r = wire_query_decode(&sts_assume_role_in_shape, gt_str(cases[i].form), &arena, &in,
                                  &unknown, &err);
        if (r < 0) {
            if (cases[i].json) {
                fail_msg("%s: %s", cases[i].form, err.msg);
            }
            assert_int_equal(err.kind, GT_ERR_MALFORMED);
            continue;
        }
        wire_json_encode(&sts_assume_role_in_shape, &in, &out);
        assert_string_equal(out.p, cases[i].json ? cases[i].json : "refusal");
    }
}

/* Every pattern of every model must compile: wire_pattern_matches() asserts it. */
static void touch_patterns(const struct wire_shape *shape, int depth)
{
    if (depth > 12) {
        return;
    }
    if (shape->pattern) {
        wire_pattern_matches(shape->pattern, GT_STR_LIT("x"));
    }
    for (uint32_t i = 0; i < shape->n_members; i++) {
        touch_patterns(shape->members[i].shape, depth + 1);
    }
    if (shape->of) {
        touch_patterns(shape->of, depth + 1);
    }
    if (shape->key) {
        touch_patterns(shape->key, depth + 1);
    }
}

GT_TEST(all_patterns_compile)
{
    for (size_t s = 0; s < GT_ARRAY_LEN(models); s++) {
        for (size_t i = 0; i < models[s]->n_ops; i++) {
            touch_patterns(models[s]->ops[i]->in, 0);
            touch_patterns(models[s]->ops[i]->out, 0);
            assert_int_equal(models[s]->ops[i]->index, i);
        }
    }
}

GT_TEST(lengths_are_code_points)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecs_tag tag = {.key = GT_STR_LIT("\xc3\xa9")};
    char long_key[2 * 129 + 1] = "";
    for (int i = 0; i < 128; i++) {
        strcat(long_key, "\xc3\xa9");
    }
    tag.key = gt_str(long_key);
    gt_assert_ok(wire_validate(&ecs_tag_shape, &tag, WIRE_STYLE_CORAL, &err), err);
    strcat(long_key, "\xc3\xa9");
    tag.key = gt_str(long_key);
    assert_true(wire_validate(&ecs_tag_shape, &tag, WIRE_STYLE_CORAL, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GT_CASE(routes),
        GT_CASE(refusals_of_requests),
        GT_CASE(errors_of_handlers),
        GT_CASE(answers),
        GT_CASE(query_forms),
        GT_CASE(all_patterns_compile),
        GT_CASE(lengths_are_code_points),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
