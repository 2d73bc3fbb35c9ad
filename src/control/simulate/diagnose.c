/* Why a task finds no place, by the scheduler's own verdicts, and what would help. */
#include "control/scheduler/explain.h"
#include "control/services/admin/explain_words.h"
#include "control/services/ecs/launch.h"
#include "control/services/ecs/place.h"
#include "control/services/ecs/service.h"
#include "control/services/ecs/taskdef.h"
#include "control/simulate/play_priv.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"

struct diagnosis {
    struct play *p;
    unsigned kind;
    struct outcome_unplaced *to;
};

static struct gt_str cluster(void)
{
    return GT_STR_LIT(SIM_CLUSTER);
}

/* A job's: as RunTask makes it. */
static bool job_request(struct tx *tx, const struct task_kind *k, struct sched_request *rq)
{
    struct gt_arena *a = tx_arena(tx);
    struct task_ask ask = {
        .def = taskdef_find(tx, k->name),
        .cluster = cluster(),
        .launch_type = GT_STR_LIT("EC2"),
        .group = gt_str(gt_arena_printf(a, "family:" GT_STR_FMT, GT_STR_ARG(k->name)))};
    struct rec_ecs_expression_list constraints = {
        .v = gt_arena_array(a, struct rec_ecs_expression, k->n_constraints + 1),
        .n = k->n_constraints};
    for (size_t i = 0; i < k->n_constraints; i++) {
        constraints.v[i].type = k->constraints[i].type;
        constraints.v[i].expression = k->constraints[i].expression;
    }
    if (!ask.def) {
        return false;
    }
    *rq = task_request(tx, &ask);
    return launch_placement(tx, &constraints, &(struct rec_ecs_strategy_list){0}, rq, NULL) == 0;
}

static bool request(struct tx *tx, const struct diagnosis *d, struct sched_request *rq)
{
    const struct scenario *s = d->p->s;
    if (d->kind >= s->n_services) {
        return job_request(tx, &d->p->out->jobs[d->kind - s->n_services].what->task, rq);
    }
    struct task_ask ask;
    struct rec_ecs_service *rec = service_of(tx, cluster(), s->services[d->kind].task.name);
    return rec && service_ask(tx, rec, service_primary(rec), &ask, rq);
}

/* ---- the nodes that there are ---- */

static size_t look(struct tx *tx, const struct diagnosis *d, const struct sched_request *rq,
                   struct explain_node **ret)
{
    struct fleet *fleet = place_fleet(tx, cluster());
    size_t n = fleet_size(fleet);
    struct explain_node *v = gt_arena_array(tx_arena(tx), struct explain_node, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct sched_node *node = fleet_at(fleet, i);
        int at = machines_find(d->p->f, node->id);
        GT_ASSERT(at >= 0);
        const struct node_group *g = d->p->f->nodes[at].group;
        v[i] = (struct explain_node){.now = *node, .cpu = g->cpu, .memory = g->memory};
        d->to->nodes[sched_fits(node, rq)]++;
    }
    *ret = v;
    return n;
}

/* The node that takes the least to fit, and what it takes. */
static void say_closest(struct tx *tx, const struct diagnosis *d, const struct sched_request *rq,
                        const struct explain_node *v, const struct explain_fix *fix)
{
    struct gt_arena *a = d->p->out->arena;
    const struct explain_node *n = &v[fix->node];
    gt_auto_buf struct gt_buf help = GT_BUF_INIT(2000);
    d->to->closest = gt_arena_str(a, n->now.id);
    d->to->lacks = gt_arena_str(a, words_refusal(sched_fits(&n->now, rq), n, rq, tx_arena(tx)));
    for (size_t i = 0; i < fix->n; i++) {
        gt_buf_puts(&help, i ? ", and " : "");
        gt_buf_str(&help, words_change(&fix->changes[i], rq, tx_arena(tx)));
    }
    d->to->change = gt_arena_str(a, gt_buf_view(&help));
}

/* ---- more nodes ---- */

/* How many tasks an empty node of the group takes. `like`: one of its nodes. */
static int64_t room(const struct node_group *g, const struct sched_node *like,
                    const struct sched_request *rq)
{
    struct sched_node empty = *like;
    empty.active = empty.is.connected = true;
    empty.is.groups = NULL;
    empty.is.n_groups = 0;
    empty.is.running_tasks = 0;
    empty.cpu_free = g->cpu;
    empty.memory_free = g->memory;
    empty.addresses_free = PLACE_LAST_ADDRESS - PLACE_FIRST_ADDRESS + 1;
    empty.ports = g->reserved_ports.v;
    empty.n_ports = g->reserved_ports.n;
    if (sched_fits(&empty, rq) != SCHED_FITS) {
        return 0;
    }
    int64_t n = rq->n_ports || rq->distinct_instance ? 1 : INT64_MAX;
    n = rq->cpu ? GT_MIN(n, g->cpu / rq->cpu) : n;
    n = rq->memory ? GT_MIN(n, g->memory / rq->memory) : n;
    return rq->needs_address ? GT_MIN(n, (int64_t)empty.addresses_free) : n;
}

/* Of which group the fewest more nodes would take all tasks that have no place. */
static void say_more_nodes(struct tx *tx, const struct diagnosis *d, const struct sched_request *rq)
{
    struct fleet *fleet = place_fleet(tx, cluster());
    const struct machines *f = d->p->f;
    const struct node_group *best = NULL;
    int64_t fewest = INT64_MAX;
    for (size_t i = 0; i < f->n_nodes; i++) {
        const struct node_group *g = f->nodes[i].group;
        const struct sched_node *like = fleet_find(fleet, gt_str(f->nodes[i].name));
        int64_t each = f->nodes[i].number == 0 && like ? room(g, like, rq) : 0;
        int64_t n = each ? (d->to->missing + each - 1) / each : INT64_MAX;
        if (n < fewest) {
            fewest = n;
            best = g;
        }
    }
    if (best) {
        d->to->more =
            gt_arena_printf(d->p->out->arena, "%lld more node%s like " GT_STR_FMT,
                            (long long)fewest, fewest == 1 ? "" : "s", GT_STR_ARG(best->name));
    }
}

static int run(struct tx *tx, void *arg, struct gt_err *err)
{
    const struct diagnosis *d = arg;
    struct sched_request rq;
    struct explain_node *v;
    if (!request(tx, d, &rq)) {
        return 0;
    }
    size_t n = look(tx, d, &rq, &v);
    struct explain_fix fix = explain_fix(v, n, &rq, tx_arena(tx));
    if (fix.node >= 0 && fix.n) {
        say_closest(tx, d, &rq, v, &fix);
    }
    say_more_nodes(tx, d, &rq);
    return 0;
}

void diagnose(struct play *p, unsigned kind, int64_t missing, struct outcome_unplaced *to)
{
    struct diagnosis d = {.p = p, .kind = kind, .to = to};
    int64_t ms = to->ms;
    *to = (struct outcome_unplaced){.missing = missing, .at = play_now(p), .ms = ms};
    struct core_call c = {.fn = run,
                          .arg = &d,
                          .principal = sim_internal,
                          .region = GT_STR_LIT(SIM_REGION),
                          .arena = &p->w.arena,
                          .label = GT_STR_LIT("diagnose")};
    sim_world_apply(&p->w, &c);
    GT_ASSERT(c.result == 0);
}
