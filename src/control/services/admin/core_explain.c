/*
 * Explain: for a task where it is, for a service where its next task would go, and for each node
 * why or why not. Everything is derived from the state at hand; nothing is kept for it.
 *
 * Of a task that is there, what it holds counts as free: the answer is what placement would say if
 * it had to place it now. To see what it said then, ask at the revision that made the task.
 */
#include "control/services/admin/explain_words.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/launch.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/place.h"
#include "control/services/ecs/service.h"
#include "control/services/gen/admin_handlers.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum { NODES_SHOWN = 20 };

/* What is explained. */
struct subject {
    struct sched_request rq;
    struct gt_str cluster, text;
    const struct rec_ecs_task *task; /* NULL: a service */
};

/* A node with what there is to say of it. */
struct verdict {
    size_t at;
    bool chosen;
    unsigned refusals;
    const int64_t *scores;
    struct explain_fix fix;
};

struct scene {
    struct tx *tx;
    const struct subject *of;
    struct explain_node *nodes;
    struct verdict *v;
    size_t n, n_scores;
};

static int not_found(struct gt_err *err, const char *what, struct gt_str name)
{
    return gt_err_aws(err, GT_ERR_NOT_FOUND, "ResourceNotFoundException",
                      "There is no %s '" GT_STR_FMT "'.", what, GT_STR_ARG(name));
}

static int no_node(struct gt_err *err, struct gt_str said)
{
    return gt_err_aws(err, GT_ERR_NOT_FOUND, "NodeNotFoundException",
                      "There is no node for such tasks called '" GT_STR_FMT "'.", GT_STR_ARG(said));
}

static int find_task(struct tx *tx, struct gt_str said, struct subject *s, struct gt_err *err)
{
    s->task = task_of(tx, s->cluster, said);
    if (!s->task || !launch_again(tx, s->task, &s->rq)) {
        return not_found(err, s->task ? "definition any more of task" : "task", said);
    }
    s->text = gt_str(gt_arena_printf(tx_arena(tx), "task " GT_STR_FMT, GT_STR_ARG(s->task->id)));
    return 0;
}

static int find_service(struct tx *tx, struct gt_str said, struct subject *s, struct gt_err *err)
{
    struct task_ask ask;
    struct rec_ecs_service *rec = service_of(tx, s->cluster, said);
    if (!rec || !gt_str_is(rec->status, SERVICE_ACTIVE) ||
        !service_ask(tx, rec, service_primary(rec), &ask, &s->rq)) {
        return not_found(err, "active service", said);
    }
    s->text = gt_str(
        gt_arena_printf(tx_arena(tx), "next task of service " GT_STR_FMT, GT_STR_ARG(rec->name)));
    return 0;
}

static int find_subject(struct tx *tx, const struct admin_explain_in *in, struct subject *s,
                        struct gt_err *err)
{
    const struct rec_ecs_cluster *c = cluster_of(tx, in->cluster, err);
    if (!c) {
        return -ENOENT;
    }
    s->cluster = c->name;
    if ((in->task.n > 0) == (in->service.n > 0)) {
        return invalid(err, "Say either task or service.");
    }
    return in->task.n ? find_task(tx, in->task, s, err) : find_service(tx, in->service, s, err);
}

/* The node as it would be without the task. */
static void give_back(struct tx *tx, struct sched_node *n, const struct rec_ecs_task *t)
{
    struct query_group *groups =
        gt_arena_array(tx_arena(tx), struct query_group, n->is.n_groups + 1);
    int64_t *ports = gt_arena_array(tx_arena(tx), int64_t, n->n_ports + 1);
    size_t n_groups = 0, n_ports = 0;
    for (size_t i = 0; i < n->is.n_groups; i++) {
        groups[n_groups] = n->is.groups[i];
        groups[n_groups].tasks -= gt_str_eq(groups[n_groups].name, t->group);
        n_groups += groups[n_groups].tasks > 0;
    }
    for (size_t i = 0; i < n->n_ports; i++) {
        bool own = false;
        for (size_t k = 0; k < t->reserved_ports.n; k++) {
            own = own || t->reserved_ports.v[k] == n->ports[i];
        }
        ports[n_ports] = n->ports[i];
        n_ports += !own;
    }
    n->cpu_free += t->reserved_cpu;
    n->memory_free += t->reserved_memory;
    n->addresses_free += t->address.n > 0;
    n->is.groups = groups;
    n->is.n_groups = n_groups;
    n->ports = ports;
    n->n_ports = n_ports;
}

