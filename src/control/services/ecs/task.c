#include "control/services/ecs/task.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/place.h"
#include "lib/base/mem.h"

static const struct ecs_container_override *override_of(const struct task_ask *ask,
                                                        struct gt_str name)
{
    for (size_t i = 0; ask->override && i < ask->override->container_overrides.n; i++) {
        if (gt_str_eq(ask->override->container_overrides.v[i].name, name)) {
            return &ask->override->container_overrides.v[i];
        }
    }
    return NULL;
}

/* A container's size with the overrides over it. */
static struct rec_ecs_container_def sized(const struct task_ask *ask,
                                          const struct rec_ecs_container_def *c)
{
    struct rec_ecs_container_def s = *c;
    const struct ecs_container_override *o = override_of(ask, c->name);
    if (o) {
        s.cpu = o->has_cpu ? o->cpu : s.cpu;
        s.memory = o->has_memory ? o->memory : s.memory;
        s.memory_reservation =
            o->has_memory_reservation ? o->memory_reservation : s.memory_reservation;
    }
    return s;
}

static void static_ports(struct tx *tx, const struct rec_ecs_taskdef *d, struct sched_request *rq)
{
    size_t n = 0;
    for (size_t i = 0; i < d->containers.n; i++) {
        n += d->containers.v[i].ports.n;
    }
    int64_t *v = gt_arena_array(tx_arena(tx), int64_t, n + 1);
    bool own = gt_str_is(d->network_mode, ECS_NETWORK_MODE_AWSVPC);
    for (size_t i = 0; !own && i < d->containers.n; i++) {
        for (size_t k = 0; k < d->containers.v[i].ports.n; k++) {
            const struct rec_ecs_port *p = &d->containers.v[i].ports.v[k];
            if (p->host_port) {
                v[rq->n_ports++] = SCHED_PORT(p->host_port, gt_str_is(p->protocol, "udp"));
            }
        }
    }
    rq->ports = v;
}

static void required_attributes(struct tx *tx, const struct rec_ecs_taskdef *d,
                                struct sched_request *rq)
{
    if (!d->cpu_arch.n) {
        return;
    }
    struct query_attr *a = gt_arena_new(tx_arena(tx), struct query_attr);
    a->name = GT_STR_LIT("ecs.cpu-architecture");
    a->value = gt_str(gt_str_is(d->cpu_arch, "ARM64") ? "arm64" : "x86_64");
    rq->requires = a;
    rq->n_requires = 1;
}

struct sched_request task_request(struct tx *tx, const struct task_ask *ask)
{
    const struct rec_ecs_taskdef *d = ask->def;
    struct sched_request rq = {.group = ask->group,
                               .external = gt_str_is(ask->launch_type, ECS_LAUNCH_TYPE_EXTERNAL),
                               .needs_address = gt_str_is(d->network_mode, "awsvpc")};
    for (size_t i = 0; i < d->containers.n; i++) {
        struct rec_ecs_container_def c = sized(ask, &d->containers.v[i]);
        rq.cpu += c.cpu;
        rq.memory += c.memory_reservation ? c.memory_reservation : c.memory;
    }
    rq.cpu = ask->cpu ? ask->cpu : d->cpu ? d->cpu : rq.cpu;
    rq.memory = ask->memory ? ask->memory : d->memory ? d->memory : rq.memory;
    static_ports(tx, d, &rq);
    required_attributes(tx, d, &rq);
    const struct query **q =
        gt_arena_array(tx_arena(tx), const struct query *, d->constraints.n + 1);
    for (size_t i = 0; i < d->constraints.n; i++) {
        q[rq.n_member_of] = query_parse(d->constraints.v[i].expression, tx_arena(tx), NULL);
        rq.n_member_of += q[rq.n_member_of] != NULL;
    }
    rq.member_of = q;
    return rq;
}

static struct gt_str number(struct tx *tx, int64_t v)
{
    return v ? gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)v)) : gt_str(NULL);
}

static char *uuid(struct tx *tx)
{
    char *h = tx_hex_id(tx, 32);
    return gt_arena_printf(tx_arena(tx), "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16,
                           h + 20);
}

static struct gt_str pinned(const struct task_ask *ask, struct gt_str container)
{
    for (size_t i = 0; i < ask->pins.n; i++) {
        if (gt_str_eq(ask->pins.v[i].key, container)) {
            return ask->pins.v[i].value;
        }
    }
    return (struct gt_str){NULL, 0};
}

