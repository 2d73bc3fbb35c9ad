#include "world.h"

#include "gt_test.h"

#include "control/services/agent/agent.h"
#include "control/services/agent/join.h"
#include "control/services/ecs/ecs.h"
#include "control/services/ecs/task_state.h"
#include "lib/base/limits.h"
#include "lib/wire/json.h"
#include "lib/wire/validate.h"
#include "store/record/gen/rec_ecs.h"
#include "store/record/record.h"

void world_init(struct world *w)
{
    world_init_tight(w, 0);
}

const struct service *world_third;

static int authorize(struct tx *tx, const struct service_op *op, const void *in, struct gt_err *err)
{
    return tx_principal(tx)->key_id.n ? agent_key_check(tx, err) : 0;
}

/* As a core wants them: ended by NULL. */
static const struct service **services(void)
{
    static const struct service *all[4];
    all[0] = ecs_control();
    all[1] = agent_control();
    all[2] = world_third;
    return all;
}

static void open_core(struct world *w, unsigned tight)
{
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(core_new(w->journal, services(),
                          &(struct core_options){.seed = 7, .tight = tight, .authorize = authorize},
                          &w->core, &err),
                 err);
}

void world_restore(struct world *w, uint64_t revision)
{
    struct journal *backup = memory_journal_copy(w->journal, revision);
    core_free(w->core);
    journal_close(w->journal);
    w->journal = backup;
    open_core(w, 0);
    core_begin_epoch(w->core, "test", w->now);
    world_run(w, 0);
}

void world_init_tight(struct world *w, unsigned tight)
{
    *w = (struct world){.now = 1000000, .as = PRINCIPAL_ROOT, .as_name = "", .as_key = ""};
    w->journal = memory_journal_new();
    gt_arena_init(&w->arena, 1 << 28);
    open_core(w, tight);
    world_run(w, 0);
}

void world_fini(struct world *w)
{
    core_free(w->core);
    journal_close(w->journal);
    gt_arena_fini(&w->arena);
}

static const struct service_op *find(const char *name)
{
    const struct service **all = services();
    for (size_t i = 0; all[i]; i++) {
        for (size_t k = 0; k < all[i]->n_ops; k++) {
            if (gt_streq(all[i]->ops[k].op->name, name)) {
                return &all[i]->ops[k];
            }
        }
    }
    fail_msg("no operation %s", name);
    return NULL;
}

const char *world_call(struct world *w, const char *name, const char *body, ...)
{
    gt_auto_free char *text = NULL;
    va_list ap;
    va_start(ap, body);
    assert_true(vasprintf(&text, body, ap) >= 0);
    va_end(ap);
    for (char *c = text; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    const struct service_op *op = find(name);
    struct gt_err err = GT_ERR_INIT;
    char *kept = gt_arena_strdup(&w->arena, text);
    void *in = gt_arena_alloc(&w->arena, op->op->in->size);
    void *out = gt_arena_alloc(&w->arena, op->op->out->size);
    int r = wire_json_decode(op->op->in, gt_str(kept), &w->arena, in, &err);
    r = r ? r : wire_validate(op->op->in, in, WIRE_STYLE_CORAL, &err);
    if (r < 0) {
        return gt_arena_printf(&w->arena, "%s: %s", gt_err_aws_name(&err), err.msg);
    }
    struct core_call c = {
        .op = op,
        .in = in,
        .out = out,
        .principal = {.kind = w->as,
                      .account = GT_STR_LIT("000000000000"),
                      .key_id = gt_str(w->as_key),
                      .name = gt_str(w->as_name),
                      .arn = GT_STR_LIT("arn:aws:iam::000000000000:root")},
        .region = GT_STR_LIT("us-east-1"),
        .arena = &w->arena,
        .label = gt_str(name),
        .input = gt_str(kept),
    };
    core_apply(w->core, &c, w->now);
    w->waits = c.wait_prefix != NULL;
    if (c.result < 0) {
        return gt_arena_printf(&w->arena, "%s: %s", gt_err_aws_name(&c.err), c.err.msg);
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(GT_LIMIT_API_ANSWER);
    wire_json_encode(op->op->out, out, &b);
    assert_true(gt_buf_ok(&b)); /* else the server has no answer either */
    return gt_arena_strdup(&w->arena, b.p);
}

void world_run(struct world *w, int64_t ms)
{
    int64_t until = w->now + ms;
    for (;;) {
        int turns = 0;
        while (core_step_controllers(w->core, w->now, 100)) {
            assert_true(++turns < 1000); /* a controller that never rests */
        }
        int64_t next = core_next_alarm(w->core);
        if (next > until) {
            break;
        }
        w->now = next > w->now ? next : w->now;
    }
    w->now = until;
    world_check(w);
}

const char *world_get(struct world *w, const char *json, const char *member, int nth)
{
    const char *want = gt_arena_printf(&w->arena, "\"%s\":", member);
    const char *at = strstr(json, want);
    while (at && nth-- > 0) {
        at = strstr(at + 1, want);
    }
    if (!at) {
        return "";
    }
    at += strlen(want);
    size_t n = *at == '"' ? strcspn(++at, "\"") : strcspn(at, ",}]");
    return gt_arena_str(&w->arena, gt_str_n(at, n));
}

const char *world_node(struct world *w, const char *id, int cpu, int memory)
{
    const char *a = world_do(w, "RegisterNode",
                             "{'name': '%s', 'nodeId': '%s', 'cpu': %d, 'memory': %d, "
                             "'portsReserved': [22], 'version': '0.1.0', 'attributes': [{'name': "
                             "'ecs.cpu-architecture', 'value': 'x86_64'}]}",
                             id, id, cpu, memory);
    const char *session = world_get(w, a, "session", 0);
    if (!*session) {
        fail_msg("%s", a);
    }
    return session;
}

const char *world_report_task(struct world *w, const char *session, const char *id, int sequence,
                              const char *status, const char *more)
{
    return world_do(w, "Report",
                    "{'session': '%s', 'tasks': [{'id': '%s', 'generation': 1, 'sequence': %d, "
                    "'lastStatus': '%s'%s}]}",
                    session, id, sequence, status, more);
}

static int report_page(struct world *w, const char *session, const char *status, const char *all)
{
    int n = 0;
    for (;; n++) {
        const char *id = world_get(w, all, "id", n);
        if (!*id) {
            break;
        }
        bool stop = gt_streq(world_get(w, all, "desiredStatus", n), "STOPPED");
        int sequence = atoi(world_get(w, all, "sequence", n)) + 1;
        const char *a = world_report_task(w, session, id, sequence, stop ? "STOPPED" : status, "");
        world_has(a, "\"refused\":[]");
    }
    return n;
}

int world_report(struct world *w, const char *session, const char *status)
{
    const char *page = world_call(w, "Poll", "{'session': '%s', 'revision': 0}", session);
    int n = report_page(w, session, status, page);
    for (const char *more; *(more = world_get(w, page, "more", 0));) {
        page =
            world_call(w, "Poll", "{'session': '%s', 'revision': 0, 'more': '%s'}", session, more);
        n += report_page(w, session, status, page);
    }
    return n;
}

void world_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in: %s", part, text);
    }
}

