/* What the scenario lets happen, as events of the world. */
#include "control/simulate/play_priv.h"
#include "lib/base/mem.h"

#include <stdio.h>

/* How long a machine takes to be counted again: until its agent has registered and said what became
 * of its tasks. */
enum { BACK_MS = 1000 };

/* So often, but not more often than each second, is looked who has no place. */
enum { LOOKS = 3600, LOOK_MS = 1000 };

/* ---- nodes ---- */

static void lose(struct play *p, unsigned node)
{
    struct play_node *n = &p->nodes[node];
    heartbeat_changed(p, node);
    n->down = true;
    n->life++;
    sim_agents_crash(p->agents, node, /* notes_survive= */ false);
    track_node_is(&p->track, node, /* up= */ false, n->drained);
}

static void node_counts(void *arg, uint64_t node, uint64_t life)
{
    struct play *p = arg;
    if (p->nodes[node].life == life) {
        track_node_is(&p->track, (unsigned)node, /* up= */ true, p->nodes[node].drained);
    }
}

static void come_back(struct play *p, unsigned node)
{
    struct play_node *n = &p->nodes[node];
    n->down = false;
    n->life++;
    heartbeat_changed(p, node);
    sim_agents_start(p->agents, node, 0);
    sim_at(&p->w, BACK_MS, node_counts, p, node, n->life);
}

static void set_drained(struct play *p, unsigned node, bool drained)
{
    p->nodes[node].drained = drained;
    track_node_is(&p->track, node, p->track.nodes[node].up, drained);
}

/* Returns how many nodes were meant. */
static size_t each_node(struct play *p, const struct target *t, enum scenario_action action)
{
    size_t n = 0;
    for (unsigned i = 0; i < p->f->n_nodes; i++) {
        if (!target_has(t, p->f->nodes[i].group, p->f->nodes[i].number)) {
            continue;
        }
        n++;
        if (action == SCENARIO_LOSE && !p->nodes[i].down) {
            lose(p, i);
        } else if (action == SCENARIO_RETURN && p->nodes[i].down) {
            come_back(p, i);
        } else if (action == SCENARIO_DRAIN || action == SCENARIO_ACTIVATE) {
            set_drained(p, i, action == SCENARIO_DRAIN);
        }
    }
    return n;
}

static void nodes_text(const struct target *t, enum scenario_action action, size_t n, char *to,
                       size_t room)
{
    const char *what = scenario_action_word(action);
    const char *many = n == 1 ? "" : "s";
    if (t->zone.n) {
        snprintf(to, room, "%s zone " GT_STR_FMT " (%zu node%s)", what, GT_STR_ARG(t->zone), n,
                 many);
    } else if (t->group.n) {
        snprintf(to, room, "%s %zu node%s of " GT_STR_FMT, what, n, many, GT_STR_ARG(t->group));
    } else if (t->nodes.n == 1) {
        snprintf(to, room, "%s " GT_STR_FMT, what, GT_STR_ARG(t->nodes.v[0]));
    } else {
        snprintf(to, room, "%s " GT_STR_FMT " and %zu more", what, GT_STR_ARG(t->nodes.v[0]),
                 n - 1);
    }
}

static void change_nodes(struct play *p, const struct happening *h, enum scenario_action action)
{
    char text[200];
    bool draining = action == SCENARIO_DRAIN || action == SCENARIO_ACTIVATE;
    if (draining && ask_drain(p, &h->target, action == SCENARIO_DRAIN, h->said) < 0) {
        return;
    }
    size_t n = each_node(p, &h->target, action);
    nodes_text(&h->target, action, n, text, sizeof text);
    track_stepped(&p->track);
    measure_event(p->measure, h, action, text);
}

/* ---- services ---- */

/* What the event does not say is as in the revision before. */
static const struct task_kind *next_revision(struct play *p, const struct happening *h)
{
    const struct family *f = &p->families[h->service];
    struct task_kind *k = gt_arena_new(p->out->arena, struct task_kind);
    *k = *f->revisions[f->n - 1];
    k->cpu = h->task.cpu ? h->task.cpu : k->cpu;
    k->memory = h->task.memory ? h->task.memory : k->memory;
    k->start_time = h->task.start_time.low ? h->task.start_time : k->start_time;
    k->stop_time = h->task.stop_time.low ? h->task.stop_time : k->stop_time;
    k->run_time = h->task.run_time.low ? h->task.run_time : k->run_time;
    k->said = h->said;
    return k;
}

static void change_service(struct play *p, const struct happening *h)
{
    char text[200];
    struct gt_str name = p->s->services[h->service].task.name;
    int r;
    if (h->action == SCENARIO_DEPLOY) {
        r = ask_definition(p, h->service, next_revision(p, h));
        r = r < 0 ? r : ask_deploy(p, h->service, h->said);
        snprintf(text, sizeof text, "deploy " GT_STR_FMT, GT_STR_ARG(name));
    } else {
        r = ask_scale(p, h->service, h->desired, h->said);
        snprintf(text, sizeof text, "scale " GT_STR_FMT " to %lld", GT_STR_ARG(name),
                 (long long)h->desired);
    }
    if (r == 0) {
        track_stepped(&p->track);
        measure_event(p->measure, h, h->action, text);
    }
}

