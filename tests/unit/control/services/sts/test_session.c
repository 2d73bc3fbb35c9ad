#include "control/services/sts/session.h"
#include "gt_test.h"

#include "lib/base/mem.h"

static const unsigned char secret[32] = "the secret of a server, 32 bytes";
static const unsigned char other[32] = "the secret of another, 32 bytes.";

static const struct principal_tag tags[] = {
    {.key = {"team", 4}, .value = {"web", 3}, .transitive = true},
    {.key = {"empty", 5}, .value = {"", 0}},
};
static const struct principal_session wanted = {
    .role_id = {"AROAXXXXXXXXXXXXXXXXX", 21},
    .name = {"tester", 6},
    .policy = {"{}", 2},
    .issued_at = 1000,
    .expires_at = 3601000,
    .tags = tags,
    .n_tags = 2,
};

struct fixture {
    struct sts_sealer sealer;
    struct gt_arena arena;
    struct sts_keys keys;
};

static void setup(struct fixture *f)
{
    struct gt_err err = GT_ERR_INIT;
    gt_arena_init(&f->arena, 1024 * 1024);
    sts_sealer_init(&f->sealer, secret);
    gt_assert_ok(sts_session_make(&f->sealer, GT_STR_LIT("000000000000"), GT_STR_LIT("Web"),
                                  &wanted, &f->arena, &f->keys, &err),
                 err);
}

GT_TEST(what_was_sealed_comes_back)
{
    struct fixture f;
    struct principal p;
    char key[STS_KEY_SECRET];
    setup(&f);
    assert_int_equal(
        sts_session_open(&f.sealer, gt_str(f.keys.key_id), f.keys.token, &f.arena, key, &p), 0);
    assert_string_equal(key, f.keys.secret);
    assert_int_equal(strlen(key), 40);
    assert_int_equal(p.kind, PRINCIPAL_ROLE);
    assert_true(gt_str_is(p.arn, "arn:aws:sts::000000000000:assumed-role/Web/tester"));
    assert_true(gt_str_eq(p.session->role_id, wanted.role_id));
    assert_true(gt_str_is(p.session->policy, "{}"));
    assert_int_equal(p.session->issued_at, 1000);
    assert_int_equal(p.session->expires_at, 3601000);
    assert_int_equal(p.session->n_tags, 2);
    assert_true(gt_str_is(p.session->tags[0].value, "web"));
    assert_true(p.session->tags[0].transitive);
    assert_false(p.session->tags[1].transitive);
    gt_arena_fini(&f.arena);
}

/* Every character of a token counts, and so do its key's and the server's secret. */
GT_TEST(nothing_else_opens)
{
    struct fixture f;
    struct principal p;
    struct sts_sealer theirs;
    char key[STS_KEY_SECRET], text[STS_LIMIT_TOKEN];
    setup(&f);
    struct gt_str id = gt_str(f.keys.key_id), token = f.keys.token;
    sts_sealer_init(&theirs, other);
    assert_true(sts_session_open(&theirs, id, token, &f.arena, key, &p) < 0);
    assert_true(sts_session_open(&f.sealer, GT_STR_LIT("ASIAAAAAAAAAAAAAAAAA"), token, &f.arena,
                                 key, &p) < 0);
    for (size_t i = 0; i < token.n; i++) {
        memcpy(text, token.p, token.n);
        text[i] = (char)(text[i] == 'A' ? 'B' : 'A');
        if (token.p[i] != '=' && i + 3 < token.n) {
            assert_true(
                sts_session_open(&f.sealer, id, gt_str_n(text, token.n), &f.arena, key, &p) < 0);
        }
        assert_true(
            sts_session_open(&f.sealer, id, gt_str_n(token.p, i / 4 * 4), &f.arena, key, &p) < 0);
    }
    gt_arena_fini(&f.arena);
}

GT_TEST(keys_differ_and_secrets_are_not_in_the_token)
{
    struct fixture a, b;
    setup(&a);
    setup(&b);
    assert_string_not_equal(a.keys.key_id, b.keys.key_id);
    assert_string_not_equal(a.keys.secret, b.keys.secret);
    assert_false(gt_str_eq(a.keys.token, b.keys.token));
    assert_null(strstr(a.keys.token.p, a.keys.secret));
    gt_arena_fini(&a.arena);
    gt_arena_fini(&b.arena);
}

GT_TEST(too_much_is_refused)
{
    struct fixture f;
    struct gt_err err = GT_ERR_INIT;
    char large[STS_LIMIT_SESSION];
    setup(&f);
    memset(large, 'x', sizeof(large));
    struct principal_session s = wanted;
    s.policy = gt_str_n(large, sizeof(large));
    assert_true(sts_session_make(&f.sealer, GT_STR_LIT("0"), GT_STR_LIT("r"), &s, &f.arena, &f.keys,
                                 &err) < 0);
    assert_string_equal(gt_err_aws_name(&err), "PackedPolicyTooLargeException");
    gt_arena_fini(&f.arena);
}

GT_RUN(GT_CASE(what_was_sealed_comes_back), GT_CASE(nothing_else_opens),
       GT_CASE(keys_differ_and_secrets_are_not_in_the_token), GT_CASE(too_much_is_refused))
