/*
 * What must hold after every step, and what must hold when the faults have ceased and time has
 * passed. Everything is read from the state as it is stored, not through the services' own code.
 */
#include "control/sim/sim_priv.h"

#include <stdio.h>

#define NODE_PREFIX SIM_PLACE "ecs/node/default/"
#define LOAD_PREFIX SIM_PLACE "ecs/load/default/"
#define TASK_PREFIX SIM_PLACE "ecs/task/default/"

/* What the tasks on one node add up to. */
struct sum {
    int64_t cpu, memory, running, pending;
    unsigned char addresses[32];
    bool lost;                       /* the node */
    const struct rec_ecs_lost *left; /* its tasks are being stopped */
};

struct tally {
    struct sum nodes[SIM_MAX_NODES];
    size_t tasks, assigned, live, dead, grouped;
};

static bool exists(struct sim *s, const char *key)
{
    const char *found;
    struct gt_str value;
    return core_next_key(s->core, key, NULL, &found, &value) && gt_streq(found, key);
}

static size_t count(struct sim *s, const char *prefix)
{
    size_t n = 0;
    const char *key = NULL;
    struct gt_str value;
    while (core_next_key(s->core, prefix, key, &key, &value)) {
        n++;
    }
    return n;
}

static void *decode(struct sim *s, const struct rec_desc *desc, const char *key,
                    struct gt_str value)
{
    void *rec = NULL;
    struct gt_err err;
    if (rec_decode(desc, value, &s->arena, &rec, &err) < 0) {
        sim_violation(s, "\"%s\": %s", key, err.msg);
    }
    return rec;
}

static void *get(struct sim *s, const char *key, const struct rec_desc *desc)
{
    const char *found;
    struct gt_str value;
    if (!core_next_key(s->core, key, NULL, &found, &value) || !gt_streq(found, key)) {
        return NULL;
    }
    return decode(s, desc, key, value);
}

static struct sim_node *node_of(struct sim *s, struct gt_str id)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        if (gt_str_is(id, s->nodes[i].id)) {
            return &s->nodes[i];
        }
    }
    return NULL;
}

/* ---- one task ---- */

static int check_status(struct sim *s, const struct rec_ecs_task *t)
{
    if (t->last_status < TASK_PROVISIONING || t->last_status > TASK_STOPPED ||
        (t->desired_status != TASK_RUNNING && t->desired_status != TASK_STOPPED)) {
        return sim_violation(s, "task " GT_STR_FMT " has statuses %d and %d", GT_STR_ARG(t->id),
                             (int)t->last_status, (int)t->desired_status);
    }
    if (t->last_status == TASK_STOPPED && t->desired_status != TASK_STOPPED) {
        return sim_violation(s, "task " GT_STR_FMT " is stopped and wanted", GT_STR_ARG(t->id));
    }
    if (t->last_status == TASK_STOPPED && (!t->stop_code.n || !t->stopped_reason.n)) {
        return sim_violation(s, "task " GT_STR_FMT " stopped without a reason", GT_STR_ARG(t->id));
    }
    intptr_t before = (intptr_t)gt_table_get(&s->last, t->id);
    if (t->last_status < before) {
        return sim_violation(s, "task " GT_STR_FMT " went back from %s to %s", GT_STR_ARG(t->id),
                             task_state_name(before), task_state_name(t->last_status));
    }
    gt_table_put(&s->last, t->id, (void *)(intptr_t)t->last_status);
    return 0;
}

static int check_marks(struct sim *s, const struct rec_ecs_task *t, struct tally *tally)
{
    char key[256];
    bool wanted = t->desired_status == TASK_RUNNING;
    bool held = t->last_status != TASK_STOPPED || t->ghost;
    snprintf(key, sizeof key, SIM_PLACE "ecs/%s/default/" GT_STR_FMT, wanted ? "live" : "dead",
             GT_STR_ARG(t->id));
    if (!exists(s, key)) {
        return sim_violation(s, "\"%s\" is missing", key);
    }
    tally->live += wanted;
    tally->dead += !wanted;
    tally->grouped += t->last_status != TASK_STOPPED;
    snprintf(key, sizeof key, SIM_PLACE "ecs/assign/" GT_STR_FMT "/" GT_STR_FMT,
             GT_STR_ARG(t->node), GT_STR_ARG(t->id));
    if (exists(s, key) != held) {
        return sim_violation(s, "\"%s\" is %s", key, held ? "missing" : "left over");
    }
    tally->assigned += held;
    return 0;
}

