#include "gt_test.h"

#include "node/link/dns.h"

#include <arpa/inet.h>

#define HEADER(flags, qd) 0x12, 0x34, flags, 0x00, 0x00, qd, 0, 0, 0, 0, 0, 0
#define QUESTION 3, 'w', 'w', 'w', 1, 'a', 0, 0, 1, 0, 1

static const uint8_t good[] = {HEADER(0x01, 1), QUESTION};

GT_TEST(queries)
{
    static const uint8_t answer[] = {HEADER(0x81, 1), QUESTION};
    static const uint8_t two[] = {HEADER(0x01, 2), QUESTION, QUESTION};
    static const uint8_t update[] = {HEADER(0x28, 1), QUESTION};
    static const uint8_t pointer[] = {HEADER(0x01, 1), 0xc0, 0x0c, 0, 1, 0, 1};
    static const uint8_t transfer[] = {HEADER(0x01, 1), 1, 'a', 0, 0, 252, 0, 1};
    struct dns_query q;
    assert_int_equal(dns_query_parse(good, sizeof good, &q), DNS_OK);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.type, 1);
    assert_int_equal(q.question_len, 11);
    assert_int_equal(dns_query_parse(answer, sizeof answer, &q), -1);
    assert_int_equal(dns_query_parse(two, sizeof two, &q), DNS_FORMERR);
    assert_int_equal(dns_query_parse(update, sizeof update, &q), DNS_NOTIMP);
    assert_int_equal(dns_query_parse(pointer, sizeof pointer, &q), DNS_FORMERR);
    assert_int_equal(dns_query_parse(transfer, sizeof transfer, &q), DNS_REFUSED);
    for (size_t n = 0; n < sizeof good; n++) {
        assert_int_not_equal(dns_query_parse(good, n, &q), DNS_OK);
    }
}

GT_TEST(answers_must_match)
{
    uint8_t a[sizeof good];
    struct dns_query q;
    assert_int_equal(dns_query_parse(good, sizeof good, &q), DNS_OK);
    memcpy(a, good, sizeof a);
    a[2] |= 0x80;
    assert_true(dns_answers(a, sizeof a, good, &q, 0x1234));
    a[13] = 'W'; /* case does not matter */
    assert_true(dns_answers(a, sizeof a, good, &q, 0x1234));
    assert_false(dns_answers(a, sizeof a, good, &q, 0x1235));
    assert_false(dns_answers(a, sizeof a - 1, good, &q, 0x1234));
    a[13] = 'x';
    assert_false(dns_answers(a, sizeof a, good, &q, 0x1234));
}

GT_TEST(refusals)
{
    uint8_t out[DNS_HEADER + DNS_NAME_MAX + 4];
    size_t n = dns_refusal(good, sizeof good, DNS_SERVFAIL, out);
    assert_int_equal(n, sizeof good);
    assert_int_equal(out[0], 0x12);
    assert_int_equal(out[2], 0x81);
    assert_int_equal(out[3], 0x82);
    assert_memory_equal(out + 12, good + 12, n - 12);
    assert_int_equal(dns_refusal(good, 13, DNS_FORMERR, out), DNS_HEADER);
}

GT_TEST(resolv_conf)
{
    struct dns_resolvers r;
    dns_resolvers_parse(GT_STR_LIT("# x\nnameserver 127.0.0.53\nsearch a b\nnameserver  fd00::1\n"
                                   "nameserver junk\noptions timeout:1 attempts:3 edns0\n"
                                   "nameserver 1.1.1.1\nnameserver 9.9.9.9"),
                        &r);
    assert_int_equal(r.n, 3);
    assert_int_equal(((struct sockaddr_in *)&r.v[0])->sin_addr.s_addr, inet_addr("127.0.0.53"));
    assert_int_equal(r.v[1].ss_family, AF_INET6);
    assert_int_equal(((struct sockaddr_in *)&r.v[2])->sin_addr.s_addr, inet_addr("1.1.1.1"));
    assert_int_equal(r.timeout_ms, 1000);
    assert_int_equal(r.attempts, 3);
    dns_resolvers_parse(gt_str(""), &r);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.timeout_ms, 2000);
}

GT_RUN(GT_CASE(queries), GT_CASE(answers_must_match), GT_CASE(refusals), GT_CASE(resolv_conf))
