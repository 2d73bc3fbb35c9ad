/*
 * What must hold after every step of the core. A copy of what matters is kept: each task, and for
 * each node and service the sums of its tasks. A key that is written is looked at, with what
 * depends on it; now and then the whole state is, and then the copy must agree with it.
 *
 * Everything is read from the state as it is stored, not through the services' own code.
 */
#include "watch_priv.h"

#include <stdio.h>

#define NODE_PREFIX SIM_PLACE "ecs/node/default/"
#define LOAD_PREFIX SIM_PLACE "ecs/load/default/"
#define TASK_PREFIX SIM_PLACE "ecs/task/default/"
#define LOST_PREFIX SIM_PLACE "ecs/lost/"

struct watch *watch_new(struct trial *t)
{
    struct watch *w = gt_new(struct watch);
    gt_table_init(&w->tasks);
    gt_table_init(&w->nodes);
    gt_table_init(&w->services);
    gt_list_init(&w->all_tasks);
    gt_list_init(&w->all_nodes);
    gt_list_init(&w->dirty);
    gt_list_init(&w->all_services);
    w->written = GT_BUF_INIT(64 * 1024 * 1024);
    return w;
}

static void free_task(struct seen_task *s)
{
    free(s->ports);
    free(s);
}

/* Forgets the state, not what happened on the nodes. */
static void clear(struct watch *w)
{
    gt_list_for_each (it, tmp, &w->all_tasks) {
        free_task(gt_list_entry(it, struct seen_task, link));
    }
    gt_list_for_each (it, tmp, &w->all_nodes) {
        free(gt_list_entry(it, struct seen_node, link));
    }
    gt_list_for_each (it, tmp, &w->all_services) {
        free(gt_list_entry(it, struct seen_service, link));
    }
    struct gt_table *tables[] = {&w->tasks, &w->nodes, &w->services};
    for (size_t i = 0; i < GT_ARRAY_LEN(tables); i++) {
        gt_table_fini(tables[i]);
        gt_table_init(tables[i]);
    }
    gt_list_init(&w->all_tasks);
    gt_list_init(&w->all_nodes);
    gt_list_init(&w->dirty);
    gt_list_init(&w->all_services);
    gt_buf_reset(&w->written);
    w->live = w->dead = w->assigned = w->grouped = 0;
}

void watch_free(struct watch *w)
{
    clear(w);
    gt_table_fini(&w->tasks);
    gt_table_fini(&w->nodes);
    gt_table_fini(&w->services);
    gt_buf_fini(&w->written);
    free(w);
}

/* ---- the copy ---- */

static struct seen_node *node_of(struct watch *w, struct gt_str id)
{
    struct seen_node *n = gt_table_get(&w->nodes, id);
    if (!n) {
        n = gt_new(struct seen_node);
        snprintf(n->id, sizeof n->id, GT_STR_FMT, GT_STR_ARG(id));
        gt_list_init(&n->tasks);
        gt_list_push_back(&w->all_nodes, &n->link);
        gt_table_put(&w->nodes, id, n);
    }
    return n;
}

static void mark_dirty(struct watch *w, struct seen_node *n)
{
    if (!gt_list_linked(&n->dirty)) {
        gt_list_push_back(&w->dirty, &n->dirty);
    }
}

static struct seen_service *service_of(struct watch *w, struct gt_str name)
{
    struct seen_service *s = name.n ? gt_table_get(&w->services, name) : NULL;
    if (!s && name.n) {
        s = gt_new(struct seen_service);
        snprintf(s->name, sizeof s->name, GT_STR_FMT, GT_STR_ARG(name));
        gt_list_push_back(&w->all_services, &s->link);
        gt_table_put(&w->services, name, s);
    }
    return s;
}

static void count_task(struct watch *w, const struct seen_task *s, int by)
{
    struct seen_node *n = s->node;
    bool wanted = s->desired == TASK_RUNNING, held = holds(s);
    n->running += by * (s->status == TASK_RUNNING);
    n->pending += by * (s->status < TASK_RUNNING);
    n->cpu += held ? by * s->cpu : 0;
    n->memory += held ? by * s->memory : 0;
    n->holding += by * held;
    w->live += by * wanted;
    w->dead += by * !wanted;
    w->grouped += by * (s->status != TASK_STOPPED);
    w->assigned += by * held;
    if (s->service) {
        s->service->wanted += by * (wanted && s->status != TASK_STOPPED);
        s->service->running += by * (wanted && s->status == TASK_RUNNING);
    }
}

