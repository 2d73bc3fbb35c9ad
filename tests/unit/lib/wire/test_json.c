#include "gt_test.h"
#include "lib/base/arena.h"
#include "lib/base/limits.h"
#include "lib/wire/gen/ecr.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/logs.h"
#include "lib/wire/json.h"
#include "lib/wire/utf8.h"

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

/* Decodes and encodes again; the answer lives until the next call. */
static const char *round_trip(const struct wire_shape *shape, const char *text)
{
    static struct gt_buf out = {.max = GT_MIB};
    struct gt_err err = GT_ERR_INIT;
    void *value = gt_arena_alloc(&arena, shape->size);

    gt_assert_ok(wire_json_decode(shape, gt_str(text), &arena, value, &err), err);
    gt_buf_fini(&out);
    wire_json_encode(shape, value, &out);
    assert_true(gt_buf_ok(&out));
    return out.p;
}

GT_TEST(decodes_members)
{
    struct ecs_run_task_in in = {0};
    struct gt_err err = GT_ERR_INIT;
    const char *text = "{\"cluster\":\"default\",\"count\":3,\"enableECSManagedTags\":true,"
                       "\"overrides\":{\"containerOverrides\":[{\"name\":\"web\",\"environment\":"
                       "[{\"name\":\"A\",\"value\":\"\"}],\"cpu\":-5}]},\"tags\":[],"
                       "\"taskDefinition\":\"a\\u00e9\\ud83d\\ude00\\n:1\"}";

    gt_assert_ok(wire_json_decode(&ecs_run_task_in_shape, gt_str(text), &arena, &in, &err), err);
    assert_true(gt_str_is(in.cluster, "default"));
    assert_true(in.has_count);
    assert_int_equal(in.count, 3);
    assert_true(in.has_enable_ecs_managed_tags && in.enable_ecs_managed_tags);
    assert_true(in.tags.has);
    assert_int_equal(in.tags.n, 0);
    assert_false(in.placement_strategy.has);
    assert_null(in.network_configuration);
    assert_null(in.group.p);
    struct ecs_container_override *o = in.overrides->container_overrides.v;
    assert_int_equal(in.overrides->container_overrides.n, 1);
    assert_int_equal(o->cpu, -5);
    assert_non_null(o->environment.v[0].value.p);
    assert_int_equal(o->environment.v[0].value.n, 0);
    assert_true(gt_str_is(in.task_definition, "a\xc3\xa9\xf0\x9f\x98\x80\n:1"));
}