static void make_containers(struct tx *tx, const struct task_ask *ask, struct rec_ecs_task *t)
{
    const struct rec_ecs_container_def_list *defs = &ask->def->containers;
    t->containers.n = defs->n;
    t->containers.v = gt_arena_array(tx_arena(tx), struct rec_ecs_container, defs->n + 1);
    for (size_t i = 0; i < defs->n; i++) {
        struct rec_ecs_container_def c = sized(ask, &defs->v[i]);
        t->containers.v[i] = (struct rec_ecs_container){
            .name = c.name,
            .id = gt_str(uuid(tx)),
            .image = c.image,
            .image_digest = pinned(ask, c.name),
            .last_status = TASK_PENDING,
            .health = GT_STR_LIT("UNKNOWN"),
            .cpu = c.cpu ? number(tx, c.cpu) : GT_STR_LIT("0"),
            .memory = number(tx, c.memory),
            .memory_reservation = number(tx, c.memory_reservation),
            .essential = c.essential,
            .health_check = c.health_check,
        };
    }
}

static struct rec_ecs_task *make(struct tx *tx, const struct task_ask *ask,
                                 const struct sched_request *rq)
{
    struct rec_ecs_task *t = gt_arena_new(tx_arena(tx), struct rec_ecs_task);
    t->id = gt_str(tx_hex_id(tx, 32));
    t->cluster = ask->cluster;
    t->family = ask->def->family;
    t->revision = ask->def->revision;
    t->launch_type = ask->launch_type;
    t->group = ask->group;
    t->started_by = ask->started_by;
    t->service = ask->service;
    t->deployment = ask->deployment;
    t->overrides = ask->override_document;
    t->task_role = ask->override && ask->override->task_role_arn.n ? ask->override->task_role_arn
                                                                   : ask->def->task_role;
    t->tags = ask->tags;
    t->placement_constraints = ask->constraints;
    t->placement_strategy = ask->strategies;
    t->network_mode = ask->def->network_mode;
    t->reserved_cpu = t->cpu = rq->cpu;
    t->reserved_memory = t->memory = rq->memory;
    t->reserved_ports.n = rq->n_ports;
    t->reserved_ports.v = gt_arena_array(tx_arena(tx), int64_t, rq->n_ports + 1);
    for (size_t i = 0; i < rq->n_ports; i++) {
        t->reserved_ports.v[i] = rq->ports[i];
    }
    if (rq->needs_address) {
        t->attachment = gt_str(uuid(tx));
        t->subnet = ask->subnet;
    }
    t->last_status = rq->needs_address ? TASK_PROVISIONING : TASK_PENDING;
    t->desired_status = TASK_RUNNING;
    t->generation = t->version = 1;
    t->created_at = tx_now(tx);
    t->health = GT_STR_LIT("UNKNOWN");
    if (gt_str_is(t->launch_type, ECS_LAUNCH_TYPE_FARGATE)) {
        t->platform_family = GT_STR_LIT("Linux");
    }
    make_containers(tx, ask, t);
    return t;
}

static void put(struct tx *tx, struct rec_ecs_task *t)
{
    tx_put(tx, key_task(tx, t->cluster, t->id), &rec_ecs_task_desc, t);
}

static void put_assignment(struct tx *tx, const struct rec_ecs_task *t)
{
    struct rec_ecs_assignment a = {.cluster = t->cluster,
                                   .task = t->id,
                                   .stopped = t->desired_status == TASK_STOPPED,
                                   .generation = t->generation};
    tx_put(tx, key_assign(tx, t->node, t->id), &rec_ecs_assignment_desc, &a);
}

struct rec_ecs_task *task_start(struct tx *tx, const struct sched_node *node,
                                const struct task_ask *ask, const struct sched_request *rq)
{
    struct rec_ecs_task *t = make(tx, ask, rq);
    t->node = name_dup(tx, node->id);
    t->zone = name_dup(tx, sched_attribute(node, GT_STR_LIT("ecs.availability-zone")));
    place_reserve(tx, t);
    put(tx, t);
    put_assignment(tx, t);
    tx_mark(tx, key_live(tx, t->cluster, t->id));
    tx_mark(tx, key_group(tx, t->cluster, t->group, t->node, t->id));
    return t;
}

