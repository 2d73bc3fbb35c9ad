#include "control/simulate/measure.h"

#include "lib/base/buf.h"
#include "lib/base/mem.h"

#include <stdio.h>

struct kept { /* of a service, between two looks */
    int64_t since, running;
    bool is_short, waits;
};

/* Sums of a share, until it is a struct use. */
struct sum {
    double min, max, sum;
    size_t n;
};

/* A recovery that is not over. */
struct watch {
    struct gt_list link;
    unsigned recovery; /* index */
    enum scenario_action action;
    int64_t at;
    bool below; /* since the last look */
    int64_t since;
};

struct measure {
    struct track *t;
    struct outcome *out;
    int64_t begin; /* virtual time */
    struct kept *kept;
    struct sum *node_cpu, *node_memory, *zone_cpu, *zone_memory; /* the last zone: all */
    struct gt_list watches;
    size_t cap_samples, cap_events, cap_recoveries;
};

static int64_t now(const struct measure *m)
{
    return m->t->w->now - m->begin;
}

/* Room for one more in an array of the arena. */
static void *grow(struct gt_arena *a, void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return v;
    }
    *cap = *cap ? 2 * *cap : 64;
    void *more = gt_arena_alloc(a, *cap * size);
    if (n) {
        memcpy(more, v, n * size);
    }
    return more;
}

static void make_series(struct measure *m)
{
    struct outcome *o = m->out;
    struct gt_arena *a = o->arena;
    size_t room = (size_t)(o->scenario->duration / o->sample_every) + 2;
    o->sampled = gt_arena_array(a, int64_t, room);
    for (size_t i = 0; i < o->scenario->n_services; i++) {
        o->services[i].series_running = gt_arena_array(a, int32_t, room);
        o->services[i].series_desired = gt_arena_array(a, int32_t, room);
    }
    for (size_t i = 0; i <= o->fleet->n_zones; i++) {
        struct outcome_zone *z = i < o->fleet->n_zones ? &o->zones[i] : &o->all;
        z->series_cpu = gt_arena_array(a, float, room);
        z->series_memory = gt_arena_array(a, float, room);
    }
}

struct measure *measure_new(struct track *t, struct outcome *out)
{
    struct measure *m = gt_new(struct measure);
    m->t = t;
    m->out = out;
    gt_list_init(&m->watches);
    size_t services = out->scenario->n_services, zones = out->fleet->n_zones;
    out->services = gt_arena_array(out->arena, struct outcome_service, services + 1);
    out->zones = gt_arena_array(out->arena, struct outcome_zone, zones + 1);
    out->nodes = gt_arena_array(out->arena, struct outcome_node, out->fleet->n_nodes + 1);
    for (size_t i = 0; i < services; i++) {
        out->services[i].in_zone = gt_arena_array(out->arena, size_t, zones + 1);
    }
    for (size_t i = 0; i < out->fleet->n_nodes; i++) {
        out->zones[out->fleet->nodes[i].zone].nodes++;
    }
    out->all.nodes = out->fleet->n_nodes;
    make_series(m);
    m->kept = gt_new_array(struct kept, services + 1);
    m->node_cpu = gt_new_array(struct sum, out->fleet->n_nodes + 1);
    m->node_memory = gt_new_array(struct sum, out->fleet->n_nodes + 1);
    m->zone_cpu = gt_new_array(struct sum, zones + 1);
    m->zone_memory = gt_new_array(struct sum, zones + 1);
    return m;
}

void measure_free(struct measure *m)
{
    if (!m) {
        return;
    }
    gt_list_for_each (it, tmp, &m->watches) {
        free(gt_list_entry(it, struct watch, link));
    }
    free(m->kept);
    free(m->node_cpu);
    free(m->node_memory);
    free(m->zone_cpu);
    free(m->zone_memory);
    free(m);
}

/* ---- services, after each step ---- */

static void look_at_service(struct measure *m, size_t i)
{
    struct track_kind *k = &m->t->kinds[i];
    struct outcome_service *s = &m->out->services[i];
    struct kept *kept = &m->kept[i];
    int64_t passed = now(m) - kept->since;
    s->short_ms += kept->is_short ? passed : 0;
    s->unplaced.ms += kept->waits ? passed : 0;
    s->lowest = GT_MIN(s->lowest, k->running);
    s->highest = GT_MAX(s->highest, k->running);
    *kept = (struct kept){.since = now(m),
                          .running = k->running,
                          .is_short = k->running < k->desired,
                          .waits = k->waits};
}

/* ---- recoveries ---- */

static bool is_over(const struct watch *w, const struct track_kind *k)
{
    bool enough = k->running >= k->desired;
    switch (w->action) {
    case SCENARIO_DEPLOY:
        return enough && k->old == 0;
    case SCENARIO_DRAIN:
        return enough && k->draining == 0;
    case SCENARIO_LOSE:
    case SCENARIO_SCALE:
    case SCENARIO_RETURN:
    case SCENARIO_ACTIVATE:
    case SCENARIO_RUN:
    case SCENARIO_N_ACTIONS:
        break;
    }
    return enough;
}