struct sums {
    int64_t cpu, memory, running, pending;
    size_t ports, addresses, tasks;
};

static void *decode(struct world *w, const struct rec_desc *desc, struct gt_str value)
{
    struct gt_err err = GT_ERR_INIT;
    void *rec = NULL;
    gt_assert_ok(rec_decode(desc, value, &w->arena, &rec, &err), err);
    return rec;
}

static void add_task(const struct rec_ecs_task *t, struct sums *s)
{
    bool holds = t->last_status != TASK_STOPPED || t->ghost;
    s->cpu += holds ? t->reserved_cpu : 0;
    s->memory += holds ? t->reserved_memory : 0;
    s->ports += holds ? t->reserved_ports.n : 0;
    s->addresses += holds && t->address.n;
    s->running += t->last_status == TASK_RUNNING;
    s->pending += t->last_status < TASK_RUNNING;
    s->tasks++;
}

static void take_load(const struct rec_ecs_load *l, struct sums *s)
{
    s->cpu -= l->cpu;
    s->memory -= l->memory;
    s->running -= l->running;
    s->pending -= l->pending;
    s->ports -= l->ports.n;
    for (size_t i = 0; i < l->addresses.n; i++) {
        s->addresses -= (size_t)__builtin_popcount((unsigned char)l->addresses.p[i]);
    }
}

void world_check(struct world *w)
{
    static const char prefix[] = "000000000000/us-east-1/ecs/";
    struct sums s = {0};
    size_t marks = 0;
    const char *key = NULL;
    struct gt_str value;
    while (core_next_key(w->core, prefix, key, &key, &value)) {
        const char *rest = key + sizeof(prefix) - 1;
        struct gt_arena_mark mark = gt_arena_mark(&w->arena);
        if (strncmp(rest, "task/", 5) == 0) {
            add_task(decode(w, &rec_ecs_task_desc, value), &s);
        } else if (strncmp(rest, "load/", 5) == 0) {
            take_load(decode(w, &rec_ecs_load_desc, value), &s);
        }
        gt_arena_release(&w->arena, mark);
        marks += strncmp(rest, "live/", 5) == 0 || strncmp(rest, "dead/", 5) == 0;
    }
    assert_int_equal(s.cpu, 0);
    assert_int_equal(s.memory, 0);
    assert_int_equal(s.running, 0);
    assert_int_equal(s.pending, 0);
    assert_int_equal(s.ports, 0);
    assert_int_equal(s.addresses, 0);
    assert_int_equal(marks, s.tasks);
}
