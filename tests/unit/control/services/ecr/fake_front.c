#include "fake_front.h"

#include "control/core/core.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct fake_front {
    void *store;
    const unsigned char *secret;
    struct journal *journal;
    struct core *core;
};

struct http_req {
    const struct fake_request *in;
};

struct data_req {
    struct fake_front *front;
    struct gt_arena arena;
    struct principal who;
};

struct route_req {
    struct http_req http;
    struct data_req data;
    void *user;
    bool answered;
    struct fake_answer *answer;
};

struct fake_front *fake_front_new(void *store, const unsigned char *secret)
{
    static const struct service *const none[] = {NULL};
    struct fake_front *f = gt_new(struct fake_front);
    struct core_options options = {.seed = 7};
    f->store = store;
    f->secret = secret;
    f->journal = memory_journal_new();
    GT_ASSERT(core_new(f->journal, none, &options, &f->core, NULL) == 0);
    return f;
}

void fake_front_free(struct fake_front *f)
{
    core_free(f->core);
    journal_close(f->journal);
    free(f);
}

/* -- control/core/data.h -- */

static void data_init(struct data_req *rq, struct fake_front *f)
{
    rq->front = f;
    gt_arena_init(&rq->arena, GT_LIMIT_API_ARENA);
    rq->who = (struct principal){.kind = PRINCIPAL_ROOT,
                                 .account = GT_STR_LIT("000000000000"),
                                 .key_id = GT_STR_LIT("AKIAROOT"),
                                 .arn = GT_STR_LIT("arn:aws:iam::000000000000:root")};
}

struct data_req *fake_data(struct fake_front *f)
{
    struct data_req *rq = gt_new(struct data_req);
    data_init(rq, f);
    return rq;
}

void fake_data_done(struct data_req *rq)
{
    gt_arena_fini(&rq->arena);
    free(rq);
}

struct gt_arena *data_arena(struct data_req *rq)
{
    return &rq->arena;
}

const struct principal *data_principal(const struct data_req *rq)
{
    return &rq->who;
}

struct gt_str data_account(const struct data_req *rq)
{
    return rq->who.account;
}

struct gt_str data_region(const struct data_req *rq)
{
    return GT_STR_LIT("us-east-1");
}

struct gt_str data_host(const struct data_req *rq)
{
    return GT_STR_LIT("127.0.0.1:4566");
}

int64_t data_now(const struct data_req *rq)
{
    return gt_clock_real_ms();
}

void *data_store(struct data_req *rq)
{
    return rq->front->store;
}

static int apply(struct data_req *rq, struct core_call call, struct gt_err *err)
{
    struct gt_arena arena; /* the core's own: what is kept must have been copied */
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    call.principal = rq->who;
    call.region = data_region(rq);
    call.arena = &arena;
    core_apply(rq->front->core, &call, gt_clock_real_ms());
    gt_arena_fini(&arena);
    if (call.result < 0 && err) {
        *err = call.err;
    }
    return call.result;
}

int data_core_call(struct data_req *rq, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                   void *arg, struct gt_err *err)
{
    return apply(rq, (struct core_call){.fn = fn, .arg = arg}, err);
}

int data_core_change(struct data_req *rq, const struct service_change *change, const void *in,
                     void *out, struct gt_err *err)
{
    return apply(rq, (struct core_call){.change = change, .in = in, .out = out}, err);
}

/* -- lib/http/server.h -- */

static const struct {
    const char *name;
    enum http_method method;
} methods[] = {{"GET", HTTP_GET},        {"HEAD", HTTP_HEAD},     {"POST", HTTP_POST},
               {"PUT", HTTP_PUT},        {"DELETE", HTTP_DELETE}, {"PATCH", HTTP_PATCH},
               {"OPTIONS", HTTP_OPTIONS}};

enum http_method http_req_method(const struct http_req *rq)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(methods); i++) {
        if (gt_streq(methods[i].name, rq->in->method)) {
            return methods[i].method;
        }
    }
    return HTTP_OTHER;
}

struct gt_str http_req_path(const struct http_req *rq)
{
    return gt_str(rq->in->path);
}

struct gt_str http_req_query(const struct http_req *rq)
{
    return gt_str(rq->in->query);
}

