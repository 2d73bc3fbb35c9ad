/* The outcomes as JSON; docs/simulate.md describes it. Times are ms, shares 0 to 1. */
#include "control/simulate/report.h"
#include "lib/base/mem.h"
#include "lib/wire/json.h"

#include <math.h>

/* A writer that knows where commas go. */
struct out {
    struct gt_buf *b;
    bool first;
};

static void next(struct out *j)
{
    if (!j->first) {
        gt_buf_putc(j->b, ',');
    }
    j->first = false;
}

static void key(struct out *j, const char *name)
{
    next(j);
    wire_json_string(j->b, gt_str(name));
    gt_buf_putc(j->b, ':');
}

static void open(struct out *j, const char *name, char bracket)
{
    if (name) {
        key(j, name);
    } else {
        next(j);
    }
    gt_buf_putc(j->b, bracket);
    j->first = true;
}

static void end(struct out *j, char bracket)
{
    gt_buf_putc(j->b, bracket);
    j->first = false;
}

static void put_int(struct out *j, const char *name, int64_t v)
{
    key(j, name);
    gt_buf_int(j->b, v);
}

static void put_text(struct out *j, const char *name, struct gt_str v)
{
    key(j, name);
    wire_json_string(j->b, v);
}

static void put_bool(struct out *j, const char *name, bool v)
{
    key(j, name);
    gt_buf_puts(j->b, v ? "true" : "false");
}

static void number(struct out *j, double v)
{
    gt_buf_printf(j->b, "%.6g", v);
}

static void put_use(struct out *j, const char *name, const struct use *u)
{
    open(j, name, '{');
    key(j, "min");
    number(j, u->min);
    key(j, "mean");
    number(j, u->mean);
    key(j, "max");
    number(j, u->max);
    end(j, '}');
}

/* ---- one run ---- */

static void put_unplaced(struct out *j, const struct outcome_unplaced *u)
{
    open(j, "unplaced", '{');
    put_int(j, "most", u->missing);
    put_int(j, "atMs", u->at);
    put_int(j, "forMs", u->ms);
    open(j, "refusals", '{');
    for (int i = 0; i < OUTCOME_REFUSALS; i++) {
        if (u->nodes[i]) {
            put_int(j, sched_refusal_reason((enum sched_refusal)i), (int64_t)u->nodes[i]);
        }
    }
    end(j, '}');
    if (u->closest) {
        put_text(j, "closest", gt_str(u->closest));
        put_text(j, "lacks", gt_str(u->lacks));
    }
    if (u->closest && u->change[0]) {
        put_text(j, "oneWouldFit", gt_str(u->change));
    }
    if (u->more) {
        put_text(j, "allWouldFit", gt_str(u->more));
    }
    end(j, '}');
}

static void put_service(struct out *j, const struct outcome *o, size_t i)
{
    const struct outcome_service *s = &o->services[i];
    const struct load *l = load_of(o->scenario, i);
    open(j, NULL, '{');
    put_text(j, "name", o->scenario->services[i].task.name);
    put_int(j, "desired", s->desired);
    put_int(j, "running", s->running);
    put_int(j, "lowest", s->lowest);
    put_int(j, "highest", s->highest);
    put_int(j, "shortMs", s->short_ms);
    put_int(j, "started", s->started);
    if (l && l->requests_per_task > 0) {
        key(j, "busiestTask");
        number(j, s->busiest);
        put_int(j, "overloadedMs", s->overloaded_ms);
        put_int(j, "unservedMs", s->unserved_ms);
    }
    open(j, "placements", '{');
    for (size_t z = 0; z < o->fleet->n_zones; z++) {
        put_int(j, gt_arena_str(o->arena, o->fleet->zones[z]), (int64_t)s->in_zone[z]);
    }
    end(j, '}');
    put_unplaced(j, &s->unplaced);
    end(j, '}');
}

static void put_event(struct out *j, const struct outcome_event *e)
{
    open(j, NULL, '{');
    put_int(j, "atMs", e->at);
    put_text(j, "action", gt_str(e->what ? scenario_action_word(e->action) : "brake"));
    put_text(j, "what", gt_str(e->text));
    end(j, '}');
}