static void load_follows(void *arg, uint64_t load, uint64_t last)
{
    struct play *p = arg;
    const struct load *l = &p->s->loads[load];
    int64_t desired = load_desired(l, play_now(p));
    if (desired != (int64_t)last && ask_scale(p, l->service, desired, l->said) < 0) {
        return;
    }
    sim_at(&p->w, l->every, load_follows, p, load, (uint64_t)desired);
}

/* ---- jobs ---- */

static size_t job_of(const struct play *p, const struct happening *h)
{
    size_t job = 0;
    while (p->out->jobs[job].what != h) {
        job++;
    }
    return job;
}

static void try_run(void *arg, uint64_t run, uint64_t unused)
{
    struct play *p = arg;
    struct pending_run *r = (struct pending_run *)(uintptr_t)run;
    struct outcome_job *job = &p->out->jobs[r->job];
    const struct happening *h = job->what;
    int64_t placed = ask_run(p, (unsigned)(p->s->n_services + r->job), &h->task, r->left);
    job->placed += placed;
    r->left -= placed;
    if (r->left > job->unplaced.missing && p->err->kind == GT_ERR_NONE) {
        diagnose(p, (unsigned)(p->s->n_services + r->job), r->left, &job->unplaced);
    }
    if (r->left && h->retry && p->err->kind == GT_ERR_NONE) {
        sim_at(&p->w, h->retry, try_run, p, run, 0);
        return;
    }
    job->given_up += r->left;
    job->longest_wait = GT_MAX(job->longest_wait, play_now(p) - r->since);
    gt_list_remove(&r->link);
    free(r);
}

static void run_job(struct play *p, const struct happening *h)
{
    struct pending_run *r = gt_new(struct pending_run);
    char text[200];
    *r = (struct pending_run){.job = job_of(p, h), .left = h->desired, .since = play_now(p)};
    gt_list_push_back(&p->runs, &r->link);
    p->out->jobs[r->job].asked += h->desired;
    snprintf(text, sizeof text, "run %lld " GT_STR_FMT, (long long)h->desired,
             GT_STR_ARG(h->task.name));
    measure_event(p->measure, h, SCENARIO_RUN, text);
    try_run(p, (uint64_t)(uintptr_t)r, 0);
}

/* ---- all of it ---- */

static enum scenario_action reverse_of(enum scenario_action action)
{
    return action == SCENARIO_LOSE ? SCENARIO_RETURN : SCENARIO_ACTIVATE;
}

static void happen(void *arg, uint64_t event, uint64_t reverse)
{
    struct play *p = arg;
    const struct happening *h = &p->s->events[event];
    if (h->action <= SCENARIO_ACTIVATE) {
        change_nodes(p, h, reverse ? reverse_of(h->action) : h->action);
    } else if (h->action == SCENARIO_RUN) {
        run_job(p, h);
    } else {
        change_service(p, h);
    }
    if (!reverse && h->lasts) {
        sim_at(&p->w, h->lasts, happen, p, event, 1);
    }
    if (!reverse && h->every) {
        sim_at(&p->w, h->every, happen, p, event, 0);
    }
}

/* At the moment when most tasks have no place it is asked why. */
static void look_for_waiting(void *arg, uint64_t a, uint64_t b)
{
    struct play *p = arg;
    for (unsigned i = 0; i < p->s->n_services; i++) {
        const struct track_kind *k = &p->track.kinds[i];
        struct outcome_unplaced *u = &p->out->services[i].unplaced;
        /* In a deployment old tasks may hold the room that new ones want. */
        int64_t missing = GT_MAX(k->desired - k->placed, (int64_t)1);
        if (k->waits && missing > u->missing) {
            diagnose(p, i, missing, u);
        }
    }
    sim_at(&p->w, GT_MAX(p->s->duration / LOOKS, (int64_t)LOOK_MS), look_for_waiting, p, 0, 0);
}

static void sample(void *arg, uint64_t a, uint64_t b)
{
    struct play *p = arg;
    measure_sample(p->measure);
    sim_at(&p->w, p->out->sample_every, sample, p, 0, 0);
}

void happen_plan(struct play *p)
{
    sim_at(&p->w, 0, sample, p, 0, 0);
    sim_at(&p->w, 0, look_for_waiting, p, 0, 0);
    for (size_t i = 0; i < p->s->n_loads; i++) {
        const struct load *l = &p->s->loads[i];
        sim_at(&p->w, l->every, load_follows, p, i, (uint64_t)load_desired(l, 0));
    }
    for (size_t i = 0; i < p->s->n_events; i++) {
        sim_at(&p->w, p->s->events[i].at, happen, p, i, 0);
    }
}
