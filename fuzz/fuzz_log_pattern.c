/* A filter pattern of FilterLogEvents, on the pattern itself as an event. */
#include "control/services/logs/pattern.h"
#include "lib/base/mem.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gt_arena arena;
    struct log_pattern p;
    struct gt_str text = gt_str_n((const char *)data, GT_MIN(n, (size_t)1024));
    gt_arena_init(&arena, 8 << 20);
    if (log_pattern_parse(text, &arena, &p, NULL) == 0) {
        for (size_t i = 0; i < p.n; i++) {
            GT_ASSERT(p.terms[i].text.n > 0 && p.terms[i].text.n <= text.n);
        }
        bool any = log_pattern_match(&p, text);
        GT_ASSERT(any || !log_pattern_is_empty(&p));
        log_pattern_match(&p, gt_str("{\"a\": [1, {\"b\": \"x\"}], \"c\": null}"));
        log_pattern_match(&p, gt_str("1.2.3.4 - [now] \"GET /\" 404 12"));
    }
    gt_arena_fini(&arena);
    return 0;
}
