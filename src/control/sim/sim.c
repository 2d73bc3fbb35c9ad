#include "control/sim/sim_priv.h"

#include "control/services/agent/agent.h"
#include "control/services/ecs/ecs.h"
#include "lib/base/limits.h"
#include "lib/wire/wire.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    START_S = 1790000000, /* a day in 2026 */
    STEPS_A_TURN = 20000,
    REST_MS = 1200000, /* how long the world gets to come to rest */
    LOOK_MS = 20000,
    DEFAULT_MS = 60000,
};

const struct principal sim_root = {
    .kind = PRINCIPAL_ROOT,
    .account = {SIM_ACCOUNT, sizeof SIM_ACCOUNT - 1},
    .arn = {"arn:aws:iam::" SIM_ACCOUNT ":root", sizeof "arn:aws:iam::" SIM_ACCOUNT ":root" - 1},
};
const struct principal sim_internal = {
    .kind = PRINCIPAL_INTERNAL,
    .account = {SIM_ACCOUNT, sizeof SIM_ACCOUNT - 1},
    .name = {"liveness", 8},
};

/* ---- the dice ---- */

int64_t sim_between(struct sim *s, int64_t low, int64_t high)
{
    return low + (int64_t)gt_prng_below(&s->rng, (uint64_t)(high - low + 1));
}

bool sim_chance(struct sim *s, unsigned percent)
{
    return gt_prng_below(&s->rng, 100) < percent;
}

/* ---- what is to come ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct sim *s, struct sim_event e)
{
    if (s->n_events == s->cap_events) {
        s->cap_events = s->cap_events ? s->cap_events * 2 : 256;
        s->events = gt_realloc(s->events, s->cap_events * sizeof *s->events);
    }
    e.order = s->order++;
    size_t i = s->n_events++;
    while (i && before(&e, &s->events[(i - 1) / 2])) {
        s->events[i] = s->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->events[i] = e;
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event top = s->events[0], last = s->events[--s->n_events];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->n_events) {
            break;
        }
        if (child + 1 < s->n_events && before(&s->events[child + 1], &s->events[child])) {
            child++;
        }
        if (before(&last, &s->events[child])) {
            break;
        }
        s->events[i] = s->events[child];
        i = child;
    }
    s->events[i] = last;
    return top;
}

void sim_at(struct sim *s, int64_t delay, enum sim_event_kind kind, unsigned node)
{
    push(s, (struct sim_event){
                .at = s->now + delay, .kind = kind, .node = node, .life = s->nodes[node].life});
}

void sim_at_poll(struct sim *s, int64_t delay, struct sim_node *n)
{
    n->poll = ++s->lives;
    push(s, (struct sim_event){
                .at = s->now + delay, .kind = SIM_POLL, .node = n->index, .life = n->poll});
}

void sim_at_task(struct sim *s, int64_t delay, const struct sim_node *n, const struct sim_task *t)
{
    struct sim_event e = {
        .at = s->now + delay, .kind = SIM_TASK, .node = n->index, .life = t->life};
    memcpy(e.task, t->id, sizeof e.task);
    push(s, e);
}

/* ---- what is said ---- */

void sim_trace(struct sim *s, const char *fmt, ...)
{
    if (!s->options.trace) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%9.3f r%-5llu ", (double)s->result.time_ms / 1000,
            (unsigned long long)core_revision(s->core));
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

int sim_violation(struct sim *s, const char *fmt, ...)
{
    if (s->err->kind != GT_ERR_NONE) {
        return gt_err_code(s->err);
    }
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return gt_err_set(s->err, GT_ERR_CORRUPT, "seed %llu, at %.3f s, step %llu, revision %llu: %s",
                      (unsigned long long)s->options.seed, (double)s->result.time_ms / 1000,
                      (unsigned long long)s->result.steps,
                      (unsigned long long)core_revision(s->core), text);
}

static void fold(struct sim *s, uint64_t v)
{
    s->result.hash = (s->result.hash ^ v) * 0x9e3779b97f4a7c15u;
    s->result.hash ^= s->result.hash >> 29;
}

