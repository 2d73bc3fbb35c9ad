/*
 * DNS over TCP: a client's connection is joined to one to a resolver. The first message is looked
 * at as over UDP; after that bytes are passed on both ways, within a time and a size.
 */
#include "lib/base/mem.h"
#include "node/link/link_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 128
#define MAX_OF_ONE_ADDRESS 16
#define LIFETIME 10000 /* ms */
#define MESSAGE (2 + 65535)

struct pair;
struct side {
    struct loop_source source; /* first */
    struct pair *pair;
    size_t n, sent;         /* of what is to be sent to the other side */
    uint8_t bytes[MESSAGE]; /* received from this side */
};
struct pair {
    struct gt_list node;
    struct dns_proxy *proxy;
    uint32_t address;
    int64_t deadline;
    struct side client, upstream;
    bool checked; /* the first message was a query that may pass */
};

static void pair_close(struct pair *t)
{
    loop_remove(t->proxy->loop, &t->client.source);
    loop_remove(t->proxy->loop, &t->upstream.source);
    gt_list_remove(&t->node);
    t->proxy->n_connections--;
    free(t);
}

static bool is_upstream(const struct side *s)
{
    return s == &s->pair->upstream;
}

static struct side *other(struct side *s)
{
    return is_upstream(s) ? &s->pair->client : &s->pair->upstream;
}

static void on_side(struct loop_source *source, uint32_t events);

static int connect_upstream(struct pair *t)
{
    const struct dns_resolvers *r = dns_proxy_resolvers(t->proxy);
    for (size_t i = 0; i < r->n; i++) {
        int family = r->v[i].ss_family;
        socklen_t len =
            family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            return -errno;
        }
        if (connect(fd, (const struct sockaddr *)&r->v[i], len) == 0 || errno == EINPROGRESS) {
            t->upstream.source = (struct loop_source){.fd = fd, .on = on_side};
            return loop_add(t->proxy->loop, &t->upstream.source, EPOLLIN);
        }
        close(fd);
    }
    return -ENOTCONN;
}

static void refuse(struct pair *t, const uint8_t *query, size_t n, enum dns_rcode rcode)
{
    uint8_t out[2 + DNS_HEADER + DNS_NAME_MAX + 4];
    size_t len = dns_refusal(query, n, rcode, out + 2);
    out[0] = (uint8_t)(len >> 8);
    out[1] = (uint8_t)len;
    ssize_t ignored = send(t->client.source.fd, out, len + 2, MSG_NOSIGNAL);
    (void)ignored;
}

/* 1: pass on, 0: not complete yet, -1: refused. */
static int check_first(struct pair *t)
{
    const struct side *c = &t->client;
    if (c->n < 2) {
        return 0;
    }
    size_t len = (size_t)(c->bytes[0] << 8 | c->bytes[1]);
    if (c->n < 2 + len) {
        return 0;
    }
    struct dns_query parsed;
    int r = dns_query_parse(c->bytes + 2, len, &parsed);
    if (r != DNS_OK) {
        if (r > 0) {
            refuse(t, c->bytes + 2, len, (enum dns_rcode)r);
        }
        return -1;
    }
    if (connect_upstream(t) < 0) {
        refuse(t, c->bytes + 2, len, DNS_SERVFAIL);
        return -1;
    }
    return 1;
}

/* Sends what `from` has for its other side, and says what is waited for next. */
static int pass_on(struct side *from)
{
    struct side *to = other(from);
    while (from->sent < from->n) {
        ssize_t n =
            send(to->source.fd, from->bytes + from->sent, from->n - from->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            return -errno;
        }
        from->sent += (size_t)n;
    }
    if (from->sent == from->n) {
        from->n = from->sent = 0;
    }
    struct loop *l = from->pair->proxy->loop;
    /* Read where there is room, write where there is something to write. */
    int r = loop_change(l, &from->source,
                        (from->n < MESSAGE && !from->sent ? EPOLLIN : 0U) |
                            (to->n > to->sent ? EPOLLOUT : 0U));
    return r < 0 ? r
                 : loop_change(l, &to->source,
                               (to->n < MESSAGE && !to->sent ? EPOLLIN : 0U) |
                                   (from->n > from->sent ? EPOLLOUT : 0U));
}

static void side_lost(struct side *s)
{
    struct pair *t = s->pair;
    if (is_upstream(s) && t->client.n > 2 && t->client.sent == 0) {
        /* The resolver does not take the connection: the query is still here. */
        refuse(t, t->client.bytes + 2, t->client.n - 2, DNS_SERVFAIL);
    }
    pair_close(t);
}

static void on_side(struct loop_source *source, uint32_t events)
{
    struct side *s = (struct side *)source;
    struct pair *t = s->pair;
    if (events & EPOLLIN) {
        ssize_t n = recv(source->fd, s->bytes + s->n, sizeof s->bytes - s->n, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            side_lost(s);
            return;
        }
        s->n += n > 0 ? (size_t)n : 0;
    } else if (!(events & EPOLLOUT)) {
        side_lost(s);
        return;
    }
    int r = 1;
    if (!t->checked) {
        r = check_first(t);
        t->checked = r == 1;
    }
    if (r < 0) {
        pair_close(t);
    } else if (r == 1 && pass_on(&t->client) < 0) {
        side_lost(&t->upstream);
    } else if (r == 1 && pass_on(&t->upstream) < 0) {
        pair_close(t);
    }
}

static unsigned count_of(const struct dns_proxy *p, uint32_t address)
{
    unsigned n = 0;
    gt_list_for_each (node, next, &p->connections) {
        n += gt_list_entry(node, struct pair, node)->address == address;
    }
    return n;
}

void dns_tcp_accept(struct dns_proxy *p)
{
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    int fd = accept4(p->tcp.fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    uint32_t address = from.sin_addr.s_addr;
    if (p->n_connections >= MAX_CONNECTIONS || count_of(p, address) >= MAX_OF_ONE_ADDRESS) {
        close(fd);
        return;
    }
    struct pair *t = gt_new(struct pair);
    t->proxy = p;
    t->address = address;
    t->deadline = p->loop->now + LIFETIME;
    t->client.source = (struct loop_source){.fd = fd, .on = on_side};
    t->upstream.source.fd = -1;
    t->client.pair = t->upstream.pair = t;
    gt_list_push_back(&p->connections, &t->node);
    p->n_connections++;
    if (loop_add(p->loop, &t->client.source, EPOLLIN) < 0) {
        pair_close(t);
    }
}

bool dns_tcp_tick(struct dns_proxy *p)
{
    gt_list_for_each (node, next, &p->connections) {
        struct pair *t = gt_list_entry(node, struct pair, node);
        if (p->loop->now >= t->deadline) {
            pair_close(t);
        }
    }
    return p->n_connections > 0;
}

void dns_tcp_close(struct dns_proxy *p)
{
    gt_list_for_each (node, next, &p->connections) {
        pair_close(gt_list_entry(node, struct pair, node));
    }
}
