/* Placement expressions: whatever parses can be asked, and gives the same answer twice. */
#include "control/scheduler/query.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct query_attr attrs[] = {{{"ecs.availability-zone", 21}, {"a", 1}},
                                              {{"disk", 4}, {"ssd", 3}}};
    struct query_subject s = {.attrs = attrs,
                              .n_attrs = 2,
                              .connected = true,
                              .running_tasks = 2,
                              .agent_version = {"1.10", 4}};
    struct gt_arena a;
    struct gt_err err;
    gt_arena_init(&a, 16 * GT_MIB);
    const struct query *q = query_parse(gt_str_n((const char *)data, size), &a, &err);
    if (q) {
        GT_ASSERT(query_matches(q, &s) == query_matches(q, &s));
    }
    gt_arena_fini(&a);
    return 0;
}
