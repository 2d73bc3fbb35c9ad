/*
 * Replay: the journal run once more. Every entry says when, with which seed, who called what with
 * which input; run again on the state before it, it must write what is recorded, byte for byte.
 * That holds within one build: entries of another build are applied as they were written.
 * Where the two differ the recorded writes count, so that what follows is seen in its own state.
 */
#ifndef GT_CONTROL_CORE_REPLAY_H
#define GT_CONTROL_CORE_REPLAY_H

#include "control/core/core.h"

struct core_difference {
    uint64_t revision;
    struct gt_str label;
    struct gt_str key; /* the first that differs; empty: the call did not succeed */
    char what[512];
};

struct core_replay_options {
    uint64_t to;       /* the last revision; 0: the newest */
    const char *build; /* entries of this one are executed */
    bool all;          /* ... and of every other */
    unsigned tight;    /* core_options.tight, as it was */
    void (*differs)(void *arg, const struct core_difference *d);
    void *arg;
};

struct core_replayed {
    uint64_t from, to;    /* revisions: the state that it began with, and ended with */
    uint64_t executed;    /* entries */
    uint64_t other_build; /* ... that were applied only */
    uint64_t differ;
    uint64_t hash;     /* of the state that came of it */
    uint64_t recorded; /* ... that the newest snapshot and the entries after it give */
    size_t keys;
};

/* The journal need not be recovered and is not written. */
int core_replay(struct journal *journal, const struct service *const *services,
                const struct core_replay_options *options, struct core_replayed *ret,
                struct gt_err *err);

#endif
