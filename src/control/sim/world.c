#include "control/sim/world.h"

#include "lib/base/limits.h"
#include "lib/wire/json.h"
#include "lib/wire/validate.h"

enum { STEPS_A_TURN = 100000 };

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

static void on_write(void *arg, uint64_t revision, const char *key)
{
    struct sim_world *w = arg;
    for (unsigned i = 0; i < w->n_listeners; i++) {
        w->listeners[i].fn(w->listeners[i].arg, key);
    }
}

/* Each start has a seed of its own, as a process that starts anew has. */
static int start_core(struct sim_world *w, struct gt_err *err)
{
    struct core_options o = {.seed = w->options.seed + w->starts++,
                             .tight = w->options.tight,
                             .on_write = on_write,
                             .on_write_arg = w};
    int r = core_new(w->journal, w->options.services, &o, &w->core, err);
    core_clock_init(&w->clock, r < 0 ? 0 : core_time(w->core), w->now);
    return r;
}

int sim_world_open(struct sim_world *w, const struct sim_world_options *options, struct gt_err *err)
{
    *w = (struct sim_world){.options = *options, .now = options->start_ms};
    w->journal = options->journal ? options->journal : memory_journal_new();
    gt_arena_init(&w->arena, GT_LIMIT_API_ARENA);
    return start_core(w, err);
}

void sim_world_close(struct sim_world *w)
{
    core_free(w->core);
    journal_close(w->journal);
    sim_queue_fini(&w->queue);
    gt_arena_fini(&w->arena);
}

void sim_world_listen(struct sim_world *w, sim_written_fn *fn, void *arg)
{
    GT_ASSERT(w->n_listeners < GT_ARRAY_LEN(w->listeners));
    w->listeners[w->n_listeners].fn = fn;
    w->listeners[w->n_listeners++].arg = arg;
}

void sim_at(struct sim_world *w, int64_t delay, sim_event_fn *fn, void *arg, uint64_t a, uint64_t b)
{
    GT_ASSERT(delay >= 0);
    sim_queue_push(&w->queue, w->now + delay, fn, arg, a, b);
}

/* What the server's clock reads, as core_thread's. */
static int64_t clock_now(struct sim_world *w)
{
    return core_clock_read(&w->clock, w->now + w->clock_error, w->now);
}

/* ---- steps ---- */

static int stepped(struct sim_world *w, struct gt_err *err)
{
    return w->options.stepped ? w->options.stepped(w->options.arg, err) : 0;
}

static int run_controllers(struct sim_world *w, struct gt_err *err)
{
    size_t most = w->options.turn ? w->options.turn(w->options.arg) : SIZE_MAX;
    for (size_t n = 0; n < most; n++) {
        if (core_step_controllers(w->core, clock_now(w), 1) == 0) {
            break;
        }
        if (n == STEPS_A_TURN) {
            return gt_err_set(err, GT_ERR_CORRUPT, "the controllers do not come to rest");
        }
        int r = stepped(w, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* When the next alarm is due, in virtual time. */
static int64_t next_alarm(struct sim_world *w)
{
    int64_t when = core_next_alarm(w->core);
    return when == INT64_MAX ? when : w->now + GT_MAX(when - clock_now(w), (int64_t)0);
}

static int step(struct sim_world *w, struct gt_err *err)
{
    w->events++;
    int64_t alarm = next_alarm(w);
    if (sim_queue_next(&w->queue) <= alarm) {
        struct sim_event e = sim_queue_pop(&w->queue);
        w->now = GT_MAX(w->now, e.at);
        e.fn(e.arg, e.a, e.b);
    } else {
        w->now = alarm;
    }
    int r = stepped(w, err);
    r = r < 0 ? r : run_controllers(w, err);
    gt_arena_reset(&w->arena);
    return r;
}

int sim_world_run(struct sim_world *w, int64_t end, struct gt_err *err)
{
    int r = 0;
    while (r >= 0 && GT_MIN(sim_queue_next(&w->queue), next_alarm(w)) <= end) {
        r = step(w, err);
    }
    w->now = r < 0 ? w->now : GT_MAX(w->now, end);
    return r;
}

/* ---- calls ---- */

void sim_world_apply(struct sim_world *w, struct core_call *call)
{
    uint64_t before = core_revision(w->core);
    core_apply(w->core, call, clock_now(w));
    w->calls++;
    if (w->options.cut_off && w->options.cut_off(w->options.arg, call, before)) {
        call->wait_prefix = NULL;
        call->result = gt_err_set(&call->err, GT_ERR_UNAVAILABLE, "the connection is broken");
    } else if (!call->wait_prefix) {
        w->durable = GT_MAX(w->durable, call->revision);
    }
}

struct core_call sim_world_call(struct sim_world *w, const struct service *service,
                                const struct wire_op *op, const struct principal *who,
                                const void *in, void *out)
{
    struct core_call c = {
        .op = &service->ops[op->index],
        .in = in,
        .out = out,
        .principal = *who,
        .region = GT_STR_LIT(SIM_REGION),
        .arena = &w->arena,
        .label = gt_str(op->name),
    };
    GT_ASSERT(c.op->core);
    sim_world_apply(w, &c);
    return c;
}

struct core_call sim_world_ask(struct sim_world *w, const struct service *service,
                               const struct wire_op *op, struct gt_str json, void **ret_out)
{
    struct core_call c = {
        .op = &service->ops[op->index],
        .out = gt_arena_alloc(&w->arena, op->out ? op->out->size : 1),
        .principal = sim_root,
        .region = GT_STR_LIT(SIM_REGION),
        .arena = &w->arena,
        .label = gt_str(op->name),
        .input = gt_str_n(gt_arena_str(&w->arena, json), json.n),
        .err = GT_ERR_INIT,
    };
    GT_ASSERT(c.op->core);
    void *in = gt_arena_alloc(&w->arena, op->in ? op->in->size : 1);
    if (op->in) {
        c.result = wire_json_decode(op->in, c.input, &w->arena, in, &c.err);
        c.result = c.result < 0 ? c.result : wire_validate(op->in, in, op->service->style, &c.err);
    }
    c.in = in;
    if (c.result >= 0) {
        sim_world_apply(w, &c);
    }
    if (ret_out) {
        *ret_out = c.out;
    }
    return c;
}

int sim_world_restart(struct sim_world *w, struct journal *journal, struct gt_err *err)
{
    core_free(w->core);
    w->core = NULL;
    journal_close(w->journal);
    w->journal = journal;
    int r = start_core(w, err);
    w->durable = r < 0 ? w->durable : core_revision(w->core);
    return r;
}
