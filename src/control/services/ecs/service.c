#include "control/services/ecs/service.h"

#include "control/services/ecs/cluster.h"
#include "control/services/ecs/launch.h"
#include "control/services/ecs/names.h"
#include "lib/base/mem.h"

#include <stdio.h>

struct rec_ecs_service *service_of(struct tx *tx, struct gt_str cluster, struct gt_str said)
{
    struct gt_str name, rest = name_of_arn(tx, said, "service");
    if (!name_in_cluster(rest, cluster, &name) || !name_valid(name, "", 255)) {
        return NULL;
    }
    return tx_get(tx, key_service(tx, cluster, name), &rec_ecs_service_desc);
}

void service_put(struct tx *tx, struct rec_ecs_service *s)
{
    tx_put(tx, key_service(tx, s->cluster, s->name), &rec_ecs_service_desc, s);
}

struct rec_ecs_deployment *service_primary(struct rec_ecs_service *s)
{
    for (size_t i = 0; i < s->deployments.n; i++) {
        if (s->deployments.v[i].primary) {
            return &s->deployments.v[i];
        }
    }
    GT_ASSERT(!"a service has a primary deployment");
    return NULL;
}

void deployment_rollout(struct rec_ecs_deployment *d, enum rollout state, struct tx *tx)
{
    static const char *const names[] = {"IN_PROGRESS", "COMPLETED", "FAILED"};
    static const char *const words[] = {"in progress", "completed", "failed"};
    d->rollout_state = gt_str(names[state]);
    d->rollout_reason = gt_str(gt_arena_printf(tx_arena(tx), "ECS deployment " GT_STR_FMT " %s.",
                                               GT_STR_ARG(d->id), words[state]));
    d->updated_at = tx_now(tx);
}

void service_deploy(struct tx *tx, struct rec_ecs_service *s)
{
    size_t n = s->deployments.n;
    struct rec_ecs_deployment *v = gt_arena_array(tx_arena(tx), struct rec_ecs_deployment, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i + 1] = s->deployments.v[i];
        v[i + 1].primary = false;
    }
    uint64_t number = 1000000000000000000ULL + tx_random(tx) % 8000000000000000000ULL;
    v[0] = (struct rec_ecs_deployment){
        .id = gt_str(gt_arena_printf(tx_arena(tx), "ecs-svc/%llu", (unsigned long long)number)),
        .primary = true,
        .family = s->family,
        .revision = s->revision,
        .desired = s->desired,
        .created_at = tx_now(tx),
        .subnets = s->subnets,
        .launch_type = s->launch_type,
        .platform_family = s->platform_family,
    };
    deployment_rollout(&v[0], ROLLOUT_IN_PROGRESS, tx);
    s->deployments.v = v;
    s->deployments.n = n + 1;
    s->failures = s->next_start_at = 0;
    s->steady = s->stuck = s->impaired = false;
    s->unplaced_reason = (struct gt_str){NULL, 0};
}

struct gt_str service_group(struct tx *tx, struct gt_str name)
{
    return gt_str(gt_arena_printf(tx_arena(tx), "service:" GT_STR_FMT, GT_STR_ARG(name)));
}

bool deployment_pinned(const struct rec_ecs_deployment *d, struct gt_str container)
{
    for (size_t i = 0; i < d->pins.n; i++) {
        if (gt_str_eq(d->pins.v[i].key, container)) {
            return true;
        }
    }
    return false;
}

static bool unpinned(const struct rec_ecs_task *t, const struct rec_ecs_deployment *d)
{
    for (size_t i = 0; i < t->containers.n; i++) {
        const struct rec_ecs_container *c = &t->containers.v[i];
        if (c->image_digest.n && !deployment_pinned(d, c->name)) {
            return true;
        }
    }
    return false;
}

/* Keeps nothing of `t`, whose memory goes. */
static void look_at(const struct rec_ecs_task *t, const struct rec_ecs_service *s,
                    struct service_task *to)
{
    to->last_status = t->last_status;
    to->desired_status = t->desired_status;
    to->created_at = t->created_at;
    to->unhealthy = gt_str_is(t->health, "UNHEALTHY");
    for (size_t i = 0; i < s->deployments.n; i++) {
        const struct rec_ecs_deployment *d = &s->deployments.v[i];
        if (gt_str_eq(d->id, t->deployment)) {
            to->deployment = d->id;
            to->unpinned = d->primary && unpinned(t, d);
        }
    }
}

