/*
 * One API call, whatever its protocol: which operation it is, its input, its answer, its error.
 *
 *     struct wire_call call;
 *     r = wire_route(models, n_models, &rq, arena, &call, &err);
 *     in = gt_arena_alloc(arena, call.op->in->size);
 *     r = wire_call_decode(&call, arena, in, &unknown, &err);        decodes and validates
 *     ...
 *     wire_call_answer(&call, out, request_id, &body, &answer);
 *     wire_call_error(&call, &err, request_id, &body, &answer);      at any stage
 *
 * wire_route() fills *call even when it fails, so that wire_call_error() can speak the caller's
 * protocol. Beside what is in struct wire_answer the server sends x-amzn-RequestId and one Date.
 */
#ifndef GT_LIB_WIRE_CALL_H
#define GT_LIB_WIRE_CALL_H

#include "lib/wire/json.h"

/* The parts of an HTTP request that decide; absent ones empty. */
struct wire_request {
    struct gt_str method, path, query;
    struct gt_str target;        /* X-Amz-Target */
    struct gt_str content_type;  /* Content-Type */
    struct gt_str scope_service; /* of the credential scope */
    struct gt_str body;
};

struct wire_call {
    const struct wire_service *service; /* NULL: not found */
    const struct wire_op *op;           /* NULL: not found */
    enum wire_protocol protocol;
    bool json10;         /* application/x-amz-json-1.0 */
    struct gt_str name;  /* of the operation, as asked for */
    struct gt_str input; /* what is decoded: the body, or a query string */
};

struct wire_answer {
    int status;
    const char *content_type;
    const char *error_type; /* x-amzn-ErrorType; NULL: do not send */
};

/*
 * X-Amz-Target, else Action and Version of a form (or of the query string of a GET). Errors:
 * GT_ERR_UNKNOWN_OPERATION for a service or operation that no model has. An operation that a model
 * has and Gantry has not is found; refuse it with wire_call_refuse().
 */
int wire_route(const struct wire_service *const *services, size_t n, const struct wire_request *rq,
               struct gt_arena *arena, struct wire_call *ret, struct gt_err *err);

/* GT_ERR_UNSUPPORTED by the operation's name. */
int wire_call_refuse(const struct wire_call *call, struct gt_err *err);

/* `in`: op->in->size zeroed bytes. */
int wire_call_decode(const struct wire_call *call, struct gt_arena *arena, void *in,
                     struct wire_unknown *ret_unknown, struct gt_err *err);

/* Append the body. */
void wire_call_answer(const struct wire_call *call, const void *out, struct gt_str request_id,
                      struct gt_buf *body, struct wire_answer *ret);
void wire_call_error(const struct wire_call *call, const struct gt_err *err,
                     struct gt_str request_id, struct gt_buf *body, struct wire_answer *ret);

/* The exception's name as this call's caller sees it, for logs and metrics. Static text. */
const char *wire_call_error_code(const struct wire_call *call, const struct gt_err *err);

#endif
