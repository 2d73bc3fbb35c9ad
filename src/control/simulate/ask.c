/* What a scenario asks of the API, in JSON as clients do. */
#include "control/services/ecs/ecs.h"
#include "control/simulate/play_priv.h"
#include "lib/base/mem.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/json.h"

#define JSON(b) gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536)

/* How many tasks, or nodes, one call may be about. */
enum { ASKED_AT_ONCE = 10 };

static int ask(struct play *p, const struct wire_op *op, const struct gt_buf *json,
               struct place_said said, void **ret_out)
{
    GT_ASSERT(gt_buf_ok(json));
    struct core_call c = sim_world_ask(&p->w, ecs_control(), op, gt_buf_view(json), ret_out);
    if (c.result < 0) {
        return scenario_wrong(p->s, said, p->err, "%s: %s", op->name, c.err.msg);
    }
    return 0;
}

int ask_cluster(struct play *p)
{
    JSON(b);
    gt_buf_puts(&b, "{\"clusterName\":\"" SIM_CLUSTER "\"}");
    return ask(p, &ecs_op_create_cluster, &b, (struct place_said){0}, NULL);
}

static bool awsvpc(const struct task_kind *k)
{
    return gt_str_is(k->network_mode, "awsvpc");
}

static void put_definition(struct gt_buf *b, const struct task_kind *k)
{
    gt_buf_puts(b, "{\"family\":");
    wire_json_string(b, k->name);
    gt_buf_puts(b, ",\"networkMode\":");
    wire_json_string(b, k->network_mode);
    gt_buf_printf(b,
                  ",\"containerDefinitions\":[{\"name\":\"main\",\"image\":\"simulated\","
                  "\"cpu\":%lld,\"memory\":%lld,\"portMappings\":[",
                  (long long)k->cpu, (long long)k->memory);
    for (size_t i = 0; i < k->host_ports.n; i++) {
        long long port = k->host_ports.v[i] & 0xffff;
        gt_buf_printf(b, "%s{\"containerPort\":%lld,\"hostPort\":%lld,\"protocol\":\"%s\"}",
                      i ? "," : "", port, port, k->host_ports.v[i] >> 16 ? "udp" : "tcp");
    }
    gt_buf_puts(b, "]}]}");
}

int ask_definition(struct play *p, unsigned kind, const struct task_kind *k)
{
    JSON(b);
    struct family *f = &p->families[kind];
    put_definition(&b, k);
    if (f->n == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 4;
        f->revisions = gt_realloc(f->revisions, f->cap * sizeof *f->revisions);
    }
    f->revisions[f->n++] = k;
    return ask(p, &ecs_op_register_task_definition, &b, k->said, NULL);
}

/* Members that services and RunTask share, each with a comma before it. */
static void put_placement(struct gt_buf *b, const struct task_kind *k)
{
    if (awsvpc(k)) {
        gt_buf_puts(b, ",\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":"
                       "[\"subnet-simulated\"]}}");
    }
    gt_buf_puts(b, ",\"placementStrategy\":[");
    for (size_t i = 0; i < k->n_strategies; i++) {
        gt_buf_puts(b, i ? ",{\"type\":" : "{\"type\":");
        wire_json_string(b, k->strategies[i].type);
        if (k->strategies[i].field.n) {
            gt_buf_puts(b, ",\"field\":");
            wire_json_string(b, k->strategies[i].field);
        }
        gt_buf_putc(b, '}');
    }
    gt_buf_puts(b, "],\"placementConstraints\":[");
    for (size_t i = 0; i < k->n_constraints; i++) {
        gt_buf_puts(b, i ? ",{\"type\":" : "{\"type\":");
        wire_json_string(b, k->constraints[i].type);
        if (k->constraints[i].expression.n) {
            gt_buf_puts(b, ",\"expression\":");
            wire_json_string(b, k->constraints[i].expression);
        }
        gt_buf_putc(b, '}');
    }
    gt_buf_putc(b, ']');
}