/* Before the record is taken over: what it may not have become. */
static int check_change(struct trial *t, const struct seen_task *s, const struct rec_ecs_task *r)
{
    const char *what = "a task only moves forward";
    if (r->last_status < s->status ||
        (s->desired == TASK_STOPPED && r->desired_status != s->desired)) {
        return violation(t, what, "task %s went from %s (wanted %s) to %s (wanted %s)", s->id,
                         task_state_name(s->status), task_state_name(s->desired),
                         task_state_name(r->last_status), task_state_name(r->desired_status));
    }
    if (s->status == TASK_STOPPED && r->ghost && !s->ghost) {
        return violation(t, what, "task %s became a ghost after its end", s->id);
    }
    if (s->sequence > r->sequence || s->generation > r->generation) {
        return violation(t, what, "task %s: sequence or generation went back", s->id);
    }
    if (s->has_exit && (!r->containers.n || !r->containers.v[0].has_exit_code ||
                        r->containers.v[0].exit_code != s->exit_code)) {
        return violation(t, "an exit code is for ever", "task %s", s->id);
    }
    return 0;
}

static void take(struct watch *w, struct seen_task *s, const struct rec_ecs_task *r)
{
    snprintf(s->id, sizeof s->id, GT_STR_FMT, GT_STR_ARG(r->id));
    snprintf(s->group, sizeof s->group, GT_STR_FMT, GT_STR_ARG(r->group));
    snprintf(s->address, sizeof s->address, GT_STR_FMT, GT_STR_ARG(r->address));
    s->service = service_of(w, r->service);
    s->status = r->last_status;
    s->desired = r->desired_status;
    s->sequence = r->sequence;
    s->generation = r->generation;
    s->ghost = r->ghost;
    s->cpu = r->reserved_cpu;
    s->memory = r->reserved_memory;
    if (!s->ports && r->reserved_ports.n) {
        s->n_ports = r->reserved_ports.n;
        s->ports = gt_new_array(int64_t, s->n_ports);
        memcpy(s->ports, r->reserved_ports.v, s->n_ports * sizeof *s->ports);
    }
    s->scheduler = gt_str_is(r->stop_code, "ServiceSchedulerInitiated");
    s->has_exit =
        r->containers.n && r->containers.v[0].has_exit_code && r->last_status == TASK_STOPPED;
    s->exit_code = s->has_exit ? r->containers.v[0].exit_code : 0;
}

/* ---- one task ---- */

static int check_status(struct trial *t, const struct rec_ecs_task *r)
{
    const char *what = "a task's record makes sense";
    if (r->last_status < TASK_PROVISIONING || r->last_status > TASK_STOPPED ||
        (r->desired_status != TASK_RUNNING && r->desired_status != TASK_STOPPED)) {
        return violation(t, what, "task " GT_STR_FMT " has statuses %d and %d", GT_STR_ARG(r->id),
                         (int)r->last_status, (int)r->desired_status);
    }
    if (r->last_status == TASK_STOPPED && r->desired_status != TASK_STOPPED) {
        return violation(t, what, "task " GT_STR_FMT " is stopped and wanted", GT_STR_ARG(r->id));
    }
    if (r->last_status == TASK_STOPPED &&
        (!r->stop_code.n || !r->stopped_reason.n || !r->stopped_at)) {
        return violation(t, what, "task " GT_STR_FMT " stopped without a reason or a time",
                         GT_STR_ARG(r->id));
    }
    return 0;
}

static int check_mark(struct trial *t, bool wanted, const char *key)
{
    return state_has(t, key) == wanted
               ? 0
               : violation(t, "indexes agree with the tasks", "\"%s\" is %s", key,
                           wanted ? "missing" : "left over");
}

static int check_marks(struct trial *t, const struct seen_task *s, bool gone)
{
    char key[512];
    bool wanted = s->desired == TASK_RUNNING;
    snprintf(key, sizeof key, SIM_PLACE "ecs/live/default/%s", s->id);
    int r = check_mark(t, !gone && wanted, key);
    snprintf(key, sizeof key, SIM_PLACE "ecs/dead/default/%s", s->id);
    r = r < 0 ? r : check_mark(t, !gone && !wanted, key);
    snprintf(key, sizeof key, SIM_PLACE "ecs/assign/%s/%s", s->node->id, s->id);
    return r < 0 ? r : check_mark(t, !gone && holds(s), key);
}

