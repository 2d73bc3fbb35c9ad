/*
 * A trial: the production core and its services in virtual time, with agents, callers and faults,
 * all from one seed.
 *
 * From the seed comes first a schedule: a list of acts (a call, a partition, a crash ...), each
 * with its time and a seed of its own, then the run. What is not in the schedule goes well. So a
 * run with only some of the acts (`keep`) is the same run with fewer troubles, and a failing one
 * can be cut down to those that matter (shrink.h).
 *
 * While it runs the invariants hold after every step of the core (watch.c). In the end the faults
 * cease and all must come to rest as it should; then everything is taken away, and nothing may be
 * left.
 */
#ifndef GT_TESTS_SIM_TRIAL_H
#define GT_TESTS_SIM_TRIAL_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trial_options {
    uint64_t seed;
    bool trace;           /* what happens, as lines on standard error */
    const unsigned *keep; /* the acts to play, in rising order; NULL: all of them */
    size_t n_keep;
};

struct trial_result {
    uint64_t hash;     /* of every step and the state after it */
    uint64_t revision; /* of the core in the end */
    size_t acts;       /* in the whole schedule */
    unsigned nodes;
    uint64_t events, calls, restarts, nodes_lost, nodes_held, tasks_started;
    int64_t time_ms;      /* how much virtual time it was */
    const char *violated; /* the name of the invariant that does not hold; NULL: all do */
};

/* -EBADMSG when an invariant does not hold: err says which, when, and for what. */
int trial_run(const struct trial_options *options, struct trial_result *ret, struct gt_err *err);

#endif
