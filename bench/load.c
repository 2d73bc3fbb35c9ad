/* A load generator for JSON 1.1 calls: N connections kept alive, one call under way on each, every
 * call signed anew (SigV4) by lib/wire. One thread and epoll: what it costs is said in its result.
 *
 *     load HOST PORT CONNECTIONS SECONDS SERVICE TARGET BODY
 *
 * Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. A "%d" in BODY becomes a number that
 * rises with each call. Prints one JSON object; an answer other than 200 ends it with a message. */
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"
#include "lib/wire/sigv4.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 * 1024 };

struct connection {
    int fd;
    int64_t sent; /* ns */
    size_t have, want;
    char *in;
};

struct load {
    struct sigv4_signer signer;
    const char *host, *target, *body;
    struct gt_buf authorization, text, payload;
    uint32_t *us; /* how long each call took */
    size_t n, room;
    long number;
};

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void make_body(struct load *l)
{
    const char *at = strstr(l->body, "%d");
    gt_buf_reset(&l->payload);
    if (at) {
        gt_buf_add(&l->payload, l->body, (size_t)(at - l->body));
        gt_buf_int(&l->payload, l->number++);
        gt_buf_puts(&l->payload, at + 2);
    } else {
        gt_buf_puts(&l->payload, l->body);
    }
}

static void send_call(struct load *l, struct connection *c)
{
    char hash[65];
    make_body(l);
    struct gt_str body = gt_buf_view(&l->payload);
    gt_sha256_hex(body.p, body.n, hash);
    const struct sigv4_header headers[] = {
        {GT_STR_LIT("content-type"), GT_STR_LIT("application/x-amz-json-1.1")},
        {GT_STR_LIT("host"), gt_str(l->host)},
        {GT_STR_LIT("x-amz-target"), gt_str(l->target)},
    };
    struct sigv4_request rq = {.method = GT_STR_LIT("POST"),
                               .path = GT_STR_LIT("/"),
                               .query = GT_STR_LIT(""),
                               .headers = headers,
                               .n_headers = GT_ARRAY_LEN(headers)};
    struct sigv4_signature sig;
    gt_buf_reset(&l->authorization);
    sigv4_sign(&rq, &l->signer, gt_clock_real_ms(), hash, &l->authorization, &sig);
    gt_buf_reset(&l->text);
    gt_buf_printf(&l->text,
                  "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-amz-json-1.1\r\n"
                  "X-Amz-Target: %s\r\nX-Amz-Date: %s\r\nX-Amz-Content-Sha256: %s\r\n"
                  "Authorization: " GT_STR_FMT "\r\nContent-Length: %zu\r\n\r\n",
                  l->host, l->target, sig.amz_date, hash, GT_STR_ARG(sig.authorization), body.n);
    gt_buf_str(&l->text, body);
    c->sent = now_ns();
    c->have = c->want = 0;
    if (send(c->fd, l->text.p, l->text.n, MSG_NOSIGNAL) != (ssize_t)l->text.n) {
        die("send");
    }
}

/* True when the answer is complete. */
static bool receive(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->have, ANSWER_MAX - 1 - c->have, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        return false;
    }
    if (n <= 0) {
        die("the connection ended");
    }
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    if (!c->want) {
        const char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "content-length:");
        if (!end) {
            return false;
        }
        c->want = (size_t)(end + 4 - c->in) + (length ? strtoul(length + 15, NULL, 10) : 0);
        if (strncmp(c->in, "HTTP/1.1 200", 12) != 0 || c->want >= ANSWER_MAX) {
            fprintf(stderr, "load: %s\n", c->in);
            exit(1);
        }
    }
    return c->have >= c->want;
}

static int open_connection(const char *host, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1 || fd < 0 ||
        connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        die("connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void note(struct load *l, int64_t ns)
{
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 65536;
        l->us = gt_realloc(l->us, l->room * sizeof *l->us);
    }
    l->us[l->n++] = (uint32_t)(ns / 1000);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void say(struct load *l, int64_t ns)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    qsort(l->us, l->n, sizeof *l->us, by_size);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    printf("{\"per_second\": %.0f, \"p50_us\": %u, \"p99_us\": %u, \"calls\": %zu, "
           "\"client_cpu_us\": %.1f}\n",
           (double)l->n * 1e9 / (double)ns, l->us[l->n / 2], l->us[l->n * 99 / 100], l->n,
           cpu * 1e6 / (double)l->n);
}

static void run(struct load *l, struct connection *all, size_t n, int64_t for_ns)
{
    int ep = epoll_create1(0);
    int64_t begin = now_ns();
    for (size_t i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &all[i]};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &e) < 0) {
            die("epoll");
        }
        send_call(l, &all[i]);
    }
    while (now_ns() - begin < for_ns) {
        struct epoll_event e[64];
        int got = epoll_wait(ep, e, 64, 100);
        for (int i = 0; i < got; i++) {
            struct connection *c = e[i].data.ptr;
            if (receive(c)) {
                note(l, now_ns() - c->sent);
                send_call(l, c);
            }
        }
    }
    say(l, now_ns() - begin);
    close(ep);
}

int main(int argc, char **argv)
{
    const char *key = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    if (argc != 8 || !key || !secret) {
        fprintf(stderr, "usage: load HOST PORT CONNECTIONS SECONDS SERVICE TARGET BODY\n");
        return 2;
    }
    char host[128];
    snprintf(host, sizeof host, "%s:%s", argv[1], argv[2]);
    size_t n = strtoul(argv[3], NULL, 10);
    struct load l = {.host = host,
                     .target = argv[6],
                     .body = argv[7],
                     .authorization = GT_BUF_INIT(65536),
                     .text = GT_BUF_INIT(1 << 20),
                     .payload = GT_BUF_INIT(1 << 20),
                     .number = (long)(gt_clock_real_ms() % 1000000) * 1000};
    l.signer = (struct sigv4_signer){.key_id = gt_str(key),
                                     .secret = gt_str(secret),
                                     .region = "us-east-1",
                                     .service = argv[5],
                                     .keys = sigv4_keys_new()};
    struct connection *all = gt_new_array(struct connection, n);
    for (size_t i = 0; i < n; i++) {
        all[i].fd = open_connection(argv[1], argv[2]);
        all[i].in = gt_malloc(ANSWER_MAX);
    }
    run(&l, all, n, (int64_t)(atof(argv[4]) * 1e9));
    return 0;
}
