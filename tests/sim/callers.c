/* Callers of the API: what they ask, in JSON as they would, and what they were told. */
#include "trial_priv.h"

#include "control/services/ecs/ecs.h"
#include "lib/wire/gen/ecs.h"

#include <stdarg.h>
#include <stdio.h>

static struct core_call ask(struct trial *t, const struct wire_op *op, void *ret_out,
                            const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static struct core_call ask(struct trial *t, const struct wire_op *op, void *ret_out,
                            const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    GT_ASSERT(n > 0 && (size_t)n < sizeof text);
    struct core_call c = sim_world_ask(&t->w, ecs_control(), op, gt_str(text), ret_out);
    trace(t, "%s %s: %s", op->name, text, c.result < 0 ? c.err.msg : "ok");
    return c;
}

/* The server ended before it answered: nobody knows what it did. */
static bool unanswered(const struct core_call *c)
{
    return c->result < 0 && c->err.kind == GT_ERR_UNAVAILABLE;
}

/* A call that must succeed, unless it has no answer. */
static void must(struct trial *t, const struct core_call *c)
{
    if (c->result < 0 && !unanswered(c)) {
        violation(t, "valid calls succeed", GT_STR_FMT ": %s", GT_STR_ARG(c->label), c->err.msg);
    }
}

static void register_definition(struct trial *t)
{
    struct core_call c =
        ask(t, &ecs_op_register_task_definition, NULL,
            "{\"family\":\"app\",\"networkMode\":\"%s\",\"containerDefinitions\":[{\"name\":"
            "\"main\",\"image\":\"web:%d\",\"cpu\":%d,\"memory\":%d,\"essential\":true}]}",
            t->plan.awsvpc ? "awsvpc" : "bridge", (int)t->taskdefs, (int)between(t, 1, 4) * 128,
            (int)between(t, 1, 4) * 128);
    must(t, &c);
    t->taskdefs += c.result >= 0;
}

/* Takes a port of its node: there is room for one on each. */
static void register_door(struct trial *t)
{
    struct core_call c =
        ask(t, &ecs_op_register_task_definition, NULL,
            "{\"family\":\"door\",\"containerDefinitions\":[{\"name\":\"main\",\"image\":"
            "\"door\",\"memory\":64,\"portMappings\":[{\"containerPort\":80,\"hostPort\":"
            "8080}]}]}");
    must(t, &c);
}

static const char *network(struct trial *t)
{
    return t->plan.awsvpc ? ",\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":"
                            "[\"subnet-1\"]}}"
                          : "";
}

static void create_service(struct trial *t, struct known_service *v)
{
    int64_t desired = between(t, 0, t->plan.nodes > 100 ? 400 : 6);
    int64_t min = between(t, 0, 4) * 25, max = 100 + between(t, 1, 4) * 25;
    struct core_call c =
        ask(t, &ecs_op_create_service, NULL,
            "{\"serviceName\":\"%s\",\"taskDefinition\":\"app\",\"desiredCount\":%d,"
            "\"deploymentConfiguration\":{\"minimumHealthyPercent\":%d,\"maximumPercent\":%d}%s%s}",
            v->name, (int)desired, (int)min, (int)max, network(t),
            chance(t, 20) ? ",\"placementStrategy\":[{\"type\":\"binpack\",\"field\":\"memory\"}]"
                          : "");
    v->unsure = v->unsure || unanswered(&c);
    if (c.result >= 0) {
        v->exists = true;
        v->wild = false;
        v->desired = desired;
    }
}

static void update_service(struct trial *t, struct known_service *v)
{
    int64_t most = t->plan.nodes > 100 ? 400 : 8;
    int64_t desired = chance(t, 70) ? between(t, 0, most) : v->desired;
    struct core_call c =
        ask(t, &ecs_op_update_service, NULL, "{\"service\":\"%s\",\"desiredCount\":%d%s%s}",
            v->name, (int)desired, chance(t, 40) ? ",\"taskDefinition\":\"app\"" : "",
            chance(t, 20) ? ",\"forceNewDeployment\":true" : "");
    if (!v->wild) {
        must(t, &c);
    }
    v->unsure = v->unsure || unanswered(&c);
    v->desired = c.result >= 0 ? desired : v->desired;
}

static void delete_service(struct trial *t, struct known_service *v)
{
    struct core_call c =
        ask(t, &ecs_op_delete_service, NULL, "{\"service\":\"%s\",\"force\":true}", v->name);
    must(t, &c);
    v->unsure = v->unsure || unanswered(&c);
    v->exists = v->exists && c.result < 0;
}

/* In `told`, of a task that had ended when the server's clock stepped: it may go at any time, but a
 * token may still tell of it. */
#define MAY_GO ((void *)UINTPTR_MAX)

/* True: somebody was told of it before. */
static bool told_task(struct trial *t, const struct ecs_task *task, uint64_t revision)
{
    const char *arn = gt_arena_str(&t->w.arena, task->task_arn);
    struct gt_str id = gt_str(strrchr(arn, '/') + 1);
    bool known = gt_table_get(&t->told, id), may_go = gt_str_is(task->last_status, "STOPPED");
    if (!known) {
        gt_table_put(&t->told, id, t->stepped && may_go ? MAY_GO : (void *)(uintptr_t)revision);
    }
    return known;
}

static void run_task(struct trial *t)
{
    /* Some say it twice with one token: that makes no more tasks. */
    bool again = t->tokens && chance(t, 30);
    t->tokens += !again;
    int count = (int)(t->tokens % 4) + 1;
    bool door = t->tokens % 3 == 0;
    struct ecs_run_task_out *out;
    struct core_call c = ask(t, &ecs_op_run_task, &out,
                             "{\"taskDefinition\":\"%s\",\"count\":%d,\"clientToken\":\"t%llu\"%s}",
                             door ? "door:1" : "app:1", count, (unsigned long long)t->tokens,
                             door ? "" : network(t));
    if (!gt_streq(c.err.msg, "No Container Instances were found in your cluster.")) {
        must(t, &c);
    }
    if (c.result < 0) {
        return;
    }
    size_t known = 0;
    for (size_t i = 0; i < out->tasks.n; i++) {
        known += told_task(t, &out->tasks.v[i], c.revision);
    }
    if (out->tasks.n > (size_t)count) {
        violation(t, "RunTask starts as many as were asked for", "%zu of %d", out->tasks.n, count);
    }
    struct by_token *b = &t->by_token[t->tokens % BY_TOKEN];
    if (again && b->token == t->tokens && (b->tasks != out->tasks.n || known != b->tasks)) {
        violation(t, "a client token starts its tasks once", "token t%llu: %zu tasks, then %zu",
                  (unsigned long long)t->tokens, b->tasks, out->tasks.n);
    }
    bool some_may_go = t->stepped && again;
    *b = (struct by_token){some_may_go ? 0 : t->tokens, out->tasks.n};
}

static void stop_task(struct trial *t)
{
    struct ecs_list_tasks_out *list;
    struct core_call c = ask(t, &ecs_op_list_tasks, &list, "{\"cluster\":\"default\"}");
    must(t, &c);
    if (c.result < 0 || list->task_arns.n == 0) {
        return;
    }
    struct gt_str arn = list->task_arns.v[between(t, 0, (int64_t)list->task_arns.n - 1)];
    c = ask(t, &ecs_op_stop_task, NULL, "{\"task\":\"" GT_STR_FMT "\"}", GT_STR_ARG(arn));
    must(t, &c);
}

void callers_set_up(struct trial *t)
{
    struct core_call c = ask(t, &ecs_op_create_cluster, NULL, "{\"clusterName\":\"default\"}");
    must(t, &c);
    for (int i = 0; i < SERVICES; i++) {
        snprintf(t->services[i].name, sizeof t->services[i].name, "svc%d", i);
    }
    register_definition(t);
    register_door(t);
}

void callers_play(struct trial *t, unsigned node)
{
    struct known_service *v = &t->services[between(t, 0, SERVICES - 1)];
    int64_t dice = between(t, 0, 99);
    if (dice < 45 && v->exists) {
        update_service(t, v);
    } else if (dice < 45) {
        create_service(t, v);
    } else if (dice < 50 && v->exists) {
        delete_service(t, v);
    } else if (dice < 70) {
        run_task(t);
    } else if (dice < 90) {
        stop_task(t);
    } else {
        register_definition(t);
    }
}

/* ---- what was told ---- */

static void look(struct trial *t, struct known_service *v, bool believe)
{
    char key[128];
    snprintf(key, sizeof key, SIM_PLACE "ecs/service/default/%s", v->name);
    const struct rec_ecs_service *rec = state_get(t, key, &rec_ecs_service_desc);
    bool active = rec && gt_str_is(rec->status, "ACTIVE");
    if (!believe && (active != v->exists || (active && rec->desired != v->desired))) {
        violation(t, "what was acknowledged is kept",
                  "service %s: told that %d are wanted (%s), kept are %d", v->name, (int)v->desired,
                  v->exists ? "active" : "deleted", rec ? (int)rec->desired : -1);
    }
    v->exists = active;
    v->desired = active ? rec->desired : 0;
    v->unsure = false;
}

void callers_look(struct trial *t, bool answered)
{
    for (int i = 0; i < SERVICES; i++) {
        if (answered) {
            look(t, &t->services[i], /* believe= */ true);
        }
        t->services[i].unsure = !answered;
        t->services[i].wild = true;
    }
}

void callers_recovered(struct trial *t)
{
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&t->told, &it))) {
        char key[256];
        snprintf(key, sizeof key, SIM_PLACE "ecs/task/default/%s", e->key);
        if (e->value != MAY_GO && !state_has(t, key)) {
            violation(t, "what was acknowledged is kept", "task %s is gone", e->key);
        }
    }
    for (int i = 0; i < SERVICES; i++) {
        look(t, &t->services[i], t->services[i].unsure);
    }
}

