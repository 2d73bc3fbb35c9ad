#include "control/simulate/grid.h"
#include "control/simulate/report.h"
#include "lib/base/mem.h"

#include <stdio.h>

struct table {
    const struct outcome *const *o; /* one for each seed */
    size_t n;
    const struct scenario *s;
    const struct machines *f;
    struct gt_buf *to;
};

typedef double value_fn(const struct outcome *o, size_t i);

/* ---- cells ---- */

enum unit { COUNT, PERCENT, TIME, RATE };

static void put_value(double v, enum unit unit, struct gt_buf *b)
{
    switch (unit) {
    case COUNT:
        gt_buf_printf(b, "%.0f", v);
        break;
    case PERCENT:
        gt_buf_printf(b, "%.0f%%", v * 100);
        break;
    case RATE:
        gt_buf_printf(b, "%.1f", v);
        break;
    case TIME:
        if (v >= 1e18) {
            gt_buf_puts(b, "not by the end");
        } else if (v == 0) {
            gt_buf_puts(b, "-");
        } else {
            report_time((int64_t)v, b);
        }
        break;
    }
}

/* "48.3s", or over several seeds "48.3s (44.0s..1m02s)". */
static void cell(const struct table *t, struct grid *g, value_fn *value, size_t i, enum unit unit)
{
    struct spread s = report_spread(t->o, t->n, value, i);
    gt_auto_buf struct gt_buf mid = GT_BUF_INIT(100), low = GT_BUF_INIT(100),
                              high = GT_BUF_INIT(100);
    put_value(s.median, unit, &mid);
    put_value(s.min, unit, &low);
    put_value(s.max, unit, &high);
    if (gt_streq(low.p, high.p)) {
        grid_cell(g, "%s", mid.p);
    } else {
        grid_cell(g, "%s (%s..%s)", mid.p, low.p, high.p);
    }
}

/* Nothing, where only the headings are there. */
static void print_grid(const struct table *t, struct grid *g)
{
    if (g->at > g->columns) {
        gt_buf_putc(t->to, '\n');
        grid_print(g, t->to);
    }
    grid_fini(g);
}

static const char *clock_text(struct gt_buf *b, int64_t ms)
{
    gt_buf_reset(b);
    report_time(ms, b);
    return b->p;
}

/* ---- services ---- */

#define OF_SERVICE(name, member)                                                                   \
    static double name(const struct outcome *o, size_t i)                                          \
    {                                                                                              \
        return (double)o->services[i].member;                                                      \
    }
OF_SERVICE(service_desired, desired)
OF_SERVICE(service_running, running)
OF_SERVICE(service_lowest, lowest)
OF_SERVICE(service_highest, highest)
OF_SERVICE(service_short, short_ms)
OF_SERVICE(service_started, started)
OF_SERVICE(service_busiest, busiest)
OF_SERVICE(service_overloaded, overloaded_ms)

/* i: service * zones + zone */
static double in_zone(const struct outcome *o, size_t i)
{
    return (double)o->services[i / o->fleet->n_zones].in_zone[i % o->fleet->n_zones];
}

enum { ZONES_SHOWN = 12 };

static void services(const struct table *t)
{
    static const char *const fixed[] = {"<SERVICE", "DESIRED",   "RUNNING", "LOWEST",
                                        "HIGHEST",  "SHORT FOR", "STARTED"};
    enum { FIXED = GT_ARRAY_LEN(fixed) };
    const char *headings[FIXED + ZONES_SHOWN + 1] = {0};
    char names[ZONES_SHOWN][80];
    size_t zones = t->f->n_zones <= ZONES_SHOWN ? t->f->n_zones : 0;
    memcpy(headings, fixed, sizeof fixed);
    for (size_t i = 0; i < zones; i++) {
        snprintf(names[i], sizeof names[i], "IN " GT_STR_FMT, GT_STR_ARG(t->f->zones[i]));
        headings[FIXED + i] = names[i];
    }
    static value_fn *const values[] = {service_desired, service_running, service_lowest,
                                       service_highest, service_short,   service_started};
    static const enum unit units[] = {COUNT, COUNT, COUNT, COUNT, TIME, COUNT};
    struct grid g;
    grid_init(&g, headings);
    for (size_t i = 0; i < t->s->n_services; i++) {
        grid_cell(&g, GT_STR_FMT, GT_STR_ARG(t->s->services[i].task.name));
        for (size_t k = 0; k < GT_ARRAY_LEN(values); k++) {
            cell(t, &g, values[k], i, units[k]);
        }
        for (size_t k = 0; k < zones; k++) {
            cell(t, &g, in_zone, i * t->f->n_zones + k, COUNT);
        }
    }
    print_grid(t, &g);
}