static void put_recovery(struct out *j, const struct outcome *o, const struct outcome_recovery *r)
{
    open(j, NULL, '{');
    put_int(j, "event", r->event);
    put_text(j, "service", o->scenario->services[r->service].task.name);
    key(j, "recoveredMs");
    if (r->ms < 0) {
        gt_buf_puts(j->b, "null");
    } else {
        gt_buf_int(j->b, r->ms);
    }
    put_int(j, "desired", r->desired);
    put_int(j, "lowest", r->lowest);
    put_int(j, "minimum", r->floor);
    put_int(j, "belowMinimumMs", r->below_ms);
    end(j, '}');
}

static void put_job(struct out *j, const struct outcome_job *job)
{
    open(j, NULL, '{');
    put_text(j, "name", job->what->task.name);
    put_int(j, "tasks", job->asked);
    put_int(j, "placed", job->placed);
    put_int(j, "ended", job->ended);
    put_int(j, "givenUp", job->given_up);
    put_int(j, "longestWaitMs", job->longest_wait);
    put_unplaced(j, &job->unplaced);
    end(j, '}');
}

static void put_zone(struct out *j, const char *name, const struct outcome_zone *z)
{
    open(j, NULL, '{');
    if (name) {
        put_text(j, "name", gt_str(name));
    }
    put_int(j, "nodes", (int64_t)z->nodes);
    put_use(j, "cpu", &z->cpu);
    put_use(j, "memory", &z->memory);
    end(j, '}');
}

static void put_node(struct out *j, const struct outcome *o, size_t i)
{
    const struct outcome_node *n = &o->nodes[i];
    size_t services = o->scenario->n_services;
    open(j, NULL, '{');
    put_text(j, "name", gt_str(o->fleet->nodes[i].name));
    put_text(j, "zone", o->fleet->zones[o->fleet->nodes[i].zone]);
    put_use(j, "cpu", &n->cpu);
    put_use(j, "memory", &n->memory);
    put_int(j, "tasks", n->tasks);
    put_int(j, "mostTasks", n->most_tasks);
    open(j, "placements", '{');
    for (size_t k = 0; k < services; k++) {
        if (o->placed[i * services + k]) {
            put_int(j, gt_arena_str(o->arena, o->scenario->services[k].task.name),
                    o->placed[i * services + k]);
        }
    }
    end(j, '}');
    end(j, '}');
}

/* ---- samples ---- */

static void put_counts(struct out *j, const char *name, const int32_t *v, size_t n)
{
    open(j, name, '[');
    for (size_t i = 0; i < n; i++) {
        next(j);
        gt_buf_int(j->b, v[i]);
    }
    end(j, ']');
}

static void put_shares(struct out *j, const char *name, const float *v, size_t n)
{
    open(j, name, '[');
    for (size_t i = 0; i < n; i++) {
        next(j);
        if (v[i] < 0) {
            gt_buf_puts(j->b, "null");
        } else {
            gt_buf_printf(j->b, "%.4g", (double)v[i]);
        }
    }
    end(j, ']');
}

static void put_samples(struct out *j, const struct outcome *o)
{
    open(j, "samples", '{');
    open(j, "atMs", '[');
    for (size_t i = 0; i < o->n_samples; i++) {
        next(j);
        gt_buf_int(j->b, o->sampled[i]);
    }
    end(j, ']');
    open(j, "services", '{');
    for (size_t i = 0; i < o->scenario->n_services; i++) {
        open(j, gt_arena_str(o->arena, o->scenario->services[i].task.name), '{');
        put_counts(j, "desired", o->services[i].series_desired, o->n_samples);
        put_counts(j, "running", o->services[i].series_running, o->n_samples);
        end(j, '}');
    }
    end(j, '}');
    open(j, "zones", '{');
    for (size_t i = 0; i < o->fleet->n_zones; i++) {
        open(j, gt_arena_str(o->arena, o->fleet->zones[i]), '{');
        put_shares(j, "cpu", o->zones[i].series_cpu, o->n_samples);
        put_shares(j, "memory", o->zones[i].series_memory, o->n_samples);
        end(j, '}');
    }
    end(j, '}');
    end(j, '}');
}

