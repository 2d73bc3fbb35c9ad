/*
 * The world: the production core with its journal and services, driven in virtual time by one
 * queue of events. It is what core_thread, the network and the clock are to a real server, in one
 * thread and without waiting; the same options and events give the same run.
 *
 * Each step of the world is one event, or an alarm of the core that is due, and after it the steps
 * of controllers that follow. Agents (agents.h) are played on it; whoever drives it adds the rest:
 *
 * - A simulation of a fleet (`gantry simulate`): sim_world_open(), agents that behave, its own
 *   events for load and failures, calls as a client makes them (sim_world_ask), and
 *   sim_world_run() up to the end. sim_world_listen() tells what changes in the state.
 * - The test (tests/sim): the same with faults: `turn` starves the controllers,
 *   sim_world_restart() is a crash, clock_error a wrong clock, and `stepped` checks what must hold.
 *
 * Nothing here is safe from two threads.
 */
#ifndef GT_CONTROL_SIM_WORLD_H
#define GT_CONTROL_SIM_WORLD_H

#include "control/core/clock.h"
#include "control/core/core.h"
#include "control/sim/queue.h"
#include "lib/base/arena.h"
#include "store/journal/journal.h"

#define SIM_ACCOUNT "000000000000"
#define SIM_REGION "us-east-1"
#define SIM_PLACE SIM_ACCOUNT "/" SIM_REGION "/" /* what every key begins with */

struct wire_op;

struct sim_world_options {
    uint64_t seed;                         /* of the core */
    unsigned tight;                        /* core_options.tight */
    int64_t start_ms;                      /* virtual time at the beginning, ms since 1970 */
    const struct service *const *services; /* NULL-terminated; outlives the world */
    struct journal *journal;               /* fresh, taken over; NULL: an empty one in memory */

    /* Hooks; each may be NULL. */
    void *arg;
    /* How many controller steps may come before the next event. NULL: until they rest. */
    size_t (*turn)(void *arg);
    /* An event or a step of a controller is over. < 0 with err filled ends the run with it. */
    int (*stepped)(void *arg, struct gt_err *err);
    /* A call was made; `before` is the revision that it found. True: the server ends before the
     * answer leaves, so that who called learns nothing. */
    bool (*cut_off)(void *arg, const struct core_call *call, uint64_t before);
};

/* A key was written or deleted by the revision that is now the newest. May push events; may not
 * call the core. */
typedef void sim_written_fn(void *arg, const char *key);

struct sim_world {
    struct sim_world_options options;
    struct sim_queue queue;
    int64_t now;         /* virtual time, ms since 1970 */
    int64_t clock_error; /* what the system's clock is ahead */
    struct core_clock clock;
    struct core *core;
    struct journal *journal;
    uint64_t durable;      /* something that was answered depends on this revision */
    uint64_t starts;       /* of the core */
    struct gt_arena arena; /* of one step: everything that calls answer */
    uint64_t events, calls;
    struct {
        sim_written_fn *fn;
        void *arg;
    } listeners[4];
    unsigned n_listeners;
};

extern const struct principal sim_root, sim_internal;

int sim_world_open(struct sim_world *w, const struct sim_world_options *options,
                   struct gt_err *err);
void sim_world_close(struct sim_world *w);
void sim_world_listen(struct sim_world *w, sim_written_fn *fn, void *arg); /* at most 4 */

/* fn(arg, a, b) in `delay` ms (>= 0). */
void sim_at(struct sim_world *w, int64_t delay, sim_event_fn *fn, void *arg, uint64_t a,
            uint64_t b);
/* Runs until virtual time is `end`. */
int sim_world_run(struct sim_world *w, int64_t end, struct gt_err *err);

/* Runs a call. An answer counts as given: its revision must survive from then on. A call that is
 * cut off has a result < 0, UNAVAILABLE. */
void sim_world_apply(struct sim_world *w, struct core_call *call);
/* One call of an operation of the core (`op` of `service`, in and out of its types). */
struct core_call sim_world_call(struct sim_world *w, const struct service *service,
                                const struct wire_op *op, const struct principal *who,
                                const void *in, void *out);
/* The same as a client of the API does it, in JSON and as root: what the model forbids is refused
 * as the server would. *ret_out (may be NULL) is the operation's output, in the world's arena. */
struct core_call sim_world_ask(struct sim_world *w, const struct service *service,
                               const struct wire_op *op, struct gt_str json, void **ret_out);

/* The server ends and another one recovers from `journal` (taken over; what was w->journal is
 * closed). Parked polls are gone: sim_agents_server_restarted(). */
int sim_world_restart(struct sim_world *w, struct journal *journal, struct gt_err *err);

#endif
