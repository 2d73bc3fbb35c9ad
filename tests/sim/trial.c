#include "trial_priv.h"

#include "control/services/admin/admin.h"
#include "control/services/agent/agent.h"
#include "control/services/ecs/ecs.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    START_S = 1790000000, /* a day in 2026 */
    REST_MS = 1800000,    /* how long the world gets to come to rest */
    LOOK_MS = 20000,
    NIGHT_MS = 3 * 3600 * 1000,
    AFTERWARDS_MS = 25 * 3600 * 1000, /* when even what is kept for a day is gone */
    EVERYTHING_EVERY = 512,           /* steps between two looks at the whole state */
};

int64_t between(struct trial *t, int64_t low, int64_t high)
{
    return low + (int64_t)gt_prng_below(&t->dice, (uint64_t)(high - low + 1));
}

bool chance(struct trial *t, unsigned percent)
{
    return gt_prng_below(&t->dice, 100) < percent;
}

/* ---- what is said ---- */

static int64_t time_ms(const struct trial *t)
{
    return t->w.now - t->start;
}

void trace(struct trial *t, const char *fmt, ...)
{
    if (!t->options.trace) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%9.3f r%-5llu ", (double)time_ms(t) / 1000,
            (unsigned long long)core_revision(t->w.core));
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

int violation(struct trial *t, const char *what, const char *fmt, ...)
{
    if (t->err->kind != GT_ERR_NONE) {
        return gt_err_code(t->err);
    }
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->result.violated = what;
    trace(t, "VIOLATION of \"%s\": %s", what, text);
    return gt_err_set(t->err, GT_ERR_CORRUPT, "seed %llu, at %.3f s, revision %llu: %s: %s",
                      (unsigned long long)t->options.seed, (double)time_ms(t) / 1000,
                      t->w.core ? (unsigned long long)core_revision(t->w.core) : 0, what, text);
}

static void fold(struct trial *t, uint64_t v)
{
    t->result.hash = (t->result.hash ^ v) * 0x9e3779b97f4a7c15u;
    t->result.hash ^= t->result.hash >> 29;
}

/* ---- steps ---- */

void note_hash(struct trial *t)
{
    uint64_t revision = core_revision(t->w.core);
    if (revision >= t->cap_hashes) {
        t->cap_hashes = revision * 2 + 1024;
        t->hashes = gt_realloc(t->hashes, t->cap_hashes * sizeof *t->hashes);
    }
    t->hashes[revision] = core_hash(t->w.core);
}

static int stepped(void *arg, struct gt_err *err)
{
    struct trial *t = arg;
    note_hash(t);
    fold(t, (uint64_t)t->w.now);
    fold(t, core_hash(t->w.core));
    int r = gt_err_code(err); /* what was found while it went on */
    r = r < 0 ? r : watch_step(t);
    if (r >= 0 && t->w.events % EVERYTHING_EVERY == 0 && t->plan.nodes <= 100) {
        r = watch_everything(t);
    }
    return r >= 0 && t->death.dead ? server_restart(t) : r;
}

/* ---- the world ---- */

/* A subnet of its own for each, as the server has but 256. */
static void add_nodes(struct trial *t)
{
    enum { TEXT = 32 };
    t->specs = gt_new_array(struct sim_node_spec, t->plan.nodes);
    size_t most = t->plan.nodes + t->n_acts; /* with clones */
    t->cuts = gt_new_array(struct cut, most);
    t->liars = gt_new_array(struct liar, most);
    char *text = gt_arena_alloc(&t->texts, (size_t)t->plan.nodes * 2 * TEXT);
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        char *id = text + (size_t)i * 2 * TEXT, *subnet = id + TEXT;
        snprintf(id, TEXT, "node%u", i);
        snprintf(subnet, TEXT, "10.%u.%u.0/24", 1 + i / 256, i % 256);
        t->specs[i] = (struct sim_node_spec){
            .id = id, .subnet = subnet, .cpu = NODE_CPU, .memory = NODE_MEMORY};
        sim_agents_add(t->agents, &t->specs[i]);
        sim_agents_start(t->agents, i, between(t, 0, 3000));
    }
}

