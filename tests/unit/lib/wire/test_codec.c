/* What botocore sends is what our structs hold: many operations, every member. */
#include "gt_test.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/call.h"
#include "lib/wire/gen/ecr.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/logs.h"
#include "lib/wire/gen/sts.h"
#include "lib/wire/query.h"
#include "unit/lib/wire/codec_vectors.h"

GT_TEST(botocore_requests_round_trip)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        gt_auto_buf struct gt_buf out = GT_BUF_INIT(GT_MIB);
        struct gt_arena arena;
        struct wire_unknown unknown;
        struct gt_err err = GT_ERR_INIT;

        gt_arena_init(&arena, GT_LIMIT_API_ARENA);
        void *in = gt_arena_alloc(&arena, v->op->in->size);
        int r = v->query ? wire_query_decode(v->op->in, gt_str(v->body), &arena, in, &unknown, &err)
                         : wire_json_decode_noting(v->op->in, gt_str(v->body), &arena, in, &unknown,
                                                   &err);
        if (r < 0) {
            fail_msg("%s: %s", v->op->name, err.msg);
        }
        assert_int_equal(unknown.count, 0);
        wire_json_encode(v->op->in, in, &out);
        assert_string_equal(out.p, v->json);
        gt_arena_fini(&arena);
    }
}

GT_RUN(GT_CASE(botocore_requests_round_trip))
