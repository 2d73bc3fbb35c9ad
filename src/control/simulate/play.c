#include "control/services/agent/agent.h"
#include "control/services/ecs/ecs.h"
#include "control/simulate/play_priv.h"
#include "lib/base/mem.h"

#include <stdio.h>

enum {
    DRAWN_STEPS = 50, /* of at least DRAWN_MS; else every ms */
    DRAWN_MS = 100,
    START_S = 1790000000, /* a day in 2026 */
    /* How often is looked whether the services have come up, after how many looks without a change
     * they will not any more, and when nobody waits for it any longer. */
    SETTLE_LOOK_MS = 1000,
    SETTLE_PATIENCE_MS = 60000,
    SETTLE_MAX_MS = 2 * 3600 * 1000,
    SAMPLES = 600, /* about so many, unless the scenario says */
};

int64_t play_now(const struct play *p)
{
    return p->w.now - p->begin;
}

/* In steps, so that what happens to many tasks within one of them is one look of a controller, as
 * it is in a server that has much to do. */
int64_t play_draw(struct play *p, struct span s)
{
    int64_t unit = (s.high - s.low) / DRAWN_STEPS / DRAWN_MS * DRAWN_MS;
    unit = GT_MAX(unit, (int64_t)1);
    return s.low + unit * (int64_t)gt_prng_below(&p->rng, (uint64_t)((s.high - s.low) / unit + 1));
}

/* Controllers have their turn when nothing else happens at this moment. */
static size_t turn(void *arg)
{
    const struct play *p = arg;
    return sim_queue_next(&p->w.queue) <= p->w.now ? 0 : SIZE_MAX;
}

/* ---- how nodes behave ---- */

static void fate(void *arg, const struct sim_node *n, const struct sim_task *t,
                 struct sim_fate *ret)
{
    struct play *p = arg;
    uintptr_t kind = (uintptr_t)gt_table_get(&p->track.families, gt_str(t->family));
    GT_ASSERT(kind && t->revision > 0 && (size_t)t->revision <= p->families[kind - 1].n);
    const struct task_kind *k = p->families[kind - 1].revisions[t->revision - 1];
    ret->prepare_ms = play_draw(p, k->start_time);
    ret->stop_ms = play_draw(p, k->stop_time);
    ret->run_ms = k->run_time.high ? play_draw(p, k->run_time) : -1;
}

static void add_nodes(struct play *p)
{
    struct gt_arena *a = p->out->arena;
    for (size_t i = 0; i < p->f->n_nodes; i++) {
        const struct machine *n = &p->f->nodes[i];
        const struct node_group *g = n->group;
        struct agent_attribute *attrs =
            gt_arena_array(a, struct agent_attribute, g->n_attributes + 1);
        attrs[0] = (struct agent_attribute){.name = GT_STR_LIT("ecs.availability-zone"),
                                            .value = p->f->zones[n->zone]};
        for (size_t k = 0; k < g->n_attributes; k++) {
            attrs[k + 1] = (struct agent_attribute){.name = g->attributes[k].name,
                                                    .value = g->attributes[k].value};
        }
        struct sim_node_spec spec = {
            .id = n->name,
            .cluster = SIM_CLUSTER,
            .subnet = gt_arena_printf(a, "10.%zu.%zu.0/24", i / 256, i % 256),
            .cpu = g->cpu,
            .memory = g->memory,
            .attributes = {attrs, g->n_attributes + 1, true},
            .ports = {g->reserved_ports.v, g->reserved_ports.n, true},
        };
        sim_agents_start(p->agents, sim_agents_add(p->agents, &spec), 0);
    }
}

/* ---- until the beginning ---- */

static int stepped(void *arg, struct gt_err *err)
{
    struct play *p = arg;
    track_stepped(&p->track);
    if (p->begin) {
        measure_stepped(p->measure);
    }
    return gt_err_code(p->err);
}

static int64_t first_desired(const struct play *p, unsigned service)
{
    const struct load *l = load_of(p->s, service);
    return l ? load_desired(l, 0) : p->s->services[service].desired;
}

/* An event, so that the controllers have their turn after it. */
static void make_services(void *arg, uint64_t a, uint64_t b)
{
    struct play *p = arg;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < p->s->n_services; i++) {
        r = ask_definition(p, i, &p->s->services[i].task);
        r = r < 0 ? r : ask_service(p, i, first_desired(p, i));
    }
    for (size_t i = 0; r == 0 && i < p->out->n_jobs; i++) {
        r = ask_definition(p, (unsigned)(p->s->n_services + i), &p->out->jobs[i].what->task);
    }
}

static bool all_up(const struct play *p)
{
    for (size_t i = 0; i < p->s->n_services; i++) {
        const struct track_kind *k = &p->track.kinds[i];
        if (k->running != k->desired) {
            return false;
        }
    }
    return true;
}

