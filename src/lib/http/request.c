/*
 * The life of a request.
 *
 * libmicrohttpd calls back on the network thread that owns the connection: once for the head, then
 * for pieces of the body, then until a response is queued. A request that waits for somebody else
 * is suspended, and whoever answers resumes it; the callback that follows queues the response. The
 * order of "answer" and "suspend" is decided under rq->lock, so that neither is lost.
 *
 * A response queued at the head of a request with a body closes the connection, and the client may
 * see a reset before it has read why. So small bodies are read and dropped first.
 */
#include "lib/http/server_priv.h"

#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <unistd.h>

/* How much of an unwanted body is read before the connection is cut instead. */
#define DROP_BEFORE_ANSWER (1 * GT_MIB)
#define DROP_AT_MOST (64 * GT_MIB)
enum { MAX_HEADERS = 100 };

/* -- birth and death -- */

/* The last n digits of v. */
static void put_hex(char *to, uint64_t v, int n)
{
    for (; n > 0; v >>= 4) {
        to[--n] = "0123456789abcdef"[v & 15];
    }
}

/* Random-looking, unique in this process's life and, with the salt, beyond: a UUID's form. */
static void make_id(struct http_server *s, char to[static 37])
{
    uint64_t n = atomic_fetch_add(&s->next_id, 1) + 1;
    struct gt_prng g = {.state = s->id_salt + n};
    uint64_t a = gt_prng_next(&g), b = s->id_salt ^ (n << 16);
    put_hex(to, a >> 32, 8);
    put_hex(to + 9, a >> 16, 4);
    put_hex(to + 14, 0x4000 | (a & 0xfff), 4);
    put_hex(to + 19, 0x8000 | (b >> 48 & 0x3fff), 4);
    put_hex(to + 24, b, 12);
    to[8] = to[13] = to[18] = to[23] = '-';
    to[36] = '\0';
}

struct http_req *http_req_new(struct http_server *s, const char *target)
{
    size_t n = strlen(target);
    struct http_req *rq = gt_calloc(1, sizeof(*rq) + n + 1);
    memcpy(rq->target, target, n + 1);
    const char *q = memchr(rq->target, '?', n);
    rq->path = gt_str_n(rq->target, q ? (size_t)(q - rq->target) : n);
    rq->query = q ? gt_str_n(q + 1, n - rq->path.n - 1) : gt_str_n(rq->target + n, 0);
    rq->server = s;
    rq->refs = 1;
    pthread_mutex_init(&rq->lock, NULL);
    make_id(s, rq->id);
    atomic_fetch_add(&s->in_flight, 1);
    return rq;
}

struct http_req *http_req_ref(struct http_req *rq)
{
    atomic_fetch_add(&rq->refs, 1);
    return rq;
}

void http_req_unref(struct http_req *rq)
{
    if (atomic_fetch_sub(&rq->refs, 1) != 1) {
        return;
    }
    http_body_free(rq);
    if (rq->on_free != NULL) {
        rq->on_free(rq->on_free_arg);
    }
    if (rq->response != NULL) {
        MHD_destroy_response(rq->response);
    }
    free(rq->headers);
    free(rq->head_text);
    pthread_mutex_destroy(&rq->lock);
    free(rq);
}

void http_req_on_free(struct http_req *rq, void (*fn)(void *arg), void *arg)
{
    rq->on_free = fn;
    rq->on_free_arg = arg;
}

void http_req_finished(struct http_req *rq)
{
    http_peer_busy(rq->peer, false);
    rq->peer = NULL;
    pthread_mutex_lock(&rq->lock);
    rq->conn = NULL;
    bool answered = rq->answered;
    pthread_mutex_unlock(&rq->lock);
    if (rq->course == HTTP_COURSE_STREAM && !rq->ended && !answered) {
        rq->course = HTTP_COURSE_DROP;
        rq->sink->gone(rq, rq->sink_arg);
    }
    atomic_fetch_sub(&rq->server->in_flight, 1);
    http_req_unref(rq);
}

