/*
 * Connections of the metadata endpoint. Small and stubborn: a connection has one buffer for a
 * head, answers one request after the other, and a fixed time for each step. Bodies are not read:
 * a request that has one is answered and its connection closed.
 */
#include "lib/base/mem.h"
#include "node/link/link_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS 512
#define MAX_OF_ONE_ADDRESS 64
#define HEAD_TIMEOUT 10000 /* ms, from the connection or the last answer */
#define SEND_TIMEOUT 10000

struct connection {
    struct loop_source source; /* first */
    struct gt_list node;
    struct http_server *server;
    uint32_t address;
    int64_t deadline;
    char in[HTTP_HEAD_MAX];
    size_t n_in;
    struct gt_buf out;
    size_t sent;
    bool close_after;
};

static void connection_close(struct connection *c)
{
    loop_remove(c->server->loop, &c->source);
    gt_list_remove(&c->node);
    c->server->n--;
    gt_buf_fini(&c->out);
    free(c);
}

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {{200, "OK"},
                   {400, "Bad Request"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {414, "URI Too Long"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {503, "Service Unavailable"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < GT_ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Unknown";
}

static void put_answer(struct connection *c, const struct answer *a, bool without_body)
{
    gt_buf_printf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
                  a->status, reason(a->status), a->type, a->body.n);
    if (a->status == 405) {
        gt_buf_puts(&c->out, "Allow: GET, HEAD\r\n");
    }
    gt_buf_puts(&c->out, c->close_after ? "Connection: close\r\n\r\n" : "\r\n");
    if (!without_body) {
        gt_buf_add(&c->out, a->body.p, a->body.n);
    }
}

static void refuse(struct connection *c, int status)
{
    struct answer a = {.status = status, .type = "text/plain; charset=utf-8"};
    c->close_after = true;
    put_answer(c, &a, /* without_body= */ true);
}

static void answer_one(struct connection *c, const struct http_head *head)
{
    struct answer a = {.body = GT_BUF_INIT(LINK_ANSWER_MAX)};
    c->close_after = !head->keep_alive || head->has_body;
    if (!limit_take(&c->server->limit, c->address, c->server->loop->now)) {
        a.status = 429;
        a.type = "text/plain; charset=utf-8";
        gt_buf_puts(&a.body, "You have reached maximum request limit.");
    } else {
        routes_answer(c->server->index, c->address, head, &a);
    }
    if (!gt_buf_ok(&a.body)) {
        gt_buf_reset(&a.body);
        a.status = 500;
    }
    put_answer(c, &a, gt_str_is(head->method, "HEAD"));
    gt_buf_fini(&a.body);
}

/* Sends what there is; 1: all is sent, 0: later, < 0: the connection is gone. */
static int flush(struct connection *c)
{
    while (c->sent < c->out.n) {
        ssize_t n = send(c->source.fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN ? 0 : -errno;
        }
        c->sent += (size_t)n;
        c->deadline = c->server->loop->now + SEND_TIMEOUT;
    }
    gt_buf_reset(&c->out);
    c->sent = 0;
    return 1;
}

/* Answers the requests that are there, one at a time. False: the connection is gone. */
static bool advance(struct connection *c)
{
    for (;;) {
        int r = flush(c);
        if (r < 0 || (r == 1 && c->close_after)) {
            connection_close(c);
            return false;
        }
        if (r == 0) {
            loop_change(c->server->loop, &c->source, EPOLLOUT);
            return true;
        }
        struct http_head head;
        int n = http_head_parse(c->in, c->n_in, &head);
        if (n == 0) {
            loop_change(c->server->loop, &c->source, EPOLLIN);
            return true;
        }
        if (n < 0) {
            refuse(c, -n);
        } else {
            answer_one(c, &head);
            memmove(c->in, c->in + n, c->n_in - (size_t)n);
            c->n_in -= (size_t)n;
        }
        c->deadline = c->server->loop->now + HEAD_TIMEOUT;
    }
}

static void on_connection(struct loop_source *s, uint32_t events)
{
    struct connection *c = (struct connection *)s;
    if (events & EPOLLIN) {
        ssize_t n = recv(s->fd, c->in + c->n_in, sizeof c->in - c->n_in, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            connection_close(c);
            return;
        }
        c->n_in += n > 0 ? (size_t)n : 0;
    } else if (!(events & EPOLLOUT)) {
        connection_close(c); /* EPOLLERR, EPOLLHUP */
        return;
    }
    advance(c);
}

static unsigned count_of(const struct http_server *s, uint32_t address)
{
    unsigned n = 0;
    gt_list_for_each (node, next, &s->connections) {
        n += gt_list_entry(node, struct connection, node)->address == address;
    }
    return n;
}

static void on_listener(struct loop_source *source, uint32_t events)
{
    struct http_server *s = (struct http_server *)source;
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    int fd = accept4(source->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    uint32_t address = from.sin_addr.s_addr;
    if (s->n >= MAX_CONNECTIONS || count_of(s, address) >= MAX_OF_ONE_ADDRESS) {
        close(fd);
        return;
    }
    struct connection *c = gt_new(struct connection);
    c->source = (struct loop_source){.fd = fd, .on = on_connection};
    c->server = s;
    c->address = address;
    c->deadline = s->loop->now + HEAD_TIMEOUT;
    c->out = GT_BUF_INIT(LINK_ANSWER_MAX + 4096);
    gt_list_push_back(&s->connections, &c->node);
    s->n++;
    if (loop_add(s->loop, &c->source, EPOLLIN) < 0) {
        connection_close(c);
    }
}

int http_server_open(struct http_server *s, struct loop *l, const struct index *x, int fd)
{
    s->source = (struct loop_source){.fd = fd, .on = on_listener};
    s->loop = l;
    s->index = x;
    gt_list_init(&s->connections);
    return loop_add(l, &s->source, EPOLLIN);
}

bool http_server_tick(struct http_server *s)
{
    gt_list_for_each (node, next, &s->connections) {
        struct connection *c = gt_list_entry(node, struct connection, node);
        if (s->loop->now >= c->deadline) {
            connection_close(c);
        }
    }
    return s->n > 0;
}

void http_server_close(struct http_server *s)
{
    gt_list_for_each (node, next, &s->connections) {
        connection_close(gt_list_entry(node, struct connection, node));
    }
    loop_remove(s->loop, &s->source);
}
