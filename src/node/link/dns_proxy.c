/*
 * DNS over UDP: each query goes to the host's resolvers, one after the other, from a socket of its
 * own, connected and with a port of the kernel's choice: an answer must come from the resolver, to
 * that port, with our random id and the same question.
 */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "node/link/link_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_QUERIES 512
#define MAX_OF_ONE_ADDRESS 128
#define RESOLVERS_AGE 2000 /* ms; resolv.conf is read again */

struct query {
    struct loop_source source; /* upstream; first */
    struct gt_list node;
    struct dns_proxy *proxy;
    struct sockaddr_in from;
    struct in_addr to; /* the address of ours that was asked: the answer comes from it */
    int64_t deadline;
    unsigned tries;
    struct dns_query parsed;
    uint16_t id; /* upstream */
    size_t n;
    uint8_t bytes[DNS_UDP_MAX];
};

const struct dns_resolvers *dns_proxy_resolvers(struct dns_proxy *p)
{
    if (p->resolvers_at == 0 || p->loop->now - p->resolvers_at > RESOLVERS_AGE) {
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(64 * 1024);
        if (gt_file_read(AT_FDCWD, p->resolv_conf, &b, NULL) == 0) {
            dns_resolvers_parse(gt_buf_view(&b), &p->resolvers);
        }
        p->resolvers_at = p->loop->now;
    }
    return &p->resolvers;
}

static void reply(const struct dns_proxy *p, const struct sockaddr_in *to, struct in_addr from,
                  const uint8_t *bytes, size_t n)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr m = {.msg_name = (void *)(uintptr_t)to,
                       .msg_namelen = sizeof *to,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    struct in_pktinfo info = {.ipi_spec_dst = from};
    memcpy(CMSG_DATA(c), &info, sizeof info);
    ssize_t ignored = sendmsg(p->udp.fd, &m, MSG_DONTWAIT);
    (void)ignored; /* UDP: the client asks again */
}

static void query_close(struct query *q)
{
    loop_remove(q->proxy->loop, &q->source);
    gt_list_remove(&q->node);
    q->proxy->n_queries--;
    free(q);
}

static void refuse_query(struct query *q, enum dns_rcode rcode)
{
    uint8_t out[DNS_HEADER + DNS_NAME_MAX + 4];
    q->bytes[0] = (uint8_t)(q->parsed.id >> 8); /* ours was written over the client's */
    q->bytes[1] = (uint8_t)q->parsed.id;
    reply(q->proxy, &q->from, q->to, out, dns_refusal(q->bytes, q->n, rcode, out));
    query_close(q);
}

static void on_upstream(struct loop_source *s, uint32_t events);

static int ask(struct query *q, const struct sockaddr_storage *resolver)
{
    loop_remove(q->proxy->loop, &q->source);
    q->source.on = on_upstream;
    q->source.fd = socket(resolver->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (q->source.fd < 0) {
        return -errno;
    }
    q->id = (uint16_t)gt_rand_u64();
    uint8_t id[2] = {(uint8_t)(q->id >> 8), (uint8_t)q->id};
    memcpy(q->bytes, id, 2);
    socklen_t len =
        resolver->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (connect(q->source.fd, (const struct sockaddr *)resolver, len) < 0 ||
        send(q->source.fd, q->bytes, q->n, MSG_NOSIGNAL) < 0) {
        return -errno;
    }
    return loop_add(q->proxy->loop, &q->source, EPOLLIN);
}

/* The next resolver, until all have had their attempts. */
static void ask_next(struct query *q)
{
    const struct dns_resolvers *r = dns_proxy_resolvers(q->proxy);
    while (r->n > 0 && q->tries < r->n * r->attempts) {
        const struct sockaddr_storage *resolver = &r->v[q->tries++ % r->n];
        q->deadline = q->proxy->loop->now + r->timeout_ms;
        if (ask(q, resolver) == 0) {
            return;
        }
    }
    refuse_query(q, DNS_SERVFAIL);
}

static void on_upstream(struct loop_source *s, uint32_t events)
{
    struct query *q = (struct query *)s;
    uint8_t buf[65536];
    ssize_t n = recv(s->fd, buf, sizeof buf, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            ask_next(q); /* connection refused: nobody listens there */
        }
        return;
    }
    if (!dns_answers(buf, (size_t)n, q->bytes, &q->parsed, q->id)) {
        return; /* somebody guesses; go on waiting for the right one */
    }
    buf[0] = (uint8_t)(q->parsed.id >> 8);
    buf[1] = (uint8_t)q->parsed.id;
    reply(q->proxy, &q->from, q->to, buf, (size_t)n);
    query_close(q);
}

