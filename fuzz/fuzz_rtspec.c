/* The encoded specifications that travel to the shim and on to the container's first process. What
 * decodes must encode again to the same bytes. */
#include "lib/base/mem.h"
#include "node/runtime/spec.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gt_arena a;
    struct rt_spec spec;
    struct rt_exec exec;
    struct rt_limits limits;
    gt_arena_init(&a, 1 << 20);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(RT_SPEC_MAX_BYTES);
    if (rt_spec_decode(data, n, &a, &spec, NULL) == 0) {
        GT_ASSERT(rt_spec_encode(&spec, &b, NULL) < 0 || (b.n == n && !memcmp(b.p, data, n)));
    }
    rt_exec_decode(data, n, &a, &exec, NULL);
    rt_limits_decode(data, n, &a, &limits, NULL);
    gt_arena_fini(&a);
    return 0;
}
