#include "control/simulate/scenario.h"

#include "control/services/agent/detector.h"

#include "lib/base/mem.h"
#include "lib/base/table.h"

#include <math.h>
#include <stdio.h>

#define DAY_MS 86400000LL

const char *scenario_action_word(enum scenario_action action)
{
    static const char *const words[] = {
#define X(name, word) word,
        SCENARIO_ACTIONS(X)
#undef X
    };
    GT_ASSERT(action < SCENARIO_N_ACTIONS);
    return words[action];
}

void scenario_init(struct scenario *s, const char *name)
{
    static const struct detector_options usual = DETECTOR_OPTIONS_DEFAULT;
    *s = (struct scenario){.name = name,
                           .seed = 1,
                           .repeat = 1,
                           .lost_after = usual.lost_after_ms,
                           .brake_percent = usual.brake_percent,
                           .brake_window = usual.brake_window_ms};
}

/* ---- load ---- */

const struct load *load_of(const struct scenario *s, size_t service)
{
    for (size_t i = 0; i < s->n_loads; i++) {
        if (s->loads[i].service == service) {
            return &s->loads[i];
        }
    }
    return NULL;
}

double load_value(const struct load *l, int64_t at)
{
    if (l->daily) {
        double turn = 2 * M_PI * (double)((at - l->high_at) % DAY_MS) / (double)DAY_MS;
        return l->low + (l->high - l->low) * (1 + cos(turn)) / 2;
    }
    size_t i = 0;
    while (i < l->n_points && l->points[i].at <= at) {
        i++;
    }
    if (i == 0 || i == l->n_points || l->steps) {
        return l->points[i ? i - 1 : 0].value;
    }
    const struct load_point *from = &l->points[i - 1], *to = &l->points[i];
    double part = (double)(at - from->at) / (double)(to->at - from->at);
    return from->value + (to->value - from->value) * part;
}

int64_t load_desired(const struct load *l, int64_t at)
{
    double tasks = load_value(l, at) / (l->requests_per_task > 0 ? l->requests_per_task : 1);
    /* Not one more for what is only a rounding of the arithmetic. */
    int64_t n = (int64_t)ceil(GT_MIN(tasks, 1e9) - 1e-6);
    return GT_MIN(GT_MAX(n, l->minimum), l->maximum);
}

/* ---- what only the whole can say ---- */

int scenario_wrong(const struct scenario *s, struct place_said at, struct gt_err *err,
                   const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!at.line) {
        return gt_err_set(err, GT_ERR_INVALID, "%s: %s", s->name, text);
    }
    return gt_err_set(err, GT_ERR_INVALID, "%s:%u:%u: %s", s->name, at.line, at.column, text);
}

struct gt_str node_group_zone(const struct node_group *g, int64_t i)
{
    return g->zones.n ? g->zones.v[(size_t)i % g->zones.n] : GT_STR_LIT(SCENARIO_ZONE);
}

void node_group_name(const struct node_group *g, int64_t i, char to[static SCENARIO_NAME_MAX])
{
    int n = g->numbered ? snprintf(to, SCENARIO_NAME_MAX, GT_STR_FMT "-%lld", GT_STR_ARG(g->name),
                                   (long long)i + 1)
                        : snprintf(to, SCENARIO_NAME_MAX, GT_STR_FMT, GT_STR_ARG(g->name));
    GT_ASSERT(n < SCENARIO_NAME_MAX);
}

bool target_has(const struct target *t, const struct node_group *g, int64_t i)
{
    if (t->zone.n) {
        return gt_str_eq(t->zone, node_group_zone(g, i));
    }
    if (t->group.n) {
        return gt_str_eq(t->group, g->name) && (!t->count || i < t->count);
    }
    char name[SCENARIO_NAME_MAX];
    node_group_name(g, i, name);
    for (size_t k = 0; k < t->nodes.n; k++) {
        if (gt_str_is(t->nodes.v[k], name)) {
            return true;
        }
    }
    return false;
}

static int check_nodes(const struct scenario *s, struct gt_table *names, struct gt_err *err)
{
    int64_t total = 0;
    for (size_t k = 0; k < s->n_nodes; k++) {
        const struct node_group *g = &s->nodes[k];
        total += g->count;
        if (total > SCENARIO_NODES_MAX) {
            return scenario_wrong(s, g->said, err, "more than %d nodes in all", SCENARIO_NODES_MAX);
        }
        for (int64_t i = 0; i < g->count; i++) {
            char name[SCENARIO_NAME_MAX];
            node_group_name(g, i, name);
            if (gt_table_put(names, gt_str(name), (void *)g)) {
                return scenario_wrong(s, g->said, err, "a second node '%s'", name);
            }
        }
    }
    return 0;
}

