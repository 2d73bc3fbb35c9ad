/* Makes spool frames for tests. */
#ifndef TESTS_LOGS_FRAMES_H
#define TESTS_LOGS_FRAMES_H

#include "lib/base/buf.h"

#include <stdint.h>

static inline void put_frame(struct gt_buf *to, int64_t time, uint32_t source, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    gt_buf_add(to, &time, 8);
    gt_buf_add(to, &source, 4);
    gt_buf_add(to, &n, 4);
    gt_buf_add(to, text, n);
}

#endif