/* A lost node's tasks do not count as running, but those that are yet to be come to. */
static int check_lost(struct trial *t, const struct seen_task *s)
{
    const struct seen_node *n = s->node;
    bool passed = n->lost && !(n->left && strcmp(s->id, n->left_after) > 0);
    return passed && s->status != TASK_STOPPED
               ? violation(t, "nothing runs on a lost node", "task %s is %s on %s", s->id,
                           task_state_name(s->status), n->id)
               : 0;
}

static int forget_task(struct trial *t, struct seen_task *s)
{
    struct watch *w = t->watch;
    if (holds(s)) {
        return violation(t, "what is held is on record", "task %s went away holding something",
                         s->id);
    }
    count_task(w, s, -1);
    mark_dirty(w, s->node);
    int r = check_marks(t, s, /* gone= */ true);
    gt_table_del(&w->tasks, gt_str(s->id));
    gt_list_remove(&s->link);
    gt_list_remove(&s->on_node);
    free_task(s);
    return r;
}

static int look_at_task(struct trial *t, const char *key)
{
    struct watch *w = t->watch;
    const struct rec_ecs_task *r = state_get(t, key, &rec_ecs_task_desc);
    struct seen_task *s = gt_table_get(&w->tasks, gt_str(key + strlen(TASK_PREFIX)));
    if (!r) {
        return s ? forget_task(t, s) : 0;
    }
    if (check_status(t, r) < 0 || (s && check_change(t, s, r) < 0)) {
        return -1;
    }
    bool stopping = s && s->desired == TASK_RUNNING && r->desired_status == TASK_STOPPED &&
                    s->status == TASK_RUNNING;
    bool fresh = !s;
    if (fresh) {
        s = gt_new(struct seen_task);
        gt_list_push_back(&w->all_tasks, &s->link);
        gt_table_put(&w->tasks, r->id, s);
        s->node = node_of(w, r->node);
        gt_list_push_back(&s->node->tasks, &s->on_node);
    } else {
        count_task(w, s, -1);
    }
    take(w, s, r);
    count_task(w, s, 1);
    if (fresh && s->node->closed && !w->recovering && s->status != TASK_STOPPED) {
        return violation(t, "nothing is placed on a node that is not there", "task %s on %s", s->id,
                         s->node->id);
    }
    mark_dirty(w, s->node);
    if (s->service) {
        s->service->started = s->service->started || fresh;
        s->service->stopped = s->service->stopped || (stopping && s->scheduler);
    }
    return check_marks(t, s, /* gone= */ false) < 0 ? -1 : check_lost(t, s);
}

/* ---- nodes ---- */

static int look_at_node(struct trial *t, struct seen_node *n)
{
    char key[256];
    snprintf(key, sizeof key, NODE_PREFIX "%s", n->id);
    const struct rec_ecs_node *rec = state_get(t, key, &rec_ecs_node_desc);
    snprintf(key, sizeof key, LOST_PREFIX "%s", n->id);
    const struct rec_ecs_lost *left = state_get(t, key, &rec_ecs_lost_desc);
    n->registered = rec;
    n->astray = rec && rec->astray;
    n->fenced = rec && rec->fenced;
    mark_dirty(t->watch, n);
    n->closed = !rec || rec->lost || rec->astray || !gt_str_is(rec->status, "ACTIVE");
    n->lost = !rec || (rec->lost && !rec->held); /* what was deregistered runs nothing either */
    n->left = left;
    snprintf(n->left_after, sizeof n->left_after, GT_STR_FMT,
             GT_STR_ARG(left ? left->after : gt_str("")));
    if (left && !n->lost) {
        return violation(t, "a node that is back is not cleared", "\"%s\" is left over", key);
    }
    gt_list_for_each (it, tmp, &n->tasks) {
        if (n->lost && check_lost(t, gt_list_entry(it, struct seen_task, on_node)) < 0) {
            return -1;
        }
    }
    return 0;
}

