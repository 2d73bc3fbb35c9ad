#include "gt_test.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* -- a server whose paths try everything -- */

static atomic_int sink_gone;

static void echo(struct http_req *rq, void *arg)
{
    struct http_answer a = HTTP_ANSWER_INIT(200);
    gt_buf_str(&a.body, http_req_body(rq));
    http_req_answer(rq, &a);
}

static void *answer_later(void *arg)
{
    struct http_req *rq = arg;
    usleep(2000);
    echo(rq, NULL);
    http_req_unref(rq);
    return NULL;
}

static void *answer_much_later(void *arg)
{
    usleep(500000);
    return answer_later(arg);
}

static void much_later(struct http_req *rq, void *arg)
{
    pthread_t t;
    pthread_create(&t, NULL, answer_much_later, http_req_ref(rq));
    pthread_detach(t);
}

static void later(struct http_req *rq, void *arg)
{
    pthread_t t;
    http_req_ref(rq);
    pthread_create(&t, NULL, answer_later, rq);
    pthread_detach(t);
}

/* Takes at most 1000 bytes, then rests until another thread says go on. */
struct counting {
    size_t sum;
    bool rested;
};

static void *resume_later(void *arg)
{
    usleep(1000);
    http_req_resume(arg);
    http_req_unref(arg);
    return NULL;
}

static size_t count_data(struct http_req *rq, const void *p, size_t n, void *arg)
{
    struct counting *c = arg;
    if (!c->rested && c->sum > 2000) {
        pthread_t t;
        c->rested = true;
        pthread_create(&t, NULL, resume_later, http_req_ref(rq));
        pthread_detach(t);
        return 0;
    }
    size_t took = GT_MIN(n, (size_t)1000);
    c->sum += took;
    if (took < n) {
        http_req_resume(rq);
    }
    return took;
}

static void count_end(struct http_req *rq, void *arg)
{
    struct counting *c = arg;
    struct http_answer a = HTTP_ANSWER_INIT(200);
    gt_buf_printf(&a.body, "%zu", c->sum);
    free(c);
    http_req_answer(rq, &a);
}

static void count_gone(struct http_req *rq, void *arg)
{
    atomic_fetch_add(&sink_gone, 1);
    free(arg);
}

static void handle(struct http_req *rq, void *arg)
{
    static const struct http_sink sink = {count_data, count_end, count_gone};
    struct gt_str path = http_req_path(rq);
    if (gt_str_is(path, "/echo")) {
        http_req_collect(rq, 5000000, echo, NULL);
    } else if (gt_str_is(path, "/small")) {
        http_req_collect(rq, 10, echo, NULL);
    } else if (gt_str_is(path, "/later")) {
        http_req_collect(rq, 1000, later, NULL);
    } else if (gt_str_is(path, "/patient")) {
        http_req_collect(rq, 1000, much_later, NULL);
    } else if (gt_str_is(path, "/count")) {
        http_req_stream(rq, 10000000, &sink, gt_new(struct counting));
    } else if (gt_str_is(path, "/file")) {
        struct http_answer a = HTTP_ANSWER_INIT(206);
        a.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        a.offset = 1;
        a.length = 3;
        http_req_answer(rq, &a);
    } else if (gt_str_is(path, "/length")) {
        struct http_answer a = HTTP_ANSWER_INIT(200);
        a.length = 123456789012;
        http_req_answer(rq, &a);
    } else {
        struct http_answer a = HTTP_ANSWER_INIT(404);
        http_answer_header(&a, "X-Query", "q");
        http_req_answer(rq, &a);
    }
}

static struct http_server *server;

static int set_up(void **state)
{
    struct gt_err err = GT_ERR_INIT;
    struct http_server_options o = {.listen = "127.0.0.1:0", .handler = handle};
    int r = http_server_start(&o, &server, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.msg);
    }
    return r;
}

static int tear_down(void **state)
{
    http_server_quiesce(server);
    int left = (int)http_server_drain(server, 2000);
    http_server_stop(server);
    return left;
}

/* -- a client that can be wrong -- */

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    struct timeval tv = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    return fd;
}

