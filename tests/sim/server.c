/* The server's process, its journal, its clock, and its look at who is still there. */
#include "trial_priv.h"

#include "control/core/replay.h"

/* ---- the server ---- */

void server_slow(struct trial *t, unsigned node)
{
    t->slow_until = t->w.now + between(t, 100, 6000);
}

size_t server_turn(void *arg)
{
    struct trial *t = arg;
    if (t->death.dead) {
        return 0;
    }
    return !t->calm && t->w.now < t->slow_until ? gt_prng_below(&t->net, 2) : SIZE_MAX;
}

bool server_cut_off(void *arg, const struct core_call *c, uint64_t before)
{
    struct trial *t = arg;
    uint64_t after = core_revision(t->w.core);
    note_hash(t);
    if (c->result < 0 && after != before) {
        violation(t, "who is refused changes nothing", GT_STR_FMT " was refused and wrote",
                  GT_STR_ARG(c->label));
    }
    if (!t->death.dead && t->death.when != NOT_YET && after != before) {
        t->death.dead = true;
        t->death.keeps = t->death.when == UNDURABLE ? GT_MAX(before, t->w.durable) : after;
        trace(t, "the server dies in " GT_STR_FMT ", %s", GT_STR_ARG(c->label),
              t->death.when == UNDURABLE ? "before it is durable" : "before it answers");
    }
    return t->death.dead;
}

/* Some of what was committed and nobody was told of may be lost with the process. */
void server_dies(struct trial *t, unsigned node)
{
    int64_t when = between(t, 0, 2);
    if (when == 0) {
        uint64_t undurable = core_revision(t->w.core) - t->w.durable;
        t->death.dead = true;
        t->death.keeps = t->w.durable + (uint64_t)between(t, 0, (int64_t)undurable);
        trace(t, "the server dies; revision %llu is kept", (unsigned long long)t->death.keeps);
    } else {
        t->death.when = when == 1 ? UNDURABLE : UNANSWERED;
    }
}

int server_restart(struct trial *t)
{
    struct journal *journal =
        t->death.restored ? restore_take(t) : memory_journal_copy(t->w.journal, t->death.keeps);
    uint64_t told = t->w.durable;
    t->death.dead = t->death.restored = false;
    t->death.when = NOT_YET;
    t->result.restarts++;
    if (sim_world_restart(&t->w, journal, t->err) < 0) {
        return violation(t, "recovery succeeds", "%s", t->err->msg);
    }
    server_listen(t);
    uint64_t revision = core_revision(t->w.core);
    if (revision < told || core_hash(t->w.core) != t->hashes[revision]) {
        return violation(t, "recovery gives the same state", "revision %llu; %llu was told",
                         (unsigned long long)revision, (unsigned long long)told);
    }
    core_begin_epoch(t->w.core, "sim", core_time(t->w.core));
    note_hash(t);
    sim_agents_server_restarted(t->agents);
    liveness_start(t);
    watch_recovered(t);
    callers_recovered(t);
    return gt_err_code(t->err);
}

/* ---- the journal ---- */

static void on_failed(void *arg, const struct gt_err *err)
{
    struct trial *t = arg;
    t->death.dead = true;
    t->death.keeps = UINT64_MAX; /* whatever is there */
    trace(t, "a write of the journal does not succeed");
}

void server_listen(struct trial *t)
{
    struct journal_events e = {.on_failed = on_failed, .arg = t};
    journal_listen(t->w.journal, &e);
}

void server_journal_fails(struct trial *t, unsigned node)
{
    memory_journal_break(t->w.journal, /* keep= */ chance(t, 50));
}

void server_snapshot(struct trial *t, unsigned node)
{
    if (t->death.dead) {
        return;
    }
    t->w.durable = core_revision(t->w.core); /* a snapshot comes after what it holds */
    struct gt_err err;
    if (core_snapshot(t->w.core) && core_snapshot_reap(t->w.core, &err)) {
        journal_forget(t->w.journal, core_revision(t->w.core) - (uint64_t)between(t, 0, 20), 0);
    }
}

/* Sooner refuses a journal than takes something else for it. */
void server_damage(struct trial *t, unsigned node)
{
    struct journal *copy = memory_journal_copy(t->w.journal, UINT64_MAX);
    struct core *core = NULL;
    struct gt_err err = GT_ERR_INIT;
    bool damaged = memory_journal_damage(copy, gt_prng_next(&t->dice));
    int r = core_new(copy, t->w.options.services, NULL, &core, &err);
    if (damaged && (r >= 0 || err.kind != GT_ERR_CORRUPT)) {
        violation(t, "a damaged journal is refused", "%s", r < 0 ? err.msg : "it was taken");
    }
    core_free(core);
    journal_close(copy);
}