static void loads(const struct table *t)
{
    static const char *const headings[] = {"<LOAD", "REQUESTS/S A TASK", "AT MOST",
                                           "OVERLOADED FOR", NULL};
    struct grid g;
    grid_init(&g, headings);
    for (size_t i = 0; i < t->s->n_loads; i++) {
        const struct load *l = &t->s->loads[i];
        if (l->requests_per_task > 0) {
            grid_cell(&g, GT_STR_FMT, GT_STR_ARG(t->s->services[l->service].task.name));
            grid_cell(&g, "%.6g", l->requests_per_task);
            cell(t, &g, service_busiest, l->service, RATE);
            cell(t, &g, service_overloaded, l->service, TIME);
        }
    }
    print_grid(t, &g);
}

/* ---- events ---- */

#define OF_RECOVERY(name, expression)                                                              \
    static double name(const struct outcome *o, size_t i)                                          \
    {                                                                                              \
        const struct outcome_recovery *r = &o->recoveries[i];                                      \
        return (double)(expression);                                                               \
    }
OF_RECOVERY(recovery_ms, r->ms < 0 ? 1e18 : (double)r->ms)
OF_RECOVERY(recovery_desired, r->desired)
OF_RECOVERY(recovery_lowest, r->lowest)
OF_RECOVERY(recovery_floor, r->floor)
OF_RECOVERY(recovery_below, r->below_ms)

static bool touched(const struct table *t, size_t recovery)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->o[i]->recoveries[recovery].touched) {
            return true;
        }
    }
    return false;
}

enum { EVENTS_SHOWN = 60 };

/* The event's line, and one more for each other service that it touched. */
static void event(const struct table *t, struct grid *g, size_t at)
{
    const struct outcome *o = t->o[0];
    gt_auto_buf struct gt_buf when = GT_BUF_INIT(100);
    size_t lines = 0;
    for (size_t i = 0; i < o->n_recoveries; i++) {
        const struct outcome_recovery *r = &o->recoveries[i];
        if (r->event != at || !touched(t, i)) {
            continue;
        }
        grid_cell(g, "%s", lines ? "" : clock_text(&when, o->events[at].at));
        grid_cell(g, "%s", lines++ ? "" : o->events[at].text);
        grid_cell(g, GT_STR_FMT, GT_STR_ARG(t->s->services[r->service].task.name));
        cell(t, g, recovery_ms, i, TIME);
        cell(t, g, recovery_lowest, i, COUNT);
        cell(t, g, recovery_desired, i, COUNT);
        cell(t, g, recovery_floor, i, COUNT);
        cell(t, g, recovery_below, i, TIME);
    }
    if (!lines) {
        grid_cell(g, "%s", clock_text(&when, o->events[at].at));
        grid_cell(g, "%s", o->events[at].text);
        for (size_t i = 0; i < 6; i++) {
            grid_cell(g, "%s", "");
        }
    }
}

static void events(const struct table *t)
{
    static const char *const headings[] = {"AT",     "<EVENT",  "<SERVICE", "RECOVERED AFTER",
                                           "LOWEST", "DESIRED", "MINIMUM",  "BELOW IT FOR",
                                           NULL};
    size_t n = GT_MIN(t->o[0]->n_events, (size_t)EVENTS_SHOWN);
    struct grid g;
    grid_init(&g, headings);
    for (size_t i = 0; i < n; i++) {
        event(t, &g, i);
    }
    print_grid(t, &g);
    if (n < t->o[0]->n_events) {
        gt_buf_printf(t->to, "... and %zu more events: --format json has all\n",
                      t->o[0]->n_events - n);
    }
}

/* ---- utilisation ---- */

static const struct outcome_zone *zone_of(const struct outcome *o, size_t i)
{
    return i < o->fleet->n_zones ? &o->zones[i] : &o->all;
}

