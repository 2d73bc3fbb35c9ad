#include "control/services/ecr/dist.h"

#include "control/services/agent/access.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"

#include <errno.h>
#include <jansson.h>

static const struct {
    const char *code;
    int status;
    const char *text;
} errors[] = {
#define X(name, status, text) [DIST_##name] = {#name, status, text},
    DIST_ERRORS(X)
#undef X
};

static int base(struct dist *d);

static const struct dist_op base_ops[] = {
    {DIST_BASE, HTTP_GET | HTTP_HEAD, /* writes= */ false, NULL, base},
    {0},
};
static const struct dist_op *const tables[] = {base_ops, dist_blob_ops, dist_upload_ops,
                                               dist_manifest_ops, dist_list_ops};

struct http_answer dist_answer(int status)
{
    struct http_answer a = HTTP_ANSWER_INIT(status);
    http_answer_header(&a, "Docker-Distribution-Api-Version", "registry/2.0");
    return a;
}

static void error_body(struct gt_buf *to, const char *code, const char *message)
{
    json_t *text = json_string(message);
    json_t *j = json_pack("{s:[{s:s, s:o}]}", "errors", "code", code, "message",
                          text ? text : json_string("(not valid UTF-8)"));
    char *s = json_dumps(j, JSON_COMPACT);
    GT_ASSERT(s);
    gt_buf_puts(to, s);
    free(s);
    json_decref(j);
}

/* Answers; also before there is a struct dist. */
static int answer_error(struct route_req *rq, enum dist_code code, const char *message,
                        const char *challenge)
{
    struct http_answer a = dist_answer(errors[code].status);
    a.content_type = "application/json";
    error_body(&a.body, errors[code].code, message ? message : errors[code].text);
    if (challenge) {
        http_answer_header(&a, "WWW-Authenticate", challenge);
    }
    route_answer(rq, &a);
    return 0;
}

int dist_error(struct dist *d, enum dist_code code, const char *message)
{
    return answer_error(d->rq, code, message, NULL);
}

int dist_fault(struct dist *d, const struct gt_err *err)
{
    if (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT) {
        return dist_error(d, DIST_DISK_FULL, NULL);
    }
    switch ((int)err->kind) {
    case GT_ERR_THROTTLED:
        return dist_error(d, DIST_TOOMANYREQUESTS, err->msg);
    case GT_ERR_TOO_LARGE:
        return dist_error(d, DIST_TOO_LARGE, err->msg);
    case GT_ERR_DENIED:
        return dist_error(d, DIST_DENIED, err->msg);
    default:
        gt_error("registry: " GT_STR_FMT ": %s", GT_STR_ARG(d->path.name), err->msg);
        return dist_error(d, DIST_UNKNOWN, NULL);
    }
}

static int ask(struct tx *tx, void *arg, struct gt_err *err)
{
    const struct dist *d = arg;
    return node_may_pull(tx, d->path.name)
               ? 0
               : gt_err_set(err, GT_ERR_DENIED,
                            "no task on this node has an image of '" GT_STR_FMT "'",
                            GT_STR_ARG(d->path.name));
}

int dist_need_repo(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    if (d->has_repo) {
        return 1;
    }
    struct ecr_scope scope = {.account = gt_str(d->caller.account),
                              .region = gt_str(d->caller.region)};
    int r = d->node ? data_core_call(route_data(d->rq), ask, d, &err) : 0;
    if (r == 0) {
        r = ecr_repo_find(route_data(d->rq), scope, (struct gt_str){0}, d->path.name, &d->repo,
                          &err);
    }
    if (r < 0) {
        err.kind == GT_ERR_NOT_FOUND ? dist_error(d, DIST_NAME_UNKNOWN, err.msg)
                                     : dist_fault(d, &err);
        return 0;
    }
    d->has_repo = true;
    return 1;
}

struct gt_str dist_query(struct dist *d, const char *name)
{
    struct gt_str v = http_query_find(http_req_query(route_http(d->rq)), name);
    char *to = gt_arena_alloc(dist_arena(d), v.n + 1);
    ptrdiff_t n = v.n ? http_percent_decode(v, /* plus= */ true, to) : 0;
    return n > 0 ? gt_str_n(to, (size_t)n) : (struct gt_str){0};
}

int dist_need_digest(struct dist *d, struct oci_digest *ret)
{
    struct gt_err err = GT_ERR_INIT;
    if (oci_digest_parse(d->path.reference, ret, &err) < 0) {
        dist_error(d, DIST_DIGEST_INVALID, err.msg);
        return 0;
    }
    return 1;
}

static int base(struct dist *d)
{
    struct http_answer a = dist_answer(200);
    a.content_type = "application/json";
    if (d->method == HTTP_GET) {
        gt_buf_puts(&a.body, "{}");
    }
    route_answer(d->rq, &a);
    return 0;
}

/* -- the route's callbacks -- */

static int challenge(struct route_req *rq, const char *why)
{
    struct http_req *http = route_http(rq);
    struct gt_str host = http_req_header(http, "host");
    char text[512];
    snprintf(text, sizeof(text),
             "Basic realm=\"%s://" GT_STR_FMT "/\",service=\"ecr.amazonaws.com\"",
             http_req_tls(http) ? "https" : "http", (int)GT_MIN(host.n, (size_t)256),
             host.p ? host.p : "");
    return answer_error(rq, DIST_UNAUTHORIZED, why, text);
}

