/*
 * Plain paths: see route.h. The body of a request is worked on by one bulk worker at a time, in
 * pieces; the network thread gathers the next piece meanwhile.
 */
#include "control/server/server_priv.h"

#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/crypto/digest.h"
#include "lib/wire/json.h"

#include <pthread.h>

enum { PIECE = 256 * 1024 };

struct route_req {
    struct bulk_job job;
    struct data_req data;
    struct gt_arena arena;
    struct http_req *http;
    const struct server_route *route;
    void *user;

    pthread_mutex_t lock;
    struct gt_buf gathered; /* what came in and no worker has seen */
    bool queued;            /* a worker has it, or will */
    bool stalled;           /* the network thread waits for room */
    bool ended, gone;       /* the body is complete; the client went away */
    bool answered, finished;
    struct gt_buf piece; /* the worker's own */
    bool end_called, key_checked;
    /* Of a signed body: what was declared, and what came. */
    struct gt_str declared;
    struct gt_sha256 sum;
};

/* With the request: no callback of the network thread can be left then. */
static void free_route_req(void *arg)
{
    struct route_req *rq = arg;
    gt_buf_fini(&rq->gathered);
    gt_buf_fini(&rq->piece);
    gt_arena_fini(&rq->arena);
    if (rq->declared.n) {
        gt_sha256_fini(&rq->sum);
    }
    pthread_mutex_destroy(&rq->lock);
    free(rq);
}

/* --- what a route's functions use */

struct http_req *route_http(struct route_req *rq)
{
    return rq->http;
}

struct data_req *route_data(struct route_req *rq)
{
    return &rq->data;
}

const struct principal *route_principal(const struct route_req *rq)
{
    return rq->route->signed_only ? &rq->data.principal : NULL;
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
    return rq->data.s->keys.secret;
}

struct gt_str route_key_secret(struct route_req *rq, struct gt_str id, char to[static 64],
                               struct principal *ret)
{
    struct principal p;
    struct gt_str secret = keys_find(&rq->data.s->keys, id, to, &rq->arena, &p);
    if (secret.p && p.kind == PRINCIPAL_NODE) {
        rq->data.principal = p; /* so that a worker asks whether its key is good */
    }
    if (secret.p && ret) {
        *ret = p;
    }
    return secret;
}

bool route_session(struct route_req *rq, struct gt_str id, struct gt_str token,
                   struct gt_str region, struct principal *ret)
{
    char secret[STS_KEY_SECRET];
    struct principal p;
    bool ok = sts_session_open(&rq->data.s->sealer, id, token, &rq->arena, secret, &p) == 0;
    gt_wipe(secret, sizeof secret);
    if (ok) {
        server_from(rq->http, &rq->arena, &p);
        rq->data.principal = *ret = p;
        rq->data.region = gt_str(gt_arena_str(&rq->arena, region));
    }
    return ok;
}

void route_answer(struct route_req *rq, struct http_answer *a)
{
    pthread_mutex_lock(&rq->lock);
    bool first = !rq->answered;
    rq->answered = true;
    pthread_mutex_unlock(&rq->lock);
    GT_ASSERT(first);
    http_req_answer(rq->http, a);
}

static void answer_error(struct route_req *rq, const struct gt_err *err)
{
    struct http_answer a = HTTP_ANSWER_INIT(gt_err_http_status(err));
    gt_buf_puts(&a.body, "{\"__type\":");
    wire_json_string(&a.body, gt_str(gt_err_aws_name(err)));
    gt_buf_puts(&a.body, ",\"message\":");
    wire_json_string(&a.body, gt_str(err->msg));
    gt_buf_puts(&a.body, "}");
    a.content_type = "application/json";
    if (a.status >= 500) {
        gt_error("%.*s: %s", GT_STR_ARG(http_req_path(rq->http)), err->msg);
    }
    route_answer(rq, &a);
}

static void finish(struct route_req *rq)
{
    pthread_mutex_lock(&rq->lock);
    rq->finished = true;
    pthread_mutex_unlock(&rq->lock);
    if (rq->route->done) {
        rq->route->done(rq);
    }
    http_req_unref(rq->http);
}

/* --- the worker's side */

/* What to do next, decided under the lock. */
static bool next_piece(struct route_req *rq, bool *ret_end)
{
    bool resume = false, more = false;
    pthread_mutex_lock(&rq->lock);
    *ret_end = false;
    gt_buf_reset(&rq->piece);
    if (rq->gathered.n) {
        struct gt_buf full = rq->gathered;
        rq->gathered = rq->piece;
        rq->piece = full;
        resume = rq->stalled;
        rq->stalled = false;
        more = true;
    } else if (rq->ended && !rq->end_called) {
        rq->end_called = *ret_end = more = true;
    } else {
        rq->queued = false;
    }
    pthread_mutex_unlock(&rq->lock);
    if (resume) {
        http_req_resume(rq->http);
    }
    return more;
}

static bool over(struct route_req *rq)
{
    pthread_mutex_lock(&rq->lock);
    bool yes = rq->answered || rq->gone;
    pthread_mutex_unlock(&rq->lock);
    return yes;
}

/* Once for each request, before anything is done for it. */
static int check_key(struct route_req *rq, struct gt_err *err)
{
    if (rq->key_checked) {
        return 0;
    }
    rq->key_checked = true;
    return server_check_key(&rq->data, err);
}

static int add_piece(struct route_req *rq, struct gt_err *err)
{
    if (rq->declared.n) {
        gt_sha256_add(&rq->sum, rq->piece.p, rq->piece.n);
    }
    return rq->route->body ? rq->route->body(rq, rq->piece.p, rq->piece.n, err) : 0;
}

