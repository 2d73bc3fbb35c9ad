/* The limit of open descriptors (RLIMIT_NOFILE). The usual soft one, 1024, is there for programs
 * that use select(); ours do not, and raise it. What they start for others must not inherit that:
 * it gets what they were started with. */
#ifndef GT_LIB_BASE_DESCRIPTORS_H
#define GT_LIB_BASE_DESCRIPTORS_H

#include <stdint.h>

#define GT_DESCRIPTORS_MAX 65536

/* Raises the soft limit to the hard one, GT_DESCRIPTORS_MAX at most. Returns what it was. */
uint64_t gt_descriptors_raise(void);

/* Sets the soft limit, of this process and what it starts, to `soft` or the hard limit where that
 * is less. */
void gt_descriptors_set(uint64_t soft);

#endif