/* They come in the order of their nodes. */
static void look_at_node(struct tx *tx, struct gt_str cluster, const struct service_task *before,
                         struct service_task *to)
{
    if (before && gt_str_eq(before->node, to->node)) {
        to->leaving = before->leaving;
        to->held = before->held;
        return;
    }
    to->leaving = tx_exists(tx, key_drain(tx, cluster, to->node));
    to->held = tx_exists(tx, key_held(tx, cluster, to->node));
}

struct service_task *service_tasks(struct tx *tx, const struct rec_ecs_service *s, size_t *ret_n)
{
    char *prefix = key_group(tx, s->cluster, service_group(tx, s->name), gt_str(""), gt_str(""));
    size_t cap = tx_count(tx, prefix), n = 0;
    struct service_task *v = gt_arena_array(tx_arena(tx), struct service_task, cap + 1);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; n < cap && (key = tx_next(&c));) {
        /* <prefix><node>/<task> */
        struct service_task *to = &v[n];
        to->id = key_tail(key);
        to->node = gt_str_n(key + strlen(prefix), (size_t)(to->id.p - key) - strlen(prefix) - 1);
        look_at_node(tx, s->cluster, n > 0 ? &v[n - 1] : NULL, to);
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_task *t = task_get(tx, s->cluster, to->id);
        if (t) {
            look_at(t, s, to);
            n++;
        }
        gt_arena_release(tx_arena(tx), mark);
    }
    *ret_n = n;
    return v;
}

void service_event(struct tx *tx, const struct rec_ecs_service *s, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    char *key = key_events(tx, s->cluster, s->name);
    struct rec_ecs_events *e = tx_get(tx, key, &rec_ecs_events_desc);
    e = e ? e : gt_arena_new(tx_arena(tx), struct rec_ecs_events);
    size_t keep = GT_MIN(e->events.n, (size_t)SERVICE_EVENTS_MAX - 1);
    struct rec_ecs_event *v = gt_arena_array(tx_arena(tx), struct rec_ecs_event, keep + 1);
    char *h = tx_hex_id(tx, 32);
    v[0].id = gt_str(gt_arena_printf(tx_arena(tx), "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12,
                                     h + 16, h + 20));
    v[0].created_at = tx_now(tx);
    v[0].message = gt_str(
        gt_arena_printf(tx_arena(tx), "(service " GT_STR_FMT ") %s", GT_STR_ARG(s->name), text));
    for (size_t i = 0; i < keep; i++) {
        v[i + 1] = e->events.v[i];
    }
    e->events.v = v;
    e->events.n = keep + 1;
    tx_put(tx, key, &rec_ecs_events_desc, e);
}

bool service_ask(struct tx *tx, const struct rec_ecs_service *s, const struct rec_ecs_deployment *d,
                 struct task_ask *ask, struct sched_request *rq)
{
    const struct rec_ecs_taskdef *def =
        tx_get(tx, key_taskdef(tx, s->family, s->revision), &rec_ecs_taskdef_desc);
    if (!def) {
        return false;
    }
    *ask = (struct task_ask){.def = def,
                             .cluster = s->cluster,
                             .launch_type = s->launch_type,
                             .group = service_group(tx, s->name),
                             .started_by = d->id,
                             .service = s->name,
                             .deployment = d->id,
                             .pins = d->pins};
    if (s->subnets.n) {
        ask->subnet = s->subnets.v[0];
    }
    if (gt_str_is(s->propagate_tags, "TASK_DEFINITION")) {
        ask->tags = def->tags;
    } else if (gt_str_is(s->propagate_tags, "SERVICE")) {
        ask->tags = s->tags;
    }
    if (s->managed_tags) {
        launch_managed_tags(tx, s->cluster, s->name, &ask->tags);
    }
    *rq = task_request(tx, ask);
    return launch_placement(tx, &s->placement_constraints, &s->placement_strategy, rq, NULL) == 0;
}
