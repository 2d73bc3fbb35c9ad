#include "gt_test.h"
#include "world.h"

#include "control/services/agent/join.h"
#include "lib/base/mem.h"

static int make_token(struct tx *tx, void *arg, struct gt_err *err)
{
    struct rec_agent_token *t = arg;
    return agent_token_make(tx, t, AGENT_HOUR_MS, err);
}

static int with_core(struct world *w, int (*fn)(struct tx *, void *, struct gt_err *), void *arg,
                     struct gt_err *err)
{
    struct core_call c = {.fn = fn,
                          .arg = arg,
                          .principal = {.account = GT_STR_LIT("000000000000")},
                          .region = GT_STR_LIT("us-east-1"),
                          .arena = &w->arena};
    core_apply(w->core, &c, w->now);
    *err = c.err;
    return c.result;
}

static void token(struct world *w, const char *id, int uses, const char *cluster, bool external)
{
    struct gt_err err = GT_ERR_INIT;
    struct rec_agent_token t = {
        .id = gt_str(id), .uses = uses, .cluster = gt_str(cluster), .external = external};
    gt_assert_ok(with_core(w, make_token, &t, &err), err);
}

static const char *join(struct world *w, const char *token_id, const char *join_id)
{
    w->as = PRINCIPAL_JOIN;
    w->as_name = token_id;
    w->as_key = "GTJOIN-x";
    const char *r = world_call(w, "JoinNode", "{'joinId': '%s'}", join_id);
    w->as = PRINCIPAL_ROOT;
    w->as_key = "";
    return r;
}

static void be_node(struct world *w, const char *access_key)
{
    struct gt_str node = agent_key_node(gt_str(access_key));
    assert_true(node.n > 0);
    w->as = PRINCIPAL_NODE;
    w->as_name = gt_arena_str(&w->arena, node);
    w->as_key = access_key;
}

static const char *enter(struct world *w)
{
    return world_call(w, "RegisterNode", "{'name': 'host', 'cpu': 1024, 'memory': 512}");
}

