/*
 * Cuts a failing trial down: to the fewest acts that can be found in some time with which the same
 * invariant still does not hold (delta debugging, after Zeller: pieces are dropped, ever smaller
 * ones, as long as it fails).
 */
#ifndef GT_TESTS_SIM_SHRINK_H
#define GT_TESTS_SIM_SHRINK_H

#include "trial.h"

/* `first` is the result of the whole run. keep: room for first->acts numbers; *ret_n of them are
 * left. Plays at most `runs` trials. */
void shrink(uint64_t seed, const struct trial_result *first, unsigned runs, unsigned *keep,
            size_t *ret_n);

#endif
