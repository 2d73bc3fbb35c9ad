/* Forms of the Query protocol, through routing, decoding, validation and both encoders. */
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/call.h"
#include "lib/wire/gen/sts.h"
#include "lib/wire/query.h"
#include "lib/wire/validate.h"
#include "lib/wire/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wire_service *const services[] = {&sts_service_model};
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(16 * GT_MIB);
    struct gt_str form = gt_str_n((const char *)data, size);
    struct wire_request rq = {.method = GT_STR_LIT("POST"),
                              .content_type = GT_STR_LIT("application/x-www-form-urlencoded"),
                              .body = form};
    struct wire_unknown unknown;
    struct wire_answer answer;
    struct wire_call call;
    struct gt_arena arena;
    struct gt_err err = GT_ERR_INIT;

    gt_arena_init(&arena, 16 * GT_MIB);
    if (wire_route(services, 1, &rq, &arena, &call, &err) < 0) {
        wire_call_error(&call, &err, GT_STR_LIT("id"), &out, &answer);
        err = GT_ERR_INIT;
    }
    struct sts_assume_role_in in = {0};
    if (wire_query_decode(&sts_assume_role_in_shape, form, &arena, &in, &unknown, &err) == 0) {
        wire_validate(&sts_assume_role_in_shape, &in, WIRE_STYLE_ECR, &err);
        wire_xml_encode(&sts_assume_role_in_shape, &in, &out);
        wire_json_encode(&sts_assume_role_in_shape, &in, &out);
    }
    gt_arena_fini(&arena);
    return 0;
}