/* -- the head -- */

static enum http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } known[] = {{"POST", HTTP_POST},      {"GET", HTTP_GET},     {"HEAD", HTTP_HEAD},
                 {"PUT", HTTP_PUT},        {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
                 {"OPTIONS", HTTP_OPTIONS}};
    for (size_t i = 0; i < GT_ARRAY_LEN(known); i++) {
        if (gt_streq(known[i].name, name)) {
            return known[i].method;
        }
    }
    return HTTP_OTHER;
}

struct gather {
    struct http_req *rq;
    struct gt_buf text;
    size_t lengths[MAX_HEADERS][2];
    size_t n;
};

static enum MHD_Result gather_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                     size_t key_n, const char *value, size_t value_n)
{
    struct gather *g = cls;
    if (g->n == MAX_HEADERS) {
        g->text.overflow = true;
        return MHD_NO;
    }
    g->lengths[g->n][0] = key_n;
    g->lengths[g->n][1] = value ? value_n : 0;
    g->n++;
    size_t at = g->text.n;
    gt_buf_add(&g->text, key, key_n);
    gt_buf_add(&g->text, value, value ? value_n : 0);
    for (size_t i = at; i < at + key_n && i < g->text.n; i++) {
        g->text.p[i] = (char)tolower((unsigned char)g->text.p[i]);
    }
    return MHD_YES;
}

int http_req_read_head(struct http_req *rq, const char *method, const char *version,
                       struct gt_err *err)
{
    struct gather g = {.rq = rq, .text = GT_BUF_INIT(GT_LIMIT_HEADERS)};
    gt_buf_reserve(&g.text, 1000);
    size_t method_n = strnlen(method, 32);
    gt_buf_add(&g.text, method, method_n);
    MHD_get_connection_values_n(rq->conn, MHD_HEADER_KIND, gather_header, &g);
    bool fits = gt_buf_ok(&g.text);
    const char *p = rq->head_text = gt_buf_steal(&g.text);
    rq->method = method_of(method);
    rq->method_name = gt_str_n(p, method_n);
    if (!fits) {
        return gt_err_set(err, GT_ERR_INVALID, "the request has too many headers");
    }
    p += method_n;
    rq->headers = gt_new_array(struct http_header, g.n + 1);
    for (size_t i = 0; i < g.n; i++) {
        rq->headers[i].name = gt_str_n(p, g.lengths[i][0]);
        p += g.lengths[i][0];
        rq->headers[i].value = gt_str_n(p, g.lengths[i][1]);
        p += g.lengths[i][1];
    }
    rq->n_headers = g.n;
    return http_head_check(rq->headers, g.n, gt_streq(version, MHD_HTTP_VERSION_1_1), &rq->head,
                           err);
}

/* -- MHD's callbacks -- */

/* Under the request's lock, as take_suspended(). MHD_NO: the server halts, and the connection is to
 * be closed. */
static enum MHD_Result suspend(struct http_req *rq)
{
    atomic_fetch_add(&rq->server->waiting, 1);
    if (atomic_load(&rq->server->phase) == HTTP_HALTING) {
        atomic_fetch_sub(&rq->server->waiting, 1);
        return MHD_NO;
    }
    rq->suspended = true;
    MHD_suspend_connection(rq->conn);
    return MHD_YES;
}

/* What resume() is to be given once the lock is not held any more: the network thread wakes at once
 * and wants it. NULL: the connection was not suspended. */
static struct MHD_Connection *take_suspended(struct http_req *rq)
{
    struct MHD_Connection *conn = rq->suspended ? rq->conn : NULL;
    rq->suspended = false;
    return conn;
}

/* The request may be gone when this returns. */
static void resume(struct http_server *s, struct MHD_Connection *conn)
{
    if (conn != NULL) {
        MHD_resume_connection(conn);
        atomic_fetch_sub(&s->waiting, 1);
    }
}

