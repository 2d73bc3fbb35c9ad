#ifndef GT_CONTROL_SIM_SIM_PRIV_H
#define GT_CONTROL_SIM_SIM_PRIV_H

#include "control/core/core.h"
#include "control/services/ecs/task_state.h"
#include "control/sim/sim.h"
#include "lib/base/rand.h"
#include "lib/base/table.h"
#include "store/journal/journal.h"
#include "store/record/gen/rec_ecs.h"

#define SIM_ACCOUNT "000000000000"
#define SIM_REGION "us-east-1"
#define SIM_PLACE SIM_ACCOUNT "/" SIM_REGION "/"

enum {
    SIM_MAX_NODES = 8,
    SIM_MAX_TASKS = 512, /* on one node at a time */
    SIM_MAX_SERVICES = 4,
    SIM_LOST_AFTER_MS = 10000,
};

#define SIM_EVENTS(X)                                                                              \
    X(REGISTER)   /* a node opens a session */                                                     \
    X(POLL)       /* a node asks what to do */                                                     \
    X(BEAT)       /* a node's heartbeat, and reports that were not accepted yet */                 \
    X(REPORT)     /* a node reports at once what changed */                                        \
    X(TASK)       /* something happens to a task on its node */                                    \
    X(CALLER)     /* somebody calls the API */                                                     \
    X(LIVENESS)   /* the server's look at its nodes */                                             \
    X(CUT)        /* a node's network goes or comes back */                                        \
    X(AGENT_DIES) /* the agent starts anew, its containers run on */                               \
    X(NODE_DIES)  /* the machine starts anew */                                                    \
    X(SERVER_DIES)                                                                                 \
    X(ALARM) /* nothing but the time that comes */

enum sim_event_kind {
#define X(name) SIM_##name,
    SIM_EVENTS(X)
#undef X
        SIM_N_EVENTS
};

struct sim_event {
    int64_t at;
    uint64_t order; /* first come, first served */
    enum sim_event_kind kind;
    unsigned node;
    uint64_t life; /* of the node or task that it is for: not for a later one */
    char task[33];
};

/* A task as its node knows it. */
struct sim_task {
    char id[33];
    bool used;
    uint64_t life;
    int64_t generation, sequence, acked;
    int64_t status; /* enum task_state */
    bool stop;      /* wanted STOPPED */
    bool started;   /* containers were up */
    bool told;      /* by the server, in the walk that is under way */
    int64_t exit_code;
    const char *stop_code, *reason; /* NULL: by request */
    char address[48];
};

struct sim_node {
    unsigned index;
    char id[33];
    char session[128];
    bool registered; /* the agent believes to have a session */
    bool cut;
    uint64_t life; /* counts starts of the agent */
    int64_t revision;
    char more[101]; /* where the walk of its poll goes on */
    uint64_t poll;  /* only the newest timer of the poll counts */
    int64_t seen;   /* by the server */
    struct sim_task tasks[SIM_MAX_TASKS];
    /* A poll that waits in the server. */
    bool parked;
    char parked_prefix[128];
    int64_t parked_until;
};

/* What a caller was told of a service. */
struct sim_service {
    bool exists;
    int64_t desired;
    char name[16];
};

struct sim {
    struct sim_options options;
    struct sim_result result;
    struct gt_prng rng; /* of the world; the core has its own */
    const struct service *served[3];
    struct journal *journal;
    struct core *core;
    uint64_t durable; /* some answer that left depended on this revision */
    int64_t now;
    struct sim_event *events; /* a heap */
    size_t n_events, cap_events;
    uint64_t order, lives;
    struct sim_node nodes[SIM_MAX_NODES];
    unsigned n_nodes;
    struct sim_service services[SIM_MAX_SERVICES];
    int64_t taskdefs;   /* revisions of the family "app" */
    uint64_t tokens;    /* client tokens used */
    int64_t slow_until; /* the controllers hardly get a turn */
    bool calm;          /* no more callers and faults */
    struct gt_arena arena;
    struct gt_table told; /* task id -> "": somebody was told that it exists */
    struct gt_table last; /* task id -> its last status as a pointer */
    uint64_t *hashes;     /* of the state after each revision */
    size_t cap_hashes;
    struct gt_err *err; /* the first violation */
};

/* sim.c */
void sim_at(struct sim *s, int64_t delay, enum sim_event_kind kind, unsigned node);
void sim_at_poll(struct sim *s, int64_t delay, struct sim_node *n);
void sim_at_task(struct sim *s, int64_t delay, const struct sim_node *n, const struct sim_task *t);
int64_t sim_between(struct sim *s, int64_t low, int64_t high); /* both included */
bool sim_chance(struct sim *s, unsigned percent);
void sim_trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Something that must hold does not: ends the run. Returns -EBADMSG. */
int sim_violation(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One call of an operation ("RunTask" of `service`) with in and out of its types. What comes back
 * counts as told: its revision is durable from now on. */
struct core_call sim_call(struct sim *s, const struct service *service, const char *op,
                          const struct principal *who, const void *in, void *out);
extern const struct principal sim_root, sim_internal;

/* agents.c: a node's events */
void sim_register(struct sim *s, struct sim_node *n);
void sim_poll(struct sim *s, struct sim_node *n);
void sim_beat(struct sim *s, struct sim_node *n);
void sim_report(struct sim *s, struct sim_node *n);
void sim_task_event(struct sim *s, struct sim_node *n, const char *id, uint64_t life);
struct sim_task *sim_find_task(struct sim_node *n, const char *id);
void sim_forget_task(struct sim_node *n, struct sim_task *t);
/* on_write of the core: polls that wait for the key come back. */
void sim_written(void *arg, uint64_t revision, const char *key);

/* callers.c */
void sim_set_up(struct sim *s); /* cluster, first task definition, services */
void sim_caller(struct sim *s);

/* faults.c */
void sim_liveness(struct sim *s);
void sim_cut(struct sim *s, struct sim_node *n);
void sim_agent_dies(struct sim *s, struct sim_node *n);
void sim_node_dies(struct sim *s, struct sim_node *n);
int sim_server_dies(struct sim *s);
void sim_next_fault(struct sim *s, enum sim_event_kind kind, unsigned node);

/* invariants.c: 0 or -EBADMSG */
int sim_check(struct sim *s);
int sim_check_rest(struct sim *s); /* when all has come to rest */
/* After a crash: what was told must be there; how far the tasks are may have gone back. */
void sim_recovered(struct sim *s);

#endif