/* The signature covers the body by the hash that was declared for it. */
static int check_sum(struct route_req *rq, struct gt_err *err)
{
    unsigned char sum[GT_SHA256_LEN];
    char hex[GT_SHA256_HEX];
    if (!rq->declared.n) {
        return 0;
    }
    gt_sha256_final(&rq->sum, sum);
    gt_hex_encode(sum, sizeof sum, hex);
    return gt_str_is(rq->declared, hex)
               ? 0
               : gt_err_aws(err, GT_ERR_INVALID, "XAmzContentSHA256Mismatch",
                            "The provided 'x-amz-content-sha256' header does not match what was "
                            "computed.");
}

static int finish_body(struct route_req *rq, struct gt_err *err)
{
    int r = check_sum(rq, err);
    if (r == 0) {
        r = rq->route->end(rq, err);
    }
    return r == 0 && !over(rq) ? gt_err_set(err, GT_ERR_INTERNAL, "the request was not answered")
                               : r;
}

static void run(struct bulk_job *job)
{
    struct route_req *rq = GT_CONTAINER_OF(job, struct route_req, job);
    bool end = false;
    while (!over(rq)) {
        struct gt_err err = GT_ERR_INIT;
        int r = 0;
        if (!next_piece(rq, &end)) {
            return; /* until more comes */
        }
        r = check_key(rq, &err);
        if (r == 0) {
            r = end ? finish_body(rq, &err) : add_piece(rq, &err);
        }
        if (r < 0 && !over(rq)) {
            answer_error(rq, &err);
        }
    }
    finish(rq);
}

/* --- the network thread's side */

static void wake(struct route_req *rq)
{
    if (!rq->queued) {
        rq->queued = true;
        bulk_submit(rq->data.s->bulk, &rq->job, /* urgent= */ true);
    }
}

static size_t on_data(struct http_req *http, const void *p, size_t n, void *arg)
{
    struct route_req *rq = arg;
    pthread_mutex_lock(&rq->lock);
    size_t take = n;
    if (!rq->answered && !rq->finished) {
        take = GT_MIN(n, (size_t)PIECE - rq->gathered.n);
        gt_buf_add(&rq->gathered, p, take);
        rq->stalled = take < n;
        wake(rq);
    }
    pthread_mutex_unlock(&rq->lock);
    return take;
}

static void on_end(struct http_req *http, void *arg)
{
    struct route_req *rq = arg;
    pthread_mutex_lock(&rq->lock);
    if (!rq->finished) {
        rq->ended = true;
        wake(rq);
    }
    pthread_mutex_unlock(&rq->lock);
}

static void on_gone(struct http_req *http, void *arg)
{
    struct route_req *rq = arg;
    pthread_mutex_lock(&rq->lock);
    if (!rq->finished) {
        rq->gone = true;
        wake(rq);
    }
    pthread_mutex_unlock(&rq->lock);
}

static const struct server_route *find(struct server *s, struct gt_str path, struct mounted **ret)
{
    const struct server_route *best = NULL;
    for (size_t i = 0; i < s->n_mounted; i++) {
        for (size_t k = 0; k < s->mounted[i].n_routes; k++) {
            const struct server_route *r = &s->mounted[i].routes[k];
            if (gt_str_starts(path, gt_str(r->prefix)) &&
                (!best || strlen(r->prefix) > strlen(best->prefix))) {
                best = r;
                *ret = server_mounted(s, r->service);
            }
        }
    }
    return best;
}

static int admit(struct route_req *rq, struct gt_err *err)
{
    const struct server_route *route = rq->route;
    if (!(route->methods & (unsigned)http_req_method(rq->http))) {
        struct http_answer a = HTTP_ANSWER_INIT(405);
        route_answer(rq, &a);
        return 0;
    }
    if (route->signed_only) {
        struct sigv4_auth auth;
        int r = server_verify(rq->data.s, rq->http, NULL, &rq->arena, NULL, &auth,
                              &rq->data.principal, err);
        if (r < 0) {
            return r;
        }
        if (rq->data.principal.kind == PRINCIPAL_ROLE) {
            return gt_err_set(err, GT_ERR_DENIED, "this path is not for sessions of roles");
        }
        rq->data.region = auth.region;
        if (!gt_str_is(auth.payload_hash, SIGV4_UNSIGNED_PAYLOAD)) {
            rq->declared = gt_str(gt_arena_str(&rq->arena, auth.payload_hash));
            gt_sha256_init(&rq->sum);
        }
    }
    return route->begin ? route->begin(rq, err) : 0;
}

bool server_route(struct server *s, struct http_req *http)
{
    static const struct http_sink sink = {on_data, on_end, on_gone};
    struct mounted *m = NULL;
    const struct server_route *route = find(s, http_req_path(http), &m);
    if (!route) {
        return false;
    }
    struct route_req *rq = gt_new(struct route_req);
    struct gt_err err = GT_ERR_INIT;
    gt_arena_init(&rq->arena, GT_LIMIT_API_ARENA);
    rq->http = http_req_ref(http);
    http_req_on_free(http, free_route_req, rq);
    rq->route = route;
    rq->job.run = run;
    rq->data = (struct data_req){.s = s,
                                 .m = m,
                                 .arena = &rq->arena,
                                 .principal = {.account = gt_str(s->keys.account)},
                                 .region = gt_str(s->region),
                                 .host = http_req_header(http, "host")};
    rq->gathered = GT_BUF_INIT(PIECE);
    rq->piece = GT_BUF_INIT(PIECE);
    pthread_mutex_init(&rq->lock, NULL);
    if (admit(rq, &err) < 0) {
        answer_error(rq, &err);
    }
    if (over(rq)) {
        finish(rq);
    } else {
        http_req_stream(http, route->max_body, &sink, rq);
    }
    return true;
}
