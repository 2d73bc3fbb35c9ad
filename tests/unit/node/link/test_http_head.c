#include "gt_test.h"

#include "node/link/http_head.h"

GT_TEST(heads)
{
    static const struct {
        const char *text;
        int want; /* -2: its length */
        bool keep_alive, has_body;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", -2, true, false},
        {"GET / HTTP/1.0\r\n\r\n", -2, false, false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", -2, true, false},
        {"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", -2, false, false},
        {"PUT /x HTTP/1.1\r\nContent-Length: 12\r\n\r\n", -2, true, true},
        {"GET /x HTTP/1.1\r\nContent-Length: 0\r\n\r\n", -2, true, false},
        {"GET /x HTTP/1.1\r\n", 0, false, false},
        {"", 0, false, false},
        {"GET /x HTTP/2.0\r\n\r\n", -505, false, false},
        {"GET x HTTP/1.1\r\n\r\n", -400, false, false},
        {"GET  / HTTP/1.1\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1 \r\n\r\n", -505, false, false},
        {"GET /\n\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1\r\nA : b\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", -400, false,
         false},
        {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", -400, false, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", -400, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_head h;
        int n = (int)strlen(cases[i].text);
        int r = http_head_parse(cases[i].text, (size_t)n, &h);
        int want = cases[i].want == -2 ? n : cases[i].want;
        if (r != want) {
            fail_msg("case %zu: %d, not %d", i, r, want);
        }
        if (r > 0) {
            assert_int_equal(h.keep_alive, cases[i].keep_alive);
            assert_int_equal(h.has_body, cases[i].has_body);
        }
    }
}

GT_TEST(parts_and_pipelining)
{
    struct http_head h;
    const char two[] = "GET /v4/a/task?x=1 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    assert_int_equal(http_head_parse(two, sizeof two - 1, &h), 31);
    assert_true(gt_str_is(h.method, "GET"));
    assert_true(gt_str_is(h.path, "/v4/a/task"));
    assert_true(gt_str_is(h.query, "x=1"));
}

GT_TEST(sizes)
{
    struct http_head h;
    char big[HTTP_HEAD_MAX + 16];
    memset(big, 'a', sizeof big);
    assert_int_equal(http_head_parse(big, sizeof big, &h), -431);
    memcpy(big, "GET /", 5);
    memcpy(big + 5 + HTTP_TARGET_MAX, " HTTP/1.1\r\n\r\n", 13);
    assert_int_equal(http_head_parse(big, sizeof big, &h), -414);
}

GT_RUN(GT_CASE(heads), GT_CASE(parts_and_pipelining), GT_CASE(sizes))
