/* Callers of the API: what they ask, in JSON as they would, and what they were told. */
#include "control/sim/sim_priv.h"

#include "control/services/ecs/ecs.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/wire/json.h"

#include <stdarg.h>
#include <stdio.h>

/* Calls; `out` is of the operation's answer shape. */
static struct core_call call(struct sim *s, const struct wire_op *op, void *in, void *out,
                             const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static struct core_call call(struct sim *s, const struct wire_op *op, void *in, void *out,
                             const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    GT_ASSERT(n > 0 && (size_t)n < sizeof text);
    struct gt_err err;
    char *body = gt_arena_strdup(&s->arena, text);
    if (wire_json_decode(op->in, gt_str(body), &s->arena, in, &err) < 0) {
        sim_violation(s, "%s: %s", op->name, err.msg);
    }
    struct core_call c = sim_call(s, ecs_control(), op->name, &sim_root, in, out);
    sim_trace(s, "%s %s: %s", op->name, body, c.result < 0 ? c.err.msg : "ok");
    return c;
}

extern const struct wire_op ecs_op_create_cluster, ecs_op_register_task_definition,
    ecs_op_create_service, ecs_op_update_service, ecs_op_delete_service, ecs_op_run_task,
    ecs_op_stop_task, ecs_op_list_tasks;

static void register_definition(struct sim *s)
{
    struct ecs_register_task_definition_in in = {0};
    struct ecs_register_task_definition_out out = {0};
    bool awsvpc = s->options.seed % 2;
    struct core_call c =
        call(s, &ecs_op_register_task_definition, &in, &out,
             "{\"family\":\"app\",\"networkMode\":\"%s\",\"containerDefinitions\":[{\"name\":"
             "\"main\",\"image\":\"web:%d\",\"cpu\":%d,\"memory\":%d,\"essential\":true}]}",
             awsvpc ? "awsvpc" : "bridge", (int)s->taskdefs, (int)sim_between(s, 1, 4) * 128,
             (int)sim_between(s, 1, 4) * 128);
    if (c.result < 0) {
        sim_violation(s, "RegisterTaskDefinition: %s", c.err.msg);
    }
    s->taskdefs++;
}

static const char *network(struct sim *s)
{
    return s->options.seed % 2 ? ",\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":"
                                 "[\"subnet-1\"]}}"
                               : "";
}

static void create_service(struct sim *s, struct sim_service *v)
{
    struct ecs_create_service_in in = {0};
    struct ecs_create_service_out out = {0};
    int64_t desired = sim_between(s, 0, 6);
    struct core_call c =
        call(s, &ecs_op_create_service, &in, &out,
             "{\"serviceName\":\"%s\",\"taskDefinition\":\"app\",\"desiredCount\":%d%s}", v->name,
             (int)desired, network(s));
    if (c.result >= 0) {
        v->exists = true;
        v->desired = desired;
    }
}

static void update_service(struct sim *s, struct sim_service *v)
{
    struct ecs_update_service_in in = {0};
    struct ecs_update_service_out out = {0};
    int64_t desired = sim_chance(s, 70) ? sim_between(s, 0, 8) : v->desired;
    struct core_call c =
        call(s, &ecs_op_update_service, &in, &out, "{\"service\":\"%s\",\"desiredCount\":%d%s%s}",
             v->name, (int)desired, sim_chance(s, 40) ? ",\"taskDefinition\":\"app\"" : "",
             sim_chance(s, 20) ? ",\"forceNewDeployment\":true" : "");
    if (c.result < 0) {
        sim_violation(s, "UpdateService of \"%s\", which exists: %s", v->name, c.err.msg);
        return;
    }
    v->desired = desired;
}

static void delete_service(struct sim *s, struct sim_service *v)
{
    struct ecs_delete_service_in in = {0};
    struct ecs_delete_service_out out = {0};
    struct core_call c =
        call(s, &ecs_op_delete_service, &in, &out, "{\"service\":\"%s\",\"force\":true}", v->name);
    if (c.result < 0) {
        sim_violation(s, "DeleteService of \"%s\", which exists: %s", v->name, c.err.msg);
    }
    v->exists = false;
}

static void told_task(struct sim *s, struct gt_str arn)
{
    const char *slash = arn.n ? memrchr(arn.p, '/', arn.n) : NULL;
    if (slash) {
        struct gt_str id = gt_str_n(slash + 1, (size_t)(arn.p + arn.n - slash - 1));
        static char there;
        gt_table_put(&s->told, id, &there);
    }
}

static void run_task(struct sim *s)
{
    struct ecs_run_task_in in = {0};
    struct ecs_run_task_out out = {0};
    /* Some say it twice with one token: that makes no more tasks. */
    bool again = sim_chance(s, 20);
    s->tokens += !again;
    int count = (int)(s->tokens % 4) + 1;
    call(s, &ecs_op_run_task, &in, &out,
         "{\"taskDefinition\":\"app:1\",\"count\":%d,\"clientToken\":\"t%llu\"%s}", count,
         (unsigned long long)s->tokens, network(s));
    for (size_t i = 0; i < out.tasks.n; i++) {
        told_task(s, out.tasks.v[i].task_arn);
    }
    if (out.tasks.n > (size_t)count) {
        sim_violation(s, "RunTask of %d made %zu tasks", count, out.tasks.n);
    }
}

static void stop_task(struct sim *s)
{
    struct ecs_list_tasks_in in = {0};
    struct ecs_list_tasks_out out = {0};
    call(s, &ecs_op_list_tasks, &in, &out, "{\"cluster\":\"default\"}");
    if (out.task_arns.n == 0) {
        return;
    }
    struct gt_str arn = out.task_arns.v[sim_between(s, 0, (int64_t)out.task_arns.n - 1)];
    struct ecs_stop_task_in stop = {0};
    struct ecs_stop_task_out stopped = {0};
    struct core_call c = call(s, &ecs_op_stop_task, &stop, &stopped,
                              "{\"task\":\"" GT_STR_FMT "\"}", GT_STR_ARG(arn));
    if (c.result < 0) {
        sim_violation(s, "StopTask of a task that was listed: %s", c.err.msg);
    }
}

void sim_set_up(struct sim *s)
{
    struct ecs_create_cluster_in in = {0};
    struct ecs_create_cluster_out out = {0};
    call(s, &ecs_op_create_cluster, &in, &out, "{\"clusterName\":\"default\"}");
    for (int i = 0; i < SIM_MAX_SERVICES; i++) {
        snprintf(s->services[i].name, sizeof s->services[i].name, "svc%d", i);
    }
    register_definition(s);
}

void sim_caller(struct sim *s)
{
    if (s->calm) {
        return;
    }
    struct sim_service *v = &s->services[sim_between(s, 0, SIM_MAX_SERVICES - 1)];
    int64_t dice = sim_between(s, 0, 99);
    if (dice < 45) {
        if (v->exists) {
            update_service(s, v);
        } else {
            create_service(s, v);
        }
    } else if (dice < 50 && v->exists) {
        delete_service(s, v);
    } else if (dice < 70) {
        run_task(s);
    } else if (dice < 90) {
        stop_task(s);
    } else if (s->taskdefs < 20) {
        register_definition(s);
    }
    sim_at(s, sim_between(s, 50, 4000), SIM_CALLER, 0);
}