static int open_world(struct trial *t)
{
    static const struct service *served[4];
    served[0] = ecs_control();
    served[1] = agent_control();
    served[2] = admin_control();
    struct sim_world_options o = {.seed = t->options.seed,
                                  .tight = t->plan.tight,
                                  .start_ms = START_S * 1000LL,
                                  .services = served,
                                  .arg = t,
                                  .turn = server_turn,
                                  .stepped = stepped,
                                  .cut_off = server_cut_off};
    t->start = o.start_ms;
    int r = sim_world_open(&t->w, &o, t->err);
    bool large = t->plan.nodes > 100;
    struct sim_rules rules = {.arg = t,
                              .fate = fault_fate,
                              .passage = fault_passage,
                              .changed = watch_node,
                              .told = watch_told,
                              .beat_ms = large ? 3000 : 1000,
                              .wait_ms = large ? 25000 : 5000,
                              .report_ms = large ? 50 : 5};
    t->agents = sim_agents_new(&t->w, &rules);
    sim_world_listen(&t->w, watch_written, t);
    server_listen(t);
    if (r >= 0) {
        core_begin_epoch(t->w.core, "sim", core_time(t->w.core));
    }
    return r;
}

static int run_for(struct trial *t, int64_t ms)
{
    int r = sim_world_run(&t->w, t->w.now + ms, t->err);
    return r < 0 ? r : gt_err_code(t->err);
}

/* Runs until `check` holds; when it does not in the time that there is, that is a violation. */
static int come_to(struct trial *t, int (*check)(struct trial *t), int64_t most)
{
    int64_t end = t->w.now + most;
    for (;;) {
        int r = run_for(t, LOOK_MS);
        if (r < 0) {
            return r;
        }
        bool tracing = t->options.trace;
        t->options.trace = tracing && t->w.now >= end;
        r = check(t);
        t->options.trace = tracing;
        gt_arena_reset(&t->w.arena);
        if (r == 0 || t->w.now >= end) {
            return r;
        }
        *t->err = GT_ERR_INIT;
        t->result.violated = NULL;
    }
}

/* A day of heartbeats tells nothing. */
static void nodes_leave(struct trial *t)
{
    t->over = true;
    for (unsigned i = 0; i < sim_agents_count(t->agents); i++) {
        sim_agents_stop(t->agents, i);
    }
}

/* What is held for a lost node is held for however long. */
static int night(struct trial *t)
{
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        sim_agents_crash(t->agents, i, chance(t, 50));
    }
    int r = run_for(t, NIGHT_MS);
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        sim_agents_start(t->agents, i, between(t, 0, 5000));
    }
    return r < 0 ? r : come_to(t, rest_check, REST_MS);
}

static int run(struct trial *t)
{
    add_nodes(t);
    callers_set_up(t);
    schedule_acts(t);
    liveness_start(t);
    sim_at(&t->w, 1000, liveness_look, t, 0, 0);
    int r = gt_err_code(t->err);
    r = r < 0 ? r : run_for(t, t->plan.duration_ms);
    faults_cease(t);
    r = r < 0 ? r : come_to(t, rest_check, REST_MS);
    r = r < 0 ? r : watch_everything(t);
    r = r >= 0 && t->plan.night ? night(t) : r;
    if (r >= 0) {
        callers_take_away(t);
        r = come_to(t, rest_check, REST_MS);
    }
    if (r >= 0) {
        nodes_leave(t);
        r = run_for(t, AFTERWARDS_MS);
        r = r < 0 ? r : rest_empty(t);
    }
    r = r < 0 ? r : watch_everything(t);
    return r < 0 ? r : server_replay(t);
}

int trial_run(const struct trial_options *options, struct trial_result *ret, struct gt_err *err)
{
    struct trial *t = gt_new(struct trial);
    *err = GT_ERR_INIT;
    t->err = err;
    t->options = *options;
    gt_arena_init(&t->texts, 16 * 1024 * 1024);
    gt_table_init(&t->told);
    gt_table_init(&t->ended);
    schedule_plan(t);
    t->result.nodes = t->plan.nodes;
    t->watch = watch_new(t);
    int r = open_world(t);
    if (r >= 0) {
        note_hash(t);
        r = run(t);
    }
    t->result.revision = t->w.core ? core_revision(t->w.core) : 0;
    t->result.events = t->w.events;
    t->result.calls = t->w.calls;
    t->result.time_ms = time_ms(t);
    *ret = t->result;
    detector_free(t->detector);
    sim_agents_free(t->agents);
    sim_world_close(&t->w);
    watch_free(t->watch);
    gt_table_fini(&t->told);
    gt_table_fini(&t->ended);
    restore_drop(t);
    gt_arena_fini(&t->texts);
    free(t->hashes);
    free(t->acts);
    free(t->specs);
    free(t->cuts);
    free(t->liars);
    free(t);
    return r;
}
