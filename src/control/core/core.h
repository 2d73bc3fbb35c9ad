/*
 * The core: ordered state, transactions, controllers and alarms over a journal, one step at a time.
 *
 * Everything here is called by one thread at a time and does no I/O of its own but
 * journal_append(). It reads no clock: whoever drives it (core_thread, the simulator, a test)
 * passes the time in. The same calls in the same order with the same options give the same state,
 * revision by revision.
 *
 * Nothing that the core answers may leave before `call->revision` is durable, for reads and errors
 * as for writes: that is the driver's part (core_thread does it).
 */
#ifndef GT_CONTROL_CORE_CORE_H
#define GT_CONTROL_CORE_CORE_H

#include "control/core/service.h"
#include "control/core/tx.h"
#include "lib/base/mem.h"
#include "store/journal/journal.h"

struct core;

/* Called inside the transaction before the handler; < 0 with err filled refuses the call. */
typedef int core_authorize_fn(struct tx *tx, const struct service_op *op, const void *in,
                              struct gt_err *err);

struct core_options {
    uint64_t seed;                /* of the sequence from which every input gets its own seed */
    unsigned tight;               /* tx_bound() divides by it; 0: as 1. For tests: what is done in
                                     steps is so with few records, too */
    core_authorize_fn *authorize; /* NULL: everybody may everything */
    uint64_t max_bytes; /* of core_bytes(): a state that is larger is not recovered; 0: no limit */
    /* Each key that a commit wrote, in revision order, right after the commit and before it is
     * durable. May not call the core. NULL: nobody listens. */
    void (*on_write)(void *arg, uint64_t revision, const char *key);
    void *on_write_arg;
};

/* One thing to do: a handler of a service, a change, or any pure function that writes nothing. The
 * caller keeps it, and everything that it points to, until the answer is there. */
struct core_call {
    const struct service_op *op; /* runs op->core(tx, in, out, err) ... */
    const void *in;
    void *out;
    const struct service_change *change; /* ... or change->fn(tx, in, out, err) ... */
    int (*fn)(struct tx *tx, void *arg, struct gt_err *err); /* ... or fn(tx, arg, err) */
    void *arg;

    struct principal principal;
    struct gt_str region;
    struct gt_arena *arena; /* what the answer is made of lives here */
    /* What the journal keeps about the call when it writes, so that it can be run once more. */
    struct gt_str label; /* of an fn; that of an operation is "ecs.RunTask" */
    struct gt_str input; /* JSON of `in`, secrets sealed before; empty: it is made of `in` */

    /* The answer */
    int result; /* what the handler returned; < 0: err says why, nothing was written */
    struct gt_err err;
    uint64_t revision; /* everything read and written is durable when this revision is */
    /* The handler called tx_wait(): there is no answer yet. Run it again when a key that begins
     * with wait_prefix is written, or at wait_until with wait_over set. core_thread does. */
    const char *wait_prefix; /* NULL: answered. In the arena */
    int64_t wait_until;
    bool wait_over;
};

/*
 * Recovers the state from the journal (which must be fresh from its open) and queues everything
 * for the controllers. `services` is NULL-terminated and must outlive the core, as must the
 * journal. The journal's events stay the caller's: it listens before or after.
 */
int core_new(struct journal *journal, const struct service *const *services,
             const struct core_options *options, struct core **ret, struct gt_err *err);
void core_free(struct core *core);

GT_DEFINE_AUTO(core, struct core *, core_free)

/* The state as it was at `revision`, read only: calls that would write are refused. Any thread may
 * open one, but each is used by one at a time. NOT_FOUND: see journal_state_at(). */
int core_open_at(struct journal *journal, const struct service *const *services,
                 const struct core_options *options, uint64_t revision, struct core **ret,
                 struct gt_err *err);

/* Writes down that a server of this build begins to work: an epoch, with a random name. Before the
 * first call; without it there is no epoch. */
void core_begin_epoch(struct core *core, const char *build, int64_t now);

/* Runs one call at clock reading `now` (ms since 1970; the core's time never runs backwards). */
void core_apply(struct core *core, struct core_call *call, int64_t now);

/* Runs up to `max` controller steps that are due at `now`; each is a transaction of its own.
 * Returns how many were run; less than max means that nothing is left to do now. */
size_t core_step_controllers(struct core *core, int64_t now, size_t max);
/* Whether a step waits in the queue (alarms that are not yet due do not count). */
bool core_has_work(const struct core *core);
/* When the next alarm is due; INT64_MAX: none. */
int64_t core_next_alarm(const struct core *core);

/* While read only, a call that would write is refused (UNAVAILABLE, `why`, static text) and
 * controllers do not step. NULL: as usual. */
void core_set_read_only(struct core *core, const char *why);

uint64_t core_revision(const struct core *core); /* of the last commit */
int64_t core_time(const struct core *core);      /* the latest time it has seen */
size_t core_keys(const struct core *core);
uint64_t core_bytes(const struct core *core); /* of all keys and values */
/* Over all (key, value); kept up to date with each write. Equal states have equal hashes. */
uint64_t core_hash(const struct core *core);

/* Reads outside of a transaction, for tools, invariants and tests: raw entries, one, or all in
 * order. The result is good until the core's next call. `after` NULL: the first key with the
 * prefix. */
bool core_get(const struct core *core, const char *key, struct gt_str *ret_value);
bool core_next_key(const struct core *core, const char *prefix, const char *after,
                   const char **ret_key, struct gt_str *ret_value);

/* Starts a snapshot of the state as it is now. False when one is under way. The driver must call
 * core_snapshot_reap() from the core's thread from time to time: it returns true once, when the
 * snapshot that was under way is done or given up (err->kind set). */
bool core_snapshot(struct core *core);
bool core_snapshot_reap(struct core *core, struct gt_err *err);

#endif