struct rec_ecs_task *task_get(struct tx *tx, struct gt_str cluster, struct gt_str id)
{
    return tx_get(tx, key_task(tx, cluster, id), &rec_ecs_task_desc);
}

struct rec_ecs_task *task_of(struct tx *tx, struct gt_str cluster, struct gt_str said)
{
    struct gt_str id, name = name_of_arn(tx, said, "task");
    if (!name_in_cluster(name, cluster, &id) || !name_valid(id, "", 64)) {
        return NULL;
    }
    return task_get(tx, cluster, id);
}

void task_stop(struct tx *tx, struct rec_ecs_task *t, const char *code, struct gt_str reason)
{
    if (t->desired_status == TASK_STOPPED) {
        return;
    }
    t->desired_status = TASK_STOPPED;
    t->stop_code = gt_str(code);
    t->stopped_reason = reason;
    t->stopping_at = tx_now(tx);
    t->version++;
    tx_delete(tx, key_live(tx, t->cluster, t->id));
    tx_mark(tx, key_dead(tx, t->cluster, t->id));
    put_assignment(tx, t);
    put(tx, t);
}

static bool is_pending(int64_t s)
{
    return s < TASK_RUNNING;
}

static void release(struct tx *tx, struct rec_ecs_task *t)
{
    place_release(tx, t);
    tx_delete(tx, key_assign(tx, t->node, t->id));
}

static void finish(struct tx *tx, struct rec_ecs_task *t)
{
    t->stopped_at = tx_now(tx);
    if (!t->stopping_at) {
        t->stopping_at = t->stopped_at;
    }
    if (!t->execution_stopped_at && t->started_at) {
        t->execution_stopped_at = t->stopped_at;
    }
    if (t->desired_status != TASK_STOPPED) {
        t->desired_status = TASK_STOPPED;
        tx_delete(tx, key_live(tx, t->cluster, t->id));
        tx_mark(tx, key_dead(tx, t->cluster, t->id));
    }
    for (size_t i = 0; i < t->containers.n; i++) {
        t->containers.v[i].last_status = TASK_STOPPED;
    }
    tx_delete(tx, key_group(tx, t->cluster, t->group, t->node, t->id));
    if (t->service.n) {
        tx_mark(tx, key_done(tx, t->cluster, t->service, t->id));
    }
    tx_alarm_set(tx, task_expiry_controller.name, key_task(tx, t->cluster, t->id),
                 t->stopped_at + TASK_KEPT_MS);
}

int task_apply(struct tx *tx, struct rec_ecs_task *t, enum task_event event)
{
    int64_t old = t->last_status;
    int next = task_next((enum task_state)old, event);
    if (next == TASK_REFUSED || (old == TASK_STOPPED && next == TASK_STOPPED)) {
        return TASK_REFUSED;
    }
    t->last_status = next;
    t->version++;
    if (next == TASK_RUNNING && !t->started_at) {
        t->started_at = tx_now(tx);
    }
    place_count(tx, t, (next == TASK_RUNNING) - (old == TASK_RUNNING),
                is_pending(next) - is_pending(old));
    if (next == TASK_STOPPED) {
        finish(tx, t);
        t->ghost = event == TASK_NODE_LOST;
        if (t->ghost) {
            put_assignment(tx, t); /* when the node comes back, it shall stop it */
        } else {
            release(tx, t);
        }
    }
    put(tx, t);
    return next;
}

void task_lay_ghost(struct tx *tx, struct rec_ecs_task *t)
{
    if (t->ghost) {
        t->ghost = false;
        release(tx, t);
        put(tx, t);
    }
}

static enum step_result expire(struct tx *tx, const char *key)
{
    struct rec_ecs_task *t = tx_get(tx, key, &rec_ecs_task_desc);
    if (!t || t->last_status != TASK_STOPPED) {
        return STEP_DONE;
    }
    int64_t when = t->stopped_at + TASK_KEPT_MS;
    if (t->ghost && when <= tx_now(tx)) {
        when = tx_now(tx) + TASK_KEPT_MS; /* what it held is still held */
    }
    if (when > tx_now(tx)) {
        tx_alarm_set(tx, task_expiry_controller.name, key, when);
        return STEP_DONE;
    }
    tx_delete(tx, key_dead(tx, t->cluster, t->id));
    tx_delete(tx, key);
    return STEP_DONE;
}

const struct controller task_expiry_controller = {.name = "ecs-task-expiry", .step = expire};