#define OF_ZONE(name, member)                                                                      \
    static double name(const struct outcome *o, size_t i)                                          \
    {                                                                                              \
        return zone_of(o, i)->member;                                                              \
    }
OF_ZONE(zone_cpu_min, cpu.min)
OF_ZONE(zone_cpu_mean, cpu.mean)
OF_ZONE(zone_cpu_max, cpu.max)
OF_ZONE(zone_memory_min, memory.min)
OF_ZONE(zone_memory_mean, memory.mean)
OF_ZONE(zone_memory_max, memory.max)

#define OF_NODE(name, member)                                                                      \
    static double name(const struct outcome *o, size_t i)                                          \
    {                                                                                              \
        return o->nodes[i].member;                                                                 \
    }
OF_NODE(node_cpu_min, cpu.min)
OF_NODE(node_cpu_mean, cpu.mean)
OF_NODE(node_cpu_max, cpu.max)
OF_NODE(node_memory_min, memory.min)
OF_NODE(node_memory_mean, memory.mean)
OF_NODE(node_memory_max, memory.max)

static void uses(const struct table *t, struct grid *g, value_fn *const *values, size_t i)
{
    for (size_t k = 0; k < 6; k++) {
        cell(t, g, values[k], i, PERCENT);
    }
}

/* Of the first seed: the node that was the fullest, and the one that was the emptiest, on average
 * over CPU and memory. */
static size_t extreme(const struct outcome *o, bool fullest)
{
    size_t best = 0;
    for (size_t i = 1; i < o->fleet->n_nodes; i++) {
        double a = o->nodes[i].cpu.mean + o->nodes[i].memory.mean;
        double b = o->nodes[best].cpu.mean + o->nodes[best].memory.mean;
        best = (fullest ? a > b : a < b) ? i : best;
    }
    return best;
}

static void utilisation(const struct table *t)
{
    static const char *const headings[] = {"<RESERVED",  "NODES", "CPU MIN", "MEAN", "MAX",
                                           "MEMORY MIN", "MEAN",  "MAX",     NULL};
    static value_fn *const zone[] = {zone_cpu_min,    zone_cpu_mean,    zone_cpu_max,
                                     zone_memory_min, zone_memory_mean, zone_memory_max};
    static value_fn *const node[] = {node_cpu_min,    node_cpu_mean,    node_cpu_max,
                                     node_memory_min, node_memory_mean, node_memory_max};
    struct grid g;
    grid_init(&g, headings);
    for (size_t i = 0; i < t->f->n_zones && t->f->n_zones > 1; i++) {
        grid_cell(&g, "zone " GT_STR_FMT, GT_STR_ARG(t->f->zones[i]));
        grid_cell(&g, "%zu", t->o[0]->zones[i].nodes);
        uses(t, &g, zone, i);
    }
    grid_cell(&g, "all");
    grid_cell(&g, "%zu", t->f->n_nodes);
    uses(t, &g, zone, t->f->n_zones);
    for (int i = 0; i < 2 && t->f->n_nodes > 1; i++) {
        size_t at = extreme(t->o[0], i == 0);
        grid_cell(&g, "%s node, %s", i ? "emptiest" : "fullest", t->f->nodes[at].name);
        grid_cell(&g, "1");
        uses(t, &g, node, at);
    }
    print_grid(t, &g);
}

/* ---- what did not fit ---- */

static void unplaced(const struct table *t, struct gt_str name, const struct outcome_unplaced *u)
{
    gt_buf_puts(t->to, "  ");
    gt_buf_str(t->to, name);
    gt_buf_printf(t->to, ": at most %lld at once, at ", (long long)u->missing);
    report_time(u->at, t->to);
    if (u->ms) {
        gt_buf_puts(t->to, "; some for ");
        report_time(u->ms, t->to);
        gt_buf_puts(t->to, " in all");
    }
    gt_buf_puts(t->to, "\n    ");
    size_t said = 0;
    for (int i = 0; i < OUTCOME_REFUSALS; i++) {
        if (u->nodes[i]) {
            gt_buf_printf(t->to, "%s%s on %zu node%s", said++ ? ", " : "",
                          sched_refusal_reason((enum sched_refusal)i), u->nodes[i],
                          u->nodes[i] == 1 ? "" : "s");
        }
    }
    gt_buf_puts(t->to, said ? "\n" : "no nodes\n");
    if (u->closest) {
        gt_buf_printf(t->to, "    closest: %s: %s\n", u->closest, u->lacks);
    }
    if (u->closest && u->change[0]) {
        gt_buf_printf(t->to, "    one would fit: %s\n", u->change);
    }
    if (u->more) {
        gt_buf_printf(t->to, "    all would fit: %s\n", u->more);
    }
}