GT_TEST(round_trips)
{
    static const struct {
        const struct wire_shape *shape;
        const char *in, *out; /* out NULL: the same */
    } cases[] = {
        {&ecs_run_task_in_shape, "{}", NULL},
        {&ecs_run_task_in_shape, " {\"count\" : 1.0e1 }\n", "{\"count\":10}"},
        {&ecs_run_task_in_shape, "{\"count\":null,\"tags\":null}", "{}"},
        {&ecs_run_task_in_shape, "{\"count\":1,\"count\":2}", "{\"count\":2}"},
        {&ecs_run_task_in_shape, "{\"group\":\"\\u0001\\t\\\"\\\\/\\ud800x\"}",
         "{\"group\":\"\\u0001\\t\\\"\\\\/\xef\xbf\xbdx\"}"},
        {&ecs_container_definition_shape,
         "{\"name\":\"a\",\"cpu\":0,\"entryPoint\":[\"\",\"b\"],\"essential\":false,"
         "\"dockerLabels\":{\"k\":\"v\",\"\":\"w\"}}",
         "{\"name\":\"a\",\"cpu\":0,\"essential\":false,\"entryPoint\":[\"\",\"b\"],"
         "\"dockerLabels\":{\"k\":\"v\",\"\":\"w\"}}"},
        {&ecs_task_shape, "{\"createdAt\":1479759352.5,\"startedAt\":-1.25,\"stoppedAt\":7}",
         "{\"createdAt\":1479759352.5,\"startedAt\":-1.25,\"stoppedAt\":7}"},
        {&ecs_task_shape, "{\"createdAt\":\"2016-11-21T20:15:52.007Z\"}",
         "{\"createdAt\":1479759352.007}"},
        {&ecs_resource_shape, "{\"doubleValue\":0.1,\"longValue\":-9223372036854775808}", NULL},
        {&ecr_upload_layer_part_in_shape, "{\"partFirstByte\":0,\"layerPartBlob\":\"AP8=\"}", NULL},
        {&ecr_image_scan_findings_shape, "{\"findingSeverityCounts\":{\"LOW\":3}}", NULL},
        {&logs_get_query_results_out_shape,
         "{\"results\":[[{\"field\":\"a\",\"value\":\"b\"}],[]],\"statistics\":{\"bytesScanned\":1."
         "5}}",
         NULL},
        {&ecs_run_task_in_shape, "{\"x\":{\"y\":[1,-2.5e-3,true,false,null,\"z\"]},\"count\":1}",
         "{\"count\":1}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *want = cases[i].out ? cases[i].out : cases[i].in;
        assert_string_equal(round_trip(cases[i].shape, cases[i].in), want);
    }
}

GT_TEST(refuses)
{
    static const struct {
        const char *in, *message;
    } cases[] = {
        {"{\"count\":\"3\"}", "STRING_VALUE can not be converted to an Integer at 'count'"},
        {"{\"count\":2147483648}", "NUMBER_VALUE can not be converted to an Integer at 'count'"},
        {"{\"count\":1.5}", "NUMBER_VALUE can not be converted to an Integer at 'count'"},
        {"{\"cluster\":1}", "NUMBER_VALUE can not be converted to a String at 'cluster'"},
        {"{\"tags\":{}}", "START_OBJECT can not be converted to a List at 'tags'"},
        {"{\"tags\":[{},{\"key\":[]}]}",
         "START_ARRAY can not be converted to a String at 'tags.2.member.key'"},
        {"{\"tags\":[null]}", "NULL_VALUE can not be converted to a Structure at 'tags.1.member'"},
        {"{\"overrides\":[]}", "START_ARRAY can not be converted to a Structure at 'overrides'"},
        {"{\"enableExecuteCommand\":\"true\"}",
         "STRING_VALUE can not be converted to a Boolean at 'enableExecuteCommand'"},
        {"{\"cluster\":\"a\\u0000b\"}", "a string holds the character U+0000 at 'cluster'"},
        {"[]", NULL},
        {"null", NULL},
        {"{", NULL},
        {"{}x", NULL},
        {"{,}", NULL},
        {"{\"count\":1,}", NULL},
        {"{\"count\" 1}", NULL},
        {"{\"count\":01}", NULL},
        {"{\"count\":1.}", NULL},
        {"{\"count\":-}", NULL},
        {"{\"count\":+1}", NULL},
        {"{\"count\":1e}", NULL},
        {"{\"x\":tru}", NULL},
        {"{\"x\":nul", NULL},
        {"{\"cluster\":\"a", NULL},
        {"{\"cluster\":\"a\\", NULL},
        {"{\"cluster\":\"\\x\"}", NULL},
        {"{\"cluster\":\"\\u12g4\"}", NULL},
        {"{\"cluster\":\"\n\"}", NULL},
        {"{\"cluster\":\"\xff\"}", NULL},
        {"{\"cluster\":\"\xc0\x80\"}", NULL},
        {"{\"cluster\":\"\xed\xa0\x80\"}", NULL},
        {"{\"cluster\":\"\xe2\x82", NULL},
        {"{\"x\":\"aaaaaaaaaaaaaaaa\x01\"}", NULL},
        {"\xef\xbb\xbf{}", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ecs_run_task_in in = {0};
        struct gt_err err = GT_ERR_INIT;
        int r = wire_json_decode(&ecs_run_task_in_shape, gt_str(cases[i].in), &arena, &in, &err);
        if (r >= 0) {
            fail_msg("accepted: %s", cases[i].in);
        }
        assert_int_equal(err.kind, GT_ERR_MALFORMED);
        if (cases[i].message) {
            assert_string_equal(err.msg, cases[i].message);
        }
    }
}

GT_TEST(caps_depth)
{
    for (int depth = 1; depth <= 100; depth++) {
        gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_MIB);
        struct ecs_run_task_in in = {0};
        struct gt_err err = GT_ERR_INIT;
        gt_buf_puts(&text, "{\"x\":");
        for (int i = 1; i < depth; i++) {
            gt_buf_putc(&text, '[');
        }
        gt_buf_putc(&text, '1');
        for (int i = 1; i < depth; i++) {
            gt_buf_putc(&text, ']');
        }
        gt_buf_putc(&text, '}');
        int r = wire_json_decode(&ecs_run_task_in_shape, gt_buf_view(&text), &arena, &in, &err);
        assert_int_equal(r<0, depth> GT_LIMIT_JSON_DEPTH);
    }
}

GT_TEST(caps_memory)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(10 * GT_MIB);
    struct ecs_register_task_definition_in in = {0};
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena small;

    gt_arena_init(&small, GT_MIB);
    gt_buf_puts(&text, "{\"containerDefinitions\":[{}");
    for (int i = 0; i < 100000; i++) {
        gt_buf_puts(&text, ",{}");
    }
    gt_buf_puts(&text, "]}");
    assert_true(wire_json_decode(&ecs_register_task_definition_in_shape, gt_buf_view(&text), &small,
                                 &in, &err) < 0);
    assert_int_equal(err.kind, GT_ERR_TOO_LARGE);
    gt_arena_fini(&small);
}

GT_TEST(counts_unknown_members)
{
    struct ecs_run_task_in in = {0};
    struct gt_err err = GT_ERR_INIT;
    struct wire_unknown unknown;
    const char *text = "{\"new\":1,\"overrides\":{\"newer\":[]},\"cluster\":\"c\"}";

    gt_assert_ok(
        wire_json_decode_noting(&ecs_run_task_in_shape, gt_str(text), &arena, &in, &unknown, &err),
        err);
    assert_int_equal(unknown.count, 2);
    assert_true(gt_str_is(unknown.first, "new"));
    assert_true(gt_str_is(in.cluster, "c"));
}

GT_TEST(escapes_what_is_not_utf8)
{
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(1000);
    wire_json_string(&out, GT_STR_LIT("a\xff\xc3\xa9\x7f\x00"));
    assert_string_equal(out.p, "\"a\xef\xbf\xbd\xc3\xa9\x7f\\u0000\"");
}

GT_TEST(cleans_text)
{
    char text[] = "a\xff\xc3\xa9\xf0\x9f\x90";
    wire_utf8_clean(text);
    assert_string_equal(text, "a?\xc3\xa9???");
    text[0] = '\0';
    wire_utf8_clean(text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GT_CASE(decodes_members),
        GT_CASE(round_trips),
        GT_CASE(refuses),
        GT_CASE(caps_depth),
        GT_CASE(caps_memory),
        GT_CASE(counts_unknown_members),
        GT_CASE(escapes_what_is_not_utf8),
        GT_CASE(cleans_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
