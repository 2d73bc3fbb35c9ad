/*
 * A controller brings one kind of thing towards what is wanted, one bounded transaction at a time.
 *
 * It is level-triggered: step() looks at the state as it is and does the next bit of work. It is
 * called for every key that `watch` maps to (after each commit, without duplicates), for every
 * alarm set in its name, and for every key under `all` when the server starts. It must be
 * idempotent and must not assume which of these called it. Controllers never call each other.
 */
#ifndef GT_CONTROL_CORE_CONTROLLER_H
#define GT_CONTROL_CORE_CONTROLLER_H

#include "control/core/tx.h"

enum step_result {
    STEP_DONE,  /* nothing more to do until something changes */
    STEP_AGAIN, /* the bound was reached: call once more, after others had their turn. A step that
                   wrote nothing is not called again: it would find the same */
};

struct controller {
    const char *name;
    /* A key was written or deleted: emit the keys that this controller should look at. Both are
     * full keys, and tx_key() gives keys of the same account and region. The transaction sees the
     * state after the change and is read only. A deleted record can no longer be read: its key
     * must say enough. NULL: never by watch. */
    void (*watch)(struct tx *tx, const char *changed, void (*emit)(void *arg, const char *key),
                  void *arg);
    /* Part of the key after account/region under which everything is queued at start
     * ("ecs/service/"). */
    const char *all;
    /* The transaction is always committed: a step that cannot go on writes nothing. tx_account()
     * and tx_region() are those of `key`. An alarm of (name, key) that is due is gone already. */
    enum step_result (*step)(struct tx *tx, const char *key);
};

#endif
