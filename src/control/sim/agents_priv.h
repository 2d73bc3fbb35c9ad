/* Agents' inside: agents.c (nodes and tasks) and agents_calls.c (messages). */
#ifndef GT_CONTROL_SIM_AGENTS_PRIV_H
#define GT_CONTROL_SIM_AGENTS_PRIV_H

#include "control/sim/agents.h"

enum call_kind { CALL_REGISTER, CALL_POLL, CALL_REPORT, CALL_BEAT };

/* What one task's report says. */
struct said {
    char id[65];
    int64_t generation, sequence, status, exit_code;
    bool started;
    const char *stop_code, *reason;
};

/* What an answer to Poll says of one task. */
struct told {
    char id[65], address[48];
    const char *family, *service;
    int64_t revision, generation, sequence;
    bool stop;
};

/* The end of a task was accepted. Kept until polls that were sent before are answered. */
struct sim_ended {
    struct gt_list link;
    uint64_t number; /* messages sent before have a lower one */
    char id[65];
};

/* A call on its way, at the server, or its answer on its way back. Events and the place where
 * polls wait hold references. */
struct message {
    struct gt_list link;   /* in agents.messages */
    struct gt_list parked; /* in a struct waiting */
    struct waiting *at;
    unsigned refs;
    enum call_kind kind;
    unsigned node;
    uint64_t life, number;
    /* the request */
    char session[128], more[101];
    int64_t revision, epoch; /* of Poll; of RegisterNode what is remembered */
    struct said *said;
    size_t n_said;
    /* the answer */
    bool answered, refused, stale, lost_place, fenced;
    char new_session[128], next_more[101], cluster_id[48];
    bool astray, adopted;
    int64_t next_revision, next_epoch;
    bool full;
    struct told *told;
    size_t n_told;
};

/* Polls that wait for keys with one prefix. */
struct waiting {
    struct gt_list polls;
    size_t n;
};

struct sim_agents {
    struct sim_world *w;
    struct sim_rules rules;
    struct sim_node **nodes;
    size_t n, cap;
    uint64_t numbers;       /* of messages, lives and timers */
    struct gt_table timers; /* number -> struct sim_task */
    struct gt_list messages;
    struct gt_table waiting; /* prefix -> struct waiting */
    struct gt_table names;   /* families and services, one copy of each */
};

/* Text that must fit, with a NUL. */
static inline void agents_copy(char *to, size_t size, struct gt_str from)
{
    GT_ASSERT(from.n < size);
    if (from.n) {
        memcpy(to, from.p, from.n);
    }
    to[from.n] = '\0';
}

/* agents_calls.c */
void agents_register(struct sim_agents *a, struct sim_node *n);
void agents_poll(struct sim_agents *a, struct sim_node *n);
void agents_report(struct sim_agents *a, struct sim_node *n);
void agents_beat(struct sim_agents *a, struct sim_node *n);
void agents_written(void *arg, const char *key);
void agents_lose_parked(struct sim_agents *a);
void agents_free_calls(struct sim_agents *a);

/* agents.c */
void agents_registered(struct sim_agents *a, struct sim_node *n, const struct message *m);
const char *agents_name(struct sim_agents *a, struct gt_str name);
/* The answer to a poll with this number comes: what ended before it was sent can be forgotten. */
void agents_answered(struct sim_node *n, uint64_t number);
void agents_told(struct sim_agents *a, struct sim_node *n, const struct told *told);
void agents_drop_others(struct sim_agents *a, struct sim_node *n);
struct sim_node *agents_current(struct sim_agents *a, uint64_t node, uint64_t life);
/* All tasks, anew: the server has started since, maybe from a backup that was made after what the
 * node was told last, and before what it has reported since. */
void agents_report_all(struct sim_agents *a, struct sim_node *n);
void agents_accepted(struct sim_agents *a, struct sim_node *n, const struct said *said);

#endif