static int settle(struct play *p)
{
    int64_t start = p->w.now, quiet = 0, patience = SETTLE_PATIENCE_MS;
    for (size_t i = 0; i < p->s->n_services; i++) {
        patience = GT_MAX(patience, 2 * p->s->services[i].task.start_time.high);
    }
    uint64_t revision = 0;
    int r = 0;
    while (r == 0 && !all_up(p) && quiet < patience && p->w.now - start < SETTLE_MAX_MS) {
        quiet = core_revision(p->w.core) == revision ? quiet + SETTLE_LOOK_MS : 0;
        revision = core_revision(p->w.core);
        r = sim_world_run(&p->w, p->w.now + SETTLE_LOOK_MS, p->err);
    }
    p->out->settled = all_up(p);
    p->out->settled_ms = p->w.now - start;
    return r;
}

/* ---- from the beginning to the end ---- */

static int run(struct play *p)
{
    int r = ask_cluster(p);
    add_nodes(p);
    sim_at(&p->w, SETTLE_LOOK_MS, make_services, p, 0, 0);
    r = r < 0 ? r : sim_world_run(&p->w, p->w.now + SETTLE_LOOK_MS, p->err);
    r = r < 0 ? r : settle(p);
    if (r < 0) {
        return r;
    }
    p->begin = p->w.now;
    measure_begin(p->measure);
    heartbeat_open(p);
    happen_plan(p);
    r = sim_world_run(&p->w, p->begin + p->s->duration, p->err);
    if (r == 0) {
        measure_end(p->measure);
        p->out->calls = p->w.calls;
        p->out->revisions = core_revision(p->w.core);
    }
    return r;
}

static void make_outcome(struct play *p, uint64_t seed, struct gt_arena *a)
{
    struct outcome *o = gt_arena_new(a, struct outcome);
    int64_t usual = GT_MAX(p->s->duration / SAMPLES, (int64_t)1000) / 1000 * 1000;
    *o = (struct outcome){
        .scenario = p->s,
        .fleet = p->f,
        .seed = seed,
        .arena = a,
        .sample_every = p->s->sample_every ? p->s->sample_every : usual,
    };
    o->jobs = gt_arena_array(a, struct outcome_job, p->s->n_events + 1);
    for (size_t i = 0; i < p->s->n_events; i++) {
        if (p->s->events[i].action == SCENARIO_RUN) {
            o->jobs[o->n_jobs++].what = &p->s->events[i];
        }
    }
    p->out = o;
}

/* What grows with more than one part of the scenario; arrays that grow are copied as they do. */
static int check_size(const struct play *p)
{
    size_t services = p->s->n_services, zones = p->f->n_zones, happenings = 0;
    size_t samples = (size_t)(p->s->duration / p->out->sample_every) + 2;
    for (size_t i = 0; i < p->s->n_events; i++) {
        happenings += (size_t)happening_times(p->s, &p->s->events[i]);
    }
    size_t each = samples * (services + zones + 1) * 2 * sizeof(float) +
                  happenings * services * 2 * sizeof(struct outcome_recovery) +
                  p->f->n_nodes * services * sizeof(uint32_t) + zones * services * sizeof(size_t);
    size_t all = each * (size_t)p->s->repeat;
    if (all <= OUTCOMES_MAX) {
        return 0;
    }
    return scenario_wrong(
        p->s, (struct place_said){0}, p->err,
        "%lld seeds would take %zu MiB, more than %lu: %zu samples and %zu events of %zu "
        "services",
        (long long)p->s->repeat, all >> 20, OUTCOMES_MAX >> 20, samples, happenings, services);
}

static void close_play(struct play *p)
{
    gt_list_for_each (it, tmp, &p->runs) {
        free(gt_list_entry(it, struct pending_run, link));
    }
    measure_free(p->measure);
    detector_free(p->detector);
    for (size_t i = 0; i < p->track.n_kinds; i++) {
        free(p->families[i].revisions);
    }
    free(p->families);
    free(p->nodes);
    track_fini(&p->track);
    sim_agents_free(p->agents);
    sim_world_close(&p->w);
}

struct outcome *simulate_play(const struct scenario *s, const struct machines *f, uint64_t seed,
                              struct gt_arena *a, struct gt_err *err)
{
    static const struct service *served[3];
    served[0] = ecs_control();
    served[1] = agent_control();
    struct play p = {.s = s, .f = f, .rng = {seed * 0x9e3779b97f4a7c15u + 1}, .err = err};
    struct sim_world_options options = {.seed = seed,
                                        .start_ms = START_S * 1000LL,
                                        .services = served,
                                        .arg = &p,
                                        .turn = turn,
                                        .stepped = stepped};
    struct sim_rules rules = {.arg = &p, .fate = fate};
    *err = GT_ERR_INIT;
    make_outcome(&p, seed, a);
    if (check_size(&p) < 0 || sim_world_open(&p.w, &options, err) < 0) {
        return NULL;
    }
    gt_list_init(&p.runs);
    p.agents = sim_agents_new(&p.w, &rules);
    track_init(&p.track, &p.w, s, f);
    p.families = gt_new_array(struct family, p.track.n_kinds + 1);
    p.nodes = gt_new_array(struct play_node, f->n_nodes + 1);
    p.measure = measure_new(&p.track, p.out);
    int r = run(&p);
    close_play(&p);
    return r < 0 ? NULL : p.out;
}
