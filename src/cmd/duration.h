/* Durations as people write them: "90s", "15m", "24h", "7d". */
#ifndef GT_CMD_DURATION_H
#define GT_CMD_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds; false: it is none, or longer than ten years. */
bool duration_parse(const char *text, int64_t *ret);

#endif
