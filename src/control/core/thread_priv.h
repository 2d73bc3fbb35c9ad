/* core_thread's parts: who may touch what.
 *
 * The role (`running`) belongs to one thread at a time and guards the core and everything parked.
 * `lock` guards the queues and the role itself; `gate.lock` what waits for durability and the
 * watches. Never both at once but lock before gate.lock; neither is held while a handler, a done
 * or a watch runs.
 */
#ifndef GT_CONTROL_CORE_THREAD_PRIV_H
#define GT_CONTROL_CORE_THREAD_PRIV_H

#include "control/core/clock.h"
#include "control/core/thread.h"
#include "lib/base/table.h"

#include <pthread.h>
#include <stdatomic.h>

/* Things by the prefix that they wait for: finds all whose prefix a key begins with, by looking
 * up each piece of the key that ends in '/', and the whole key. */
struct prefix_table {
    struct gt_table table; /* prefix -> struct prefix_slot */
};
struct prefix_slot {
    struct gt_list items;
    size_t n;
    char prefix[];
};
void prefix_table_init(struct prefix_table *t);
void prefix_table_fini(struct prefix_table *t);
struct prefix_slot *prefix_add(struct prefix_table *t, const char *prefix, struct gt_list *item);
void prefix_remove(struct prefix_table *t, struct prefix_slot *slot, struct gt_list *item);
void prefix_match(struct prefix_table *t, const char *key,
                  void (*fn)(void *arg, struct prefix_slot *slot), void *arg);

struct core_watch {
    struct gt_list link; /* in its prefix_slot */
    struct prefix_slot *slot;
    core_watch_fn *fn;
    void *arg;
    unsigned refs; /* events that name it, and its owner */
    bool gone;
};

/* A watch that has something to tell once `revision` is durable. */
struct watch_event {
    struct gt_list link;
    struct core_watch *watch;
    uint64_t revision;
    char key[];
};

/* Answers and events in revision order, each to leave when its revision is durable. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t idle; /* nobody delivers any more */
    uint64_t durable;
    bool delivering;
    pthread_t deliverer;
    struct gt_list answers; /* core_request.link */
    struct gt_list events;  /* watch_event.link */
    struct prefix_table watches;
    void (*answered)(void *arg, struct core_request *rq); /* an answer is about to leave */
    void *arg;
};
void gate_init(struct gate *g, uint64_t durable);
void gate_fini(struct gate *g);
void gate_durable(struct gate *g, uint64_t revision); /* any thread; delivers */
/* True: the answer may leave now and is not the gate's. False: the gate has it. */
bool gate_pass(struct gate *g, struct core_request *rq);
void gate_written(struct gate *g, uint64_t revision, const char *key);
void gate_deliver(struct gate *g);
uint64_t gate_revision(struct gate *g);

/* A long poll. */
struct parked {
    struct gt_list link;    /* in its prefix_slot */
    struct gt_list by_time; /* in parking.all, in no order: deadlines are few and coarse */
    struct prefix_slot *slot;
    struct core_request *rq;
};
struct parking {
    struct prefix_table by_prefix;
    struct gt_list all;
    size_t n;
    int64_t next;         /* no deadline is before this; INT64_MAX: none */
    struct gt_list woken; /* core_request.link: to be run again */
};
void parking_init(struct parking *p);
void parking_fini(struct parking *p);
void parking_put(struct parking *p, struct core_request *rq);
void parking_written(struct parking *p, const char *key); /* moves who waits for it to woken */
void parking_expire(struct parking *p, int64_t now);      /* ... whose time is over */

struct core_thread {
    struct core *core;
    struct journal *journal;
    struct core_thread_options options;
    struct core_clock clock;
    struct gate gate;
    struct parking parking;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running; /* somebody has the role */
    bool wanted;  /* the core's thread has work and waits for the role */
    bool stopping;
    bool stalled; /* controllers wait for the journal to catch up */
    struct gt_list queue[CORE_CLASSES];
    size_t queued;
    atomic_size_t unanswered[CORE_CLASSES]; /* rises under the lock only */
    struct core_thread_stats stats;
    int64_t room_looked_at; /* the role's: when the disk was asked */
    bool full;              /* the role's: it had no room */
    bool begun;             /* the role's: this server's epoch */
    int64_t next_turn;      /* when the thread has something to do at the latest */
    uint64_t forgotten;     /* the role's: entries up to here were let go */
    int64_t past_looked_at; /* the role's: when it was asked what of the past is kept, ... */
    uint64_t past_revision; /* ... and at which revision */
};

#endif
