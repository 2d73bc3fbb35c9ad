#include "gt_test.h"
#include "world.h"

#include "control/services/agent/join.h"
#include "control/services/ssm/ssm.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

enum { TAGS = 1000, VALUE = 700 };

static int make(struct tx *tx, void *arg, struct gt_err *err)
{
    return agent_token_make(tx, arg, AGENT_HOUR_MS, err);
}

/* Nearly as large as a record may be. */
static void activation(struct world *w, int i)
{
    static char value[VALUE + 1];
    static struct rec_kv tags[TAGS];
    char id[40];
    memset(value, 'v', VALUE);
    for (int k = 0; k < TAGS; k++) {
        tags[k] = (struct rec_kv){GT_STR_LIT("k"), gt_str(value)};
    }
    snprintf(id, sizeof(id), "%08x-0000-4000-8000-000000000000", (unsigned)i);
    struct rec_agent_token t = {.id = gt_str(id),
                                .uses = 1,
                                .external = true,
                                .role = GT_STR_LIT("nodes"),
                                .tags = {.v = tags, .n = TAGS}};
    struct gt_arena a;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    struct core_call c = {.fn = make,
                          .arg = &t,
                          .principal = {.account = GT_STR_LIT("000000000000")},
                          .region = GT_STR_LIT("us-east-1"),
                          .arena = &a};
    core_apply(w->core, &c, w->now);
    gt_assert_ok(c.result, c.err);
    gt_arena_fini(&a);
}

/* A call has no more room than a request has. */
static const char *ask(struct world *w, const char *body)
{
    w->arena.cap = w->arena.used + GT_LIMIT_API_ARENA;
    return world_call(w, "DescribeActivations", "%s", body);
}

GT_TEST(pages_of_large_activations)
{
    struct world w;
    world_third = ssm_control();
    world_init(&w);
    for (int i = 0; i < 100; i++) {
        activation(&w, i);
    }
    const char *page = ask(&w, "{}");
    world_has(page, "00000000-0000-4000-8000-000000000000");
    assert_string_not_equal(world_get(&w, page, "NextToken", 0), "");
    page = ask(&w, "{'Filters': [{'FilterKey': 'IamRole', 'FilterValues': ['others']}]}");
    assert_string_equal(page, "{\"ActivationList\":[]}");
    page = ask(&w, "{'Filters': [{'FilterKey': 'ActivationIds', 'FilterValues': "
                   "['00000063-0000-4000-8000-000000000000']}]}");
    world_has(page, "00000063-0000-4000-8000-000000000000");
    world_fini(&w);
}

GT_TEST(filters_that_say_nothing)
{
    struct world w;
    world_third = ssm_control();
    world_init(&w);
    world_has(ask(&w, "{'Filters': [{'FilterValues': ['nodes']}]}"), "InvalidFilter");
    world_has(ask(&w, "{'Filters': [{'FilterKey': 'IamRole'}]}"), "InvalidFilter");
    world_fini(&w);
}

GT_RUN(GT_CASE(pages_of_large_activations), GT_CASE(filters_that_say_nothing))
