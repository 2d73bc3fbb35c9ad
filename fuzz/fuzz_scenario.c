/* Scenarios: whatever is read is within its bounds, and what is refused is refused with a place. */
#include "control/simulate/scenario.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    const struct scenario *s =
        scenario_read("s", gt_str_n((const char *)data, size), NULL, &a, &err);
    GT_ASSERT(s || strncmp(err.msg, "s:", 2) == 0);
    for (size_t i = 0; s && i < s->n_loads; i++) {
        for (int64_t at = 0; at <= s->duration; at += s->duration / 10 + 1) {
            int64_t n = load_desired(&s->loads[i], at);
            GT_ASSERT(n >= 0 && n <= SCENARIO_DESIRED_MAX);
        }
    }
    gt_arena_fini(&a);
    return 0;
}
