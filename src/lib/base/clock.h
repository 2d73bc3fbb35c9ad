/* Clocks, for everything but the core, which is handed its time. */
#ifndef GT_LIB_BASE_CLOCK_H
#define GT_LIB_BASE_CLOCK_H

#include <stdint.h>

int64_t gt_clock_real_ms(void); /* milliseconds since 1970, UTC; may step */
int64_t gt_clock_mono_ms(void); /* since some past moment; never steps */
int64_t gt_clock_mono_ns(void);

/* "2026-11-23T12:34:56.789Z" for milliseconds since 1970. `to` holds at least 25 bytes. */
void gt_time_rfc3339(int64_t ms, char to[static 25]);

#endif