static int add_up(struct sim *s, const struct rec_ecs_task *t, struct tally *tally)
{
    struct sim_node *n = node_of(s, t->node);
    if (!n) {
        return sim_violation(s, "task " GT_STR_FMT " is on node \"" GT_STR_FMT "\"",
                             GT_STR_ARG(t->id), GT_STR_ARG(t->node));
    }
    struct sum *sum = &tally->nodes[n->index];
    bool passed = sum->lost && !(sum->left && gt_str_cmp(t->id, sum->left->after) > 0);
    if (passed && t->last_status != TASK_STOPPED) {
        return sim_violation(s, "task " GT_STR_FMT " is %s on a lost node", GT_STR_ARG(t->id),
                             task_state_name(t->last_status));
    }
    sum->running += t->last_status == TASK_RUNNING;
    sum->pending += t->last_status < TASK_RUNNING;
    if (t->last_status == TASK_STOPPED && !t->ghost) {
        return 0;
    }
    sum->cpu += t->reserved_cpu;
    sum->memory += t->reserved_memory;
    if (t->address.n) {
        const char *dot = memrchr(t->address.p, '.', t->address.n);
        const char *last = gt_arena_str(
            &s->arena, gt_str_n(dot + 1, (size_t)(t->address.p + t->address.n - dot - 1)));
        int i = (int)strtol(last, NULL, 10);
        if (sum->addresses[i / 8] >> (i % 8) & 1) {
            return sim_violation(s, "address " GT_STR_FMT " belongs to two tasks",
                                 GT_STR_ARG(t->address));
        }
        sum->addresses[i / 8] |= (unsigned char)(1 << (i % 8));
    }
    return 0;
}

static int see_nodes(struct sim *s, struct tally *tally)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        struct sum *sum = &tally->nodes[i];
        char key[128];
        snprintf(key, sizeof key, NODE_PREFIX "%s", s->nodes[i].id);
        const struct rec_ecs_node *n = get(s, key, &rec_ecs_node_desc);
        sum->lost = n && n->lost;
        snprintf(key, sizeof key, SIM_PLACE "ecs/lost/%s", s->nodes[i].id);
        sum->left = get(s, key, &rec_ecs_lost_desc);
        if (sum->left && !sum->lost) {
            return sim_violation(s, "\"%s\" is left over", key);
        }
        s->result.losses_seen += sum->left && sum->left->after.n;
    }
    return 0;
}

static int check_tasks(struct sim *s, struct tally *tally)
{
    if (see_nodes(s, tally) < 0) {
        return -1;
    }
    const char *key = NULL;
    struct gt_str value;
    while (core_next_key(s->core, TASK_PREFIX, key, &key, &value)) {
        const struct rec_ecs_task *t = decode(s, &rec_ecs_task_desc, key, value);
        if (!t || check_status(s, t) < 0 || check_marks(s, t, tally) < 0 ||
            add_up(s, t, tally) < 0) {
            return -1;
        }
        tally->tasks++;
    }
    return 0;
}

/* ---- sums ---- */

static int check_loads(struct sim *s, const struct tally *tally)
{
    const char *key = NULL;
    struct gt_str value;
    while (core_next_key(s->core, LOAD_PREFIX, key, &key, &value)) {
        const struct rec_ecs_load *l = decode(s, &rec_ecs_load_desc, key, value);
        struct sim_node *n = node_of(s, gt_str(key + strlen(LOAD_PREFIX)));
        if (!l || !n) {
            return sim_violation(s, "\"%s\" belongs to nobody", key);
        }
        const struct sum *sum = &tally->nodes[n->index];
        if (l->cpu != sum->cpu || l->memory != sum->memory || l->running != sum->running ||
            l->pending != sum->pending) {
            return sim_violation(s,
                                 "node %s: reserved cpu %d, memory %d, %d running, %d pending; its "
                                 "tasks make %d, %d, %d, %d",
                                 n->id, (int)l->cpu, (int)l->memory, (int)l->running,
                                 (int)l->pending, (int)sum->cpu, (int)sum->memory,
                                 (int)sum->running, (int)sum->pending);
        }
        static const unsigned char none[sizeof sum->addresses];
        const void *bits = l->addresses.n == sizeof none ? l->addresses.p : (const char *)none;
        if (memcmp(bits, sum->addresses, sizeof none) != 0) {
            return sim_violation(s, "node %s: other addresses are reserved than its tasks have",
                                 n->id);
        }
    }
    return 0;
}

static int check_counts(struct sim *s, const struct tally *tally)
{
    const struct {
        const char *prefix;
        size_t expect;
    } all[] = {
        {SIM_PLACE "ecs/assign/", tally->assigned},
        {SIM_PLACE "ecs/live/", tally->live},
        {SIM_PLACE "ecs/dead/", tally->dead},
        {SIM_PLACE "ecs/group/", tally->grouped},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        size_t n = count(s, all[i].prefix);
        if (n != all[i].expect) {
            return sim_violation(s, "%zu keys under %s where the tasks make %zu", n, all[i].prefix,
                                 all[i].expect);
        }
    }
    return 0;
}

/* ---- the world ---- */