/* Of a service, or behind them of a job. */
static const struct outcome_unplaced *unplaced_of(const struct outcome *o, size_t kind)
{
    size_t services = o->scenario->n_services;
    return kind < services ? &o->services[kind].unplaced : &o->jobs[kind - services].unplaced;
}

/* Of the seed where most did not fit. */
static const struct outcome_unplaced *worst(const struct table *t, size_t kind)
{
    const struct outcome_unplaced *most = unplaced_of(t->o[0], kind);
    for (size_t k = 1; k < t->n; k++) {
        const struct outcome_unplaced *u = unplaced_of(t->o[k], kind);
        most = u->missing > most->missing ? u : most;
    }
    return most;
}

static void all_unplaced(const struct table *t)
{
    bool any = false;
    size_t services = t->s->n_services;
    for (size_t i = 0; i < services + t->o[0]->n_jobs; i++) {
        const struct outcome_unplaced *u = worst(t, i);
        if (u->missing) {
            gt_buf_puts(t->to, any ? "" : "\nTASKS WITHOUT A PLACE\n");
            unplaced(t,
                     i < services ? t->s->services[i].task.name
                                  : t->o[0]->jobs[i - services].what->task.name,
                     u);
            any = true;
        }
    }
    gt_buf_puts(t->to, any ? "" : "\nEvery task had a place.\n");
}

/* ---- jobs ---- */

#define OF_JOB(name, member)                                                                       \
    static double name(const struct outcome *o, size_t i)                                          \
    {                                                                                              \
        return (double)o->jobs[i].member;                                                          \
    }
OF_JOB(job_asked, asked)
OF_JOB(job_placed, placed)
OF_JOB(job_ended, ended)
OF_JOB(job_given_up, given_up)
OF_JOB(job_wait, longest_wait)

static void jobs(const struct table *t)
{
    static const char *const headings[] = {"<JOB",     "TASKS",        "PLACED", "ENDED",
                                           "GIVEN UP", "LONGEST WAIT", NULL};
    struct grid g;
    grid_init(&g, headings);
    for (size_t i = 0; i < t->o[0]->n_jobs; i++) {
        grid_cell(&g, GT_STR_FMT, GT_STR_ARG(t->o[0]->jobs[i].what->task.name));
        cell(t, &g, job_asked, i, COUNT);
        cell(t, &g, job_placed, i, COUNT);
        cell(t, &g, job_ended, i, COUNT);
        cell(t, &g, job_given_up, i, COUNT);
        cell(t, &g, job_wait, i, TIME);
    }
    print_grid(t, &g);
}

/* ---- all of it ---- */

static void heading(const struct table *t)
{
    gt_buf_puts(t->to, t->s->name);
    gt_buf_puts(t->to, ": ");
    report_time(t->s->duration, t->to);
    gt_buf_printf(t->to, ", %zu node%s in %zu zone%s, %zu service%s, seed %llu", t->f->n_nodes,
                  t->f->n_nodes == 1 ? "" : "s", t->f->n_zones, t->f->n_zones == 1 ? "" : "s",
                  t->s->n_services, t->s->n_services == 1 ? "" : "s",
                  (unsigned long long)t->o[0]->seed);
    if (t->n > 1) {
        gt_buf_printf(t->to, " to %llu: median (least..greatest)",
                      (unsigned long long)t->o[t->n - 1]->seed);
    }
    gt_buf_putc(t->to, '\n');
    for (size_t i = 0; i < t->n; i++) {
        if (!t->o[i]->settled) {
            gt_buf_puts(t->to, "Not all services had come up when it began.\n");
            break;
        }
    }
}

void report_table(const struct outcome *const *o, size_t n, struct gt_buf *to)
{
    struct table t = {.o = o, .n = n, .s = o[0]->scenario, .f = o[0]->fleet, .to = to};
    heading(&t);
    services(&t);
    loads(&t);
    events(&t);
    jobs(&t);
    utilisation(&t);
    all_unplaced(&t);
}
