#include "control/simulate/track.h"

#include "control/services/ecs/task_state.h"
#include "lib/base/mem.h"
#include "store/record/gen/rec_ecs.h"

#define TASK_KEYS SIM_PLACE "ecs/task/" SIM_CLUSTER "/"
#define LOAD_KEYS SIM_PLACE "ecs/load/" SIM_CLUSTER "/"
#define SERVICE_KEYS SIM_PLACE "ecs/service/" SIM_CLUSTER "/"
#define WAITING_KEYS SIM_PLACE "ecs/waiting/" SIM_CLUSTER "/"

/* As the server has it. */
struct track_task {
    struct gt_list link; /* of its node */
    unsigned kind, node;
    int64_t revision;
    bool live, wanted, running;
};

static void written(void *arg, const char *key)
{
    static const char *const kept[] = {TASK_KEYS, LOAD_KEYS, SERVICE_KEYS, WAITING_KEYS};
    struct track *t = arg;
    for (size_t i = 0; i < GT_ARRAY_LEN(kept); i++) {
        if (strncmp(key, kept[i], strlen(kept[i])) == 0) {
            if (t->n_written == t->cap_written) {
                t->cap_written = t->cap_written ? 2 * t->cap_written : 256;
                t->written = gt_realloc(t->written, t->cap_written * sizeof *t->written);
            }
            t->written[t->n_written++] = gt_strdup(key);
            return;
        }
    }
}

void track_init(struct track *t, struct sim_world *w, const struct scenario *s,
                const struct machines *f)
{
    *t = (struct track){.w = w, .fleet = f, .n_services = s->n_services};
    gt_table_init(&t->tasks);
    gt_table_init(&t->families);
    uintptr_t n = 0;
    for (size_t i = 0; i < s->n_services; i++) {
        gt_table_put(&t->families, s->services[i].task.name, (void *)++n);
    }
    for (size_t i = 0; i < s->n_events; i++) {
        if (s->events[i].action == SCENARIO_RUN) {
            gt_table_put(&t->families, s->events[i].task.name, (void *)++n);
        }
    }
    t->n_kinds = n;
    t->kinds = gt_new_array(struct track_kind, n + 1);
    t->nodes = gt_new_array(struct track_node, f->n_nodes + 1);
    for (size_t i = 0; i < f->n_nodes; i++) {
        gt_list_init(&t->nodes[i].tasks);
        t->nodes[i].up = true;
    }
    sim_world_listen(w, written, t);
}

void track_fini(struct track *t)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&t->tasks, &it));) {
        free(e->value);
    }
    for (size_t i = 0; i < t->n_written; i++) {
        free(t->written[i]);
    }
    gt_table_fini(&t->tasks);
    gt_table_fini(&t->families);
    free(t->written);
    free(t->kinds);
    free(t->nodes);
}

/* ---- counts ---- */

/* Adds the task to what counts it, or takes it away. */
static void count(struct track *t, const struct track_task *task, int64_t sign)
{
    struct track_kind *k = &t->kinds[task->kind];
    struct track_node *n = &t->nodes[task->node];
    bool live = task->live && n->up;
    k->running += sign * (live && task->wanted && task->running);
    k->placed += sign * (live && task->wanted);
    k->old += sign * (live && task->revision != k->revision);
    k->draining += sign * (live && n->draining);
    n->live += sign * live;
    k->touched = true;
}

void track_node_is(struct track *t, unsigned node, bool up, bool draining)
{
    struct track_node *n = &t->nodes[node];
    gt_list_for_each (it, tmp, &n->tasks) {
        count(t, gt_list_entry(it, struct track_task, link), -1);
    }
    n->up = up;
    n->draining = draining;
    gt_list_for_each (it, tmp, &n->tasks) {
        count(t, gt_list_entry(it, struct track_task, link), 1);
    }
}

static void set_revision(struct track *t, unsigned kind, int64_t revision)
{
    struct track_kind *k = &t->kinds[kind];
    k->revision = revision;
    k->old = 0;
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&t->tasks, &it));) {
        const struct track_task *task = e->value;
        bool live = task->live && t->nodes[task->node].up;
        k->old += task->kind == kind && live && task->revision != revision;
    }
}

/* ---- records ---- */

