#include "lib/wire/call.h"
#include "lib/wire/query.h"

static const struct wire_op *find_op(const struct wire_service *s, struct gt_str name)
{
    for (size_t i = 0; i < s->n_ops; i++) {
        if (gt_str_is(name, s->ops[i]->name)) {
            return s->ops[i];
        }
    }
    return NULL;
}

static int unknown(const struct wire_call *call, struct gt_err *err)
{
    if (call->protocol == WIRE_QUERY) {
        return gt_err_set(err, GT_ERR_UNKNOWN_OPERATION,
                          "Could not find operation " GT_STR_FMT " for version %s",
                          GT_STR_ARG(call->name),
                          call->service ? call->service->version : "NO_VERSION_SPECIFIED");
    }
    return gt_err_set(err, GT_ERR_UNKNOWN_OPERATION, "Unknown operation '" GT_STR_FMT "'",
                      GT_STR_ARG(call->name));
}

/* "AmazonEC2ContainerServiceV20141113.RunTask": up to the last dot it names the service. */
static int route_target(const struct wire_service *const *services, size_t n,
                        const struct wire_request *rq, struct wire_call *call, struct gt_err *err)
{
    const char *dot = memrchr(rq->target.p, '.', rq->target.n);
    struct gt_str prefix = gt_str_n(rq->target.p, dot ? (size_t)(dot - rq->target.p) : 0);

    call->name = dot ? gt_str_n(dot + 1, rq->target.n - prefix.n - 1) : rq->target;
    for (size_t i = 0; i < n && prefix.n > 0; i++) {
        const char *own = services[i]->target_prefix;
        if (own && gt_str_is(prefix, own)) {
            call->service = services[i];
            call->op = find_op(services[i], call->name);
            break;
        }
    }
    call->input = rq->body;
    return call->op ? 0 : unknown(call, err);
}

static bool speaks_query(const struct wire_service *s)
{
    return s->protocol == WIRE_QUERY || s->protocol == WIRE_EC2;
}

/* The version names the service; the credential's scope decides between two with the same. */
static int route_action(const struct wire_service *const *services, size_t n,
                        const struct wire_request *rq, struct gt_arena *arena,
                        struct wire_call *call, struct gt_err *err)
{
    struct gt_str version = {0};

    wire_query_get(call->input, "Version", arena, &version);
    for (size_t i = 0; i < n; i++) {
        const struct wire_service *s = services[i];
        bool scope = gt_str_is(rq->scope_service, s->signing);
        if (speaks_query(s) && gt_str_is(version, s->version) && (!call->service || scope)) {
            call->service = s;
        }
    }
    if (call->service) {
        call->op = find_op(call->service, call->name);
    }
    return call->op ? 0 : unknown(call, err);
}

static bool is_form(struct gt_str content_type)
{
    struct gt_str form = GT_STR_LIT("application/x-www-form-urlencoded");
    return content_type.n >= form.n && strncasecmp(content_type.p, form.p, form.n) == 0;
}

/* An operation is asked for with POST; the Query protocol knows GET too. */
static int check_method(struct wire_call *call, struct gt_str method, struct gt_err *err)
{
    if (gt_str_is(method, "POST") || (call->protocol == WIRE_QUERY && gt_str_is(method, "GET"))) {
        return 0;
    }
    call->op = NULL;
    return gt_err_set(err, GT_ERR_UNKNOWN_OPERATION,
                      "The method " GT_STR_FMT " is no way to ask "
                      "for an operation",
                      GT_STR_ARG(method));
}

int wire_route(const struct wire_service *const *services, size_t n, const struct wire_request *rq,
               struct gt_arena *arena, struct wire_call *ret, struct gt_err *err)
{
    *ret = (struct wire_call){
        .protocol = WIRE_JSON,
        .json10 = gt_str_starts(rq->content_type, GT_STR_LIT("application/x-amz-json-1.0"))};
    if (rq->target.n > 0) {
        int r = route_target(services, n, rq, ret, err);
        return r < 0 ? r : check_method(ret, rq->method, err);
    }
    ret->input = is_form(rq->content_type) ? rq->body : rq->query;
    if (wire_query_get(ret->input, "Action", arena, &ret->name)) {
        ret->protocol = WIRE_QUERY;
        int r = route_action(services, n, rq, arena, ret, err);
        return r < 0 ? r : check_method(ret, rq->method, err);
    }
    if (is_form(rq->content_type)) {
        ret->protocol = WIRE_QUERY;
        return gt_err_aws(err, GT_ERR_UNKNOWN_OPERATION, "MissingAction",
                          "The request is missing an action or a required parameter.");
    }
    return gt_err_set(err, GT_ERR_UNKNOWN_OPERATION, "The request names no operation");
}
