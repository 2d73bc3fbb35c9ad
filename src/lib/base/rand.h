/* Randomness: from the kernel, and a small seeded generator for code that must be repeatable. */
#ifndef GT_LIB_BASE_RAND_H
#define GT_LIB_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void gt_rand_bytes(void *p, size_t n); /* from getrandom; aborts if the kernel has none */
uint64_t gt_rand_u64(void);

/* splitmix64: one word of state, the same sequence for the same seed everywhere. */
struct gt_prng {
    uint64_t state;
};
uint64_t gt_prng_next(struct gt_prng *g);
uint64_t gt_prng_below(struct gt_prng *g, uint64_t limit); /* 0 .. limit-1; limit > 0 */

#endif
