/* Nodes, services and jobs of a scenario as a file, which scenario_read() reads. */
#include "control/simulate/scenario.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/wire/json.h"

static void put_number(struct gt_buf *to, const char *field, int64_t v)
{
    gt_buf_printf(to, "    %s: %lld\n", field, (long long)v);
}

static void put_span(struct gt_buf *to, const char *field, const struct span *s)
{
    gt_buf_printf(to, "    %s: %lldms", field, (long long)s->low);
    if (s->high > s->low) {
        gt_buf_printf(to, "..%lldms", (long long)s->high);
    }
    gt_buf_putc(to, '\n');
}

static void put_ports(struct gt_buf *to, const char *field, const struct ports *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (i) {
            gt_buf_puts(to, ", ");
        } else {
            gt_buf_printf(to, "    %s: [", field);
        }
        gt_buf_printf(to, "%lld%s", (long long)(p->v[i] & 0xffff), p->v[i] >> 16 ? "/udp" : "");
    }
    gt_buf_puts(to, p->n ? "]\n" : "");
}

static void put_node(struct gt_buf *to, const struct node_group *g)
{
    gt_buf_printf(to, "  - name: " GT_STR_FMT "\n", GT_STR_ARG(g->name));
    if (g->numbered) {
        put_number(to, "count", g->count);
    }
    for (size_t i = 0; i < g->zones.n; i++) {
        gt_buf_puts(to, i ? ", " : "    zones: [");
        gt_buf_str(to, g->zones.v[i]);
    }
    gt_buf_puts(to, g->zones.n ? "]\n" : "");
    put_number(to, "cpu", g->cpu);
    put_number(to, "memory", g->memory);
    put_ports(to, "reservedPorts", &g->reserved_ports);
    gt_buf_puts(to, g->n_attributes ? "    attributes:\n" : "");
    for (size_t i = 0; i < g->n_attributes; i++) {
        gt_buf_puts(to, "      ");
        wire_json_string(to, g->attributes[i].name);
        gt_buf_puts(to, ": ");
        wire_json_string(to, g->attributes[i].value);
        gt_buf_putc(to, '\n');
    }
}

/* A list of pairs, the second of which may be absent. */
static void put_pair(struct gt_buf *to, struct gt_str type, const char *field, struct gt_str value)
{
    gt_buf_printf(to, "      - type: " GT_STR_FMT "\n", GT_STR_ARG(type));
    if (value.n) {
        gt_buf_printf(to, "        %s: ", field);
        wire_json_string(to, value);
        gt_buf_putc(to, '\n');
    }
}

static void put_task(struct gt_buf *to, const struct task_kind *k)
{
    put_number(to, "cpu", k->cpu);
    put_number(to, "memory", k->memory);
    put_ports(to, "hostPorts", &k->host_ports);
    gt_buf_printf(to, "    networkMode: " GT_STR_FMT "\n", GT_STR_ARG(k->network_mode));
    gt_buf_puts(to, k->n_strategies ? "    placementStrategy:\n" : "");
    for (size_t i = 0; i < k->n_strategies; i++) {
        put_pair(to, k->strategies[i].type, "field", k->strategies[i].field);
    }
    gt_buf_puts(to, k->n_constraints ? "    placementConstraints:\n" : "");
    for (size_t i = 0; i < k->n_constraints; i++) {
        put_pair(to, k->constraints[i].type, "expression", k->constraints[i].expression);
    }
    put_span(to, "startTime", &k->start_time);
}

static void put_service(struct gt_buf *to, const struct service_kind *k)
{
    gt_buf_printf(to, "  - name: " GT_STR_FMT "\n", GT_STR_ARG(k->task.name));
    put_number(to, "desiredCount", k->desired);
    put_task(to, &k->task);
    put_number(to, "minimumHealthyPercent", k->min_percent);
    put_number(to, "maximumPercent", k->max_percent);
}

void scenario_write(const struct scenario *s, struct gt_buf *to)
{
    gt_buf_printf(to, "duration: %llds\n\nnodes:\n", (long long)s->duration / 1000);
    for (size_t i = 0; i < s->n_nodes; i++) {
        put_node(to, &s->nodes[i]);
    }
    gt_buf_puts(to, s->n_services ? "\nservices:\n" : "");
    for (size_t i = 0; i < s->n_services; i++) {
        put_service(to, &s->services[i]);
    }
}