struct gt_str http_req_header(const struct http_req *rq, const char *name)
{
    for (size_t i = 0; rq->in->headers[i]; i += 2) {
        if (gt_streq(rq->in->headers[i], name)) {
            return gt_str(rq->in->headers[i + 1]);
        }
    }
    return (struct gt_str){0};
}

bool http_req_tls(const struct http_req *rq)
{
    return false;
}

int64_t http_req_content_length(const struct http_req *rq)
{
    return (int64_t)rq->in->n;
}

void http_answer_header(struct http_answer *a, const char *name, const char *value)
{
    GT_ASSERT(a->n_headers < HTTP_ANSWER_HEADERS);
    a->headers[a->n_headers].name = name;
    a->headers[a->n_headers++].value = value;
}

/* -- control/server/route.h -- */

struct http_req *route_http(struct route_req *rq)
{
    return &rq->http;
}

struct data_req *route_data(struct route_req *rq)
{
    return &rq->data;
}

void route_set_user(struct route_req *rq, void *user)
{
    rq->user = user;
}

void *route_user(const struct route_req *rq)
{
    return rq->user;
}

const unsigned char *route_secret(const struct route_req *rq)
{
    return rq->data.front->secret;
}

struct gt_str route_key_secret(struct route_req *rq, struct gt_str access_key_id,
                               char to[static 64], struct principal *ret_principal)
{
    bool root = gt_str_is(access_key_id, "AKIAROOT"), node = gt_str_is(access_key_id, "AKIANODE");
    if (!root && !node) {
        return (struct gt_str){0};
    }
    *ret_principal = (struct principal){.kind = root ? PRINCIPAL_ROOT : PRINCIPAL_NODE};
    if (node) { /* as the server does it */
        rq->data.who.kind = PRINCIPAL_NODE;
        rq->data.who.name = GT_STR_LIT("node");
    }
    snprintf(to, 64, "secret");
    return gt_str(to);
}

bool route_session(struct route_req *rq, struct gt_str id, struct gt_str token,
                   struct gt_str region, struct principal *ret)
{
    return false;
}

void route_answer(struct route_req *rq, struct http_answer *a)
{
    struct fake_answer *to = rq->answer;
    GT_ASSERT(!rq->answered);
    rq->answered = true;
    to->status = a->status;
    to->length = a->length;
    if (a->fd >= 0) {
        GT_ASSERT(a->length < sizeof(to->body));
        ssize_t n = pread(a->fd, to->body, a->length, (off_t)a->offset);
        GT_ASSERT(n == (ssize_t)a->length);
        to->n = a->length;
        close(a->fd);
    } else {
        to->n = GT_MIN(a->body.n, sizeof(to->body) - 1);
        memcpy(to->body, a->body.p ? a->body.p : "", to->n);
    }
    to->body[to->n] = 0;
    snprintf(to->content_type, sizeof(to->content_type), "%s",
             a->content_type ? a->content_type : "");
    to->headers[0] = 0;
    for (size_t i = 0, at = 0; i < a->n_headers; i++) {
        at += (size_t)snprintf(to->headers + at, sizeof(to->headers) - at, "%s: %s\n",
                               a->headers[i].name, a->headers[i].value);
    }
    gt_buf_fini(&a->body);
}

void fake_route(struct fake_front *f, const struct server_route *route,
                const struct fake_request *in, struct fake_answer *ret)
{
    struct gt_err err = GT_ERR_INIT;
    struct route_req rq = {.http = {.in = in}, .answer = ret};
    *ret = (struct fake_answer){0};
    data_init(&rq.data, f);
    GT_ASSERT(route->begin(&rq, &err) == 0);
    size_t piece = in->piece ? in->piece : in->n;
    for (size_t at = 0; at < in->n && !rq.answered; at += piece) {
        GT_ASSERT(route->body(&rq, (const char *)in->body + at, GT_MIN(piece, in->n - at), &err) ==
                  0);
    }
    if (!rq.answered && !in->cut) {
        GT_ASSERT(route->end(&rq, &err) == 0);
        GT_ASSERT(rq.answered);
    }
    route->done(&rq);
    gt_arena_fini(&rq.data.arena);
}