static void put_run(struct out *j, const struct outcome *o)
{
    open(j, NULL, '{');
    put_int(j, "seed", (int64_t)o->seed);
    put_bool(j, "settled", o->settled);
    put_int(j, "settledMs", o->settled_ms);
    open(j, "services", '[');
    for (size_t i = 0; i < o->scenario->n_services; i++) {
        put_service(j, o, i);
    }
    end(j, ']');
    open(j, "events", '[');
    for (size_t i = 0; i < o->n_events; i++) {
        put_event(j, &o->events[i]);
    }
    end(j, ']');
    open(j, "recoveries", '[');
    for (size_t i = 0; i < o->n_recoveries; i++) {
        if (o->recoveries[i].touched) {
            put_recovery(j, o, &o->recoveries[i]);
        }
    }
    end(j, ']');
    open(j, "jobs", '[');
    for (size_t i = 0; i < o->n_jobs; i++) {
        put_job(j, &o->jobs[i]);
    }
    end(j, ']');
    key(j, "fleet");
    j->first = true;
    put_zone(j, NULL, &o->all);
    open(j, "zones", '[');
    for (size_t i = 0; i < o->fleet->n_zones; i++) {
        put_zone(j, gt_arena_str(o->arena, o->fleet->zones[i]), &o->zones[i]);
    }
    end(j, ']');
    open(j, "nodes", '[');
    for (size_t i = 0; i < o->fleet->n_nodes; i++) {
        put_node(j, o, i);
    }
    end(j, ']');
    put_samples(j, o);
    end(j, '}');
}

/* ---- over all seeds ---- */

static double recovered(const struct outcome *o, size_t i)
{
    return o->recoveries[i].ms < 0 ? INFINITY : (double)o->recoveries[i].ms;
}

static double lowest(const struct outcome *o, size_t i)
{
    return (double)o->recoveries[i].lowest;
}

static double below(const struct outcome *o, size_t i)
{
    return (double)o->recoveries[i].below_ms;
}

static void put_spread(struct out *j, const char *name, struct spread s)
{
    const struct {
        const char *name;
        double v;
    } parts[] = {{"min", s.min}, {"median", s.median}, {"max", s.max}};
    open(j, name, '{');
    for (size_t i = 0; i < GT_ARRAY_LEN(parts); i++) {
        key(j, parts[i].name);
        if (isinf(parts[i].v)) {
            gt_buf_puts(j->b, "null");
        } else {
            gt_buf_printf(j->b, "%.0f", parts[i].v);
        }
    }
    end(j, '}');
}

static void put_summary(struct out *j, const struct outcome *const *o, size_t n)
{
    open(j, "recoveries", '[');
    for (size_t i = 0; i < o[0]->n_recoveries; i++) {
        bool touched = false;
        for (size_t k = 0; k < n; k++) {
            touched = touched || o[k]->recoveries[i].touched;
        }
        if (!touched) {
            continue;
        }
        const struct outcome_recovery *r = &o[0]->recoveries[i];
        open(j, NULL, '{');
        put_int(j, "event", r->event);
        put_text(j, "what", gt_str(o[0]->events[r->event].text));
        put_text(j, "service", o[0]->scenario->services[r->service].task.name);
        put_spread(j, "recoveredMs", report_spread(o, n, recovered, i));
        put_spread(j, "lowest", report_spread(o, n, lowest, i));
        put_spread(j, "belowMinimumMs", report_spread(o, n, below, i));
        end(j, '}');
    }
    end(j, ']');
}

void report_json(const struct outcome *const *o, size_t n, struct gt_buf *to)
{
    struct out j = {.b = to, .first = true};
    open(&j, NULL, '{');
    put_text(&j, "scenario", gt_str(o[0]->scenario->name));
    put_int(&j, "durationMs", o[0]->scenario->duration);
    put_summary(&j, o, n);
    open(&j, "runs", '[');
    for (size_t i = 0; i < n; i++) {
        put_run(&j, o[i]);
    }
    end(&j, ']');
    end(&j, '}');
    gt_buf_putc(to, '\n');
}