static bool has_body(const struct http_req *rq)
{
    return rq->head.content_length != 0;
}

static enum MHD_Result queue_response(struct http_req *rq)
{
    rq->queued = true;
    enum MHD_Result ok = MHD_queue_response(rq->conn, (unsigned)rq->status, rq->response);
    MHD_destroy_response(rq->response);
    rq->response = NULL;
    return ok;
}

/* After the handler saw the head. An answer now spares reading the body, at the connection's cost.
 */
enum MHD_Result http_req_begin(struct http_req *rq)
{
    enum MHD_Result ok = MHD_YES;
    pthread_mutex_lock(&rq->lock);
    GT_ASSERT(rq->course != HTTP_COURSE_NONE || rq->answered);
    bool large = rq->cut || rq->head.content_length < 0 ||
                 rq->head.content_length > (int64_t)DROP_BEFORE_ANSWER || rq->head.expect_continue;
    if (rq->answered && (has_body(rq) || rq->cut) && large) {
        ok = queue_response(rq);
    }
    pthread_mutex_unlock(&rq->lock);
    return ok;
}

static bool is_answered(struct http_req *rq)
{
    pthread_mutex_lock(&rq->lock);
    bool answered = rq->answered;
    pthread_mutex_unlock(&rq->lock);
    return answered;
}

static enum MHD_Result drop_body(struct http_req *rq, size_t *n)
{
    rq->dropped += *n;
    *n = 0;
    return rq->dropped > DROP_AT_MOST ? MHD_NO : MHD_YES;
}

/* Offers data to the sink until it has taken all or wants a rest. */
static enum MHD_Result feed_sink(struct http_req *rq, const char *p, size_t *n)
{
    while (*n > 0) {
        size_t took = rq->sink->data(rq, p, *n, rq->sink_arg);
        rq->body_seen += took;
        p += took;
        *n -= took;
        if (*n == 0) {
            break;
        }
        enum MHD_Result ok = MHD_YES;
        pthread_mutex_lock(&rq->lock);
        bool again = rq->resume_wanted;
        rq->resume_wanted = false;
        if (!again) {
            ok = suspend(rq);
        }
        pthread_mutex_unlock(&rq->lock);
        if (!again) {
            return ok;
        }
    }
    return MHD_YES;
}

enum MHD_Result http_req_data(struct http_req *rq, const char *p, size_t *n)
{
    if (rq->queued) {
        *n = 0;
        return MHD_YES;
    }
    if (is_answered(rq)) {
        return drop_body(rq, n);
    }
    switch (rq->course) {
    case HTTP_COURSE_COLLECT:
        http_body_add(rq, p, *n);
        *n = 0;
        return MHD_YES;
    case HTTP_COURSE_STREAM:
        if (rq->body_seen + *n > rq->body_max) {
            struct gt_err err = GT_ERR_INIT;
            gt_err_set(&err, GT_ERR_TOO_LARGE, "the request body has more than %llu bytes",
                       (unsigned long long)rq->body_max);
            rq->course = HTTP_COURSE_DROP;
            rq->sink->gone(rq, rq->sink_arg);
            http_req_refuse(rq, 413, &err, /* close= */ true);
            return drop_body(rq, n);
        }
        return feed_sink(rq, p, n);
    case HTTP_COURSE_NONE:
    case HTTP_COURSE_DROP:
        break;
    }
    return drop_body(rq, n);
}

static void body_complete(struct http_req *rq)
{
    rq->ended = true;
    if (rq->course == HTTP_COURSE_COLLECT && http_body_finish(rq)) {
        rq->ready(rq, rq->sink_arg);
    } else if (rq->course == HTTP_COURSE_STREAM && !is_answered(rq)) {
        rq->sink->end(rq, rq->sink_arg);
    }
}

