/* Nodes and their tasks. What they say and hear is in agents_calls.c. */
#include "control/sim/agents_priv.h"

#include <stdio.h>

enum { WAIT_MS = 25000, RETRY_MS = 500 };

struct sim_agents *sim_agents_new(struct sim_world *w, const struct sim_rules *rules)
{
    struct sim_agents *a = gt_new(struct sim_agents);
    a->w = w;
    a->rules = rules ? *rules : (struct sim_rules){0};
    a->rules.wait_ms = a->rules.wait_ms ? a->rules.wait_ms : WAIT_MS;
    a->rules.retry_ms = a->rules.retry_ms ? a->rules.retry_ms : RETRY_MS;
    gt_list_init(&a->messages);
    gt_table_init(&a->timers);
    gt_table_init(&a->waiting);
    gt_table_init(&a->names);
    sim_world_listen(w, agents_written, a);
    return a;
}

static void set_timer(struct sim_agents *a, struct sim_task *t, int64_t delay);

static void forget(struct sim_agents *a, struct sim_node *n, struct sim_task *t)
{
    set_timer(a, t, -1);
    gt_list_remove(&t->link);
    gt_table_del(&n->by_id, gt_str(t->id));
    n->n_tasks--;
    n->n_unreported -= t->sequence > t->acked;
    free(t);
}

static void forget_all(struct sim_agents *a, struct sim_node *n)
{
    gt_list_for_each (it, tmp, &n->tasks) {
        forget(a, n, gt_list_entry(it, struct sim_task, link));
    }
}

void sim_agents_free(struct sim_agents *a)
{
    if (!a) {
        return;
    }
    agents_free_calls(a);
    for (size_t i = 0; i < a->n; i++) {
        forget_all(a, a->nodes[i]);
        agents_answered(a->nodes[i], UINT64_MAX);
        gt_table_fini(&a->nodes[i]->by_id);
        free(a->nodes[i]);
    }
    free(a->nodes);
    gt_table_fini(&a->timers);
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&a->names, &it));) {
        free(e->value);
    }
    gt_table_fini(&a->names);
    free(a);
}

unsigned sim_agents_add(struct sim_agents *a, const struct sim_node_spec *spec)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 64;
        a->nodes = gt_realloc(a->nodes, a->cap * sizeof(struct sim_node *));
    }
    struct sim_node *n = gt_new(struct sim_node);
    n->index = (unsigned)a->n;
    n->spec = *spec;
    gt_list_init(&n->tasks);
    gt_list_init(&n->ended);
    gt_table_init(&n->by_id);
    a->nodes[a->n] = n;
    return (unsigned)a->n++;
}

unsigned sim_agents_count(const struct sim_agents *a)
{
    return (unsigned)a->n;
}

struct sim_node *sim_agents_node(struct sim_agents *a, unsigned node)
{
    GT_ASSERT(node < a->n);
    return a->nodes[node];
}

struct sim_task *sim_node_task(const struct sim_node *n, const char *id)
{
    return gt_table_get(&n->by_id, gt_str(id));
}

struct sim_node *agents_current(struct sim_agents *a, uint64_t node, uint64_t life)
{
    struct sim_node *n = sim_agents_node(a, (unsigned)node);
    return n->up && n->life == life ? n : NULL;
}

/* ---- starts and ends ---- */

static void beat_due(void *arg, uint64_t node, uint64_t life)
{
    struct sim_agents *a = arg;
    struct sim_node *n = agents_current(a, node, life);
    if (n) {
        agents_beat(a, n);
        sim_at(a->w, a->rules.beat_ms, beat_due, a, node, life);
    }
}

static void agent_starts(void *arg, uint64_t node, uint64_t life)
{
    struct sim_agents *a = arg;
    struct sim_node *n = sim_agents_node(a, (unsigned)node);
    if (n->life == life) { /* else: of a start that came to nothing */
        n->up = true;
        agents_register(a, n);
        if (a->rules.beat_ms) {
            sim_at(a->w, a->rules.beat_ms, beat_due, a, node, life);
        }
    }
}

void sim_agents_stop(struct sim_agents *a, unsigned node)
{
    struct sim_node *n = sim_agents_node(a, node);
    n->life = ++a->numbers;
    n->up = n->registered = n->report_planned = false;
    agents_answered(n, UINT64_MAX); /* no poll of this life will be answered any more */
    memset(n->waits, 0, sizeof n->waits);
}

void sim_agents_start(struct sim_agents *a, unsigned node, int64_t delay)
{
    sim_agents_stop(a, node);
    sim_at(a->w, delay, agent_starts, a, node, sim_agents_node(a, node)->life);
}