static void look(struct scene *s)
{
    struct gt_arena *a = tx_arena(s->tx);
    struct fleet *fleet = place_fleet(s->tx, s->of->cluster);
    size_t size = fleet_size(fleet);
    s->nodes = gt_arena_array(a, struct explain_node, size + 1);
    s->v = gt_arena_array(a, struct verdict, size + 1);
    const struct rec_ecs_task *t = s->of->task;
    for (size_t i = 0; i < size; i++) {
        const struct sched_node *n = fleet_at(fleet, i);
        const struct rec_ecs_node *rec =
            tx_get(s->tx, key_node(s->tx, s->of->cluster, n->id), &rec_ecs_node_desc);
        if (n->external != s->of->rq.external || !rec) {
            continue;
        }
        struct explain_node *to = &s->nodes[s->n];
        *to = (struct explain_node){.now = *n, .cpu = rec->cpu, .memory = rec->memory};
        bool chosen = t && gt_str_eq(t->node, n->id);
        if (chosen && (t->last_status != TASK_STOPPED || t->ghost)) {
            give_back(s->tx, &to->now, t);
        }
        s->v[s->n] = (struct verdict){.at = s->n, .chosen = chosen};
        s->n++;
    }
}

static void judge(struct scene *s)
{
    struct gt_arena *a = tx_arena(s->tx);
    const struct sched_request *rq = &s->of->rq;
    sched_strategies(rq, &s->n_scores);
    const int64_t *scores = explain_scores(s->nodes, s->n, rq, a);
    for (size_t i = 0; i < s->n; i++) {
        struct verdict *v = &s->v[i];
        v->refusals = explain_refusals(&s->nodes[i].now, rq);
        v->scores = &scores[i * s->n_scores];
        struct gt_arena_mark mark = gt_arena_mark(a);
        v->fix = explain_fix_node(s->nodes, i, rq, a);
        if (!v->fix.n) {
            gt_arena_release(a, mark);
        }
    }
}

/* The one that was chosen, those that fit by their scores, the others by what it would take. */
static int compare(const void *x, const void *y, void *arg)
{
    const struct verdict *a = x, *b = y;
    const struct scene *s = arg;
    if (a->chosen != b->chosen) {
        return a->chosen ? -1 : 1;
    }
    if (!a->refusals != !b->refusals) {
        return a->refusals ? 1 : -1;
    }
    if (a->refusals && a->fix.weight != b->fix.weight) {
        return a->fix.weight < b->fix.weight ? -1 : 1;
    }
    for (size_t i = 0; i < s->n_scores; i++) {
        if (a->scores[i] != b->scores[i]) {
            return a->scores[i] < b->scores[i] ? -1 : 1;
        }
    }
    return a->at < b->at ? -1 : 1;
}

/* ---- the answer ---- */

static void show_fix(const struct scene *s, const struct explain_fix *f,
                     struct admin_placement_fix *to)
{
    struct gt_arena *a = tx_arena(s->tx);
    if (f->node >= 0) {
        to->node = s->nodes[f->node].now.id;
    }
    to->changes.v = gt_arena_array(a, struct admin_placement_change, f->n + 1);
    to->changes.has = true;
    for (size_t i = 0; i < f->n; i++) {
        to->changes.v[to->changes.n++] =
            (struct admin_placement_change){.kind = gt_str(words_change_kind(f->changes[i].kind)),
                                            .text = words_change(&f->changes[i], &s->of->rq, a)};
    }
}

static void show_node(const struct scene *s, const struct verdict *v, struct admin_node_verdict *to)
{
    struct gt_arena *a = tx_arena(s->tx);
    const struct explain_node *n = &s->nodes[v->at];
    const struct rec_ecs_node *rec =
        tx_get(s->tx, key_node(s->tx, s->of->cluster, n->now.id), &rec_ecs_node_desc);
    to->node = n->now.id;
    to->name = rec->name;
    to->zone = rec->zone;
    WIRE_SET(to, fits, v->refusals == 0);
    to->refusals.v = gt_arena_array(a, struct admin_node_refusal, SCHED_ADDRESS + 1);
    to->refusals.has = to->scores.has = true;
    for (enum sched_refusal why = SCHED_FITS + 1; why <= SCHED_ADDRESS; why++) {
        if (v->refusals & EXPLAIN_BIT(why)) {
            to->refusals.v[to->refusals.n++] =
                (struct admin_node_refusal){.reason = gt_str(sched_refusal_reason(why)),
                                            .text = words_refusal(why, n, &s->of->rq, a)};
        }
    }
    to->scores.v = gt_arena_array(a, int64_t, s->n_scores + 1);
    for (size_t i = 0; i < s->n_scores; i++) {
        to->scores.v[to->scores.n++] = v->scores[i];
    }
    if (v->refusals && v->fix.weight < EXPLAIN_IMPOSSIBLE) {
        to->fix = gt_arena_new(a, struct admin_placement_fix);
        show_fix(s, &v->fix, to->fix);
    }
}