static void differs(void *arg, const struct core_difference *d)
{
    violation(arg, "replay writes the same",
              "revision %llu, " GT_STR_FMT ", \"" GT_STR_FMT "\": %s",
              (unsigned long long)d->revision, GT_STR_ARG(d->label), GT_STR_ARG(d->key), d->what);
}

int server_replay(struct trial *t)
{
    struct core_replay_options o = {
        .all = true, .tight = t->plan.tight, .differs = differs, .arg = t};
    struct core_replayed r;
    struct gt_err err;
    if (core_replay(t->w.journal, t->w.options.services, &o, &r, &err) < 0) {
        return violation(t, "replay writes the same", "%s", err.msg);
    }
    if (r.hash != core_hash(t->w.core) || r.recorded != r.hash) {
        return violation(t, "replay writes the same", "another state than revision %llu",
                         (unsigned long long)r.to);
    }
    return gt_err_code(t->err);
}

/* ---- the clock ---- */

void server_clock(struct trial *t, unsigned node)
{
    int64_t most = chance(t, 50) ? 5000 : 2 * 3600 * 1000LL;
    t->w.clock_error = between(t, -most, most);
    trace(t, "the server's clock is %lld s ahead", (long long)t->w.clock_error / 1000);
    if (t->w.clock_error > 600000) { /* what is kept for an hour may go */
        t->stepped = true;
        gt_table_fini(&t->told);
        gt_table_init(&t->told);
        memset(t->by_token, 0, sizeof t->by_token);
    }
}

/* ---- liveness, as the server's own actor is ---- */

static enum detector_state state_of(const struct rec_ecs_node *n)
{
    return n->held ? DETECTOR_HELD : n->lost ? DETECTOR_LOST : DETECTOR_LIVE;
}

/* At its start, from what the core has: deadlines start anew. */
void liveness_start(struct trial *t)
{
    struct detector_options o = {.lost_after_ms = LOST_AFTER_MS,
                                 .brake_window_ms = 30000,
                                 .brake_percent = 50,
                                 .brake_from = 4};
    detector_free(t->detector);
    t->detector = detector_new(&o);
    const char *prefix = SIM_PLACE "ecs/node/default/", *key = NULL;
    struct gt_str value;
    while (core_next_key(t->w.core, prefix, key, &key, &value)) {
        const struct rec_ecs_node *n = state_get(t, key, &rec_ecs_node_desc);
        if (n) {
            detector_known(t->detector, n->id, state_of(n), t->w.now, t->w.now);
        }
    }
    t->looked = t->w.now;
}

static void report(struct trial *t, const struct detector_change *c)
{
    struct gt_err err;
    int r = sim_tell_change(&t->w, c, &err);
    t->result.nodes_lost += c->state == DETECTOR_LOST;
    t->result.nodes_held += c->state == DETECTOR_HELD;
    static const char *const names[] = {"back", "held", "lost"};
    trace(t, "%s is %s", c->node, names[c->state]);
    if (r < 0 && err.kind == GT_ERR_NOT_FOUND) {
        detector_forget(t->detector, gt_str(c->node));
    } else {
        detector_told(t->detector, c, r >= 0, t->w.now);
    }
}

void liveness_look(void *arg, uint64_t a, uint64_t b)
{
    struct trial *t = arg;
    if (t->over) {
        return;
    }
    sim_at(&t->w, 1000, liveness_look, t, 0, 0);
    for (unsigned i = 0; i < sim_agents_count(t->agents); i++) {
        const struct sim_node *n = sim_agents_node(t->agents, i);
        if (n->heard >= t->looked) { /* maybe in the same millisecond */
            detector_heard(t->detector, gt_str(n->spec.id), n->heard);
        }
    }
    t->looked = t->w.now;
    struct detector_change changed[64];
    size_t n;
    do {
        n = detector_look(t->detector, t->w.now, changed, GT_ARRAY_LEN(changed));
        for (size_t i = 0; i < n && !t->death.dead; i++) {
            report(t, &changed[i]);
        }
    } while (n == GT_ARRAY_LEN(changed) && !t->death.dead);
}