static void advance(struct sim_agents *a, struct sim_node *n, struct sim_task *t, int64_t status)
{
    n->n_unreported += t->sequence == t->acked;
    t->status = status;
    t->sequence++;
    if (a->rules.changed) {
        a->rules.changed(a->rules.arg, n, t);
    }
}

void sim_agents_crash(struct sim_agents *a, unsigned node, bool notes_survive)
{
    struct sim_node *n = sim_agents_node(a, node);
    sim_agents_stop(a, node);
    gt_list_for_each (it, tmp, &n->tasks) {
        struct sim_task *t = gt_list_entry(it, struct sim_task, link);
        set_timer(a, t, -1);
        if (t->status != TASK_STOPPED) {
            t->exit_code = 137;
            t->stop_code = "EssentialContainerExited";
            t->reason = "the machine started anew";
            advance(a, n, t, TASK_STOPPED);
        }
    }
    if (!notes_survive) {
        forget_all(a, n);
    }
}

void sim_agents_server_restarted(struct sim_agents *a)
{
    agents_lose_parked(a);
}

/* ---- tasks ---- */

/* The one copy of a name. */
const char *agents_name(struct sim_agents *a, struct gt_str name)
{
    char *kept = gt_table_get(&a->names, name);
    if (!kept) {
        kept = gt_malloc(name.n + 1);
        agents_copy(kept, name.n + 1, name);
        gt_table_put(&a->names, name, kept);
    }
    return kept;
}

static void report_due(void *arg, uint64_t node, uint64_t life)
{
    struct sim_agents *a = arg;
    struct sim_node *n = agents_current(a, node, life);
    if (n) {
        n->report_planned = false;
        agents_report(a, n);
    }
}

static void report_soon(struct sim_agents *a, struct sim_node *n)
{
    if (n->up && !n->report_planned) {
        n->report_planned = true;
        sim_at(a->w, a->rules.report_ms, report_due, a, n->index, n->life);
    }
}

static void ended(struct sim_task *t, int64_t code, const char *stop_code, const char *reason)
{
    t->exit_code = code;
    t->stop_code = stop_code;
    t->reason = reason;
}

/* What was to happen next to a task happens. */
static void task_due(void *arg, uint64_t number, uint64_t unused)
{
    struct sim_agents *a = arg;
    struct sim_task *t = gt_table_del(&a->timers, gt_str_n((const char *)&number, sizeof number));
    if (!t) {
        return; /* it came otherwise */
    }
    struct sim_node *n = a->nodes[t->node];
    t->timer = 0;
    if (t->stop) {
        t->exit_code = t->started ? 143 : 0;
        advance(a, n, t, TASK_STOPPED);
    } else if (t->status == TASK_RUNNING) {
        ended(t, t->fate.exit_code, "EssentialContainerExited",
              "Essential container in task exited");
        advance(a, n, t, TASK_STOPPED);
    } else if (t->fate.failure) {
        ended(t, 0, "TaskFailedToStart", t->fate.failure);
        advance(a, n, t, TASK_STOPPED);
    } else {
        t->started = true;
        if (t->fate.run_ms >= 0) {
            set_timer(a, t, t->fate.run_ms);
        }
        advance(a, n, t, TASK_RUNNING);
    }
    report_soon(a, n);
}

/* delay < 0: nothing is to happen. */
static void set_timer(struct sim_agents *a, struct sim_task *t, int64_t delay)
{
    if (t->timer) {
        gt_table_del(&a->timers, gt_str_n((const char *)&t->timer, sizeof t->timer));
        t->timer = 0;
    }
    if (delay >= 0) {
        t->timer = ++a->numbers;
        gt_table_put(&a->timers, gt_str_n((const char *)&t->timer, sizeof t->timer), t);
        sim_at(a->w, delay, task_due, a, t->timer, 0);
    }
}

static struct sim_task *add_task(struct sim_agents *a, struct sim_node *n, const struct told *told)
{
    struct sim_task *t = gt_new(struct sim_task);
    *t = (struct sim_task){.node = n->index,
                           .family = told->family,
                           .service = told->service,
                           .revision = told->revision,
                           .generation = told->generation,
                           .sequence = told->sequence,
                           .acked = told->sequence,
                           .status = TASK_PENDING,
                           .fate = {.run_ms = -1}};
    agents_copy(t->id, sizeof t->id, gt_str(told->id));
    agents_copy(t->address, sizeof t->address, gt_str(told->address));
    gt_list_push_back(&n->tasks, &t->link);
    gt_table_put(&n->by_id, gt_str(t->id), t);
    n->n_tasks++;
    return t;
}

