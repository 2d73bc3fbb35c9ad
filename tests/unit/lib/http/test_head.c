#include "gt_test.h"
#include "lib/http/head.h"

#define H(n, v)                                                                                    \
    {                                                                                              \
        {(n), sizeof(n) - 1},                                                                      \
        {                                                                                          \
            (v), sizeof(v) - 1                                                                     \
        }                                                                                          \
    }

static int check(const struct http_header *v, size_t n, struct http_head *ret)
{
    struct gt_err err = GT_ERR_INIT;
    return http_head_check(v, n, true, ret, &err);
}

GT_TEST(refuses_ambiguous_framing)
{
    static const struct http_header bad[][2] = {
        {H("content-length", "3"), H("content-length", "3")},
        {H("content-length", "3"), H("transfer-encoding", "chunked")},
        {H("transfer-encoding", "gzip, chunked"), H("a", "b")},
        {H("transfer-encoding", "chunked"), H("transfer-encoding", "identity")},
        {H("content-length", "+3"), H("a", "b")},
        {H("content-length", "3, 3"), H("a", "b")},
        {H("content-length", ""), H("a", "b")},
        {H("content-length", "-1"), H("a", "b")},
        {H("content-length", "9999999999999999999"), H("a", "b")},
        {H("content-length ", "3"), H("a", "b")},
        {H("host", "a"), H("host", "b")},
        {H("authorization", "a"), H("authorization", "b")},
        {H("", "3"), H("a", "b")},
        {H("x", "a\rb"), H("a", "b")},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct http_head head;
        assert_int_equal(check(bad[i], 2, &head), -EINVAL);
    }
    struct http_head head;
    const struct http_header te[] = {H("transfer-encoding", "chunked")};
    assert_int_equal(http_head_check(te, 1, /* http11= */ false, &head, NULL), -EINVAL);
}

GT_TEST(reads_what_it_accepts)
{
    const struct http_header v[] = {H("content-length", "17"), H("content-encoding", "GZIP"),
                                    H("expect", "100-Continue"), H("x-a", "1"), H("x-a", "2")};
    struct http_head head;
    assert_int_equal(check(v, 5, &head), 0);
    assert_int_equal(head.content_length, 17);
    assert_true(head.gzip && head.encoded && head.expect_continue && !head.chunked);
    assert_true(gt_str_is(http_head_find(v, 5, "x-a"), "1"));
    assert_null(http_head_find(v, 5, "x-b").p);
}

GT_TEST(decodes_percent_and_finds_in_queries)
{
    char to[64];
    ptrdiff_t n = http_percent_decode(GT_STR_LIT("a%2Fb+c%20"), true, to);
    assert_int_equal(n, 6);
    assert_memory_equal(to, "a/b c ", 6);
    assert_int_equal(http_percent_decode(GT_STR_LIT("%2"), true, to), -EINVAL);
    assert_int_equal(http_percent_decode(GT_STR_LIT("%zz"), true, to), -EINVAL);
    assert_int_equal(http_percent_decode(GT_STR_LIT("%00"), true, to), -EINVAL);
    struct gt_str q = GT_STR_LIT("a=1&bb=2&c&d=");
    assert_true(gt_str_is(http_query_find(q, "bb"), "2"));
    assert_true(gt_str_is(http_query_find(q, "a"), "1"));
    assert_int_equal(http_query_find(q, "c").n, 0);
    assert_non_null(http_query_find(q, "c").p);
    assert_null(http_query_find(q, "b").p);
}

GT_RUN(GT_CASE(refuses_ambiguous_framing), GT_CASE(reads_what_it_accepts),
       GT_CASE(decodes_percent_and_finds_in_queries))