enum MHD_Result http_req_end(struct http_req *rq)
{
    if (rq->queued) {
        return MHD_YES;
    }
    if (!rq->ended) {
        http_peer_busy(rq->peer, true);
        body_complete(rq);
    }
    enum MHD_Result ok = MHD_YES;
    pthread_mutex_lock(&rq->lock);
    while (rq->call != NULL) {
        void (*fn)(struct http_req *, void *) = rq->call;
        rq->call = NULL;
        pthread_mutex_unlock(&rq->lock);
        fn(rq, rq->call_arg);
        pthread_mutex_lock(&rq->lock);
    }
    if (rq->answered) {
        ok = queue_response(rq);
    } else {
        ok = suspend(rq);
    }
    pthread_mutex_unlock(&rq->lock);
    return ok;
}

/* -- what the handler calls -- */

void http_req_collect(struct http_req *rq, size_t max, void (*ready)(struct http_req *, void *),
                      void *arg)
{
    rq->course = HTTP_COURSE_COLLECT;
    rq->body_max = max;
    rq->ready = ready;
    rq->sink_arg = arg;
    http_body_start(rq);
}

void http_req_stream(struct http_req *rq, uint64_t max, const struct http_sink *sink, void *arg)
{
    struct gt_err err = GT_ERR_INIT;
    rq->course = HTTP_COURSE_STREAM;
    rq->body_max = max;
    rq->sink = sink;
    rq->sink_arg = arg;
    int status = 0;
    if (rq->head.encoded) {
        gt_err_set(&err, GT_ERR_INVALID, "a content encoding is not accepted here");
        status = 415;
    } else if (rq->head.content_length > 0 && (uint64_t)rq->head.content_length > max) {
        gt_err_set(&err, GT_ERR_TOO_LARGE, "the request body has more than %llu bytes",
                   (unsigned long long)max);
        status = 413;
    }
    if (status != 0) {
        rq->course = HTTP_COURSE_DROP;
        sink->gone(rq, arg);
        http_req_refuse(rq, status, &err, false);
        return;
    }
    http_peer_busy(rq->peer, true); /* who streams was let in, and may be slow */
}

void http_req_resume(struct http_req *rq)
{
    struct http_server *s = rq->server;
    pthread_mutex_lock(&rq->lock);
    struct MHD_Connection *conn = take_suspended(rq);
    rq->resume_wanted = conn == NULL;
    pthread_mutex_unlock(&rq->lock);
    resume(s, conn);
}

void http_req_call(struct http_req *rq, void (*fn)(struct http_req *rq, void *arg), void *arg)
{
    struct http_server *s = rq->server;
    pthread_mutex_lock(&rq->lock);
    bool gone = rq->conn == NULL;
    if (!gone) {
        rq->call = fn;
        rq->call_arg = arg;
    }
    struct MHD_Connection *conn = take_suspended(rq);
    pthread_mutex_unlock(&rq->lock);
    resume(s, conn);
    if (gone) {
        fn(rq, arg);
    }
}

void http_answer_header(struct http_answer *a, const char *name, const char *value)
{
    GT_ASSERT(a->n_headers < HTTP_ANSWER_HEADERS);
    a->headers[a->n_headers].name = name;
    a->headers[a->n_headers].value = value;
    a->n_headers++;
}

/* HEAD answers with a length alone: the content is never asked for. */
static ssize_t no_content(void *cls, uint64_t pos, char *buf, size_t max)
{
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct http_req *rq, struct http_answer *a)
{
    struct MHD_Response *r;
    if (a->fd >= 0) {
        r = MHD_create_response_from_fd_at_offset64(a->length, a->fd, a->offset);
        if (r == NULL) {
            close(a->fd);
        }
        a->fd = -1;
    } else if (a->body.n == 0 && a->length > 0) {
        r = MHD_create_response_from_callback(a->length, 1024, no_content, NULL, NULL);
    } else {
        size_t n = a->body.n;
        char *p = gt_buf_steal(&a->body);
        r = MHD_create_response_from_buffer(n, p, MHD_RESPMEM_MUST_FREE);
    }
    GT_ASSERT(r != NULL);
    if (a->content_type != NULL) {
        MHD_add_response_header(r, "Content-Type", a->content_type);
    }
    MHD_add_response_header(r, "x-amzn-RequestId", rq->id);
    for (size_t i = 0; i < a->n_headers; i++) {
        /* Refuses line breaks in values by itself. */
        MHD_add_response_header(r, a->headers[i].name, a->headers[i].value);
    }
    if (a->close) {
        MHD_add_response_header(r, "Connection", "close");
    }
    return r;
}

