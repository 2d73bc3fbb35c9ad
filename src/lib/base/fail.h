/*
 * Fault injection: a path that must survive failures asks GT_FAIL("name") before each step that
 * can fail. A test arms the nth such point of this process and expects a clean failure; a walk from
 * 1 upwards until nothing fails any more has been at every point. Costs one load when not armed.
 */
#ifndef GT_LIB_BASE_FAIL_H
#define GT_LIB_BASE_FAIL_H

#include <stdatomic.h>
#include <stdbool.h>

void gt_fail_nth(long n); /* the nth point from now fails once; 0 disarms */
bool gt_fail_fired(void); /* whether the armed point was reached */
bool gt_fail_check(const char *where);

/* Atomic because a test's thread arms what another thread passes. */
extern atomic_long gt_fail_countdown;
#define GT_FAIL(where)                                                                             \
    (__builtin_expect(atomic_load_explicit(&gt_fail_countdown, memory_order_relaxed) != 0, 0) &&   \
     gt_fail_check(where))

#endif
