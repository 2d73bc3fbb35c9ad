/*
 * Which exception an error is. In this order: the name that the handler gave; the service's own
 * for requests that break its model, for operations that Gantry has not, and for faults; the
 * frame's, which differ between JSON services and the older XML ones.
 */
#include "lib/wire/call.h"
#include "lib/wire/xml.h"

/* What every service answers, by protocol family. */
static const struct {
    const char *json, *xml;
    int json_status, xml_status;
} common[] = {
    {"MissingAuthenticationTokenException", "MissingAuthenticationToken", 400, 403},
    {"IncompleteSignatureException", "IncompleteSignature", 400, 400},
    {"UnrecognizedClientException", "InvalidClientTokenId", 400, 403},
    {"InvalidSignatureException", "SignatureDoesNotMatch", 400, 403},
    {"ExpiredTokenException", "ExpiredToken", 400, 403},
    {"AccessDeniedException", "AccessDenied", 400, 403},
    {"UnknownOperationException", "InvalidAction", 400, 400},
    {"SerializationException", "MalformedInput", 400, 400},
    {"ThrottlingException", "Throttling", 400, 400},
    {"ValidationException", "ValidationError", 400, 400},
    {"InvalidParameterException", "ValidationError", 400, 400},
    {"InternalServerError", "InternalFailure", 500, 500},
    {"ServiceUnavailableException", "ServiceUnavailable", 503, 503},
    {"RequestEntityTooLargeException", "RequestEntityTooLarge", 413, 413},
};

static const struct wire_error *own_error(const struct wire_service *s, const char *name)
{
    for (size_t i = 0; s && i < s->n_errors; i++) {
        if (strcmp(s->errors[i].shape, name) == 0 || strcmp(s->errors[i].code, name) == 0) {
            return &s->errors[i];
        }
    }
    return NULL;
}

/* Logs and ECR have several faults; the plain one comes first in none of them. */
static const struct wire_error *own_fault(const struct wire_service *s)
{
    const struct wire_error *fault = own_error(s, "ServerException");
    for (size_t i = 0; s && !fault && i < s->n_errors; i++) {
        if (s->errors[i].fault && s->errors[i].status == 500) {
            fault = &s->errors[i];
        }
    }
    return fault;
}

struct exception {
    const char *code;
    int status;
    bool fault;
};

static struct exception named(const struct wire_call *call, const char *name, int status)
{
    const struct wire_error *own = own_error(call->service, name);
    bool xml = call->protocol == WIRE_QUERY;

    if (own) {
        return (struct exception){own->code, own->status, own->fault};
    }
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        if (strcmp(common[i].json, name) == 0) {
            int known = xml ? common[i].xml_status : common[i].json_status;
            return (struct exception){xml ? common[i].xml : common[i].json, known, known >= 500};
        }
    }
    return (struct exception){name, status, status >= 500};
}

static struct exception resolve(const struct wire_call *call, const struct gt_err *err)
{
    const struct wire_service *s = call->service;
    const struct wire_error *fault = NULL;
    int status = gt_err_http_status(err);

    if (err->aws_code) {
        return named(call, err->aws_code, status);
    }
    switch ((int)err->kind) {
    case GT_ERR_VALIDATION:
        return named(call, s ? s->validation_code : "ValidationException", status);
    case GT_ERR_UNSUPPORTED:
        return named(call, s ? s->unsupported_code : "UnsupportedOperationException", status);
    case GT_ERR_IO:
    case GT_ERR_CORRUPT:
    case GT_ERR_INTERNAL:
        fault = own_fault(s);
        break;
    default:
        break;
    }
    if (fault) {
        return (struct exception){fault->code, fault->status, true};
    }
    return named(call, gt_err_aws_name(err), status);
}

const char *wire_call_error_code(const struct wire_call *call, const struct gt_err *err)
{
    return resolve(call, err).code;
}

/* Faults of ours say nothing of our insides to the caller; the server logs them. */
static struct gt_str message(const struct gt_err *err)
{
    bool inside =
        err->kind == GT_ERR_IO || err->kind == GT_ERR_CORRUPT || err->kind == GT_ERR_INTERNAL;
    if (inside && !err->aws_code) {
        return GT_STR_LIT("Service Unavailable. Please try again later.");
    }
    return gt_str_n(err->msg, strnlen(err->msg, sizeof(err->msg)));
}

static void error_xml(const struct wire_call *call, struct exception e, struct gt_str text,
                      struct gt_str request_id, struct gt_buf *body)
{
    const char *xmlns = call->service && call->service->xmlns ? call->service->xmlns : NULL;

    gt_buf_puts(body, "<ErrorResponse");
    if (xmlns) {
        gt_buf_printf(body, " xmlns=\"%s\"", xmlns);
    }
    gt_buf_printf(body, "><Error><Type>%s</Type><Code>%s</Code><Message>",
                  e.fault ? "Receiver" : "Sender", e.code);
    wire_xml_text(body, text);
    gt_buf_puts(body, "</Message></Error><RequestId>");
    wire_xml_text(body, request_id);
    gt_buf_puts(body, "</RequestId></ErrorResponse>");
}

void wire_call_error(const struct wire_call *call, const struct gt_err *err,
                     struct gt_str request_id, struct gt_buf *body, struct wire_answer *ret)
{
    struct exception e = resolve(call, err);

    *ret = (struct wire_answer){.status = e.status};
    if (call->protocol == WIRE_QUERY) {
        ret->content_type = "text/xml";
        error_xml(call, e, message(err), request_id, body);
        return;
    }
    bool rest = call->protocol == WIRE_REST_JSON; /* names the exception in the header alone */
    ret->content_type = rest           ? "application/json"
                        : call->json10 ? "application/x-amz-json-1.0"
                                       : "application/x-amz-json-1.1";
    ret->error_type = e.code;
    gt_buf_putc(body, '{');
    if (!rest) {
        gt_buf_puts(body, "\"__type\":");
        wire_json_string(body, gt_str(e.code));
        gt_buf_putc(body, ',');
    }
    gt_buf_puts(body, "\"message\":");
    wire_json_string(body, message(err));
    gt_buf_putc(body, '}');
}
