/* Placement expressions: whatever parses can be asked, and gives the same answer twice. */
#include "control/scheduler/query.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct query_attr attrs[] = {{{"ecs.availability-zone", 21}, {"a", 1}},
                                              {{"disk", 4}, {"ssd", 3}}};
    static const struct query_group groups[] = {{{"service:web", 11}, 2}, {{"batch", 5}, 1}};
    struct query_subject s = {.attrs = attrs,
                              .n_attrs = 2,
                              .groups = groups,
                              .n_groups = 2,
                              .connected = true,
                              .running_tasks = 2,
                              .registered_at = 1529360908123,
                              .agent_version = {"1.10", 4},
                              .ec2_instance_id = {"i-1", 3}};
    struct gt_arena a;
    struct gt_err err;
    gt_arena_init(&a, 16 * GT_MIB);
    const struct query *q = query_parse(gt_str_n((const char *)data, size), &a, &err);
    if (q) {
        GT_ASSERT(query_matches(q, &s) == query_matches(q, &s));
        const struct query *again = query_parse(query_text(q), &a, NULL);
        GT_ASSERT(again && query_matches(again, &s) == query_matches(q, &s));
        GT_ASSERT(query_asks_tasks(again) == query_asks_tasks(q));
    }
    gt_arena_fini(&a);
    return 0;
}
