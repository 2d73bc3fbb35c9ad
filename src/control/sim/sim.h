/*
 * The simulator: the production core and its services in virtual time, with agents, callers and
 * faults played by one seed.
 *
 * Agents drive the operations of the agent protocol as real ones do: they register, poll (long),
 * report, lose requests and answers, are cut off, start anew with or without their containers.
 * Callers create, change and delete services and run and stop tasks. The server is killed: what was
 * not durable is lost, what was answered must not be. After every step the invariants of
 * invariants.c are checked; at the end the faults cease, and all must come to rest as it should.
 *
 * The same options give the same run, step by step: result.hash says so.
 */
#ifndef GT_CONTROL_SIM_SIM_H
#define GT_CONTROL_SIM_SIM_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_options {
    uint64_t seed;
    unsigned nodes;      /* 0: chosen by the seed, as are the others */
    unsigned tight;      /* core_options.tight */
    int64_t duration_ms; /* of virtual time with callers and faults; then the rest comes */
    bool trace;          /* each step as a line on standard error */
};

struct sim_result {
    uint64_t hash;     /* of every step and the state after it */
    uint64_t revision; /* of the core in the end */
    uint64_t steps, calls, crashes, nodes_lost, tasks_started;
    uint64_t pages;       /* answers to Poll that were cut */
    uint64_t losses_seen; /* looks at the state while a lost node's tasks were being stopped */
    int64_t time_ms;      /* how much virtual time it was */
};

/* -EBADMSG when an invariant does not hold: err says which, when, and for what. */
int sim_run(const struct sim_options *options, struct sim_result *ret, struct gt_err *err);

#endif
