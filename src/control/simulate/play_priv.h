/* The inside of play: play.c is the course of it. */
#ifndef GT_CONTROL_SIMULATE_PLAY_PRIV_H
#define GT_CONTROL_SIMULATE_PLAY_PRIV_H

#include "control/services/agent/detector.h"
#include "control/sim/agents.h"
#include "control/simulate/measure.h"
#include "control/simulate/play.h"
#include "lib/base/rand.h"

/* What tasks of a service or job are, by revision of their definition. */
struct family {
    const struct task_kind **revisions; /* [revision - 1] */
    size_t n, cap;
};

struct play_node {
    bool down, drained;
    uint64_t life; /* counts losses and returns */
    int64_t phase; /* of its heartbeats */
};

/* A run of a job: tasks that are not placed yet. */
struct pending_run {
    struct gt_list link;
    size_t job;
    int64_t left, since;
};

struct play {
    const struct scenario *s;
    const struct machines *f;
    struct outcome *out;
    struct sim_world w;
    struct sim_agents *agents;
    struct track track;
    struct measure *measure;
    struct gt_prng rng;
    struct family *families; /* as the kinds of track */
    struct play_node *nodes;
    struct gt_list runs;
    struct detector *detector;
    bool braked;
    int64_t look_until; /* the detector has much to do until then */
    int64_t begin;      /* virtual time; 0: services come up */
    struct gt_err *err;
};

/* Time since the scenario's beginning. */
int64_t play_now(const struct play *p);
int64_t play_draw(struct play *p, struct span s);

/* ask.c: < 0 with p->err filled. `said` is what to blame. */
int ask_cluster(struct play *p);
/* The next revision of a kind's definition; `k` is kept. */
int ask_definition(struct play *p, unsigned kind, const struct task_kind *k);
int ask_service(struct play *p, unsigned service, int64_t desired);
int ask_scale(struct play *p, unsigned service, int64_t desired, struct place_said said);
int ask_deploy(struct play *p, unsigned service, struct place_said said);
/* Returns how many of `count` tasks were placed. */
int64_t ask_run(struct play *p, unsigned kind, const struct task_kind *k, int64_t count);
int ask_drain(struct play *p, const struct target *t, bool drain, struct place_said said);

/* heartbeat.c */
void heartbeat_open(struct play *p);
/* The node is about to fall silent, or is heard again. */
void heartbeat_changed(struct play *p, unsigned node);

/* diagnose.c: why `missing` tasks of a kind have no place now. Overwrites all but to->ms. */
void diagnose(struct play *p, unsigned kind, int64_t missing, struct outcome_unplaced *to);

/* happen.c: puts everything that the scenario lets happen into the world's queue. */
void happen_plan(struct play *p);

#endif
