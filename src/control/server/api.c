/* A call of an AWS API: from the body to the answer. */
#include "control/server/pages.h"
#include "control/server/past.h"
#include "control/server/server_priv.h"

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/wire/call.h"

#include <stdio.h>

enum { USUAL_ANSWER = 2000 }; /* bytes: what most answers fit in without growing */

struct api_req {
    struct core_request core; /* for operations of the core ... */
    struct bulk_job job;      /* ... and of the data plane */
    struct server *s;
    struct http_req *http;
    struct gt_arena arena;
    struct wire_call call;
    const struct service_op *op;
    void *in, *out;
    struct gt_str owner; /* whose page tokens they are */
    struct data_req data;
    uint64_t at; /* the revision that is asked about; 0: the newest */
};

static struct api_req *api_req_new(struct server *s, struct http_req *http)
{
    struct api_req *r = gt_new(struct api_req);
    r->s = s;
    r->http = http_req_ref(http);
    gt_arena_init(&r->arena, GT_LIMIT_API_ARENA);
    return r;
}

static void api_req_free(struct api_req *r)
{
    gt_arena_fini(&r->arena);
    http_req_unref(r->http);
    free(r);
}

static struct pages pages_of(const struct api_req *r)
{
    return (struct pages){.key = r->s->keys.secret, .principal = r->owner};
}

static void finish(struct api_req *r, struct gt_err *err)
{
    struct http_answer a = HTTP_ANSWER_INIT(200);
    struct wire_answer w = {0};
    struct gt_str id = gt_str(http_req_id(r->http));
    a.body.max = GT_LIMIT_API_ANSWER;
    if (!err) {
        struct pages pages = pages_of(r);
        pages_seal(&pages, r->op->op, r->in, r->out, &r->arena);
        server_issue(r->s, r->op->op, r->out, &r->arena);
        gt_buf_reserve(&a.body, USUAL_ANSWER);
        wire_call_answer(&r->call, r->out, id, &a.body, &w);
        if (!gt_buf_ok(&a.body)) {
            struct gt_err large = GT_ERR_INIT;
            gt_err_set(&large, GT_ERR_INTERNAL, "the answer is larger than %lu bytes",
                       GT_LIMIT_API_ANSWER);
            gt_buf_reset(&a.body);
            wire_call_error(&r->call, &large, id, &a.body, &w);
        }
    } else {
        wire_call_error(&r->call, err, id, &a.body, &w);
        if (w.status >= 500) {
            gt_error("%.*s: %s", GT_STR_ARG(r->call.name), err->msg);
        }
    }
    a.status = w.status;
    a.content_type = w.content_type;
    if (w.error_type) {
        http_answer_header(&a, "x-amzn-ErrorType", w.error_type);
    }
    http_req_answer(r->http, &a);
    api_req_free(r);
}

/* A registration may be refused because another agent has the node: that it asks is no sign of
 * life. Whatever else a node calls is, from when it comes: it may wait for long. */
static bool is_registration(const struct api_req *r)
{
    return gt_streq(r->op->op->name, "RegisterNode");
}

static void finish_core(struct http_req *http, void *arg)
{
    struct api_req *r = arg;
    struct core_call *c = &r->core.call;
    if (c->result >= 0 && is_registration(r)) {
        server_hear(r->s, &c->principal);
    }
    finish(r, c->result < 0 ? &c->err : NULL);
}

/* On the journal's thread as a rule, which has the next commit to do. */
static void core_done(struct core_request *c)
{
    struct api_req *r = c->owner;
    http_req_call(r->http, finish_core, r);
}

/* In a state of the past. */
static void run_past(struct bulk_job *job)
{
    struct api_req *r = GT_CONTAINER_OF(job, struct api_req, job);
    past_apply(r->s->past, r->at, &r->core.call);
    finish_core(r->http, r);
}

static void submit_past(struct api_req *r)
{
    struct gt_err err = GT_ERR_INIT;
    r->job.run = run_past;
    if (!past_submit(r->s->past, &r->job)) {
        gt_err_set(&err, GT_ERR_THROTTLED, "Rate exceeded");
        finish(r, &err);
    }
}

/* Of the past there is what the core keeps, for root. */
static int check_past(const struct api_req *r, const struct principal *p, struct gt_err *err)
{
    if (p->kind != PRINCIPAL_ROOT) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "what was is for the root key alone");
    }
    if (!r->op->core || gt_streq(r->call.service->name, "agent")) {
        return gt_err_set(err, GT_ERR_VALIDATION,
                          "%s tells of what is now: only the control plane's own state is kept as "
                          "it was",
                          r->call.op->name);
    }
    return 0;
}

static void submit_core(struct api_req *r, const struct principal *p, struct gt_str region)
{
    struct gt_err err = GT_ERR_INIT;
    bool agent = gt_streq(r->call.service->name, "agent");
    if (agent && !is_registration(r)) {
        server_hear(r->s, p);
    }
    r->core = (struct core_request){
        .call = {.op = r->op,
                 .in = r->in,
                 .out = r->out,
                 .principal = *p,
                 .region = region,
                 .arena = &r->arena,
                 /* of other protocols the core makes it */
                 .input = r->call.protocol == WIRE_JSON ? r->call.input : gt_str(NULL)},
        .class = agent ? CORE_AGENT : CORE_API,
        .done = core_done,
        .owner = r,
    };
    if (r->at) {
        submit_past(r);
        return;
    }
    switch (server_core_submit(r->s, &r->core)) {
    case CORE_ANSWERED:
        finish_core(r->http, r);
        break;
    case CORE_THROTTLED:
        gt_err_set(&err, GT_ERR_THROTTLED, "Rate exceeded");
        finish(r, &err);
        break;
    case CORE_PENDING:
    default:
        break;
    }
}

