/* The cluster query language: what each expression says of one node, and what is none. */
#include "gt_test.h"

#include "control/scheduler/query.h"
#include "lib/base/mem.h"

/* A node that was registered on 2018-06-18 at 22:28:28 UTC. */
static const struct query_attr attrs[] = {
    {{"ecs.availability-zone", 21}, {"us-east-1b", 10}},
    {{"ecs.instance-type", 17}, {"g2.2xlarge", 10}},
    {{"disk", 4}, {"ssd", 3}},
    {{"rack", 4}, {"12", 2}},
    {{"gpu", 3}, {NULL, 0}},
};
static const struct query_group groups[] = {{{"service:web", 11}, 2}, {{"batch", 5}, 1}};
static const struct query_subject node = {
    .attrs = attrs,
    .n_attrs = GT_ARRAY_LEN(attrs),
    .groups = groups,
    .n_groups = GT_ARRAY_LEN(groups),
    .connected = true,
    .running_tasks = 3,
    .registered_at = 1529360908123,
    .agent_version = {"1.10.2", 6},
    .ec2_instance_id = {"i-abcd1234", 10},
};

static void meets(const char *text, int want)
{
    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    gt_arena_init(&a, 1 << 20);
    const struct query *q = query_parse(gt_str(text), &a, &err);
    int got = q ? query_matches(q, &node) : -1;
    if (got != want) {
        fail_msg("%s: %d, %s", text, got, err.msg);
    }
    if (q) {
        assert_true(gt_str_is(query_text(q), text));
    }
    gt_arena_fini(&a);
}

GT_TEST(attributes)
{
    meets("attribute:disk == ssd", 1);
    meets("attribute:disk equals 'ssd'", 1);
    meets("attribute:disk==ssd", 1);
    meets("attribute:disk != ssd", 0);
    meets("attribute:disk not_equals hdd", 1);
    meets("attribute:none == x", 0);
    meets("attribute:none != x", 1);
    meets("attribute:disk exists", 1);
    meets("attribute:gpu exists", 1);
    meets("attribute:none exists", 0);
    meets("attribute:none !exists", 1);
    meets("attribute:disk not_exists", 0);
    meets("attribute:disk in [hdd, ssd]", 1);
    meets("attribute:disk in ['hdd',\"nvme\"]", 0);
    meets("attribute:disk !in [hdd, ssd]", 0);
    meets("attribute:gpu in ['']", 1);
    meets("attribute:disk not_in [hdd]", 1);
    meets("attribute:rack > 9", 1); /* as numbers */
    meets("attribute:rack less_than 100", 1);
    meets("attribute:rack > 9a", 0); /* as text */
    meets("attribute:disk >= ssd", 1);
    meets("attribute:none < 5", 0);
}

GT_TEST(patterns_are_for_the_whole_value)
{
    meets("attribute:ecs.instance-type =~ g2.*", 1);
    meets("attribute:ecs.instance-type =~ g2", 0);
    meets("attribute:ecs.instance-type matches '(g2|p3)\\.[0-9]?large'", 0);
    meets("attribute:ecs.instance-type matches '(g2|p3)\\.[0-9]+xlarge'", 1);
    meets("attribute:ecs.instance-type !~ g2.*", 0);
    meets("attribute:none =~ .*", 0);
    meets("attribute:none not_matches .*", 1);
    meets("(attribute:disk =~ s+d) and (attribute:ecs.availability-zone != us-east-1d)", 1);
    meets("agentConnected =~ t.*", 1);
    meets("task:group =~ service:.*", 1);
    meets("task:group !~ service:.*", 0);
    meets("attribute:disk =~ '(s'", -1);
    meets("attribute:disk =~ [s", -1);
    meets("attribute:disk =~", -1);
}

GT_TEST(a_pattern_that_takes_too_long_is_not_met)
{
    char text[300] = "attribute:x =~ '(a+)+b'", value[200];
    memset(value, 'a', sizeof value);
    struct query_attr x = {{"x", 1}, {value, sizeof value}};
    struct query_subject s = {.attrs = &x, .n_attrs = 1};
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    const struct query *q = query_parse(gt_str(text), &a, NULL);
    assert_non_null(q);
    size_t used = a.used;
    for (int i = 0; i < 20; i++) {
        assert_false(query_matches(q, &s));
    }
    assert_int_equal(a.used, used);
    gt_arena_fini(&a);
}

