/*
 * POST /_gantry/logs?group=G&stream=S&offset=N[&spool=ID]: what a container wrote, from its node.
 *
 * The body is whole frames of the shim's spool that begin at the offset. The answer,
 * {"nextOffset": N}, says what is durable: the node may free its spool up to there. The stream is
 * made when there is none; the group must be there, and the stream one of the node's own tasks.
 */
#include "control/services/agent/access.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <stdio.h>

enum { MAX_INGEST = 8 * 1024 * 1024, MAX_NAME = 512 };

struct ingest {
    struct gt_buf body;
    char group[MAX_NAME + 1], stream[MAX_NAME + 1], spool[129];
    uint64_t offset;
};

static int parameter(struct gt_str query, const char *name, char *to, size_t max, bool required,
                     struct gt_err *err)
{
    struct gt_str v = http_query_find(query, name);
    char text[3 * MAX_NAME + 1];
    ptrdiff_t n = v.n <= sizeof(text) - 1 ? http_percent_decode(v, /* plus= */ false, text) : -1;
    if (n < 0 || (size_t)n > max || (n == 0 && required)) {
        return gt_err_set(err, GT_ERR_INVALID, "parameter '%s' is missing or malformed", name);
    }
    memcpy(to, text, (size_t)n);
    to[n] = '\0';
    return 0;
}

static int begin(struct route_req *rq, struct gt_err *err)
{
    struct gt_str query = http_req_query(route_http(rq));
    struct ingest *in = gt_new(struct ingest);
    char offset[21] = "";
    in->body = GT_BUF_INIT(MAX_INGEST);
    route_set_user(rq, in);
    int r = parameter(query, "group", in->group, MAX_NAME, true, err);
    if (r == 0) {
        r = parameter(query, "stream", in->stream, MAX_NAME, true, err);
    }
    if (r == 0) {
        r = parameter(query, "spool", in->spool, sizeof(in->spool) - 1, false, err);
    }
    if (r == 0) {
        r = parameter(query, "offset", offset, sizeof(offset) - 1, true, err);
    }
    if (r < 0) {
        return r;
    }
    char *end;
    errno = 0;
    in->offset = strtoull(offset, &end, 10);
    if (*end || offset[0] == '-' || errno || in->offset > INT64_MAX) {
        return gt_err_set(err, GT_ERR_INVALID, "parameter 'offset' is malformed");
    }
    if (strpbrk(in->stream, ":*") != NULL) {
        return gt_err_set(err, GT_ERR_INVALID, "a stream's name has no ':' and no '*'");
    }
    return 0;
}

static int body(struct route_req *rq, const void *p, size_t n, struct gt_err *err)
{
    struct ingest *in = route_user(rq);
    gt_buf_add(&in->body, p, n);
    return gt_buf_ok(&in->body)
               ? 0
               : gt_err_set(err, GT_ERR_TOO_LARGE, "more than %d bytes at once", MAX_INGEST);
}

struct asking {
    const struct ingest *in;
    enum node_log answer;
};

static int ask(struct tx *tx, void *arg, struct gt_err *err)
{
    struct asking *a = arg;
    a->answer = node_may_log(tx, gt_str(a->in->group), gt_str(a->in->stream));
    return 0;
}

/* A node may add to the streams of its own tasks alone. */
static int check_node(struct data_req *d, const struct ingest *in, const struct log_group_ref *g,
                      struct gt_err *err)
{
    struct asking a = {.in = in};
    if (data_principal(d)->kind != PRINCIPAL_NODE) {
        return 0;
    }
    int r = data_core_call(d, ask, &a, err);
    bool may = a.answer == NODE_LOG_OWN ||
               (a.answer == NODE_LOG_FORGOTTEN &&
                log_stream_find(data_store(d), g->id, gt_str(in->stream)) != 0);
    return r < 0 || may ? r
                        : gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                                     "stream '%s' of group '%s' is of no task on this node",
                                     in->stream, in->group);
}

static int end(struct route_req *rq, struct gt_err *err)
{
    struct ingest *in = route_user(rq);
    struct data_req *d = route_data(rq);
    struct log_group_ref g;
    uint64_t next = 0;
    int r = group_find(d, gt_str(in->group), &g, err);
    r = r ? r : check_node(d, in, &g, err);
    if (r == 0) {
        r = log_append_frames(data_store(d), g.id, gt_str(in->stream), gt_str(in->spool),
                              in->offset, gt_buf_view(&in->body), data_now(d), &next, err);
        r = r < 0 ? store_error(err) : 0;
    }
    if (r < 0) {
        return r;
    }
    struct http_answer a = HTTP_ANSWER_INIT(200);
    a.content_type = "application/json";
    gt_buf_printf(&a.body, "{\"nextOffset\":%llu}", (unsigned long long)next);
    route_answer(rq, &a);
    return 0;
}

static void done(struct route_req *rq)
{
    struct ingest *in = route_user(rq);
    if (in) {
        gt_buf_fini(&in->body);
        free(in);
    }
}

const struct server_route logs_routes[] = {
    {.methods = HTTP_POST,
     .prefix = "/_gantry/logs",
     .service = "logs",
     .max_body = MAX_INGEST,
     .begin = begin,
     .body = body,
     .end = end,
     .done = done,
     .signed_only = true},
};
const size_t n_logs_routes = GT_ARRAY_LEN(logs_routes);