void http_req_answer(struct http_req *rq, struct http_answer *a)
{
    struct MHD_Response *r = make_response(rq, a);
    struct http_server *s = rq->server;
    struct MHD_Connection *conn = NULL;
    gt_buf_fini(&a->body);
    pthread_mutex_lock(&rq->lock);
    if (rq->answered || rq->conn == NULL) {
        rq->answered = true;
        MHD_destroy_response(r);
    } else {
        rq->response = r;
        rq->status = a->status;
        rq->answered = true;
        conn = take_suspended(rq);
    }
    pthread_mutex_unlock(&rq->lock);
    resume(s, conn);
}

static void json_text(struct gt_buf *to, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            gt_buf_putc(to, '\\');
        }
        gt_buf_putc(to, c < 0x20 || c >= 0x7f ? '?' : (char)c);
    }
}

void http_req_refuse(struct http_req *rq, int status, const struct gt_err *err, bool close_it)
{
    struct http_answer a = HTTP_ANSWER_INIT(status);
    a.content_type = "application/x-amz-json-1.1";
    a.close = close_it;
    rq->cut = close_it;
    gt_buf_printf(&a.body, "{\"__type\":\"%s\",\"message\":\"", gt_err_aws_name(err));
    json_text(&a.body, err->msg);
    gt_buf_puts(&a.body, "\"}");
    if (rq->course == HTTP_COURSE_NONE) {
        rq->course = HTTP_COURSE_DROP;
    }
    http_req_answer(rq, &a);
}

/* -- what it is -- */

enum http_method http_req_method(const struct http_req *rq)
{
    return rq->method;
}

struct gt_str http_req_method_name(const struct http_req *rq)
{
    return rq->method_name;
}

struct gt_str http_req_path(const struct http_req *rq)
{
    return rq->path;
}

struct gt_str http_req_query(const struct http_req *rq)
{
    return rq->query;
}

struct gt_str http_req_header(const struct http_req *rq, const char *name)
{
    return http_head_find(rq->headers, rq->n_headers, name);
}

const struct http_header *http_req_headers(const struct http_req *rq, size_t *ret_n)
{
    *ret_n = rq->n_headers;
    return rq->headers;
}

const char *http_req_id(const struct http_req *rq)
{
    return rq->id;
}

bool http_req_tls(const struct http_req *rq)
{
    return rq->server->tls;
}

void http_req_address(const struct http_req *rq, char to[static HTTP_ADDRESS])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *sa = info ? info->client_addr : NULL;
    const void *address = NULL;
    if (sa && sa->sa_family == AF_INET) {
        address = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    } else if (sa && sa->sa_family == AF_INET6) {
        address = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    }
    if (!address || !inet_ntop(sa->sa_family, address, to, HTTP_ADDRESS)) {
        to[0] = '\0';
    }
}

struct gt_str http_req_body(const struct http_req *rq)
{
    return gt_buf_view(&rq->body);
}

const char *http_req_sent_sha256(const struct http_req *rq)
{
    return rq->sent_hex[0] ? rq->sent_hex : NULL;
}

int64_t http_req_content_length(const struct http_req *rq)
{
    return rq->head.content_length;
}

void http_req_set_user(struct http_req *rq, void *user)
{
    rq->user = user;
}

void *http_req_user(const struct http_req *rq)
{
    return rq->user;
}