/* One answer: head and body, as text. */
static char *read_answer(int fd)
{
    static char buf[1 << 16];
    size_t n = 0;
    for (;;) {
        buf[n] = '\0';
        char *end = strstr(buf, "\r\n\r\n");
        if (end) {
            char *cl = strcasestr(buf, "content-length:");
            size_t want = cl ? strtoul(cl + 15, NULL, 10) : 0;
            if (n >= (size_t)(end + 4 - buf) + want || want > sizeof(buf)) {
                return buf;
            }
        }
        ssize_t r = read(fd, buf + n, sizeof(buf) - 1 - n);
        if (r <= 0) {
            return buf;
        }
        n += (size_t)r;
    }
}

static char *ask(const char *text)
{
    gt_auto_close int fd = dial();
    assert_int_equal(gt_write_full(fd, text, strlen(text)), 0);
    return read_answer(fd);
}

static int occurrences(const char *in, const char *what)
{
    int n = 0;
    for (const char *p = in; (p = strcasestr(p, what)) != NULL; p++) {
        n++;
    }
    return n;
}

GT_TEST(echoes_with_one_date_and_an_id)
{
    char *got = ask("POST /echo?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_true(strncmp(got, "HTTP/1.1 200", 12) == 0);
    assert_int_equal(occurrences(got, "\r\nDate:"), 1);
    assert_int_equal(occurrences(got, "\r\nx-amzn-requestid:"), 1);
    assert_non_null(strstr(got, "\r\n\r\nhello"));
}

GT_TEST(refuses_smuggling_and_closes)
{
    static const char *const bad[] = {
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        gt_auto_close int fd = dial();
        assert_int_equal(gt_write_full(fd, bad[i], strlen(bad[i])), 0);
        char *got = read_answer(fd);
        if (strncmp(got, "HTTP/1.1 400", 12) != 0) {
            fail_msg("case %zu: %s", i, got);
        }
        char c;
        assert_true(read(fd, &c, 1) <= 0);
    }
}

GT_TEST(keeps_the_connection)
{
    gt_auto_close int fd = dial();
    for (int i = 0; i < 3; i++) {
        const char *rq = i == 1 ? "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n"
                                  "123456789012"
                                : "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_int_equal(gt_write_full(fd, rq, strlen(rq)), 0);
        char *got = read_answer(fd);
        assert_true(strncmp(got, i == 1 ? "HTTP/1.1 413" : "HTTP/1.1 404", 12) == 0);
    }
}

GT_TEST(answers_from_another_thread)
{
    char *got = ask("POST /later HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n0\r\n\r\n");
    assert_non_null(strstr(got, "\r\n\r\nabc"));
}

static void send_big(int fd, size_t n)
{
    char chunk[4096];
    memset(chunk, 'x', sizeof(chunk));
    while (n > 0) {
        size_t some = GT_MIN(n, sizeof(chunk));
        assert_int_equal(gt_write_full(fd, chunk, some), 0);
        n -= some;
    }
}

GT_TEST(streams_with_rests)
{
    gt_auto_close int fd = dial();
    const char *head = "PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    assert_int_equal(gt_write_full(fd, head, strlen(head)), 0);
    send_big(fd, 300000);
    assert_non_null(strstr(read_answer(fd), "\r\n\r\n300000"));
}

GT_TEST(tells_the_sink_of_an_aborted_upload)
{
    atomic_store(&sink_gone, 0);
    int fd = dial();
    const char *head = "PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\nabc";
    assert_int_equal(gt_write_full(fd, head, strlen(head)), 0);
    usleep(50000); /* see server.h: an end that comes with the last bytes is noticed late */
    close(fd);
    for (int64_t until = gt_clock_mono_ms() + 3000;
         atomic_load(&sink_gone) == 0 && gt_clock_mono_ms() < until;) {
        usleep(1000);
    }
    assert_int_equal(atomic_load(&sink_gone), 1);
}

GT_TEST(refuses_too_much_before_reading_it)
{
    char *got = ask("PUT /count HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n"
                    "Expect: 100-continue\r\n\r\n");
    assert_true(strncmp(got, "HTTP/1.1 413", 12) == 0);
}

GT_TEST(says_continue)
{
    gt_auto_close int fd = dial();
    const char *head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                       "Expect: 100-continue\r\n\r\n";
    assert_int_equal(gt_write_full(fd, head, strlen(head)), 0);
    assert_true(strncmp(read_answer(fd), "HTTP/1.1 100", 12) == 0);
    assert_int_equal(gt_write_full(fd, "ok", 2), 0);
    assert_non_null(strstr(read_answer(fd), "\r\n\r\nok"));
}

static char *ask_gzip(const void *body, size_t n)
{
    gt_auto_close int fd = dial();
    char head[200];
    snprintf(head, sizeof(head),
             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
             "Content-Length: %zu\r\n\r\n",
             n);
    assert_int_equal(gt_write_full(fd, head, strlen(head)), 0);
    assert_int_equal(gt_write_full(fd, body, n), 0);
    return read_answer(fd);
}

static size_t deflate_zeros(size_t zeros, unsigned char *to, size_t cap)
{
    gt_auto_free char *from = gt_calloc(1, zeros);
    memset(from, 'z', zeros);
    z_stream z = {
        .next_in = (Bytef *)from, .avail_in = (uInt)zeros, .next_out = to, .avail_out = (uInt)cap};
    deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

GT_TEST(inflates_and_stops_at_bombs)
{
    unsigned char zip[40000];
    size_t n = deflate_zeros(30000, zip, sizeof(zip));
    char *got = ask_gzip(zip, n);
    assert_non_null(strstr(got, "Content-Length: 30000\r\n"));
    assert_non_null(strstr(got, "\r\n\r\nzzz"));
    assert_true(strncmp(ask_gzip(zip, n - 5), "HTTP/1.1 400", 12) == 0);
    zip[n] = 'x';
    assert_true(strncmp(ask_gzip(zip, n + 1), "HTTP/1.1 400", 12) == 0);
    assert_true(strncmp(ask_gzip("plain", 5), "HTTP/1.1 400", 12) == 0);
    n = deflate_zeros(20000000, zip, sizeof(zip));
    assert_true(strncmp(ask_gzip(zip, n), "HTTP/1.1 413", 12) == 0);
}

GT_TEST(sends_files_and_lengths)
{
    char *got = ask("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strstr(got, "\r\n\r\nELF"));
    got = ask("HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_non_null(strcasestr(got, "Content-Length: 123456789012\r\n"));
}

/* Sixteen connections that say nothing, or half of something; and one that waits for its answer. */
GT_TEST(silent_connections_keep_nobody_out)
{
    struct gt_err err = GT_ERR_INIT;
    struct http_server *other = server;
    struct http_server_options o = {
        .listen = "127.0.0.1:0", .handler = handle, .max_connections = 16};
    gt_assert_ok(http_server_start(&o, &server, &err), err);
    int silent[40];
    int waiting = dial(), uploading = dial();
    static const char later_head[] =
        "POST /patient HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(gt_write_full(waiting, later_head, strlen(later_head)), 0);
    static const char half[] =
        "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789";
    assert_int_equal(gt_write_full(uploading, half, strlen(half)), 0);
    usleep(50000);
    for (size_t i = 0; i < GT_ARRAY_LEN(silent); i++) {
        static const char *const says[] = {
            "", "POST /echo HTTP/1.1\r\nHo",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123"};
        silent[i] = dial();
        (void)gt_write_full(silent[i], says[i % 3], strlen(says[i % 3]));
        usleep(2000);
    }
    char *got = ask("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(strncmp(got, "HTTP/1.1 404", 12) == 0);
    assert_int_equal(gt_write_full(uploading, "0123456789", 10), 0);
    assert_non_null(strstr(read_answer(uploading), "\r\n\r\n20"));
    assert_true(strncmp(read_answer(waiting), "HTTP/1.1 200", 12) == 0);
    for (size_t i = 0; i < GT_ARRAY_LEN(silent); i++) {
        close(silent[i]);
    }
    close(waiting);
    close(uploading);
    http_server_quiesce(server);
    assert_int_equal(http_server_drain(server, 2000), 0);
    http_server_stop(server);
    server = other;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GT_CASE(echoes_with_one_date_and_an_id),
        GT_CASE(refuses_smuggling_and_closes),
        GT_CASE(keeps_the_connection),
        GT_CASE(answers_from_another_thread),
        GT_CASE(streams_with_rests),
        GT_CASE(tells_the_sink_of_an_aborted_upload),
        GT_CASE(refuses_too_much_before_reading_it),
        GT_CASE(says_continue),
        GT_CASE(inflates_and_stops_at_bombs),
        GT_CASE(sends_files_and_lengths),
        GT_CASE(silent_connections_keep_nobody_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
