/* A container's query, the refusal that it would get, and the same bytes as a resolver's answer. */
#include "node/link/dns.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_query q;
    uint8_t out[DNS_HEADER + DNS_NAME_MAX + 4];
    int r = dns_query_parse(data, size, &q);
    if (r == DNS_OK && (q.question_len > DNS_NAME_MAX + 4 || q.question_len + DNS_HEADER > size)) {
        abort();
    }
    if (r == DNS_OK) {
        dns_answers(data, size, data, &q, q.id);
    }
    if (dns_refusal(data, size, DNS_SERVFAIL, out) > sizeof out) {
        abort();
    }
    struct dns_resolvers resolvers;
    dns_resolvers_parse(gt_str_n((const char *)data, size), &resolvers);
    return 0;
}