void callers_go_back(struct trial *t, uint64_t revision, const struct known_service *services)
{
    struct gt_table kept;
    gt_table_init(&kept);
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&t->told, &it));) {
        if ((uintptr_t)e->value <= revision) {
            gt_table_put(&kept, gt_str(e->key), e->value);
        }
    }
    gt_table_fini(&t->told);
    t->told = kept;
    memcpy(t->services, services, sizeof t->services);
    memset(t->by_token, 0, sizeof t->by_token);
}

/* Whatever somebody made. */
static void delete_services(struct trial *t)
{
    const char *key = NULL;
    struct gt_str value;
    char at[512] = SIM_PLACE "ecs/service/", prefix[] = SIM_PLACE "ecs/service/";
    while (core_next_key(t->w.core, prefix, at, &key, &value)) {
        snprintf(at, sizeof at, "%s", key);
        const struct rec_ecs_service *s = state_get(t, at, &rec_ecs_service_desc);
        if (s && gt_str_is(s->status, "ACTIVE")) {
            struct core_call c = ask(t, &ecs_op_delete_service, NULL,
                                     "{\"cluster\":\"" GT_STR_FMT "\",\"service\":\"" GT_STR_FMT
                                     "\",\"force\":true}",
                                     GT_STR_ARG(s->cluster), GT_STR_ARG(s->name));
            must(t, &c);
        }
    }
    for (int i = 0; i < SERVICES; i++) {
        t->services[i].exists = t->services[i].wild = false;
    }
}