GT_TEST(other_subjects)
{
    meets("agentConnected == true", 1);
    meets("not(agentConnected == true)", 0);
    meets("agentConnected in [false]", 0);
    meets("agentVersion == 1.10.2", 1);
    meets("agentVersion > 1.9", 1);
    meets("agentVersion >= 1.10.2", 1);
    meets("agentVersion < 1.10.10", 1);
    meets("agentVersion < 1.10", 0);
    meets("ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']", 1);
    meets("ec2InstanceId =~ i-a.*", 1);
    meets("runningTasksCount == 3", 1);
    meets("runningTasksCount >= 10", 0);
    meets("runningTasksCount < 3.5", 1);
    meets("task:group == service:web", 1);
    meets("task:group == database", 0);
    meets("not(task:group == database)", 1);
    meets("task:group != service:web", 0);
    meets("task:group in [x, batch]", 1);
    meets("task:group exists", 1);
    meets("registeredAt == 2018-06-18T22:28:28", 1);
    meets("registeredAt == 2018-06-18T22:28:28Z", 1);
    meets("registeredAt == 2018-06-18T23:28:28+01:00", 1);
    meets("registeredAt < 2018-06-18T22:28:28-00:01", 1);
    meets("registeredAt > 2018-06-18", 1);
    meets("registeredAt < 2018-06-18", 0);
    meets("registeredAt != 2018-06-18", 1);
}

GT_TEST(operators_fit_their_subject)
{
    static const char *const not_taken[] = {
        "agentConnected > false",     "agentConnected exists",
        "agentVersion in [1.2]",      "agentVersion =~ 1.*",
        "ec2InstanceId > i-1",        "registeredAt exists",
        "registeredAt =~ 2018.*",     "runningTasksCount in [1, 2]",
        "runningTasksCount < many",   "registeredAt < yesterday",
        "registeredAt < 2018-02-30",  "registeredAt < 2018-2-3",
        "registeredAt < 2018-02-03T", "registeredAt < 2018-02-03Tx",
        "runningTasksCount < 0x",     "registeredAt < '2018-02-03T10:00:00+1'",
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(not_taken); i++) {
        meets(not_taken[i], -1);
    }
}

GT_TEST(tests_are_joined)
{
    meets("attribute:none not_exists and attribute:disk in [hdd, ssd]", 1);
    meets("!(attribute:disk == ssd) || runningTasksCount < 5", 1);
    meets("attribute:disk == x or attribute:disk == ssd and runningTasksCount == 1", 0);
    meets("(attribute:disk == ssd or attribute:disk == x) && runningTasksCount == 3", 1);
    meets("not not attribute:disk == ssd", 1);
    meets("not (task:group == batch) or agentConnected == true", 1);
}

GT_TEST(what_is_no_expression)
{
    static const char *const bad[] = {
        "",
        "attribute:disk",
        "attribute: == x",
        "disk == ssd",
        "(attribute:disk == ssd",
        "attribute:disk == ssd)",
        "attribute:disk in ssd",
        "attribute:disk in []",
        "attribute:disk in [a,]",
        "attribute:disk in [a b]",
        "attribute:disk == ssd ssd",
        "attribute:disk == 'ssd",
        "attribute:disk ==",
        "attribute:disk = ssd",
        "and attribute:disk == ssd",
        "attribute:disk == ssd and",
        "attribute:disk like ssd",
        "attribute:diskexists",
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        meets(bad[i], -1);
    }
    char deep[200] = {0};
    memset(deep, '(', 100);
    meets(deep, -1);
}

GT_TEST(knows_what_changes_with_tasks)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {{"attribute:a == b", false},
                 {"not (registeredAt < 2018-02-03 or agentVersion > 1)", false},
                 {"attribute:a == b and not(task:group == x)", true},
                 {"runningTasksCount < 3", true}};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct gt_arena a;
        gt_arena_init(&a, 1 << 20);
        const struct query *q = query_parse(gt_str(cases[i].text), &a, NULL);
        assert_int_equal(query_asks_tasks(q), cases[i].want);
        gt_arena_fini(&a);
    }
}

GT_RUN(GT_CASE(attributes), GT_CASE(patterns_are_for_the_whole_value),
       GT_CASE(a_pattern_that_takes_too_long_is_not_met), GT_CASE(other_subjects),
       GT_CASE(operators_fit_their_subject), GT_CASE(tests_are_joined),
       GT_CASE(what_is_no_expression), GT_CASE(knows_what_changes_with_tasks))