/* One more port of the node is held: it must be held once in its load, and by nobody before. */
static int check_port(struct trial *t, const struct seen_node *n, const struct rec_ecs_load *l,
                      int64_t port, struct gt_table *held)
{
    size_t reserved = 0;
    for (size_t i = 0; i < l->ports.n; i++) {
        reserved += l->ports.v[i] == port;
    }
    if (gt_table_put(held, gt_str_n((const char *)&port, sizeof port), held) || reserved != 1) {
        return violation(t, "nothing is held twice", "port %d on %s, reserved %zu times", (int)port,
                         n->id, reserved);
    }
    return 0;
}

static int check_held(struct trial *t, const struct seen_node *n, const struct rec_ecs_load *l,
                      struct gt_table *held)
{
    unsigned char bits[32] = {0};
    gt_list_for_each (it, tmp, &n->tasks) {
        const struct seen_task *s = gt_list_entry(it, struct seen_task, on_node);
        if (!holds(s)) {
            continue;
        }
        int a = s->address[0] ? (int)strtol(strrchr(s->address, '.') + 1, NULL, 10) & 255 : 0;
        if (a && bits[a / 8] >> (a % 8) & 1) {
            return violation(t, "nothing is held twice", "address %s", s->address);
        }
        bits[a / 8] |= (unsigned char)(a ? 1 << (a % 8) : 0);
        for (size_t i = 0; i < s->n_ports; i++) {
            if (check_port(t, n, l, s->ports[i], held) < 0) {
                return -1;
            }
        }
    }
    static const unsigned char none[sizeof bits];
    const void *kept = l->addresses.n == sizeof none ? l->addresses.p : (const char *)none;
    if (memcmp(kept, bits, sizeof bits) != 0 || l->ports.n != held->count) {
        return violation(t, "a node's load is what its tasks hold",
                         "%s: other addresses or ports are reserved than its tasks have", n->id);
    }
    return 0;
}

static int check_load(struct trial *t, struct seen_node *n)
{
    char key[256];
    snprintf(key, sizeof key, LOAD_PREFIX "%s", n->id);
    const struct rec_ecs_load *l = state_get(t, key, &rec_ecs_load_desc);
    if (!l) {
        return n->registered ? violation(t, "a node has a load", "%s has none", n->id) : 0;
    }
    if (l->cpu != n->cpu || l->memory != n->memory || l->running != n->running ||
        l->pending != n->pending) {
        return violation(t, "a node's load is what its tasks hold",
                         "%s: reserved cpu %d, memory %d, %d running, %d pending; its tasks make "
                         "%d, %d, %d, %d",
                         n->id, (int)l->cpu, (int)l->memory, (int)l->running, (int)l->pending,
                         (int)n->cpu, (int)n->memory, (int)n->running, (int)n->pending);
    }
    if (n->fenced && !n->left && n->holding) {
        return violation(t, "a fenced node holds nothing", "%s: %d tasks do", n->id,
                         (int)n->holding);
    }
    if (n->cpu < 0 || l->cpu > NODE_CPU || l->memory > NODE_MEMORY) {
        return violation(t, "nothing is held twice", "%s: cpu %d, memory %d", n->id, (int)l->cpu,
                         (int)l->memory);
    }
    struct gt_table held;
    gt_table_init(&held);
    int r = check_held(t, n, l, &held);
    gt_table_fini(&held);
    return r;
}

/* ---- services ---- */

/* What Gantry starts and stops of its own accord stays within the percentages; what a caller, a
 * crash or a lost node does need not. */
static int check_service(struct trial *t, struct seen_service *s)
{
    bool started = s->started, stopped = s->stopped;
    s->started = s->stopped = false;
    if ((!started && !stopped) || t->watch->recovering) {
        return 0;
    }
    char key[256];
    snprintf(key, sizeof key, SIM_PLACE "ecs/service/default/%s", s->name);
    const struct rec_ecs_service *r = state_get(t, key, &rec_ecs_service_desc);
    if (!r) {
        return 0;
    }
    int64_t least = (r->desired * r->min_percent + 99) / 100;
    int64_t most = GT_MAX(r->desired * r->max_percent / 100, r->desired);
    if (started && s->wanted > most) {
        return violation(t, "the maximum percent holds",
                         "service %s has %d tasks and started more; %d are wanted, %d %%", s->name,
                         (int)s->wanted, (int)r->desired, (int)r->max_percent);
    }
    if (stopped && s->running < least) {
        return violation(t, "the minimum healthy percent holds",
                         "service %s stopped some and runs %d; %d are wanted, %d %%", s->name,
                         (int)s->running, (int)r->desired, (int)r->min_percent);
    }
    return 0;
}

