/* The core's inside, for this folder. */
#ifndef GT_CONTROL_CORE_CORE_PRIV_H
#define GT_CONTROL_CORE_CORE_PRIV_H

#include "control/core/core.h"
#include "control/core/omap.h"
#include "control/core/view.h"
#include "lib/base/list.h"
#include "lib/base/rand.h"
#include "lib/base/table.h"

/* Keys of the core's own begin so: after every account. */
#define CORE_ALARM_PREFIX "~/alarm/"

/* One controller step that waits. */
struct dirty {
    struct gt_list link;
    const struct controller *controller;
    char key[];
};

/* Steps to do, first in first out, none twice. */
struct dirty_queue {
    struct gt_list list;
    struct gt_table known; /* "<controller>\0<key>" -> struct dirty */
};

enum { CORE_MAX_VIEWS = 8 };
struct open_view {
    const struct core_view *view;
    void *data;
};

struct core_snapshot_state;

struct core {
    struct journal *journal;
    const struct service *const *services;
    struct core_options options;
    struct omap state;
    uint64_t revision, hash;
    uint64_t bytes; /* of all keys and values */
    int64_t time;
    struct gt_prng seeds;
    struct dirty_queue dirty;
    struct omap alarms;           /* "<when, 16 hex digits>/<controller>/<key>" */
    struct gt_buf scratch;        /* a record being encoded */
    struct gt_buf input;          /* of a call that came without its text */
    struct gt_arena arena;        /* of controller steps and watches */
    struct journal_write *writes; /* of the commit under way */
    size_t writes_cap;
    struct core_snapshot_state *snapshot;
    const char *read_only; /* why; NULL: it is not */
    bool past;             /* from core_open_at() */
    struct open_view views[CORE_MAX_VIEWS];
    size_t n_views;

    /* Of the record "~/epochs"; see epoch.c. */
    struct core_epoch *epochs;
    size_t n_epochs;
    char build[64]; /* the last one's */
};

struct core_epoch {
    int64_t id;
    uint64_t revision; /* its first */
};

struct tx {
    struct core *core;
    struct principal principal;
    struct gt_str account, region;
    struct gt_arena *arena;
    int64_t now;
    uint64_t seed;
    struct gt_prng random;
    struct omap staged;   /* what this transaction writes, over core->state */
    struct gt_err broken; /* kind set: a limit was passed; the transaction cannot commit */
    bool read_only;       /* a watch's */
    const char *wait_prefix;
    int64_t wait_until;
    bool wait_over;
};

/* tx.c */
void tx_begin(struct tx *tx, struct core *core, const struct principal *principal,
              struct gt_str region, struct gt_arena *arena, uint64_t seed);
void tx_end(struct tx *tx); /* drops what was staged, from views too */

/* commit.c: makes the staged writes the next revision; nothing staged is nothing done. */
void core_commit(struct core *core, struct tx *tx, struct gt_str label, struct gt_str input);
/* Puts one key into the state, or takes it out, with hash and alarms; e->deleted is a deletion.
 * Takes over e. Recovery and commit come through here. */
void core_set(struct core *core, struct omap_entry *e);

/* recover.c */
struct journal_reader core_reader(struct core *core);
/* Takes the writes of the next entry; `arg` is the core. */
int core_take_entry(void *arg, const struct journal_entry *entry, struct gt_err *err);

/* epoch.c */
#define CORE_EPOCH_LABEL "core.Epoch"
int core_write_epoch(struct tx *tx, struct gt_str build);
/* Looks at a key of the state that changes. */
void epoch_track(struct core *core, struct gt_str key, struct gt_str value);

/* dirty.c */
void dirty_init(struct dirty_queue *q);
void dirty_fini(struct dirty_queue *q);
void dirty_push(struct dirty_queue *q, const struct controller *c, const char *key);
struct dirty *dirty_pop(struct dirty_queue *q); /* the caller frees it; NULL: empty */

/* alarm.c */
/* Looks at a key of the state that changes; alarms' records move in the index by time. */
void alarm_track(struct core *core, struct gt_str key, struct gt_str old, struct gt_str value);
/* Moves what is due from the index into the queue. */
void alarm_fire(struct core *core, int64_t now);
/* The step (controller, key) begins: its alarm, if due, has done its work. */
void alarm_consume(struct tx *tx, const char *controller, const char *key);

/* controllers.c */
const struct controller *core_find_controller(const struct core *core, struct gt_str name);
void core_queue_all(struct core *core);
/* One step, with what the core gives every step: the alarm that is due is gone. */
enum step_result core_run_step(struct tx *tx, const struct controller *c, const char *key);
/* A transaction of the core's own, at the place of the key. */
void core_internal_begin(struct tx *tx, struct core *core, const char *key, uint64_t seed);
/* Asks every controller's watch about a key that was written. */
void core_dispatch_watches(struct core *core, const char *key);

/* Every entry whose key goes on with `under` after account and region. */
void core_each_under(struct core *core, const char *under,
                     void (*fn)(void *arg, struct omap_entry *e), void *arg);

/* view.c */
/* What the transaction at hand sees under a key was `before` and becomes `after`; NULL or deleted:
 * nothing. */
void views_change(struct core *core, const char *key, const struct omap_entry *before,
                  const struct omap_entry *after);
void views_close(struct core *core);

void core_snapshot_drop(struct core *core);

#endif
