#include "lib/oci/reference.h"

#include "gt_test.h"
#include "lib/base/mem.h"

GT_TEST(takes_the_grammar)
{
    static const struct {
        const char *text, *host, *repository, *tag;
        bool digest;
    } good[] = {
        {"nginx", "", "nginx", "", false},
        {"nginx:1.25", "", "nginx", "1.25", false},
        {"library/nginx", "", "library/nginx", "", false},
        {"localhost/a", "localhost", "a", "", false},
        {"127.0.0.1:4566/web/app:v1_2-3.4", "127.0.0.1:4566", "web/app", "v1_2-3.4", false},
        {"quay.io/a/b/c", "quay.io", "a/b/c", "", false},
        {"[::1]:5000/a", "[::1]:5000", "a", "", false},
        {"a__b/c--d/e.f_g", "", "a__b/c--d/e.f_g", "", false},
        {"r/x:t@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "", "r/x",
         "t", true},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(good); i++) {
        struct oci_reference r;
        struct gt_err err = GT_ERR_INIT;
        gt_assert_ok(oci_reference_parse(gt_str(good[i].text), &r, &err), err);
        assert_true(gt_str_is(r.host, good[i].host));
        assert_true(gt_str_is(r.repository, good[i].repository));
        assert_true(gt_str_is(r.tag, good[i].tag));
        assert_int_equal(r.has_digest, good[i].digest);
    }
}

GT_TEST(refuses_the_rest)
{
    static const char *const bad[] = {
        "",         "/",          "a/",          "/a",
        "a//b",     "../a",       "a/../b",      "A",
        "a:",       "a:-x",       "a.",          "a..b",
        "a___b",    "host.x:0/a", "h.:1/a",      "h.x:99999999999/a",
        "[zz]:1/a", "[::1/a",     "a@sha256:12", "a@",
        ":tag",     "a b",        "a/b:c/d",     "-a",
        "a@md5:00", "host.x/",    "a\nb",
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        struct oci_reference r;
        struct gt_err err = GT_ERR_INIT;
        if (oci_reference_parse(gt_str(bad[i]), &r, &err) == 0) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(err.kind != GT_ERR_NONE);
    }
    char name[300];
    memset(name, 'a', sizeof(name));
    assert_true(oci_name_valid(gt_str_n(name, 256)));
    assert_false(oci_name_valid(gt_str_n(name, 257)));
    assert_true(oci_tag_valid(gt_str_n(name, 128)));
    assert_false(oci_tag_valid(gt_str_n(name, 129)));
}

GT_TEST(fills_in_dockers_defaults)
{
    struct gt_arena a;
    gt_arena_init(&a, 4096);
    struct oci_reference r;
    assert_int_equal(oci_reference_parse(GT_STR_LIT("nginx"), &r, NULL), 0);
    oci_reference_default(&r, &a);
    assert_true(gt_str_is(r.host, "docker.io"));
    assert_true(gt_str_is(r.repository, "library/nginx"));
    assert_true(gt_str_is(r.tag, "latest"));
    assert_int_equal(oci_reference_parse(GT_STR_LIT("quay.io/x:1"), &r, NULL), 0);
    oci_reference_default(&r, &a);
    assert_true(gt_str_is(r.repository, "x"));
    assert_true(gt_str_is(r.tag, "1"));
    gt_arena_fini(&a);
}

GT_RUN(GT_CASE(takes_the_grammar), GT_CASE(refuses_the_rest), GT_CASE(fills_in_dockers_defaults))