/* Two containers that run on one node never have the same address. */
static int check_world(struct sim *s)
{
    for (unsigned i = 0; i < s->n_nodes; i++) {
        unsigned char seen[32] = {0};
        for (unsigned k = 0; k < SIM_MAX_TASKS; k++) {
            const struct sim_task *t = &s->nodes[i].tasks[k];
            if (!t->used || t->status != TASK_RUNNING || !t->address[0]) {
                continue;
            }
            int a = (int)strtol(strrchr(t->address, '.') + 1, NULL, 10) & 255;
            if (seen[a / 8] >> (a % 8) & 1) {
                return sim_violation(s, "%s runs twice on %s", t->address, s->nodes[i].id);
            }
            seen[a / 8] |= (unsigned char)(1 << (a % 8));
        }
    }
    return 0;
}

int sim_check(struct sim *s)
{
    struct tally *tally = gt_arena_new(&s->arena, struct tally);
    if (check_tasks(s, tally) < 0 || check_loads(s, tally) < 0 || check_counts(s, tally) < 0 ||
        check_world(s) < 0) {
        return gt_err_code(s->err);
    }
    return 0;
}

/* ---- what was told ---- */

static void check_told(struct sim *s)
{
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&s->told, &it))) {
        char key[256];
        snprintf(key, sizeof key, TASK_PREFIX "%s", e->key);
        if (!exists(s, key)) {
            sim_violation(s, "task %s, which a caller was told of, is gone", e->key);
        }
    }
    for (int i = 0; i < SIM_MAX_SERVICES; i++) {
        const struct sim_service *v = &s->services[i];
        char key[256];
        snprintf(key, sizeof key, SIM_PLACE "ecs/service/default/%s", v->name);
        const struct rec_ecs_service *rec = get(s, key, &rec_ecs_service_desc);
        bool active = rec && gt_str_is(rec->status, "ACTIVE");
        if (active != v->exists || (active && rec->desired != v->desired)) {
            sim_violation(s, "service %s: told that %d are wanted (%s), kept are %d", v->name,
                          (int)v->desired, v->exists ? "active" : "deleted",
                          rec ? (int)rec->desired : -1);
        }
    }
}

void sim_recovered(struct sim *s)
{
    gt_table_fini(&s->last);
    gt_table_init(&s->last);
    check_told(s);
}

/* ---- at rest ---- */

struct rest {
    int64_t running[SIM_MAX_SERVICES];
    size_t wanted;
};

static int rest_task(struct sim *s, const struct rec_ecs_task *t, struct rest *rest)
{
    if (t->ghost) {
        return sim_violation(s, "task " GT_STR_FMT " is still a ghost", GT_STR_ARG(t->id));
    }
    if (t->last_status == TASK_STOPPED) {
        return 0;
    }
    struct sim_node *n = node_of(s, t->node);
    const struct sim_task *there = sim_find_task(n, gt_arena_str(&s->arena, t->id));
    if (t->last_status != TASK_RUNNING || t->desired_status != TASK_RUNNING || !there ||
        there->status != TASK_RUNNING) {
        return sim_violation(s, "task " GT_STR_FMT " is %s, wanted %s, and %s on its node",
                             GT_STR_ARG(t->id), task_state_name(t->last_status),
                             task_state_name(t->desired_status),
                             there ? task_state_name(there->status) : "missing");
    }
    rest->wanted++;
    for (int i = 0; i < SIM_MAX_SERVICES; i++) {
        rest->running[i] += gt_str_is(t->service, s->services[i].name);
    }
    return 0;
}

static int rest_nodes(struct sim *s, size_t wanted)
{
    size_t running = 0;
    const char *key = NULL;
    struct gt_str value;
    while (core_next_key(s->core, NODE_PREFIX, key, &key, &value)) {
        const struct rec_ecs_node *n = decode(s, &rec_ecs_node_desc, key, value);
        if (!n || n->lost) {
            return sim_violation(s, "\"%s\" is still lost", key);
        }
    }
    for (unsigned i = 0; i < s->n_nodes; i++) {
        for (unsigned k = 0; k < SIM_MAX_TASKS; k++) {
            running += s->nodes[i].tasks[k].used;
        }
    }
    return running == wanted
               ? 0
               : sim_violation(s, "%zu tasks on the nodes, %zu wanted", running, wanted);
}

int sim_check_rest(struct sim *s)
{
    struct rest rest = {0};
    const char *key = NULL;
    struct gt_str value;
    check_told(s);
    while (core_next_key(s->core, TASK_PREFIX, key, &key, &value)) {
        const struct rec_ecs_task *t = decode(s, &rec_ecs_task_desc, key, value);
        if (!t || rest_task(s, t, &rest) < 0) {
            return gt_err_code(s->err);
        }
    }
    for (int i = 0; i < SIM_MAX_SERVICES; i++) {
        const struct sim_service *v = &s->services[i];
        if (rest.running[i] != (v->exists ? v->desired : 0)) {
            return sim_violation(s, "service %s runs %d tasks, %d are wanted", v->name,
                                 (int)rest.running[i], v->exists ? (int)v->desired : 0);
        }
    }
    (void)rest_nodes(s, rest.wanted);
    return gt_err_code(s->err);
}