/* ---- steps ---- */

void watch_written(void *arg, const char *key)
{
    struct watch *w = ((struct trial *)arg)->watch;
    gt_buf_add(&w->written, key, strlen(key) + 1);
}

/* True: "<prefix><id>"; *ret_id is the rest. */
static bool is_under(const char *key, const char *prefix, const char **ret_id)
{
    size_t n = strlen(prefix);
    *ret_id = key + n;
    return strncmp(key, prefix, n) == 0;
}

static int look_at(struct trial *t, const char *key)
{
    const char *id;
    if (is_under(key, TASK_PREFIX, &id)) {
        return look_at_task(t, key);
    }
    if (is_under(key, NODE_PREFIX, &id) || is_under(key, LOST_PREFIX, &id)) {
        return look_at_node(t, node_of(t->watch, gt_str(id)));
    }
    if (is_under(key, LOAD_PREFIX, &id)) {
        mark_dirty(t->watch, node_of(t->watch, gt_str(id)));
    }
    return 0;
}

/* Nodes first: what a task may be depends on its node. */
int watch_step(struct trial *t)
{
    struct watch *w = t->watch;
    if (w->written.n == 0) {
        return 0;
    }
    int r = 0;
    GT_ASSERT(gt_buf_ok(&w->written));
    for (int tasks = 1; tasks >= 0 && r >= 0; tasks--) {
        for (size_t i = 0; i < w->written.n && r >= 0; i += strlen(w->written.p + i) + 1) {
            const char *id, *key = w->written.p + i;
            if (is_under(key, TASK_PREFIX, &id) == tasks) {
                struct gt_arena_mark mark = gt_arena_mark(&t->w.arena);
                r = look_at(t, key);
                gt_arena_release(&t->w.arena, mark);
            }
        }
    }
    gt_buf_reset(&w->written);
    gt_list_for_each (it, tmp, &w->dirty) {
        gt_list_remove(it);
        r = r < 0 ? r : check_load(t, gt_list_entry(it, struct seen_node, dirty));
    }
    gt_list_for_each (it, tmp, &w->all_services) {
        r = r < 0 ? r : check_service(t, gt_list_entry(it, struct seen_service, link));
    }
    return r < 0 ? gt_err_code(t->err) : 0;
}

/* ---- the whole state ---- */

static void take_everything(struct trial *t)
{
    static const char *const prefixes[] = {NODE_PREFIX, LOST_PREFIX, TASK_PREFIX, LOAD_PREFIX};
    for (size_t i = 0; i < GT_ARRAY_LEN(prefixes); i++) {
        const char *key = NULL;
        struct gt_str value;
        while (core_next_key(t->w.core, prefixes[i], key, &key, &value)) {
            watch_written(t, key);
        }
    }
}

int watch_everything(struct trial *t)
{
    struct watch *w = t->watch;
    size_t known = w->tasks.count;
    take_everything(t);
    int r = watch_step(t);
    const struct {
        const char *prefix;
        int64_t expect;
    } all[] = {
        {SIM_PLACE "ecs/assign/", w->assigned}, {SIM_PLACE "ecs/live/", w->live},
        {SIM_PLACE "ecs/dead/", w->dead},       {SIM_PLACE "ecs/group/", w->grouped},
        {TASK_PREFIX, (int64_t)w->tasks.count},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(all) && r >= 0; i++) {
        int64_t n = (int64_t)state_count(t, all[i].prefix);
        if (n != all[i].expect) {
            r = violation(t, "indexes agree with the tasks", "%d keys under %s, tasks make %d",
                          (int)n, all[i].prefix, (int)all[i].expect);
        }
    }
    if (r >= 0 && known != w->tasks.count && known) {
        r = violation(t, "every write is told", "%zu tasks were known, there are %zu", known,
                      w->tasks.count);
    }
    return r < 0 ? r : derived_check(t);
}

void watch_recovered(struct trial *t)
{
    clear(t->watch);
    t->watch->recovering = true; /* nothing of it is new */
    (void)watch_everything(t);
    t->watch->recovering = false;
}