GT_TEST(key_ids)
{
    static const struct {
        const char *id, *node;
    } cases[] = {{"GTNODE-a.0123456789abcdef", "a"},
                 {"GTNODE-node-1_x.0123456789abcdef", "node-1_x"},
                 {"GTNODE-.0123456789abcdef", NULL},
                 {"GTNODE-a", NULL},
                 {"GTNODE-a.b.0123456789abcde", NULL},
                 {"GTNODE-a.b.0123456789abcdef", NULL},
                 {"GTNODE-a.0123456789abcde", NULL},
                 {"AKIAABCDEFGHIJKLMNOP", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct gt_str node = agent_key_node(gt_str(cases[i].id));
        assert_true(cases[i].node ? gt_str_is(node, cases[i].node) : node.p == NULL);
    }
    char id[200];
    snprintf(id, sizeof id, "GTNODE-%081d.0123456789abcdef", 0);
    assert_null(agent_key_node(gt_str(id)).p);
}

GT_TEST(secrets_differ_by_id_and_server)
{
    unsigned char one[32] = {1}, two[32] = {2};
    char a[AGENT_SECRET_SIZE], b[AGENT_SECRET_SIZE];
    agent_secret(one, GT_STR_LIT("GTNODE-a.0123456789abcdef"), a);
    agent_secret(one, GT_STR_LIT("GTNODE-a.0123456789abcdef"), b);
    assert_string_equal(a, b);
    agent_secret(one, GT_STR_LIT("GTNODE-a.0123456789abcdee"), b);
    assert_string_not_equal(a, b);
    agent_secret(two, GT_STR_LIT("GTNODE-a.0123456789abcdef"), b);
    assert_string_not_equal(a, b);
}

GT_TEST(a_token_is_good_for_its_uses_and_its_time)
{
    struct world w;
    world_init(&w);
    token(&w, "t1", 2, NULL, false);
    const char *a = join(&w, "t1", "j1"), *b = join(&w, "t1", "j2");
    assert_string_not_equal(world_get(&w, a, "nodeId", 0), world_get(&w, b, "nodeId", 0));
    world_has(join(&w, "t1", "j3"), "InvalidTokenException: the token was used as often");
    world_has(join(&w, "nope", "j1"), "InvalidTokenException: the token was revoked");
    token(&w, "t2", 1, NULL, false);
    world_run(&w, AGENT_HOUR_MS);
    world_has(join(&w, "t2", "j1"), "InvalidTokenException: the token has expired");
    token(&w, "t3", 1, NULL, false);
    join(&w, "t3", "j1");
    world_has(join(&w, "t3", "j2"), "good for one node only");
    world_has(world_call(&w, "JoinNode", "{'joinId': 'x'}"), "AccessDeniedException");
    world_has(world_call(&w, "ListContainerInstances", "{}"), "\"containerInstanceArns\":[]");
    world_fini(&w);
}

GT_TEST(a_join_that_was_not_heard_of_is_repeated)
{
    struct world w;
    world_init(&w);
    token(&w, "t", 1, NULL, false);
    const char *a = join(&w, "t", "j1"), *b = join(&w, "t", "j1");
    assert_string_equal(a, b);
    world_has(join(&w, "t", "j2"), "InvalidTokenException"); /* somebody else's join */
    be_node(&w, world_get(&w, a, "accessKeyId", 0));
    world_has(enter(&w), "\"session\"");
    world_has(join(&w, "t", "j1"), "InvalidTokenException"); /* it is over */
    world_fini(&w);
}

GT_TEST(who_joins_and_stays_away_is_forgotten)
{
    struct world w;
    world_init(&w);
    size_t keys = core_keys(w.core);
    token(&w, "t", 1, NULL, false);
    const char *a = join(&w, "t", "j1");
    world_run(&w, AGENT_JOIN_GRACE_MS);
    be_node(&w, world_get(&w, a, "accessKeyId", 0));
    world_has(enter(&w), "UnrecognizedClientException");
    world_run(&w, AGENT_TOKEN_KEPT_MS + AGENT_HOUR_MS);
    assert_int_equal(core_keys(w.core), keys);
    world_fini(&w);
}

GT_TEST(a_token_says_cluster_and_launch_type)
{
    struct world w;
    world_init(&w);
    struct gt_err err = GT_ERR_INIT;
    struct rec_agent_token t = {.id = GT_STR_LIT("t"), .cluster = GT_STR_LIT("nope"), .uses = 1};
    assert_true(with_core(&w, make_token, &t, &err) < 0);
    world_call(&w, "CreateCluster", "{'clusterName': 'edge'}");
    token(&w, "t", 1, "edge", true);
    const char *a = join(&w, "t", "j1");
    world_has(a, "\"cluster\":\"edge\"");
    world_has(a, "\"managedInstanceId\":\"mi-");
    be_node(&w, world_get(&w, a, "accessKeyId", 0));
    world_has(world_call(&w, "RegisterNode",
                         "{'name': 'h', 'cpu': 1, 'memory': 1, 'cluster': 'default'}"),
              "AccessDeniedException: the node joined cluster 'edge'");
    world_has(enter(&w), "container-instance/edge/");
    w.as = PRINCIPAL_ROOT;
    world_call(&w, "RegisterTaskDefinition",
               "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'busybox', "
               "'memory': 64}]}");
    world_has(world_call(&w, "RunTask", "{'taskDefinition': 'web', 'cluster': 'edge'}"),
              "No Container Instances");
    world_has(world_call(&w, "RunTask",
                         "{'taskDefinition': 'web', 'cluster': 'edge', 'launchType': 'EXTERNAL'}"),
              "\"launchType\":\"EXTERNAL\"");
    world_fini(&w);
}

/* A rotation may end at any point; the node can always go on with the key that it stored last. */
GT_TEST(keys_change_over)
{
    struct world w;
    world_init(&w);
    token(&w, "t", 1, NULL, false);
    const char *k1 = world_get(&w, join(&w, "t", "j1"), "accessKeyId", 0);
    be_node(&w, k1);
    world_has(enter(&w), "session");
    const char *lost = world_get(&w, world_call(&w, "RenewNodeKey", "{}"), "accessKeyId", 0);
    world_has(enter(&w), "session"); /* the answer was lost: it goes on with the first */
    const char *k2 = world_get(&w, world_call(&w, "RenewNodeKey", "{}"), "accessKeyId", 0);
    be_node(&w, lost);
    world_has(enter(&w), "UnrecognizedClientException");
    be_node(&w, k2);
    world_has(enter(&w), "session");
    be_node(&w, k1); /* what is under way with it ends well, for a while */
    world_has(world_call(&w, "RenewNodeKey", "{'nodeId': 'other'}"), "AccessDeniedException");
    world_has(world_call(&w, "Poll", "{'session': 'x.y'}"), "AccessDeniedException");
    world_run(&w, AGENT_KEY_OVERLAP_MS);
    world_has(enter(&w), "UnrecognizedClientException");
    be_node(&w, k2);
    world_has(enter(&w), "session");
    world_run(&w, AGENT_KEY_LIFE_MS);
    world_has(enter(&w), "the key has expired");
    world_fini(&w);
}

static int revoke(struct tx *tx, void *arg, struct gt_err *err)
{
    agent_key_revoke(tx, gt_str(arg));
    return 0;
}

GT_TEST(a_revoked_key_is_refused)
{
    struct world w;
    struct gt_err err;
    world_init(&w);
    token(&w, "t", 1, NULL, false);
    be_node(&w, world_get(&w, join(&w, "t", "j1"), "accessKeyId", 0));
    world_has(enter(&w), "session");
    with_core(&w, revoke, (void *)w.as_name, &err);
    world_has(enter(&w), "UnrecognizedClientException");
    world_has(world_call(&w, "RenewNodeKey", "{}"), "UnrecognizedClientException");
    world_fini(&w);
}

GT_TEST(root_gives_a_registered_node_its_only_key)
{
    struct world w;
    world_init(&w);
    world_has(world_call(&w, "RenewNodeKey", "{'nodeId': 'n1'}"), "UnknownNodeException");
    world_node(&w, "n1", 1024, 512);
    const char *a =
        world_get(&w, world_call(&w, "RenewNodeKey", "{'nodeId': 'n1'}"), "accessKeyId", 0);
    const char *b =
        world_get(&w, world_call(&w, "RenewNodeKey", "{'nodeId': 'n1'}"), "accessKeyId", 0);
    be_node(&w, a);
    world_has(enter(&w), "UnrecognizedClientException");
    be_node(&w, b);
    world_has(enter(&w), "session");
    world_fini(&w);
}

GT_RUN(GT_CASE(key_ids), GT_CASE(secrets_differ_by_id_and_server),
       GT_CASE(a_token_is_good_for_its_uses_and_its_time),
       GT_CASE(a_join_that_was_not_heard_of_is_repeated),
       GT_CASE(who_joins_and_stays_away_is_forgotten),
       GT_CASE(a_token_says_cluster_and_launch_type), GT_CASE(keys_change_over),
       GT_CASE(a_revoked_key_is_refused), GT_CASE(root_gives_a_registered_node_its_only_key))
