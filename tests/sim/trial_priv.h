/* What the parts of a trial share. */
#ifndef GT_TESTS_SIM_TRIAL_PRIV_H
#define GT_TESTS_SIM_TRIAL_PRIV_H

#include "control/services/agent/detector.h"
#include "control/sim/agents.h"
#include "lib/base/rand.h"
#include "store/record/gen/rec_ecs.h"
#include "trial.h"

enum {
    SERVICES = 4,
    BY_TOKEN = 4,
    LOST_AFTER_MS = 10000,
    NODE_CPU = 65536,
    NODE_MEMORY = 131072,
};

/* name, mean time between two in ms in a small trial, whether it is about one node, what it does */
#define ACTS(X)                                                                                    \
    X(CALL, 2000, false, callers_play)            /* somebody calls the API */                     \
    X(RANDOM_CALL, 5000, false, random_call)      /* ... with whatever */                          \
    X(DRAIN, 40000, true, callers_drain)          /* or does not drain any more */                 \
    X(DEREGISTER, 120000, true, fault_deregister) /* the machine comes back as a new node */       \
    X(CUT, 20000, true, fault_cut)            /* a node's network, one way or both, for a while */ \
    X(CUT_MANY, 90000, false, fault_cut_many) /* that of a share of all nodes at once */           \
    X(NOISE, 20000, false, fault_noise)       /* messages are lost, late, and come twice */        \
    X(AGENT_DIES, 20000, true, fault_agent_dies) /* its containers run on */                       \
    X(NODE_DIES, 30000, true, fault_node_dies)   /* the machine loses power */                     \
    X(CLONE, 120000, true, fault_clone)          /* another machine has the same identity */       \
    X(LIE, 15000, true, lie)                     /* an agent says what is not so */                \
    X(TROUBLE, 30000, false, fault_trouble)      /* images fail, are slow, or crash at once */     \
    X(SLOW_CORE, 30000, false, server_slow)      /* the controllers hardly get a turn */           \
    X(SERVER_DIES, 15000, false, server_dies)                                                      \
    X(JOURNAL_FAILS, 40000, false, server_journal_fails) /* a write does not succeed */            \
    X(DAMAGE, 60000, false, server_damage) /* of a copy of the journal: it is refused */           \
    X(SNAPSHOT, 20000, false, server_snapshot)                                                     \
    X(BACK_UP, 20000, false, server_back_up) /* a copy of the journal is kept */                   \
    X(RESTORE, 40000, false, server_restore) /* ... and the server comes back from it */           \
    X(ADOPT, 30000, false, server_adopt)     /* an operator lets astray nodes come back */         \
    X(FENCE, 60000, true, fence_node)        /* or says of a lost one that it is off */            \
    X(CLOCK, 60000, false, server_clock)     /* the server's steps forward or back */

enum act_kind {
#define X(name, mean, node, fn) ACT_##name,
    ACTS(X)
#undef X
        ACT_KINDS
};

struct act {
    int64_t at; /* ms after the beginning */
    enum act_kind kind;
    unsigned node;
    uint64_t seed;
};

/* What the seed says of the whole. */
struct plan {
    unsigned nodes;
    unsigned tight;
    int64_t duration_ms; /* with acts */
    int64_t pace;        /* percent: how much longer between two acts of a kind */
    bool awsvpc;
    bool restless; /* tasks end by themselves */
    bool night;    /* in the end all machines are off for some hours */
};

/* What a caller was told of a service. */
struct known_service {
    bool exists;
    bool unsure; /* a call about it had no answer */
    bool wild;   /* who knows what it wants: nodes may not have it */
    int64_t desired;
    char name[16];
};

/* What is wrong with one node's network. */
struct cut {
    int64_t to_server, to_node; /* until when nothing gets through */
};

/* How many tasks RunTask started for a client token. */
struct by_token {
    uint64_t token;
    size_t tasks;
};

/* What lies need to know of a node. */
struct liar {
    char old_session[128];
    bool cloned;         /* at some time */
    char fenced_in[128]; /* the session that it had when it was fenced last */
};

/* An older state, and what callers had been told by then. */
struct backup {
    struct journal *journal; /* NULL: none is kept */
    uint64_t revision, hash;
    struct known_service services[SERVICES];
};

enum death {
    NOT_YET,
    UNDURABLE,  /* in a call that wrote, before that is durable */
    UNANSWERED, /* ... after it is, before the answer leaves */
};

struct watch;

struct trial {
    struct trial_options options;
    struct trial_result result;
    struct plan plan;
    struct act *acts;
    size_t n_acts;
    struct sim_world w;
    struct sim_agents *agents;
    struct sim_node_spec *specs;
    struct gt_arena texts; /* of the whole trial */
    int64_t start;         /* virtual time at the beginning */
    struct gt_prng dice;   /* of the act that is played */
    struct gt_prng net;    /* of messages while there is noise */
    bool calm;             /* no more acts */
    bool over;             /* no more nodes either */

