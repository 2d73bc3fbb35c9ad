/* JSON bodies: whatever decodes encodes, decodes again and is the same text; validation of it
 * never crashes. */
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/gen/ecr.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/logs.h"
#include "lib/wire/json.h"
#include "lib/wire/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const struct wire_shape *shape, const void *value, struct gt_arena *arena)
{
    gt_auto_buf struct gt_buf one = GT_BUF_INIT(64 * GT_MIB), two = GT_BUF_INIT(64 * GT_MIB);
    void *again = gt_arena_alloc(arena, shape->size);

    wire_json_encode(shape, value, &one);
    int r = wire_json_decode(shape, gt_buf_view(&one), arena, again, NULL);
    GT_ASSERT(r == 0);
    wire_json_encode(shape, again, &two);
    GT_ASSERT(gt_str_eq(gt_buf_view(&one), gt_buf_view(&two)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wire_shape *const shapes[] = {&ecs_register_task_definition_in_shape,
                                                      &ecs_run_task_in_shape,
                                                      &ecs_task_shape,
                                                      &ecr_upload_layer_part_in_shape,
                                                      &logs_put_log_events_in_shape,
                                                      &logs_get_query_results_out_shape};
    struct gt_arena arena;
    struct gt_err err;

    gt_arena_init(&arena, 16 * GT_MIB);
    for (size_t i = 0; i < GT_ARRAY_LEN(shapes); i++) {
        void *value = gt_arena_alloc(&arena, shapes[i]->size);
        err = GT_ERR_INIT;
        if (wire_json_decode(shapes[i], gt_str_n((const char *)data, size), &arena, value, &err) ==
            0) {
            wire_validate(shapes[i], value, WIRE_STYLE_CORAL, &err);
            encode_again(shapes[i], value, &arena);
        }
        gt_arena_reset(&arena);
    }
    gt_arena_fini(&arena);
    return 0;
}