/* The most tasks that it is to have at one time. */
static int64_t peak(const struct scenario *s, size_t service)
{
    int64_t most = s->services[service].desired;
    const struct load *l = load_of(s, service);
    for (size_t k = 0; l && k < l->n_points; k++) {
        most = GT_MAX(most, load_desired(l, l->points[k].at));
    }
    if (l && l->daily) {
        most = GT_MAX(most, load_desired(l, l->high_at));
    }
    for (size_t i = 0; i < s->n_events; i++) {
        if (s->events[i].action == SCENARIO_SCALE && s->events[i].service == service) {
            most = GT_MAX(most, s->events[i].desired);
        }
    }
    return most;
}

/* Services and jobs: each is a family of task definitions. */
static int check_name(const struct scenario *s, const struct task_kind *t, struct gt_table *names,
                      struct gt_err *err)
{
    if (gt_table_put(names, t->name, (void *)t)) {
        return scenario_wrong(s, t->said, err, "a second service or job '" GT_STR_FMT "'",
                              GT_STR_ARG(t->name));
    }
    return 0;
}

static int check_services(const struct scenario *s, struct gt_table *names, struct gt_err *err)
{
    int64_t total = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < s->n_services; i++) {
        const struct task_kind *t = &s->services[i].task;
        r = check_name(s, t, names, err);
        total += peak(s, i);
        if (r == 0 && total > SCENARIO_TASKS_MAX) {
            r = scenario_wrong(s, t->said, err, "more than %d tasks in all", SCENARIO_TASKS_MAX);
        }
    }
    for (size_t i = 0; r == 0 && i < s->n_events; i++) {
        if (s->events[i].action == SCENARIO_RUN) {
            r = check_name(s, &s->events[i].task, names, err);
        }
    }
    return r;
}

static int check_target(const struct scenario *s, const struct happening *h,
                        const struct gt_table *nodes, struct gt_err *err)
{
    const struct target *t = &h->target;
    for (size_t i = 0; i < t->nodes.n; i++) {
        if (!gt_table_get(nodes, t->nodes.v[i])) {
            return scenario_wrong(s, h->said, err, "no node '" GT_STR_FMT "'",
                                  GT_STR_ARG(t->nodes.v[i]));
        }
    }
    for (size_t k = 0; k < s->n_nodes; k++) {
        for (int64_t i = 0; i < s->nodes[k].count; i++) {
            if (target_has(t, &s->nodes[k], i)) {
                return 0;
            }
        }
    }
    struct gt_str name = t->zone.n ? t->zone : t->group;
    return scenario_wrong(s, h->said, err, "no node is in %s '" GT_STR_FMT "'",
                          t->zone.n ? "zone" : "group", GT_STR_ARG(name));
}

int64_t happening_times(const struct scenario *s, const struct happening *h)
{
    return h->every ? (s->duration - h->at) / h->every + 1 : 1;
}

static int check_events(const struct scenario *s, const struct gt_table *nodes, struct gt_err *err)
{
    int64_t all = 0;
    for (size_t i = 0; i < s->n_events; i++) {
        const struct happening *h = &s->events[i];
        if (h->at > s->duration) {
            return scenario_wrong(s, h->said, err, "an event after the scenario's end");
        }
        all += happening_times(s, h);
        if (all > SCENARIO_HAPPENINGS_MAX) {
            return scenario_wrong(s, h->said, err,
                                  "more than %d events, with those that come again",
                                  SCENARIO_HAPPENINGS_MAX);
        }
        int r = h->action <= SCENARIO_ACTIVATE ? check_target(s, h, nodes, err) : 0;
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int scenario_check(const struct scenario *s, struct gt_err *err)
{
    struct gt_table nodes, services;
    gt_table_init(&nodes);
    gt_table_init(&services);
    int r = check_nodes(s, &nodes, err);
    r = r < 0 ? r : check_services(s, &services, err);
    r = r < 0 ? r : check_events(s, &nodes, err);
    if (r == 0 && s->sample_every && s->duration / s->sample_every > SCENARIO_SAMPLES_MAX) {
        r = scenario_wrong(s, (struct place_said){0}, err, "sampleEvery makes more than %d samples",
                           SCENARIO_SAMPLES_MAX);
    }
    gt_table_fini(&nodes);
    gt_table_fini(&services);
    return r;
}
