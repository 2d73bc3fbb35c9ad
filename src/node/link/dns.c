#include "node/link/dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAG_QR 0x80
#define OPCODE(b) ((b) >> 3 & 15)

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* The length of the name at p, or 0. Questions have no compression. */
static size_t name_len(const uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n && at < DNS_NAME_MAX;) {
        if (p[at] == 0) {
            return at + 1;
        }
        if (p[at] > 63) {
            return 0;
        }
        at += 1 + (size_t)p[at];
    }
    return 0;
}

int dns_query_parse(const uint8_t *p, size_t n, struct dns_query *ret)
{
    if (n < DNS_HEADER || p[2] & FLAG_QR) {
        return -1;
    }
    *ret = (struct dns_query){.id = get16(p)};
    if (OPCODE(p[2]) != 0) {
        return DNS_NOTIMP;
    }
    /* One question, no answers; authority none; additional at most EDNS, a TSIG or both. */
    if (get16(p + 4) != 1 || get16(p + 6) != 0 || get16(p + 8) != 0 || get16(p + 10) > 2) {
        return DNS_FORMERR;
    }
    size_t name = name_len(p + DNS_HEADER, n - DNS_HEADER);
    if (name == 0 || n - DNS_HEADER - name < 4) {
        return DNS_FORMERR;
    }
    ret->question_len = name + 4;
    ret->type = get16(p + DNS_HEADER + name);
    ret->class_ = get16(p + DNS_HEADER + name + 2);
    if (ret->type == 251 || ret->type == 252) {
        return DNS_REFUSED; /* zone transfers */
    }
    return DNS_OK;
}

bool dns_answers(const uint8_t *a, size_t n, const uint8_t *query, const struct dns_query *q,
                 uint16_t id)
{
    if (n < DNS_HEADER || !(a[2] & FLAG_QR) || get16(a) != id) {
        return false;
    }
    if (get16(a + 4) == 0) {
        return (a[3] & 15) != DNS_OK; /* some servers leave the question out when they refuse */
    }
    if (get16(a + 4) != 1 || n < DNS_HEADER + q->question_len) {
        return false;
    }
    for (size_t i = DNS_HEADER; i < DNS_HEADER + q->question_len; i++) {
        if (tolower(a[i]) != tolower(query[i])) {
            return false;
        }
    }
    return true;
}

size_t dns_refusal(const uint8_t *query, size_t n, enum dns_rcode rcode, uint8_t *to)
{
    struct dns_query q;
    size_t question = 0;
    memset(to, 0, DNS_HEADER);
    if (n >= 4) {
        memcpy(to, query, 2);
        to[2] = (uint8_t)(FLAG_QR | (query[2] & 0x79)); /* same opcode, RD */
    }
    int r = dns_query_parse(query, n, &q);
    if (r == DNS_OK || r == DNS_REFUSED) {
        question = q.question_len;
        memcpy(to + DNS_HEADER, query + DNS_HEADER, question);
        to[5] = 1;
    }
    to[3] = (uint8_t)(0x80 | rcode); /* RA */
    return DNS_HEADER + question;
}

static bool add_resolver(char *text, struct dns_resolvers *to)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&to->v[to->n];
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to->v[to->n];
    memset(&to->v[to->n], 0, sizeof to->v[0]);
    char *scope = strchr(text, '%');
    if (scope) {
        *scope++ = '\0';
    }
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(53);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(53);
        v6->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
        return true;
    }
    return false;
}

static unsigned option(const char *line, const char *name, unsigned otherwise, unsigned max)
{
    const char *at = strstr(line, name);
    unsigned value = at ? (unsigned)strtoul(at + strlen(name), NULL, 10) : 0;
    return value == 0 ? otherwise : value > max ? max : value;
}

void dns_resolvers_parse(struct gt_str s, struct dns_resolvers *ret)
{
    *ret = (struct dns_resolvers){.timeout_ms = 2000, .attempts = 2};
    while (s.n > 0) {
        const char *end = memchr(s.p, '\n', s.n);
        size_t n = end ? (size_t)(end - s.p) : s.n;
        char line[256], word[64];
        snprintf(line, sizeof line, "%.*s", (int)(n > 255 ? 255 : n), s.p);
        size_t skip = end ? n + 1 : n;
        s = gt_str_n(s.p + skip, s.n - skip);
        if (sscanf(line, " nameserver %63s", word) == 1) {
            if (ret->n < DNS_RESOLVERS_MAX && add_resolver(word, ret)) {
                ret->n++;
            }
        } else if (sscanf(line, " %63s", word) == 1 && strcmp(word, "options") == 0) {
            ret->timeout_ms = option(line, "timeout:", ret->timeout_ms / 1000, 30) * 1000;
            ret->attempts = option(line, "attempts:", ret->attempts, 5);
        }
    }
}