/* ---- the core ---- */

static void note_hash(struct sim *s)
{
    uint64_t revision = core_revision(s->core);
    if (revision >= s->cap_hashes) {
        s->cap_hashes = revision * 2 + 1024;
        s->hashes = gt_realloc(s->hashes, s->cap_hashes * sizeof *s->hashes);
    }
    s->hashes[revision] = core_hash(s->core);
}

struct core_call sim_call(struct sim *s, const struct service *service, const char *op,
                          const struct principal *who, const void *in, void *out)
{
    struct core_call c = {
        .in = in,
        .out = out,
        .principal = *who,
        .region = GT_STR_LIT(SIM_REGION),
        .arena = &s->arena,
        .label = gt_str(op),
    };
    for (size_t i = 0; i < service->n_ops && !c.op; i++) {
        if (service->ops[i].core && gt_streq(service->ops[i].op->name, op)) {
            c.op = &service->ops[i];
        }
    }
    GT_ASSERT(c.op);
    core_apply(s->core, &c, s->now);
    s->result.calls++;
    note_hash(s);
    fold(s, (uint64_t)c.result);
    if (!c.wait_prefix) {
        s->durable = GT_MAX(s->durable, c.revision);
    }
    return c;
}

/* The controllers, one step at a time, until they rest; now and then the next event comes before
 * they do, as it may when calls and steps take turns. */
static int run_controllers(struct sim *s)
{
    size_t most = SIZE_MAX;
    if (!s->calm && s->now < s->slow_until) {
        most = (size_t)sim_between(s, 0, 1);
    } else if (!s->calm && sim_chance(s, 20)) {
        most = (size_t)sim_between(s, 0, 5);
    }
    for (size_t n = 0; n < most && core_step_controllers(s->core, s->now, 1); n++) {
        note_hash(s);
        if (n == STEPS_A_TURN) {
            return sim_violation(s, "the controllers do not come to rest");
        }
    }
    return 0;
}

/* ---- one step ---- */

static const char *event_name(enum sim_event_kind kind)
{
    static const char *const names[] = {
#define X(name) #name,
        SIM_EVENTS(X)
#undef X
    };
    return names[kind];
}

static int handle(struct sim *s, const struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    bool current = e->life == n->life; /* else: of an agent that is no more */
    switch (e->kind) {
    case SIM_REGISTER:
        if (current) {
            sim_register(s, n);
        }
        break;
    case SIM_POLL:
        if (e->life == n->poll) {
            sim_poll(s, n);
        }
        break;
    case SIM_BEAT:
        if (current) {
            sim_beat(s, n);
        }
        break;
    case SIM_REPORT:
        if (current && n->registered) {
            sim_report(s, n);
        }
        break;
    case SIM_TASK:
        sim_task_event(s, n, e->task, e->life);
        break;
    case SIM_CALLER:
        sim_caller(s);
        break;
    case SIM_LIVENESS:
        sim_liveness(s);
        break;
    case SIM_CUT:
        sim_cut(s, n);
        break;
    case SIM_AGENT_DIES:
        sim_agent_dies(s, n);
        break;
    case SIM_NODE_DIES:
        sim_node_dies(s, n);
        break;
    case SIM_SERVER_DIES:
        sim_next_fault(s, SIM_SERVER_DIES, 0);
        return s->calm ? 0 : sim_server_dies(s);
    case SIM_ALARM:
    case SIM_N_EVENTS:
        break;
    }
    return 0;
}

static int step(struct sim *s)
{
    struct sim_event e = {.kind = SIM_ALARM, .at = core_next_alarm(s->core)};
    if (s->n_events && s->events[0].at <= e.at) {
        e = pop(s);
    }
    s->result.time_ms += GT_MAX(e.at, s->now) - s->now;
    s->now = GT_MAX(e.at, s->now);
    s->result.steps++;
    uint64_t revision = core_revision(s->core);
    int r = handle(s, &e);
    r = r < 0 ? r : run_controllers(s);
    fold(s, (uint64_t)e.kind);
    fold(s, (uint64_t)s->now);
    fold(s, core_hash(s->core));
    if (core_revision(s->core) != revision) {
        sim_trace(s, "%s node %u", event_name(e.kind), e.node);
        r = r < 0 ? r : sim_check(s);
        /* What the controllers wrote, and nobody was told of, may be lost now. */
        if (r >= 0 && core_revision(s->core) > s->durable && !s->calm && sim_chance(s, 3)) {
            r = sim_server_dies(s);
            r = r < 0 ? r : run_controllers(s);
            fold(s, core_hash(s->core));
        }
    }
    gt_arena_reset(&s->arena);
    return r < 0 ? r : gt_err_code(s->err);
}