    /* callers */
    struct known_service services[SERVICES];
    int64_t taskdefs; /* revisions of the family "app" */
    uint64_t tokens;  /* client tokens used */
    struct by_token by_token[BY_TOKEN];
    struct gt_table told; /* task id -> by which revision somebody was told that it exists */

    /* faults */
    struct cut *cuts; /* by node, as are the next ones */
    struct liar *liars;
    unsigned ids; /* given to machines that came back as new nodes */
    int64_t noise_until, slow_until, trouble_until;
    unsigned loss, twice, late; /* percent; late: most ms */
    unsigned trouble;           /* which */
    struct {                    /* the end of the server, once it is decided */
        int when;               /* enum death */
        bool dead;              /* nothing that it says leaves any more */
        uint64_t keeps;         /* the revision that is durable */
        bool restored;          /* from the backup */
    } death;
    struct backup backup;
    struct gt_table ended; /* tasks whose nodes had reported their end before a restore */
    bool restored;         /* at some time */
    bool stepped;          /* at some time, the server's clock, by so much that what ended may go */

    struct detector *detector; /* of the server that runs */
    int64_t looked;            /* when it last did */

    struct watch *watch;
    uint64_t *hashes; /* of the state after each revision */
    size_t cap_hashes;
    struct gt_err *err; /* the first violation */
};

/* trial.c */
int64_t between(struct trial *t, int64_t low, int64_t high); /* both included; of the act's dice */
bool chance(struct trial *t, unsigned percent);
void trace(struct trial *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Something that must hold does not: ends the run. `what`: the invariant's name. -EBADMSG. */
int violation(struct trial *t, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* After each call and step: what the state is at this revision. */
void note_hash(struct trial *t);

/* schedule.c */
void schedule_plan(struct trial *t); /* from the seed: the plan and all acts */
void schedule_acts(struct trial *t); /* puts those to play on the queue */

/* What acts do, each in the file that its name begins with. */
#define X(name, mean, node, fn) void fn(struct trial *t, unsigned n);
ACTS(X)
#undef X

/* faults.c: networks, agents, machines, tasks */
void faults_cease(struct trial *t);
struct sim_passage fault_passage(void *arg, const struct sim_node *n, bool to_server);
void fault_fate(void *arg, const struct sim_node *n, const struct sim_task *task,
                struct sim_fate *ret);

/* server.c: its process, its journal, its clock, its look at who is still there */
void server_listen(struct trial *t);
bool server_cut_off(void *arg, const struct core_call *c, uint64_t before);
size_t server_turn(void *arg);
int server_restart(struct trial *t); /* when death.dead */
int server_replay(struct trial *t); /* every entry that is kept is run again, and writes the same */
void liveness_start(struct trial *t);
void liveness_look(void *arg, uint64_t a, uint64_t b);

/* restore.c */
void restore_drop(struct trial *t);                    /* the backup is of no use any more */
struct journal *restore_take(struct trial *t);         /* the server goes back to it */
void restore_adopt(void *arg, uint64_t a, uint64_t b); /* from now on, again and again */

/* fence.c */
void fence_end_all(void *arg, uint64_t a, uint64_t b); /* from now on, again and again */

/* callers.c */
void callers_set_up(struct trial *t);    /* cluster, first task definition */
void callers_take_away(struct trial *t); /* every service and task is to go */
/* After a crash: what was told must be there, and what was not answered is looked up. */
void callers_recovered(struct trial *t);
/* Nothing was told after this revision, and of services only this. */
void callers_go_back(struct trial *t, uint64_t revision, const struct known_service *services);
/* Whatever became of the services, it is what is known of them; or nobody knows. */
void callers_look(struct trial *t, bool answered);
void callers_activate(struct trial *t); /* no node drains any more */
enum answered { NO, YES, NO_ANSWER };
enum answered callers_deregister(struct trial *t, unsigned node);

/* watch.c: what must hold, kept up to date with each key that is written. */
struct watch *watch_new(struct trial *t);
void watch_free(struct watch *w);
void watch_written(void *arg, const char *key);
int watch_step(struct trial *t);       /* what was written since holds */
int watch_everything(struct trial *t); /* the whole state holds, and is what was kept up to date */
void watch_recovered(struct trial *t); /* tasks may have gone back */
void watch_node(void *arg, const struct sim_node *n, const struct sim_task *task);
void watch_told(void *arg, const struct sim_node *n, const struct sim_task *task);
void watch_go_back(struct trial *t); /* before the state is an older one: what has ended */

/* derived.c */
int derived_check(struct trial *t);

/* rest.c */
int rest_check(struct trial *t); /* all has come to rest */
int rest_empty(struct trial *t); /* nothing is left of services and tasks */

/* state.c: the state as it is stored, not through the services' own code */
bool state_has(struct trial *t, const char *key);
void *state_get(struct trial *t, const char *key, const struct rec_desc *desc);
size_t state_count(struct trial *t, const char *prefix);

#endif