/* How many the service's minimumHealthyPercent wants. */
static int64_t floor_of(const struct measure *m, unsigned service)
{
    const struct service_kind *k = &m->out->scenario->services[service];
    return (m->t->kinds[service].desired * k->min_percent + 99) / 100;
}

/* False: it is over. */
static bool look_at_watch(struct measure *m, struct watch *w)
{
    struct outcome_recovery *r = &m->out->recoveries[w->recovery];
    const struct track_kind *k = &m->t->kinds[r->service];
    r->below_ms += w->below ? now(m) - w->since : 0;
    w->since = now(m);
    w->below = k->running < floor_of(m, r->service);
    r->lowest = GT_MIN(r->lowest, k->running);
    if (!is_over(w, k)) {
        r->touched = true;
        return true;
    }
    r->ms = now(m) - w->at;
    return false;
}

static void look_at_watches(struct measure *m)
{
    gt_list_for_each (it, tmp, &m->watches) {
        struct watch *w = gt_list_entry(it, struct watch, link);
        if (!m->t->kinds[m->out->recoveries[w->recovery].service].touched) {
            continue;
        }
        if (!look_at_watch(m, w)) {
            gt_list_remove(&w->link);
            free(w);
        }
    }
}

/* What lacked tasks before, and loses none, does not recover from this. */
static bool affects(const struct measure *m, unsigned service, enum scenario_action action)
{
    const struct track_kind *k = &m->t->kinds[service];
    return action == SCENARIO_LOSE    ? k->running < m->kept[service].running
           : action == SCENARIO_DRAIN ? k->draining > 0
                                      : true;
}

static void watch(struct measure *m, unsigned service, enum scenario_action action)
{
    struct outcome *o = m->out;
    const struct track_kind *k = &m->t->kinds[service];
    o->recoveries =
        grow(o->arena, o->recoveries, o->n_recoveries, &m->cap_recoveries, sizeof *o->recoveries);
    o->recoveries[o->n_recoveries] = (struct outcome_recovery){
        .event = (unsigned)o->n_events - 1,
        .service = service,
        .touched = action == SCENARIO_DEPLOY || action == SCENARIO_SCALE,
        .desired = k->desired,
        .lowest = k->running,
        .floor = floor_of(m, service),
        .ms = affects(m, service, action) ? -1 : 0,
    };
    if (!o->recoveries[o->n_recoveries++].ms) {
        return;
    }
    struct watch *w = gt_new(struct watch);
    *w = (struct watch){
        .recovery = (unsigned)o->n_recoveries - 1, .action = action, .at = now(m), .since = now(m)};
    gt_list_push_back(&m->watches, &w->link);
    m->t->kinds[service].touched = true;
}

static void note(struct measure *m, const struct happening *what, enum scenario_action action,
                 const char *text)
{
    struct outcome *o = m->out;
    o->events = grow(o->arena, o->events, o->n_events, &m->cap_events, sizeof *o->events);
    o->events[o->n_events++] = (struct outcome_event){
        .at = now(m), .what = what, .action = action, .text = gt_arena_strdup(o->arena, text)};
}

void measure_note(struct measure *m, const char *text)
{
    note(m, NULL, SCENARIO_N_ACTIONS, text);
}

void measure_event(struct measure *m, const struct happening *what, enum scenario_action action,
                   const char *text)
{
    note(m, what, action, text);
    if (action == SCENARIO_DEPLOY || action == SCENARIO_SCALE) {
        watch(m, what->service, action);
    } else if (action == SCENARIO_LOSE || action == SCENARIO_DRAIN) {
        for (unsigned i = 0; i < m->t->n_services; i++) {
            watch(m, i, action);
        }
    }
}

void measure_stepped(struct measure *m)
{
    look_at_watches(m);
    for (size_t i = 0; i < m->t->n_kinds; i++) {
        if (m->t->kinds[i].touched && i < m->t->n_services) {
            look_at_service(m, i);
        }
        m->t->kinds[i].touched = false;
    }
}

/* ---- samples ---- */

static void add(struct sum *s, double share)
{
    s->min = s->n ? GT_MIN(s->min, share) : share;
    s->max = GT_MAX(s->max, share);
    s->sum += share;
    s->n++;
}

static struct use use_of(const struct sum *s)
{
    return (struct use){.min = s->min, .mean = s->n ? s->sum / (double)s->n : 0, .max = s->max};
}

struct amounts {
    int64_t cpu, memory, cpu_used, memory_used;
};

static void sample_zone(struct measure *m, size_t zone, const struct amounts *of)
{
    struct outcome_zone *z = zone < m->out->fleet->n_zones ? &m->out->zones[zone] : &m->out->all;
    size_t at = m->out->n_samples;
    z->series_cpu[at] = z->series_memory[at] = -1;
    if (of->cpu) {
        double cpu = (double)of->cpu_used / (double)of->cpu;
        double memory = (double)of->memory_used / (double)of->memory;
        add(&m->zone_cpu[zone], cpu);
        add(&m->zone_memory[zone], memory);
        z->series_cpu[at] = (float)cpu;
        z->series_memory[at] = (float)memory;
    }
}