static int run_until(struct sim *s, int64_t end)
{
    int r = 0;
    while (r >= 0 && s->result.time_ms < end) {
        r = step(s);
    }
    return r;
}

static void set_up(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        s->nodes[i].index = i;
        s->nodes[i].life = ++s->lives;
        snprintf(s->nodes[i].id, sizeof s->nodes[i].id, "node%u", i);
        sim_at(s, sim_between(s, 0, 3000), SIM_REGISTER, i);
        sim_next_fault(s, SIM_CUT, i);
        sim_next_fault(s, SIM_AGENT_DIES, i);
        sim_next_fault(s, SIM_NODE_DIES, i);
    }
    sim_next_fault(s, SIM_SERVER_DIES, 0);
    sim_set_up(s);
    sim_at(s, 100, SIM_CALLER, 0);
    sim_at(s, 1000, SIM_LIVENESS, 0);
}

/* The faults cease and every network comes back: all must come to rest, in some time. */
static int come_to_rest(struct sim *s)
{
    s->calm = true;
    for (unsigned i = 0; i < s->n_nodes; i++) {
        s->nodes[i].cut = false;
    }
    int64_t end = s->result.time_ms + REST_MS;
    for (;;) {
        int r = run_until(s, s->result.time_ms + LOOK_MS);
        if (r < 0) {
            return r;
        }
        r = sim_check_rest(s);
        gt_arena_reset(&s->arena);
        if (r == 0 || s->result.time_ms >= end) {
            return r;
        }
        *s->err = GT_ERR_INIT;
    }
}

int sim_run(const struct sim_options *options, struct sim_result *ret, struct gt_err *err)
{
    struct sim *s = gt_new(struct sim);
    s->served[0] = ecs_control();
    s->served[1] = agent_control();
    *err = GT_ERR_INIT;
    s->err = err;
    s->options = *options;
    s->rng.state = options->seed * 0x9e3779b97f4a7c15u + 1;
    s->now = START_S * 1000LL;
    s->n_nodes = options->nodes ? GT_MIN(options->nodes, (unsigned)SIM_MAX_NODES)
                                : (unsigned)sim_between(s, 1, 5);
    /* As it is, or so that steps and pages have a handful, or one, of what they are about. */
    static const unsigned tight[] = {1, 100, 500, 20000};
    if (!options->tight) {
        s->options.tight = tight[sim_between(s, 0, GT_ARRAY_LEN(tight) - 1)];
    }
    int64_t duration = options->duration_ms ? options->duration_ms : DEFAULT_MS;
    gt_arena_init(&s->arena, GT_LIMIT_API_ARENA);
    gt_table_init(&s->told);
    gt_table_init(&s->last);
    s->journal = memory_journal_new();
    struct core_options co = {.seed = options->seed,
                              .tight = s->options.tight,
                              .on_write = sim_written,
                              .on_write_arg = s};
    int r = core_new(s->journal, s->served, &co, &s->core, err);
    if (r >= 0) {
        note_hash(s);
        set_up(s);
        r = gt_err_code(err);
        r = r < 0 ? r : run_until(s, duration);
        r = r < 0 ? r : come_to_rest(s);
        s->result.revision = core_revision(s->core);
    }
    *ret = s->result;
    core_free(s->core);
    journal_close(s->journal);
    gt_table_fini(&s->told);
    gt_table_fini(&s->last);
    gt_arena_fini(&s->arena);
    free(s->hashes);
    free(s->events);
    free(s);
    return r;
}