/* The caller, or NULL when it was answered that there is none. */
static struct dist *authenticate(struct route_req *rq)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecr_token token;
    struct principal who;
    char secret[64];
    struct gt_str header = http_req_header(route_http(rq), "authorization");
    int r = ecr_token_check_basic(route_secret(rq), header, gt_clock_real_ms(), &token, &err);
    if (r < 0) {
        challenge(rq, header.n ? err.msg : NULL);
        return NULL;
    }
    bool role = token.session[0] != '\0';
    if (role ? !route_session(rq, gt_str(token.key_id), gt_str(token.session), gt_str(token.region),
                              &who)
             : !route_key_secret(rq, gt_str(token.key_id), secret, &who).p) {
        challenge(rq, "The key that this authorization token was made for does not exist.");
        return NULL;
    }
    explicit_bzero(secret, sizeof(secret));
    struct dist *d = gt_new(struct dist);
    d->rq = rq;
    d->caller = token;
    d->node = who.kind == PRINCIPAL_NODE;
    d->role = role;
    d->method = http_req_method(route_http(rq));
    d->document = GT_BUF_INIT(GT_LIMIT_MANIFEST);
    route_set_user(rq, d);
    return d;
}

static int parse_path(struct dist *d)
{
    struct gt_str raw = http_req_path(route_http(d->rq));
    d->decoded = gt_malloc(raw.n + 1);
    ptrdiff_t n = http_percent_decode(raw, /* plus= */ false, d->decoded);
    return n < 0 ? -ENOENT : dist_path_parse(gt_str_n(d->decoded, (size_t)n), &d->path);
}

/* NULL: none. *ret_methods: what the path takes. */
static const struct dist_op *op_of(const struct dist *d, unsigned *ret_methods)
{
    const struct dist_op *found = NULL;
    *ret_methods = 0;
    for (size_t t = 0; t < GT_ARRAY_LEN(tables); t++) {
        for (const struct dist_op *op = tables[t]; op->methods; op++) {
            if (op->kind == d->path.kind) {
                *ret_methods |= op->methods;
                found = op->methods & d->method ? op : found;
            }
        }
    }
    return found;
}

/* 405 with what the path takes. */
static int not_allowed(struct dist *d, unsigned methods)
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {{HTTP_GET, "GET"}, {HTTP_HEAD, "HEAD"},   {HTTP_POST, "POST"},
                 {HTTP_PUT, "PUT"}, {HTTP_PATCH, "PATCH"}, {HTTP_DELETE, "DELETE"}};
    gt_auto_buf struct gt_buf allow = GT_BUF_INIT(128);
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        if (methods & names[i].method) {
            gt_buf_printf(&allow, "%s%s", allow.n ? ", " : "", names[i].name);
        }
    }
    struct http_answer a = dist_answer(errors[DIST_UNSUPPORTED].status);
    a.content_type = "application/json";
    error_body(&a.body, errors[DIST_UNSUPPORTED].code, errors[DIST_UNSUPPORTED].text);
    http_answer_header(&a, "Allow", allow.p);
    route_answer(d->rq, &a);
    return 0;
}

static int dist_begin(struct route_req *rq, struct gt_err *err)
{
    unsigned methods;
    struct dist *d = authenticate(rq);
    if (!d) {
        return 0;
    }
    int r = parse_path(d);
    if (r < 0) {
        return dist_error(d, r == -EINVAL ? DIST_NAME_INVALID : DIST_NOT_FOUND, NULL);
    }
    const struct dist_op *op = op_of(d, &methods);
    if (!op) {
        return not_allowed(d, methods);
    }
    bool pulls =
        d->path.kind == DIST_BASE || d->path.kind == DIST_BLOB || d->path.kind == DIST_MANIFEST;
    if (d->node && (op->writes || !pulls)) {
        return dist_error(d, DIST_DENIED, "a node's key may pull only");
    }
    if (d->path.kind == DIST_MANIFEST &&
        http_req_content_length(route_http(rq)) > (int64_t)GT_LIMIT_MANIFEST) {
        return dist_error(d, DIST_TOO_LARGE, "the manifest is larger than 4 MiB");
    }
    return 0;
}

static int dist_body(struct route_req *rq, const void *p, size_t n, struct gt_err *err)
{
    unsigned methods;
    struct dist *d = route_user(rq);
    const struct dist_op *op = op_of(d, &methods);
    return op->body && dist_permitted(d) ? op->body(d, p, n) : 0;
}

static int dist_end(struct route_req *rq, struct gt_err *err)
{
    unsigned methods;
    struct dist *d = route_user(rq);
    return dist_permitted(d) ? op_of(d, &methods)->end(d) : 0;
}

static void dist_done(struct route_req *rq)
{
    struct dist *d = route_user(rq);
    if (!d) {
        return;
    }
    if (d->upload && d->one_shot) {
        blob_upload_cancel(d->upload);
    } else if (d->upload) {
        blob_upload_release(d->upload); /* the client went away: it may go on later */
    }
    gt_buf_fini(&d->document);
    free(d->decoded);
    free(d);
}

#define ROUTE(prefix_)                                                                             \
    {                                                                                              \
        .methods =                                                                                 \
            HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_PUT | HTTP_DELETE | HTTP_PATCH | HTTP_OPTIONS, \
        .prefix = (prefix_), .service = "ecr", .max_body = GT_LIMIT_BLOB, .begin = dist_begin,     \
        .body = dist_body, .end = dist_end, .done = dist_done                                      \
    }
const struct server_route ecr_routes[] = {ROUTE("/v2/"), ROUTE("/v2")};
const size_t n_ecr_routes = GT_ARRAY_LEN(ecr_routes);
