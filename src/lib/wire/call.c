#include "lib/wire/call.h"
#include "lib/wire/query.h"
#include "lib/wire/validate.h"
#include "lib/wire/xml.h"

int wire_call_refuse(const struct wire_call *call, struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_UNSUPPORTED, "The operation %s is not supported", call->op->name);
}

int wire_call_decode(const struct wire_call *call, struct gt_arena *arena, void *in,
                     struct wire_unknown *ret_unknown, struct gt_err *err)
{
    const struct wire_shape *shape = call->op->in;
    int r = call->protocol == WIRE_QUERY
                ? wire_query_decode(shape, call->input, arena, in, ret_unknown, err)
                : wire_json_decode_noting(shape, call->input, arena, in, ret_unknown, err);
    return r < 0 ? r : wire_validate(shape, in, call->service->style, err);
}

static const char *json_type(const struct wire_call *call)
{
    return call->json10 ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1";
}

static void answer_xml(const struct wire_call *call, const void *out, struct gt_str request_id,
                       struct gt_buf *body)
{
    const struct wire_op *op = call->op;

    gt_buf_printf(body, "<%sResponse xmlns=\"%s\">", op->name, call->service->xmlns);
    if (op->wrapper) {
        gt_buf_printf(body, "<%s>", op->wrapper);
    }
    wire_xml_encode(op->out, out, body);
    if (op->wrapper) {
        gt_buf_printf(body, "</%s>", op->wrapper);
    }
    gt_buf_puts(body, "<ResponseMetadata><RequestId>");
    wire_xml_text(body, request_id);
    gt_buf_printf(body, "</RequestId></ResponseMetadata></%sResponse>", op->name);
}

void wire_call_answer(const struct wire_call *call, const void *out, struct gt_str request_id,
                      struct gt_buf *body, struct wire_answer *ret)
{
    *ret = (struct wire_answer){.status = call->op->status};
    if (call->protocol == WIRE_QUERY) {
        ret->content_type = "text/xml";
        answer_xml(call, out, request_id, body);
        return;
    }
    ret->content_type = json_type(call);
    if (call->op->out->name) { /* an operation without output answers with an empty body */
        wire_json_encode(call->op->out, out, body);
    }
}