static void sample_nodes(struct measure *m)
{
    const struct machines *f = m->out->fleet;
    gt_auto_free struct amounts *zones = gt_new_array(struct amounts, f->n_zones + 1);
    struct amounts *all = &zones[f->n_zones];
    for (size_t i = 0; i < f->n_nodes; i++) {
        const struct track_node *n = &m->t->nodes[i];
        const struct node_group *g = f->nodes[i].group;
        if (!n->up) {
            continue;
        }
        add(&m->node_cpu[i], (double)n->cpu / (double)g->cpu);
        add(&m->node_memory[i], (double)n->memory / (double)g->memory);
        m->out->nodes[i].most_tasks = GT_MAX(m->out->nodes[i].most_tasks, n->live);
        struct amounts *to[] = {&zones[f->nodes[i].zone], all};
        for (size_t k = 0; k < GT_ARRAY_LEN(to); k++) {
            to[k]->cpu += g->cpu;
            to[k]->memory += g->memory;
            to[k]->cpu_used += n->cpu;
            to[k]->memory_used += n->memory;
        }
    }
    for (size_t i = 0; i <= f->n_zones; i++) {
        sample_zone(m, i, &zones[i]);
    }
}

/* What each of a service's tasks has to do. */
static void sample_load(struct measure *m, const struct load *l)
{
    struct outcome_service *s = &m->out->services[l->service];
    double value = load_value(l, now(m));
    int64_t running = m->t->kinds[l->service].running;
    if (l->requests_per_task <= 0 || value <= 0) {
        return;
    }
    s->unserved_ms += running ? 0 : m->out->sample_every;
    double each = value / (double)GT_MAX(running, (int64_t)1);
    s->busiest = running ? GT_MAX(s->busiest, each) : s->busiest;
    s->overloaded_ms += each > l->requests_per_task * 1.000001 ? m->out->sample_every : 0;
}

void measure_sample(struct measure *m)
{
    struct outcome *o = m->out;
    o->sampled[o->n_samples] = now(m);
    for (size_t i = 0; i < m->t->n_services; i++) {
        o->services[i].series_running[o->n_samples] = (int32_t)m->t->kinds[i].running;
        o->services[i].series_desired[o->n_samples] = (int32_t)m->t->kinds[i].desired;
    }
    sample_nodes(m);
    for (size_t i = 0; i < o->scenario->n_loads; i++) {
        sample_load(m, &o->scenario->loads[i]);
    }
    o->n_samples++;
}

/* ---- beginning and end ---- */

void measure_begin(struct measure *m)
{
    m->begin = m->t->w->now;
    for (size_t i = 0; i < m->t->n_services; i++) {
        const struct track_kind *k = &m->t->kinds[i];
        struct outcome_service *s = &m->out->services[i];
        s->lowest = s->highest = k->running;
        s->started = -k->started;
        m->kept[i] = (struct kept){
            .running = k->running, .is_short = k->running < k->desired, .waits = k->waits};
    }
}

static void count_placed(void *arg, unsigned kind, unsigned node)
{
    const struct measure *m = arg;
    if (kind < m->t->n_services) {
        m->out->placed[node * m->t->n_services + kind]++;
        m->out->services[kind].in_zone[m->out->fleet->nodes[node].zone]++;
    }
}

static void end_service(struct measure *m, size_t i)
{
    struct outcome_service *s = &m->out->services[i];
    look_at_service(m, i);
    s->desired = m->t->kinds[i].desired;
    s->running = m->t->kinds[i].running;
    s->started += m->t->kinds[i].started;
}

void measure_end(struct measure *m)
{
    struct outcome *o = m->out;
    size_t services = m->t->n_services;
    gt_list_for_each (it, tmp, &m->watches) {
        (void)look_at_watch(m, gt_list_entry(it, struct watch, link));
    }
    for (size_t i = 0; i < services; i++) {
        end_service(m, i);
    }
    for (size_t i = 0; i < o->n_jobs; i++) {
        o->jobs[i].ended = m->t->kinds[services + i].ended;
    }
    o->placed = gt_arena_array(o->arena, uint32_t, o->fleet->n_nodes * services + 1);
    track_each(m->t, count_placed, m);
    for (size_t i = 0; i < o->fleet->n_nodes; i++) {
        o->nodes[i].cpu = use_of(&m->node_cpu[i]);
        o->nodes[i].memory = use_of(&m->node_memory[i]);
        o->nodes[i].tasks = m->t->nodes[i].live;
    }
    for (size_t i = 0; i <= o->fleet->n_zones; i++) {
        struct outcome_zone *z = i < o->fleet->n_zones ? &o->zones[i] : &o->all;
        z->cpu = use_of(&m->zone_cpu[i]);
        z->memory = use_of(&m->zone_memory[i]);
    }
}
