/*
 * DNS messages (RFC 1035), as much as a forwarder needs: is this a query that may be passed on,
 * does this answer belong to it, and answers that say no.
 */
#ifndef GT_NODE_LINK_DNS_H
#define GT_NODE_LINK_DNS_H

#include "lib/base/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_HEADER 12
#define DNS_UDP_MAX 4096 /* what we take and pass on; larger ones come over TCP */
#define DNS_NAME_MAX 255

enum dns_rcode { DNS_OK = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NOTIMP = 4, DNS_REFUSED = 5 };

struct dns_query {
    uint16_t id;
    uint16_t type, class_;
    size_t question_len; /* of the question section, which begins at DNS_HEADER */
};

/* DNS_OK, or what to answer. -1: not even worth an answer (too short, or an answer itself). */
int dns_query_parse(const uint8_t *p, size_t n, struct dns_query *ret);

/* Whether `answer` answers `query`, whose id upstream was `id`. Names compare without case. */
bool dns_answers(const uint8_t *answer, size_t n, const uint8_t *query,
                 const struct dns_query *parsed, uint16_t id);

/* Writes a header and, if there is one, the question of `query`; returns the length. `to` holds at
 * least DNS_HEADER + DNS_NAME_MAX + 4 bytes. */
size_t dns_refusal(const uint8_t *query, size_t n, enum dns_rcode rcode, uint8_t *to);

#define DNS_RESOLVERS_MAX 3
struct dns_resolvers {
    struct sockaddr_storage v[DNS_RESOLVERS_MAX];
    size_t n;
    unsigned timeout_ms, attempts; /* of resolv.conf's options; 2000 and 2 */
};
/* The nameservers of a resolv.conf. Anything odd is skipped. */
void dns_resolvers_parse(struct gt_str resolv_conf, struct dns_resolvers *ret);

#endif
