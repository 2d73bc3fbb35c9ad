/* The fields of a scenario's file. */
#include "control/scheduler/scheduler.h"
#include "control/services/ecs/taskdef.h"
#include "control/simulate/fields.h"
#include "control/simulate/scenario.h"
#include "lib/base/mem.h"

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

enum { CPU_MAX = 1048576 /* 1024 cores */, MEMORY_MAX = 33554432 /* 32 TiB */ };
enum { RATE_MAX = 100000000 };

static struct place_said said(const struct doc *v)
{
    return (struct place_said){.line = v->line, .column = v->column};
}

/* 80, or 53/udp: a SCHED_PORT. */
static int port_read(struct reader *r, const char *where, const struct doc *v,
                     const struct field *f, void *to)
{
    static const struct field bounds = {.low = 1, .high = 65535};
    const char *slash = v->kind == DOC_TEXT ? strchr(v->text.p, '/') : NULL;
    if (!slash || !gt_streq(slash, "/udp")) {
        return field_int(r, where, v, &bounds, to);
    }
    struct doc number = *v;
    number.text = gt_str(gt_arena_str(r->arena, gt_str_n(v->text.p, (size_t)(slash - v->text.p))));
    int rc = field_int(r, where, &number, &bounds, to);
    *(int64_t *)to = SCHED_PORT(*(int64_t *)to, true);
    return rc;
}

static int ports_read(struct reader *r, const char *where, const struct doc *v,
                      const struct field *f, void *to)
{
    struct ports *p = to;
    int rc = field_list(r, where, v, f, sizeof *p->v, &p->v, &p->n);
    int64_t *at = p->v;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next) {
        rc = port_read(r, where, one, f, at++);
    }
    return rc;
}

/* ---- nodes ---- */

static int attributes_read(struct reader *r, const char *where, const struct doc *v,
                           const struct field *f, void *to)
{
    struct node_group *g = to;
    if (v->kind != DOC_MAP || (int64_t)v->n > f->high) {
        return field_wrong(r, where, v, "must be a mapping of at most %lld names to values",
                           (long long)f->high);
    }
    static const struct field value = {.high = 128};
    g->attributes = gt_arena_array(r->arena, struct attribute, v->n + 1);
    for (const struct doc *one = v->first; one; one = one->next) {
        struct attribute *a = &g->attributes[g->n_attributes++];
        int rc = field_text(r, where, one->key, &value, &a->name);
        if (rc == 0 && one->kind == DOC_TEXT && !one->text.n) {
            a->value = one->text; /* a name alone is an attribute, too */
        } else {
            rc = rc < 0 ? rc : field_text(r, where, one, &value, &a->value);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int count_read(struct reader *r, const char *where, const struct doc *v,
                      const struct field *f, void *to)
{
    struct node_group *g = to;
    g->numbered = true;
    return field_int(r, where, v, f, &g->count);
}

static const struct field NODE_FIELDS[] = {
    {"name", field_name, offsetof(struct node_group, name), .required = true},
    {"count", count_read, 0, .low = 1, .high = SCENARIO_NODES_MAX},
    {"zones", field_names, offsetof(struct node_group, zones), .low = 1, .high = 100},
    {"cpu", field_cpu, offsetof(struct node_group, cpu), true, 1, CPU_MAX},
    {"memory", field_memory, offsetof(struct node_group, memory), true, 1, MEMORY_MAX},
    {"attributes", attributes_read, 0, .high = 100},
    {"reservedPorts", ports_read, offsetof(struct node_group, reserved_ports), .high = 200},
    {0},
};

static int nodes_read(struct reader *r, const char *where, const struct doc *v,
                      const struct field *f, void *to)
{
    struct scenario *s = to;
    size_t first = s->n_nodes;
    int rc = field_list(r, where, v, f, sizeof *s->nodes, &s->nodes, &s->n_nodes);
    struct node_group *g = s->nodes + first;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next, g++) {
        *g = (struct node_group){.count = 1, .said = said(one)};
        rc = fields_read(r, where, one, NODE_FIELDS, g);
    }
    return rc;
}

/* ---- what a task is ---- */

static const char *const STRATEGIES[] = {"random", "spread", "binpack", NULL};
static const struct field STRATEGY_FIELDS[] = {
    {"type", field_word, offsetof(struct strategy, type), true, .more = STRATEGIES},
    {"field", field_text, offsetof(struct strategy, field), .high = 255},
    {0},
};

static int strategies_read(struct reader *r, const char *where, const struct doc *v,
                           const struct field *f, void *to)
{
    struct task_kind *k = to;
    int rc = field_list(r, where, v, f, sizeof *k->strategies, &k->strategies, &k->n_strategies);
    struct strategy *at = k->strategies;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next, at++) {
        rc = fields_read(r, where, one, STRATEGY_FIELDS, at);
    }
    return rc;
}

static const char *const CONSTRAINTS[] = {"distinctInstance", "memberOf", NULL};
static const struct field CONSTRAINT_FIELDS[] = {
    {"type", field_word, offsetof(struct constraint, type), true, .more = CONSTRAINTS},
    {"expression", field_text, offsetof(struct constraint, expression), .high = 2000},
    {0},
};

static int constraints_read(struct reader *r, const char *where, const struct doc *v,
                            const struct field *f, void *to)
{
    struct task_kind *k = to;
    int rc = field_list(r, where, v, f, sizeof *k->constraints, &k->constraints, &k->n_constraints);
    struct constraint *at = k->constraints;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next, at++) {
        rc = fields_read(r, where, one, CONSTRAINT_FIELDS, at);
    }
    return rc;
}

