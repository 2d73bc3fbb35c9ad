/* What a node sends as frames of a spool, and what stands on the disk as a block's header. */
#include "lib/base/mem.h"
#include "store/logs/block.h"
#include "store/logs/logs.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void cut(const char *p, size_t n)
{
    struct log_cutter c = {.p = p, .n = n};
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(8 << 20);
    while (c.n > 0) {
        struct log_head h = {0};
        size_t before = out.n;
        ptrdiff_t took = log_cutter_next(&c, 4096, &out, &h);
        if (took <= 0) {
            return;
        }
        GT_ASSERT(h.len == out.n - before && h.len >= (size_t)took && h.min <= h.max);
        GT_ASSERT(c.lines.len[0] <= LOG_FRAME_MAX && c.lines.len[1] <= LOG_FRAME_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct log_head h;
    if (n >= LOG_HEAD_BYTES && log_head_decode(data, 0, &h)) {
        unsigned char again[LOG_HEAD_BYTES];
        log_head_encode(&h, 0, again);
        GT_ASSERT(memcmp(again + 8, data + 8, 66) == 0);
    }
    cut((const char *)data, n);
    return 0;
}