int ask_service(struct play *p, unsigned service, int64_t desired)
{
    JSON(b);
    const struct service_kind *k = &p->s->services[service];
    gt_buf_puts(&b, "{\"serviceName\":");
    wire_json_string(&b, k->task.name);
    gt_buf_puts(&b, ",\"taskDefinition\":");
    wire_json_string(&b, k->task.name);
    gt_buf_printf(&b,
                  ",\"desiredCount\":%lld,\"deploymentConfiguration\":{\"minimumHealthyPercent\":"
                  "%lld,\"maximumPercent\":%lld}",
                  (long long)desired, (long long)k->min_percent, (long long)k->max_percent);
    put_placement(&b, &k->task);
    gt_buf_putc(&b, '}');
    return ask(p, &ecs_op_create_service, &b, k->task.said, NULL);
}

int ask_scale(struct play *p, unsigned service, int64_t desired, struct place_said said)
{
    JSON(b);
    gt_buf_puts(&b, "{\"service\":");
    wire_json_string(&b, p->s->services[service].task.name);
    gt_buf_printf(&b, ",\"desiredCount\":%lld}", (long long)desired);
    return ask(p, &ecs_op_update_service, &b, said, NULL);
}

int ask_deploy(struct play *p, unsigned service, struct place_said said)
{
    JSON(b);
    gt_buf_puts(&b, "{\"service\":");
    wire_json_string(&b, p->s->services[service].task.name);
    gt_buf_puts(&b, ",\"taskDefinition\":");
    wire_json_string(&b, p->s->services[service].task.name);
    gt_buf_putc(&b, '}');
    return ask(p, &ecs_op_update_service, &b, said, NULL);
}

int64_t ask_run(struct play *p, unsigned kind, const struct task_kind *k, int64_t count)
{
    int64_t placed = 0, asked = 0;
    while (asked < count && p->err->kind == GT_ERR_NONE) {
        JSON(b);
        int64_t n = GT_MIN(count - asked, (int64_t)ASKED_AT_ONCE);
        void *answer = NULL;
        gt_buf_puts(&b, "{\"taskDefinition\":");
        wire_json_string(&b, k->name);
        gt_buf_printf(&b, ",\"count\":%lld", (long long)n);
        put_placement(&b, k);
        gt_buf_putc(&b, '}');
        if (ask(p, &ecs_op_run_task, &b, k->said, &answer) < 0) {
            return placed;
        }
        size_t got = ((struct ecs_run_task_out *)answer)->tasks.n;
        placed += (int64_t)got;
        asked += n;
        if (got < (size_t)n) {
            break; /* the next ones would not fit either */
        }
    }
    return placed;
}

static int drain_some(struct play *p, const unsigned *nodes, size_t n, bool drain,
                      struct place_said said)
{
    JSON(b);
    gt_buf_puts(&b, "{\"containerInstances\":[");
    for (size_t i = 0; i < n; i++) {
        gt_buf_puts(&b, i ? "," : "");
        wire_json_string(&b, gt_str(p->f->nodes[nodes[i]].name));
    }
    gt_buf_printf(&b, "],\"status\":\"%s\"}", drain ? "DRAINING" : "ACTIVE");
    return ask(p, &ecs_op_update_container_instances_state, &b, said, NULL);
}

int ask_drain(struct play *p, const struct target *t, bool drain, struct place_said said)
{
    unsigned some[ASKED_AT_ONCE];
    size_t n = 0;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < p->f->n_nodes; i++) {
        if (target_has(t, p->f->nodes[i].group, p->f->nodes[i].number)) {
            some[n++] = i;
        }
        if (n == ASKED_AT_ONCE || (n && i + 1 == p->f->n_nodes)) {
            r = drain_some(p, some, n, drain, said);
            n = 0;
        }
    }
    return r;
}