static void show_ask(const struct scene *s, struct admin_placement_ask *to)
{
    struct gt_arena *a = tx_arena(s->tx);
    const struct sched_request *rq = &s->of->rq;
    WIRE_SET(to, cpu, rq->cpu);
    WIRE_SET(to, memory, rq->memory);
    WIRE_SET(to, address, rq->needs_address);
    WIRE_SET(to, distinct_instance, rq->distinct_instance);
    to->host_ports.v = gt_arena_array(a, struct gt_str, rq->n_ports + 1);
    for (size_t i = 0; i < rq->n_ports; i++) {
        to->host_ports.v[to->host_ports.n++] = words_port(rq->ports[i], a);
    }
    to->member_of.v = gt_arena_array(a, struct gt_str, rq->n_member_of + 1);
    for (size_t i = 0; i < rq->n_member_of; i++) {
        to->member_of.v[to->member_of.n++] = query_text(rq->member_of[i]);
    }
    to->attributes.v = gt_arena_array(a, struct gt_str, rq->n_requires + 1);
    for (size_t i = 0; i < rq->n_requires; i++) {
        to->attributes.v[to->attributes.n++] =
            gt_str(gt_arena_printf(a, GT_STR_FMT "=" GT_STR_FMT, GT_STR_ARG(rq->requires[i].name),
                                   GT_STR_ARG(rq->requires[i].value)));
    }
    size_t n;
    const struct sched_strategy *by = sched_strategies(rq, &n);
    to->strategies.v = gt_arena_array(a, struct gt_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        to->strategies.v[to->strategies.n++] = words_strategy(&by[i], a);
    }
    to->host_ports.has = to->member_of.has = to->attributes.has = to->strategies.has = true;
}

/* By its id or by the name that it gave itself. */
static bool is_called(const struct scene *s, const struct verdict *v, struct gt_str said)
{
    struct gt_str id = s->nodes[v->at].now.id;
    const struct rec_ecs_node *rec =
        tx_get(s->tx, key_node(s->tx, s->of->cluster, id), &rec_ecs_node_desc);
    return gt_str_eq(said, id) || gt_str_eq(said, rec->name);
}

/* `node` empty: as many as asked for, the most telling first. */
static int show_nodes(const struct scene *s, struct gt_str node, size_t most,
                      struct admin_explain_out *out, struct gt_err *err)
{
    out->nodes.v =
        gt_arena_array(tx_arena(s->tx), struct admin_node_verdict, GT_MIN(most, s->n) + 1);
    out->nodes.has = true;
    for (size_t i = 0; i < s->n && out->nodes.n < most; i++) {
        if (!node.n || is_called(s, &s->v[i], node)) {
            show_node(s, &s->v[i], &out->nodes.v[out->nodes.n++]);
        }
    }
    return node.n && !out->nodes.n ? no_node(err, node) : 0;
}

int admin_explain(struct tx *tx, const struct admin_explain_in *in, struct admin_explain_out *out,
                  struct gt_err *err)
{
    struct subject of = {0};
    int r = find_subject(tx, in, &of, err);
    if (r < 0) {
        return r;
    }
    struct scene s = {.tx = tx, .of = &of};
    int64_t fitting = 0;
    look(&s);
    judge(&s);
    for (size_t i = 0; i < s.n; i++) {
        fitting += s.v[i].refusals == 0;
    }
    qsort_r(s.v, s.n, sizeof *s.v, compare, &s);
    out->subject = of.text;
    if (of.task) {
        uint64_t created = 0, modified;
        tx_revisions(tx, key_task(tx, of.cluster, of.task->id), &created, &modified);
        out->placed_on = of.task->node;
        WIRE_SET(out, create_revision, (int64_t)created);
    }
    out->ask = gt_arena_new(tx_arena(tx), struct admin_placement_ask);
    show_ask(&s, out->ask);
    WIRE_SET(out, considered, (int64_t)s.n);
    WIRE_SET(out, fitting, fitting);
    if (!fitting) {
        struct explain_fix fix = explain_fix(s.nodes, s.n, &of.rq, tx_arena(tx));
        out->fix = gt_arena_new(tx_arena(tx), struct admin_placement_fix);
        show_fix(&s, &fix, out->fix);
    }
    struct gt_str node = in->node, id = name_of_arn(tx, node, "container-instance");
    if (node.n && !name_in_cluster(id, of.cluster, &node)) {
        return no_node(err, in->node);
    }
    return show_nodes(&s, node, in->has_max_nodes ? (size_t)in->max_nodes : NODES_SHOWN, out, err);
}
