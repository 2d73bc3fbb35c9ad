/*
 * The core with a thread: one queue in, strictly one call after the other; answers and watches only
 * after what they depend on is durable.
 *
 * A request is submitted from any thread. When nothing else is going on and the core is free, the
 * caller's own thread runs it there and then (the core is a role that one thread holds at a time),
 * so that a read costs no change of threads. Otherwise it waits in the queue of its class; a queue
 * that is full refuses (THROTTLED), so that an overload is an answer and not a stall.
 *
 * Long polls (tx_wait) are parked here and run again when what they wait for is written.
 *
 * A commit that does not succeed is never answered: `fatal` is called, which must not return.
 */
#ifndef GT_CONTROL_CORE_THREAD_H
#define GT_CONTROL_CORE_THREAD_H

#include "control/core/core.h"
#include "control/core/retention.h"
#include "lib/base/list.h"

enum core_class { CORE_AGENT, CORE_API, CORE_BACKGROUND, CORE_CLASSES };

enum core_submitted {
    CORE_ANSWERED,  /* call has the answer, durably; done will not be called */
    CORE_PENDING,   /* done will be called, or was already */
    CORE_THROTTLED, /* too many wait, or the core is stopping; nothing was done */
};

struct core_request {
    struct core_call call;
    enum core_class class;
    /* The answer is in call and may leave. On any thread, with no lock held; must be short and may
     * not block (wake somebody). The request is the caller's again, and may be freed here. */
    void (*done)(struct core_request *rq);
    void *owner; /* the caller's */

    /* the thread's own */
    struct gt_list link;
    void *parked;
};

struct core_thread;

struct core_thread_options {
    size_t limit[CORE_CLASSES]; /* requests that may be unanswered, parked ones apart; 0: default */
    size_t limit_parked;        /* 0: default */
    struct retention retention; /* what of the past is kept */
    const char *build;          /* of the epoch that begins; NULL: none begins */
    int64_t (*clock)(void *arg); /* ms since 1970; NULL: the system's */
    void *clock_arg;
    /* Ends the process. NULL: logs and leaves with status CORE_EXIT_JOURNAL. */
    void (*fatal)(void *arg, const struct gt_err *err);
    void *fatal_arg;
};

enum { CORE_EXIT_JOURNAL = 75 };

/* Recovers from the journal (fresh from its open; it must outlive the thread) and starts. Takes
 * core_options' on_write for itself. */
int core_thread_start(struct journal *journal, const struct service *const *services,
                      const struct core_options *core_options,
                      const struct core_thread_options *options, struct core_thread **ret,
                      struct gt_err *err);
/* Refuses new requests, answers all that are there (parked ones as if their time were over), waits
 * until everything is durable, and frees. The journal stays open. */
void core_thread_stop(struct core_thread *ct);

enum core_submitted core_thread_submit(struct core_thread *ct, struct core_request *rq);
/* Submits and blocks until the answer is there: for threads that may block (data_core_call). False:
 * throttled. rq->done is not used. */
bool core_thread_run(struct core_thread *ct, struct core_request *rq);

/*
 * Watches: fn is told each key that was written or deleted and is `prefix` or begins with it
 * (`prefix` ends in '/' or is a whole key), in revision order, after it is durable. Like done: any
 * thread, short, not blocking; it may submit. After unwatch returned fn is not called any more
 * (except when unwatch is called from within a watch or a done).
 */
typedef void core_watch_fn(void *arg, uint64_t revision, const char *key);
struct core_watch;
struct core_watch *core_thread_watch(struct core_thread *ct, const char *prefix, core_watch_fn *fn,
                                     void *arg);
void core_thread_unwatch(struct core_thread *ct, struct core_watch *w);

struct core_thread_stats {
    uint64_t revision, durable;
    uint64_t calls, inline_calls, steps, throttled;
    size_t keys, unanswered[CORE_CLASSES], parked;
};
void core_thread_stats(struct core_thread *ct, struct core_thread_stats *ret);

#endif