static void run_data(struct bulk_job *job)
{
    struct api_req *r = GT_CONTAINER_OF(job, struct api_req, job);
    struct gt_err err = GT_ERR_INIT;
    int result = server_authorize_data(&r->data, r->op, r->in, &err);
    if (result == 0) {
        result = r->op->data(&r->data, r->in, r->out, &err);
    }
    finish(r, result < 0 ? &err : NULL);
}

static int route(struct api_req *r, struct gt_str body, struct gt_err *err)
{
    struct gt_str path = http_req_path(r->http);
    int at = past_path(&path, &r->at, err);
    struct wire_request wr = {.method = http_req_method_name(r->http),
                              .path = path,
                              .query = http_req_query(r->http),
                              .target = http_req_header(r->http, "x-amz-target"),
                              .content_type = http_req_header(r->http, "content-type"),
                              .scope_service = server_scope_service(r->http, &r->arena),
                              .body = body};
    int routed =
        wire_route(r->s->models, r->s->n_mounted, &wr, &r->arena, &r->call, at < 0 ? NULL : err);
    return at < 0 ? at : routed;
}

static int prepare(struct api_req *r, struct principal *p, struct sigv4_auth *auth,
                   struct gt_err *err)
{
    struct server *s = r->s;
    struct gt_str body = http_req_body(r->http);
    struct gt_err unrouted = GT_ERR_INIT;
    int routed = route(r, body, &unrouted);
    /* Who calls is looked at first: a stranger learns nothing of what there is. */
    int result = server_verify(s, r->http, &body, &r->arena,
                               r->call.service ? r->call.service->signing : NULL, auth, p, err);
    if (result < 0) {
        return result;
    }
    if (routed < 0) {
        *err = unrouted;
        return routed;
    }
    const struct mounted *m = server_mounted(s, r->call.service->name);
    r->op = &m->service->ops[r->call.op->index];
    if (!r->op->core && !r->op->data) {
        gt_debug("refused %s.%s: not implemented", r->call.service->name, r->call.op->name);
        return wire_call_refuse(&r->call, err);
    }
    const struct wire_op *op = r->call.op;
    struct wire_unknown unknown = {0};
    r->in = gt_arena_alloc(&r->arena, op->in ? op->in->size : 1);
    r->out = gt_arena_alloc(&r->arena, op->out ? op->out->size : 1);
    result = wire_call_decode(&r->call, &r->arena, r->in, &unknown, err);
    if (result == 0 && unknown.count) {
        gt_info("%s.%s: %zu members that the model does not know were ignored, the first is "
                "'%.*s'",
                r->call.service->name, op->name, unknown.count, GT_STR_ARG(unknown.first));
    }
    r->owner = p->session ? p->arn : p->key_id; /* a session's keys are new every hour */
    struct pages pages = pages_of(r);
    return result < 0 ? result : pages_open(&pages, op, r->in, &r->arena, err);
}

static void on_body(struct http_req *http, void *arg)
{
    struct server *s = arg;
    struct api_req *r = api_req_new(s, http);
    struct gt_err err = GT_ERR_INIT;
    struct principal p = {0};
    struct sigv4_auth auth = {0};
    if (prepare(r, &p, &auth, &err) < 0 || (r->at && check_past(r, &p, &err) < 0)) {
        finish(r, &err);
        return;
    }
    if (r->op->core) {
        submit_core(r, &p, auth.region);
        return;
    }
    r->data = (struct data_req){.s = s,
                                .m = server_mounted(s, r->call.service->name),
                                .arena = &r->arena,
                                .principal = p,
                                .region = auth.region,
                                .host = http_req_header(r->http, "host")};
    r->job.run = run_data;
    if (!bulk_submit(s->bulk, &r->job, /* urgent= */ false)) {
        gt_err_set(&err, GT_ERR_THROTTLED, "Rate exceeded");
        finish(r, &err);
    }
}

/* Nobody's memory is for bodies of whoever comes along. */
static bool refuse_stranger(struct server *s, struct http_req *rq)
{
    struct api_req *r = api_req_new(s, rq);
    struct gt_err err = GT_ERR_INIT, unrouted = GT_ERR_INIT;
    if (server_known(s, rq, &r->arena, &err) == 0) {
        api_req_free(r);
        return false;
    }
    route(r, GT_STR_LIT(""), &unrouted); /* how the refusal is to be worded */
    finish(r, &err);
    return true;
}

void server_api(struct server *s, struct http_req *rq)
{
    int64_t n = http_req_content_length(rq);
    bool large = n < 0 || n > (int64_t)GT_LIMIT_STRANGER_BODY;
    if (large && refuse_stranger(s, rq)) {
        return;
    }
    http_req_collect(rq, GT_LIMIT_API_BODY, on_body, s);
}
