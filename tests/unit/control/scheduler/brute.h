/*
 * Placement by looking at every node: what fleet.h promises, said as plainly as can be. The fleet
 * is held against it.
 */
#ifndef GT_TEST_BRUTE_H
#define GT_TEST_BRUTE_H

#include "control/scheduler/scheduler.h"

/* Nodes in the order of their ids. The index of the one to use, or -1. */
int brute_place(const struct sched_node *nodes, size_t n, const struct sched_request *rq,
                struct gt_prng *rng);
/* The index of the one that came nearest; -1: there is none. */
int brute_closest(const struct sched_node *nodes, size_t n, const struct sched_request *rq,
                  enum sched_refusal *ret);

#endif