static const char *const NETWORK_MODES[] = {"bridge", "host", "awsvpc", "none", NULL};

/* cpu, memory and times of a kind of task that is `at` in its struct. */
#define SIZE_FIELDS(at, must)                                                                      \
    {"cpu", field_cpu, (at) + offsetof(struct task_kind, cpu), must, 1, CPU_MAX},                  \
        {"memory", field_memory,    (at) + offsetof(struct task_kind, memory),                     \
         must,     TASK_MEMORY_MIN, MEMORY_MAX},                                                   \
        {"startTime", field_span, (at) + offsetof(struct task_kind, start_time), .low = 1,         \
         .high = HOUR},                                                                            \
        {"stopTime", field_span, (at) + offsetof(struct task_kind, stop_time), .low = 1,           \
         .high = HOUR},                                                                            \
    {                                                                                              \
        "runTime", field_span, (at) + offsetof(struct task_kind, run_time), .low = 1,              \
                                                                            .high = 30 * DAY       \
    }
#define PLACEMENT_FIELDS(at)                                                                       \
    {"name", field_name, (at) + offsetof(struct task_kind, name), .required = true},               \
        {"hostPorts", ports_read, (at) + offsetof(struct task_kind, host_ports), .low = 1,         \
         .high = 50},                                                                              \
        {"networkMode", field_word, (at) + offsetof(struct task_kind, network_mode),               \
         .more = NETWORK_MODES},                                                                   \
        {"placementStrategy", strategies_read, (at), .high = 5},                                   \
    {                                                                                              \
        "placementConstraints", constraints_read, (at), .high = 10                                 \
    }

static struct task_kind usual_task(const struct doc *v)
{
    return (struct task_kind){.network_mode = GT_STR_LIT("bridge"),
                              .start_time = {2 * SECOND, 2 * SECOND},
                              .stop_time = {1 * SECOND, 1 * SECOND},
                              .said = said(v)};
}

/* ---- services ---- */

static const struct field SERVICE_FIELDS[] = {
    SIZE_FIELDS(offsetof(struct service_kind, task), true),
    PLACEMENT_FIELDS(offsetof(struct service_kind, task)),
    {"desiredCount", field_int, offsetof(struct service_kind, desired),
     .high = SCENARIO_DESIRED_MAX},
    {"minimumHealthyPercent", field_int, offsetof(struct service_kind, min_percent), .high = 100},
    {"maximumPercent", field_int, offsetof(struct service_kind, max_percent), .low = 100,
     .high = 200},
    {0},
};