static unsigned count_of(const struct dns_proxy *p, uint32_t address)
{
    unsigned n = 0;
    gt_list_for_each (node, next, &p->queries) {
        n += gt_list_entry(node, struct query, node)->from.sin_addr.s_addr == address;
    }
    return n;
}

static void take_query(struct dns_proxy *p, const uint8_t *bytes, size_t n,
                       const struct sockaddr_in *from, struct in_addr to)
{
    struct dns_query parsed;
    int r = dns_query_parse(bytes, n, &parsed);
    bool full =
        p->n_queries >= MAX_QUERIES || count_of(p, from->sin_addr.s_addr) >= MAX_OF_ONE_ADDRESS;
    if (r < 0 || (r == DNS_OK && full)) {
        return;
    }
    if (r != DNS_OK) {
        uint8_t out[DNS_HEADER + DNS_NAME_MAX + 4];
        reply(p, from, to, out, dns_refusal(bytes, n, (enum dns_rcode)r, out));
        return;
    }
    struct query *q = gt_new(struct query);
    q->source.fd = -1;
    q->proxy = p;
    q->from = *from;
    q->to = to;
    q->parsed = parsed;
    q->n = n;
    memcpy(q->bytes, bytes, n);
    gt_list_push_back(&p->queries, &q->node);
    p->n_queries++;
    ask_next(q);
}

static void on_udp(struct loop_source *s, uint32_t events)
{
    struct dns_proxy *p = GT_CONTAINER_OF(s, struct dns_proxy, udp);
    uint8_t buf[DNS_UDP_MAX];
    struct sockaddr_in from;
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control;
    struct iovec part = {.iov_base = buf, .iov_len = sizeof buf};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.space};
    ssize_t n = recvmsg(s->fd, &m, 0);
    if (n < 0 || m.msg_flags & MSG_TRUNC) {
        return;
    }
    struct in_addr to = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            to = info.ipi_spec_dst;
        }
    }
    take_query(p, buf, (size_t)n, &from, to);
}

static void on_tcp(struct loop_source *s, uint32_t events)
{
    dns_tcp_accept(GT_CONTAINER_OF(s, struct dns_proxy, tcp));
}

int dns_proxy_open(struct dns_proxy *p, struct loop *l, const char *resolv_conf, int udp, int tcp)
{
    *p = (struct dns_proxy){.udp = {.fd = udp, .on = on_udp},
                            .tcp = {.fd = tcp, .on = on_tcp},
                            .loop = l,
                            .resolv_conf = resolv_conf};
    gt_list_init(&p->queries);
    gt_list_init(&p->connections);
    int r = loop_add(l, &p->udp, EPOLLIN);
    return r < 0 ? r : loop_add(l, &p->tcp, EPOLLIN);
}

bool dns_proxy_tick(struct dns_proxy *p)
{
    gt_list_for_each (node, next, &p->queries) {
        struct query *q = gt_list_entry(node, struct query, node);
        if (p->loop->now >= q->deadline) {
            ask_next(q);
        }
    }
    bool tcp = dns_tcp_tick(p);
    return p->n_queries > 0 || tcp;
}

void dns_proxy_close(struct dns_proxy *p)
{
    gt_list_for_each (node, next, &p->queries) {
        query_close(gt_list_entry(node, struct query, node));
    }
    dns_tcp_close(p);
    loop_remove(p->loop, &p->udp);
    loop_remove(p->loop, &p->tcp);
}