/* NULL: there is none. Good until the core's next call. */
static void *get(struct track *t, const char *key, const struct rec_desc *desc)
{
    struct gt_str value;
    void *rec;
    if (!core_get(t->w->core, key, &value)) {
        return NULL;
    }
    GT_ASSERT(rec_decode(desc, value, &t->w->arena, &rec, NULL) == 0);
    return rec;
}

static void drop_task(struct track *t, struct gt_str id)
{
    struct track_task *task = gt_table_del(&t->tasks, id);
    if (task) {
        count(t, task, -1);
        gt_list_remove(&task->link);
        free(task);
    }
}

static void take_task(struct track *t, const char *key)
{
    struct gt_str id = gt_str(key + strlen(TASK_KEYS));
    const struct rec_ecs_task *rec = get(t, key, &rec_ecs_task_desc);
    if (!rec) {
        drop_task(t, id);
        return;
    }
    uintptr_t kind = (uintptr_t)gt_table_get(&t->families, rec->family);
    int node = machines_find(t->fleet, rec->node);
    GT_ASSERT(kind && node >= 0);
    struct track_task *task = gt_table_get(&t->tasks, id);
    if (task) {
        count(t, task, -1);
    } else {
        task = gt_new(struct track_task);
        gt_table_put(&t->tasks, id, task);
        gt_list_push_back(&t->nodes[node].tasks, &task->link);
        task->kind = (unsigned)kind - 1;
        task->node = (unsigned)node;
        task->revision = rec->revision;
        t->kinds[task->kind].started++;
    }
    bool was = task->live;
    task->live = rec->last_status != TASK_STOPPED;
    task->wanted = rec->desired_status == TASK_RUNNING;
    task->running = rec->last_status == TASK_RUNNING;
    t->kinds[task->kind].ended += was && !task->live;
    count(t, task, 1);
}

static void take_load(struct track *t, const char *key)
{
    const struct rec_ecs_load *rec = get(t, key, &rec_ecs_load_desc);
    int node = machines_find(t->fleet, gt_str(key + strlen(LOAD_KEYS)));
    GT_ASSERT(node >= 0);
    t->nodes[node].cpu = rec ? rec->cpu : 0;
    t->nodes[node].memory = rec ? rec->memory : 0;
}

static void take_service(struct track *t, const char *key)
{
    const struct rec_ecs_service *rec = get(t, key, &rec_ecs_service_desc);
    uintptr_t kind = (uintptr_t)gt_table_get(&t->families, gt_str(key + strlen(SERVICE_KEYS)));
    GT_ASSERT(rec && kind);
    struct track_kind *k = &t->kinds[kind - 1];
    k->touched = true;
    k->desired = rec->desired;
    if (rec->revision != k->revision) {
        set_revision(t, (unsigned)kind - 1, rec->revision);
    }
}

static void take_waiting(struct track *t, const char *key)
{
    uintptr_t kind = (uintptr_t)gt_table_get(&t->families, gt_str(key + strlen(WAITING_KEYS)));
    struct gt_str value;
    GT_ASSERT(kind);
    t->kinds[kind - 1].waits = core_get(t->w->core, key, &value);
    t->kinds[kind - 1].touched = true;
}

void track_stepped(struct track *t)
{
    static const struct {
        const char *keys;
        void (*take)(struct track *t, const char *key);
    } kinds[] = {{TASK_KEYS, take_task},
                 {LOAD_KEYS, take_load},
                 {SERVICE_KEYS, take_service},
                 {WAITING_KEYS, take_waiting}};
    for (size_t i = 0; i < t->n_written; i++) {
        struct gt_arena_mark mark = gt_arena_mark(&t->w->arena);
        for (size_t k = 0; k < GT_ARRAY_LEN(kinds); k++) {
            if (strncmp(t->written[i], kinds[k].keys, strlen(kinds[k].keys)) == 0) {
                kinds[k].take(t, t->written[i]);
            }
        }
        gt_arena_release(&t->w->arena, mark);
        free(t->written[i]);
    }
    t->n_written = 0;
}

void track_each(const struct track *t, void (*fn)(void *arg, unsigned kind, unsigned node),
                void *arg)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&t->tasks, &it));) {
        const struct track_task *task = e->value;
        if (task->live && t->nodes[task->node].up) {
            fn(arg, task->kind, task->node);
        }
    }
}