void callers_take_away(struct trial *t)
{
    delete_services(t);
    struct ecs_list_tasks_out *list;
    for (;;) { /* those that are wanted; the list has 100 of them */
        struct core_call c = ask(t, &ecs_op_list_tasks, &list, "{\"cluster\":\"default\"}");
        must(t, &c);
        if (c.result < 0 || list->task_arns.n == 0) {
            break;
        }
        for (size_t i = 0; i < list->task_arns.n; i++) {
            c = ask(t, &ecs_op_stop_task, NULL, "{\"task\":\"" GT_STR_FMT "\"}",
                    GT_STR_ARG(list->task_arns.v[i]));
            must(t, &c);
        }
        gt_arena_reset(&t->w.arena);
    }
}

static void activate_again(void *arg, uint64_t a, uint64_t b)
{
    callers_activate(arg);
}

/* Those that drain do so no more: what is wanted needs them. */
void callers_activate(struct trial *t)
{
    for (unsigned i = 0; i < t->plan.nodes; i++) {
        const char *id = sim_agents_node(t->agents, i)->spec.id;
        struct core_call c = ask(t, &ecs_op_update_container_instances_state, NULL,
                                 "{\"containerInstances\":[\"%s\"],\"status\":\"ACTIVE\"}", id);
        must(t, &c);
        gt_arena_reset(&t->w.arena);
        if (unanswered(&c)) {
            sim_at(&t->w, 100, activate_again, t, 0, 0);
            return;
        }
    }
}

void callers_drain(struct trial *t, unsigned node)
{
    struct core_call c =
        ask(t, &ecs_op_update_container_instances_state, NULL,
            "{\"containerInstances\":[\"%s\"],\"status\":\"%s\"}",
            sim_agents_node(t->agents, node)->spec.id, chance(t, 60) ? "DRAINING" : "ACTIVE");
    must(t, &c);
}

enum answered callers_deregister(struct trial *t, unsigned node)
{
    struct core_call c = ask(t, &ecs_op_deregister_container_instance, NULL,
                             "{\"containerInstance\":\"%s\",\"force\":true}",
                             sim_agents_node(t->agents, node)->spec.id);
    bool gone = gt_streq(c.err.msg, "The referenced container instance is inactive.");
    return unanswered(&c) ? NO_ANSWER : c.result >= 0 || gone ? YES : NO;
}