static int services_read(struct reader *r, const char *where, const struct doc *v,
                         const struct field *f, void *to)
{
    struct scenario *s = to;
    size_t first = s->n_services;
    int rc = field_list(r, where, v, f, sizeof *s->services, &s->services, &s->n_services);
    struct service_kind *k = s->services + first;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next, k++) {
        *k = (struct service_kind){
            .task = usual_task(one), .desired = 1, .min_percent = 100, .max_percent = 200};
        rc = fields_read(r, where, one, SERVICE_FIELDS, k);
    }
    return rc;
}

/* The index of the service that is called so. */
static int service_read(struct reader *r, const char *where, const struct doc *v,
                        const struct field *f, void *to)
{
    const struct scenario *s = r->context;
    struct gt_str name;
    int rc = field_name(r, where, v, f, &name);
    for (size_t i = 0; rc == 0 && i < s->n_services; i++) {
        if (gt_str_eq(s->services[i].task.name, name)) {
            *(unsigned *)to = (unsigned)i;
            return 0;
        }
    }
    return rc < 0 ? rc : field_wrong(r, where, v, "is no service of this scenario: '%s'", name.p);
}

/* ---- load ---- */

static int points_read(struct reader *r, const char *where, const struct doc *v,
                       const struct field *f, void *to)
{
    struct load *l = to;
    static const struct field value = {.high = RATE_MAX}, at = {.high = 30 * DAY};
    if (v->kind != DOC_MAP || v->n == 0) {
        return field_wrong(r, where, v,
                           "must be a mapping of times to values, such as {0s: 10, 1h: 50}");
    }
    l->points = gt_arena_array(r->arena, struct load_point, v->n);
    for (const struct doc *one = v->first; one; one = one->next) {
        struct load_point *p = &l->points[l->n_points++];
        int rc = field_time(r, where, one->key, &at, &p->at);
        rc = rc < 0 ? rc : field_number(r, where, one, &value, &p->value);
        if (rc == 0 && l->n_points > 1 && p->at <= p[-1].at) {
            rc = field_wrong(r, where, one->key, "must come in the order of their times: '%s'",
                             one->key->text.p);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static const struct field DAILY_FIELDS[] = {
    {"low", field_number, offsetof(struct load, low), .required = true, .high = RATE_MAX},
    {"high", field_number, offsetof(struct load, high), .required = true, .high = RATE_MAX},
    {"highAt", field_time, offsetof(struct load, high_at), .high = DAY},
    {0},
};

static int daily_read(struct reader *r, const char *where, const struct doc *v,
                      const struct field *f, void *to)
{
    struct load *l = to;
    l->daily = true;
    int rc = fields_read(r, where, v, DAILY_FIELDS, l);
    return rc == 0 && l->low > l->high ? field_wrong(r, where, v, "has a low above its high") : rc;
}

static const struct field LOAD_FIELDS[] = {
    {"service", service_read, offsetof(struct load, service), .required = true},
    {"points", points_read, 0},
    {"steps", field_bool, offsetof(struct load, steps)},
    {"daily", daily_read, 0},
    {"requestsPerTask", field_number, offsetof(struct load, requests_per_task), .high = RATE_MAX},
    {"every", field_time, offsetof(struct load, every), .low = SECOND, .high = DAY},
    {"minimum", field_int, offsetof(struct load, minimum), .high = SCENARIO_DESIRED_MAX},
    {"maximum", field_int, offsetof(struct load, maximum), .high = SCENARIO_DESIRED_MAX},
    {0},
};

static int loads_read(struct reader *r, const struct doc *v, struct scenario *s)
{
    static const struct field list = {.high = SCENARIO_SERVICES_MAX};
    int rc = field_list(r, "load", v, &list, sizeof *s->loads, &s->loads, &s->n_loads);
    struct load *l = s->loads;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next, l++) {
        *l = (struct load){.every = MINUTE,
                           .high_at = 14 * HOUR,
                           .maximum = SCENARIO_DESIRED_MAX,
                           .said = said(one)};
        rc = fields_read(r, "load", one, LOAD_FIELDS, l);
        if (rc == 0 && l->daily == (l->points != NULL)) {
            rc = field_wrong(r, "load", one, "needs either points or daily");
        }
        if (rc == 0 && l->minimum > l->maximum) {
            rc = field_wrong(r, "load", one, "has a minimum above its maximum");
        }
        for (const struct load *other = s->loads; rc == 0 && other < l; other++) {
            if (other->service == l->service) {
                rc = field_wrong(r, "load", one, "has a second curve for service '%s'",
                                 s->services[l->service].task.name.p);
            }
        }
    }
    return rc;
}

/* ---- events ---- */

static const struct field TARGET_FIELDS[] = {
    {"zone", field_name, offsetof(struct target, zone)},
    {"group", field_name, offsetof(struct target, group)},
    {"count", field_int, offsetof(struct target, count), .low = 1, .high = SCENARIO_NODES_MAX},
    {"nodes", field_names, offsetof(struct target, nodes), .low = 1, .high = 1000},
    {0},
};

static int target_read(struct reader *r, const char *where, const struct doc *v,
                       const struct field *f, void *to)
{
    struct happening *h = to;
    int rc = fields_read(r, where, v, TARGET_FIELDS, &h->target);
    int ways = (h->target.zone.n > 0) + (h->target.group.n > 0) + (h->target.nodes.n > 0);
    if (rc == 0 && (ways != 1 || (h->target.count && !h->target.group.n))) {
        rc = field_wrong(r, where, v, "needs one of zone, nodes, or group (with or without count)");
    }
    return rc;
}

static const struct field DEPLOY_FIELDS[] = {
    {"service", service_read, offsetof(struct happening, service), .required = true},
    SIZE_FIELDS(offsetof(struct happening, task), false),
    {0},
};

/* What is not said stays as it is in the service. */
static int deploy_read(struct reader *r, const char *where, const struct doc *v,
                       const struct field *f, void *to)
{
    struct happening *h = to;
    return fields_read(r, where, v, DEPLOY_FIELDS, h);
}

static const struct field SCALE_FIELDS[] = {
    {"service", service_read, offsetof(struct happening, service), .required = true},
    {"desiredCount", field_int, offsetof(struct happening, desired), .required = true,
     .high = SCENARIO_DESIRED_MAX},
    {0},
};

static int scale_read(struct reader *r, const char *where, const struct doc *v,
                      const struct field *f, void *to)
{
    return fields_read(r, where, v, SCALE_FIELDS, to);
}

static const struct field RUN_FIELDS[] = {
    SIZE_FIELDS(offsetof(struct happening, task), true),
    PLACEMENT_FIELDS(offsetof(struct happening, task)),
    {"count", field_int, offsetof(struct happening, desired), .low = 1,
     .high = SCENARIO_DESIRED_MAX},
    {"retryEvery", field_time, offsetof(struct happening, retry), .low = SECOND, .high = DAY},
    {0},
};

static int run_read(struct reader *r, const char *where, const struct doc *v, const struct field *f,
                    void *to)
{
    struct happening *h = to;
    h->task = usual_task(v);
    h->desired = 1;
    return fields_read(r, where, v, RUN_FIELDS, h);
}

/* The field's name says what happens. */
static int action_read(struct reader *r, const char *where, const struct doc *v,
                       const struct field *f, void *to)
{
    static field_fn *const reads[] = {
        [SCENARIO_LOSE] = target_read,   [SCENARIO_RETURN] = target_read,
        [SCENARIO_DRAIN] = target_read,  [SCENARIO_ACTIVATE] = target_read,
        [SCENARIO_DEPLOY] = deploy_read, [SCENARIO_SCALE] = scale_read,
        [SCENARIO_RUN] = run_read,
    };
    struct happening *h = to;
    if (h->action != SCENARIO_N_ACTIONS) {
        return field_wrong(r, "", v->key, "an event is one thing: '%s' or '%s'",
                           scenario_action_word(h->action), f->name);
    }
    for (h->action = 0; !gt_streq(scenario_action_word(h->action), f->name);) {
        h->action++;
    }
    return reads[h->action](r, where, v, f, to);
}

static const struct field EVENT_FIELDS[] = {
    {"at", field_time, offsetof(struct happening, at), .required = true, .high = 30 * DAY},
    {"for", field_time, offsetof(struct happening, lasts), .low = SECOND, .high = 30 * DAY},
    {"every", field_time, offsetof(struct happening, every), .low = SECOND, .high = 30 * DAY},
#define X(name, word) {word, action_read, 0},
    SCENARIO_ACTIONS(X)
#undef X
        {0},
};

static int events_read(struct reader *r, const struct doc *v, struct scenario *s)
{
    static const struct field list = {.high = SCENARIO_EVENTS_MAX};
    int rc = field_list(r, "events", v, &list, sizeof *s->events, &s->events, &s->n_events);
    struct happening *h = s->events;
    for (const struct doc *one = v->first; rc == 0 && one; one = one->next, h++) {
        *h = (struct happening){.action = SCENARIO_N_ACTIONS, .said = said(one)};
        rc = fields_read(r, "events", one, EVENT_FIELDS, h);
        if (rc == 0 && h->action == SCENARIO_N_ACTIONS) {
            rc = field_wrong(
                r, "events", one,
                "must say what happens: lose, return, drain, activate, deploy, scale or run");
        }
        if (rc == 0 && h->lasts && h->action != SCENARIO_LOSE && h->action != SCENARIO_DRAIN) {
            rc = field_wrong(r, "events.for", one, "goes with lose and drain only");
        }
    }
    return rc;
}

/* ---- all of it ---- */

/* load and events name services: they are read when those are known. */
struct file {
    struct scenario s;
    const struct doc *load, *events;
};

static int later(struct reader *r, const char *where, const struct doc *v, const struct field *f,
                 void *to)
{
    *(const struct doc **)to = v;
    return 0;
}

static const struct field SCENARIO_FIELDS[] = {
    {"duration", field_time, offsetof(struct file, s.duration), true, SECOND, 30 * DAY},
    {"seed", field_seed, offsetof(struct file, s.seed)},
    {"repeat", field_int, offsetof(struct file, s.repeat), .low = 1, .high = SCENARIO_REPEAT_MAX},
    {"lostAfter", field_time, offsetof(struct file, s.lost_after), .low = SECOND, .high = HOUR},
    {"brakePercent", field_int, offsetof(struct file, s.brake_percent), .high = 100},
    {"brakeWindow", field_time, offsetof(struct file, s.brake_window), .low = SECOND, .high = DAY},
    {"sampleEvery", field_time, offsetof(struct file, s.sample_every), .low = 100, .high = DAY},
    {"nodes", nodes_read, offsetof(struct file, s), .low = 1, .high = SCENARIO_NODES_MAX},
    {"services", services_read, offsetof(struct file, s), .high = SCENARIO_SERVICES_MAX},
    {"load", later, offsetof(struct file, load)},
    {"events", later, offsetof(struct file, events)},
    {0},
};

struct scenario *scenario_read(const char *name, struct gt_str text, const struct scenario *start,
                               struct gt_arena *a, struct gt_err *err)
{
    struct doc *doc = doc_parse(name, text, a, err);
    if (!doc) {
        return NULL;
    }
    struct file *file = gt_arena_new(a, struct file);
    struct scenario *s = &file->s;
    scenario_init(s, name);
    if (start) {
        s->nodes = start->nodes;
        s->n_nodes = start->n_nodes;
        s->services = start->services;
        s->n_services = start->n_services;
    }
    struct reader r = {.name = name, .arena = a, .err = err, .context = s};
    int rc = fields_read(&r, "", doc, SCENARIO_FIELDS, file);
    if (rc == 0 && !s->n_nodes) {
        rc = field_wrong(&r, "nodes", doc, "is missing");
    }
    rc = rc == 0 && file->load ? loads_read(&r, file->load, s) : rc;
    rc = rc == 0 && file->events ? events_read(&r, file->events, s) : rc;
    rc = rc == 0 ? scenario_check(s, err) : rc;
    return rc < 0 ? NULL : s;
}
