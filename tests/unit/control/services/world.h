/*
 * A core on a memory journal with the services ECS and agent, driven with JSON: what goes in is
 * what a client sends, what comes out is what it gets.
 */
#ifndef GT_TEST_WORLD_H
#define GT_TEST_WORLD_H

#include "control/core/core.h"

struct world {
    struct journal *journal;
    struct core *core;
    struct gt_arena arena;
    int64_t now;
    enum principal_kind as; /* who calls next */
    const char *as_name;
    const char *as_key; /* access key id; a node's is checked unless it is empty */
    bool waits;         /* the last call waits (tx_wait) */
};

/* A service that the next world has beside those two; NULL at first. */
extern const struct service *world_third;

void world_init(struct world *w);
/* core_options.tight: steps and pages are small. */
void world_init_tight(struct world *w, unsigned tight);
void world_fini(struct world *w);

/* The server is another one, on a backup: what came after `revision` never was. */
void world_restore(struct world *w, uint64_t revision);

/* "RunTask" of ECS or of the agent protocol. The answer as JSON, or "Exception: message". The text
 * lives until world_fini(). Controllers are not run. In `body`, ' stands for ". */
const char *world_call(struct world *w, const char *op, const char *body, ...)
    __attribute__((format(printf, 3, 4)));
/* Time goes by and controllers run until nothing is left to do. */
void world_run(struct world *w, int64_t ms);
/* world_call(), then the controllers. */
#define world_do(w, ...)                                                                           \
    ({                                                                                             \
        const char *answer_ = world_call((w), __VA_ARGS__);                                        \
        world_run((w), 1);                                                                         \
        answer_;                                                                                   \
    })

/* The value of the first member of this name in a JSON text, without quotes; "" when there is
 * none. `nth` counts from 0. */
const char *world_get(struct world *w, const char *json, const char *member, int nth);

/* A node that registered; returns its session. */
const char *world_node(struct world *w, const char *id, int cpu, int memory);
/* Reports that all tasks that a node was assigned are at a status (STOPPED ones that it should
 * stop are reported STOPPED). Returns how many. */
int world_report(struct world *w, const char *session, const char *status);
/* Reports one task. */
const char *world_report_task(struct world *w, const char *session, const char *id, int sequence,
                              const char *status, const char *more);

/* Fails the test unless `part` is in `text`. */
void world_has(const char *text, const char *part);
/* Asserts what must hold after every step: loads agree with tasks, marks with records. */
void world_check(struct world *w);

#endif