void agents_answered(struct sim_node *n, uint64_t number)
{
    gt_list_for_each (it, tmp, &n->ended) {
        struct sim_ended *e = gt_list_entry(it, struct sim_ended, link);
        if (e->number > number) {
            break;
        }
        gt_list_remove(&e->link);
        free(e);
    }
}

static bool has_ended(const struct sim_node *n, const char *id)
{
    gt_list_for_each (it, tmp, &n->ended) {
        if (gt_streq(gt_list_entry(it, struct sim_ended, link)->id, id)) {
            return true;
        }
    }
    return false;
}

static void remember_end(struct sim_agents *a, struct sim_node *n, const char *id)
{
    struct sim_ended *e = gt_new(struct sim_ended);
    e->number = ++a->numbers;
    agents_copy(e->id, sizeof e->id, gt_str(id));
    gt_list_push_back(&n->ended, &e->link);
}

static void tell(struct sim_agents *a, const struct sim_node *n, const struct sim_task *t)
{
    if (a->rules.told) {
        a->rules.told(a->rules.arg, n, t);
    }
}

void agents_told(struct sim_agents *a, struct sim_node *n, const struct told *told)
{
    struct sim_task *t = sim_node_task(n, told->id);
    bool known = t;
    if (!known && has_ended(n, told->id)) {
        return;
    }
    t = t ? t : add_task(a, n, told);
    t->walk = n->walk;
    tell(a, n, t);
    if (!known && (told->stop || told->sequence > 0 || n->adopted)) { /* nothing of it is here */
        ended(t, 0, told->stop ? NULL : "TaskFailedToStart",
              told->stop ? NULL : "the node started anew");
        advance(a, n, t, TASK_STOPPED);
        report_soon(a, n);
        return;
    }
    if (!known) {
        if (a->rules.fate) {
            a->rules.fate(a->rules.arg, n, t, &t->fate);
        }
        set_timer(a, t, t->fate.prepare_ms);
    }
    if (told->stop && !t->stop) {
        t->stop = true;
        set_timer(a, t, t->status == TASK_STOPPED ? -1 : t->fate.stop_ms);
    }
}

/* What the server did not name in a walk over everything is not this node's any more. */
void agents_drop_others(struct sim_agents *a, struct sim_node *n)
{
    gt_list_for_each (it, tmp, &n->tasks) {
        struct sim_task *t = gt_list_entry(it, struct sim_task, link);
        if (t->walk != n->walk) {
            tell(a, n, t);
            forget(a, n, t);
        }
    }
}

void agents_accepted(struct sim_agents *a, struct sim_node *n, const struct said *said)
{
    struct sim_task *t = sim_node_task(n, said->id);
    if (!t || said->sequence <= t->acked) {
        return; /* gone by now, or said twice */
    }
    t->acked = said->sequence;
    n->n_unreported -= t->sequence == t->acked;
    if (said->status == TASK_STOPPED) {
        remember_end(a, n, t->id);
        forget(a, n, t);
    }
}

/* ---- the session ---- */

void agents_report_all(struct sim_agents *a, struct sim_node *n)
{
    report_soon(a, n);
    gt_list_for_each (it, tmp, &n->tasks) {
        struct sim_task *t = gt_list_entry(it, struct sim_task, link);
        n->n_unreported += t->acked == t->sequence;
        t->acked = GT_MIN(t->acked, t->sequence - 1);
    }
}

void agents_registered(struct sim_agents *a, struct sim_node *n, const struct message *m)
{
    agents_copy(n->session, sizeof n->session, gt_str(m->new_session));
    agents_copy(n->memory.cluster_id, sizeof n->memory.cluster_id, gt_str(m->cluster_id));
    n->astray = m->astray;
    n->adopted = m->adopted;
    if (n->memory.epoch != m->next_epoch) {
        agents_report_all(a, n);
    }
    if (!n->astray && !n->adopted) { /* else it knows better than the server what was */
        n->memory.epoch = m->next_epoch;
    }
    n->registered = true;
    n->revision = n->epoch = 0;
    n->more[0] = '\0';
    n->walk = ++a->numbers;
    agents_poll(a, n);
    report_soon(a, n);
}

struct principal sim_node_principal(const struct sim_node *n)
{
    return (struct principal){
        .kind = PRINCIPAL_NODE, .account = GT_STR_LIT(SIM_ACCOUNT), .name = gt_str(n->spec.id)};
}
