#include "cmd/gantry/cli.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"

#include <stdio.h>

static void ago(int64_t ms, char *to, size_t n)
{
    int64_t s = (gt_clock_real_ms() - ms) / 1000;
    if (s < 120) {
        snprintf(to, n, "%llds", (long long)GT_MAX(s, (int64_t)0));
    } else if (s < 7200) {
        snprintf(to, n, "%lldm", (long long)s / 60);
    } else {
        snprintf(to, n, "%lldh", (long long)s / 3600);
    }
}

static void ports(const struct ecs_task *t, struct gt_buf *to)
{
    for (size_t i = 0; i < t->containers.n; i++) {
        const struct ecs_container *c = &t->containers.v[i];
        for (size_t k = 0; k < c->network_bindings.n; k++) {
            const struct ecs_network_binding *b = &c->network_bindings.v[k];
            gt_buf_printf(to, "%s%lld->%lld/" GT_STR_FMT, to->n ? ", " : "",
                          (long long)b->host_port, (long long)b->container_port,
                          GT_STR_ARG(b->protocol));
        }
        for (size_t k = 0; k < c->network_interfaces.n && i == 0; k++) {
            gt_buf_printf(to, "%s" GT_STR_FMT, to->n ? ", " : "",
                          GT_STR_ARG(c->network_interfaces.v[k].private_ipv4_address));
        }
    }
}

static void print_task(const struct ecs_task *t)
{
    char since[32] = "-", what[64];
    gt_auto_buf struct gt_buf p = GT_BUF_INIT(4096);
    struct gt_str image = t->containers.n ? t->containers.v[0].image : GT_STR_LIT("-");
    bool stopped = gt_str_is(t->last_status, "STOPPED");
    if (stopped ? t->has_stopped_at : t->has_started_at) {
        ago(stopped ? t->stopped_at : t->started_at, since, sizeof since);
    }
    snprintf(what, sizeof what, GT_STR_FMT, GT_STR_ARG(t->last_status));
    for (size_t i = 0; stopped && i < t->containers.n; i++) {
        if (t->containers.v[i].has_exit_code) {
            snprintf(what, sizeof what, "STOPPED (%lld)", (long long)t->containers.v[i].exit_code);
            break;
        }
    }
    ports(t, &p);
    printf("%-12.12s  %-36.36s  %-14s  %-5s  %-24.24s  %s\n", cli_task_id(t).p, image.p, what,
           since, t->group.n ? t->group.p : "-", p.p ? p.p : "");
}

static int list(struct cli *c, struct gt_str cluster, const char *status, struct gt_err *err)
{
    struct ecs_list_tasks_in in = {.cluster = cluster, .desired_status = gt_str(status)};
    struct ecs_list_tasks_out out;
    do {
        int r = api_call(c->client, &ecs_op_list_tasks, &in, &c->arena, &out, err);
        if (r < 0) {
            return r;
        }
        struct ecs_describe_tasks_in din = {.cluster = cluster, .tasks = out.task_arns};
        struct ecs_describe_tasks_out dout = {0};
        if (out.task_arns.n &&
            (r = api_call(c->client, &ecs_op_describe_tasks, &din, &c->arena, &dout, err)) < 0) {
            return r;
        }
        for (size_t i = 0; i < dout.tasks.n; i++) {
            struct ecs_task *t = &dout.tasks.v[i];
            /* printf wants ends of text */
            t->task_arn = gt_str(gt_arena_str(&c->arena, t->task_arn));
            t->group = t->group.n ? gt_str(gt_arena_str(&c->arena, t->group)) : t->group;
            if (t->containers.n) {
                t->containers.v[0].image =
                    gt_str(gt_arena_str(&c->arena, t->containers.v[0].image));
            }
            print_task(t);
        }
        in.next_token = out.next_token;
    } while (out.next_token.n);
    return 0;
}

int cmd_ps(int argc, char **argv)
{
    const char *state = NULL;
    bool all = false;
    const struct option_def defs[] = {
        {"all", NULL, "stopped tasks too (those of the last hour)", NULL, &all, 'a'},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct cli c;
    struct gt_err err = GT_ERR_INIT;
    int r = options_parse(defs, "gantry ps", "Lists the tasks of all clusters.", argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    struct ecs_list_clusters_in in = {0};
    struct ecs_list_clusters_out out = {0};
    r = api_call(c.client, &ecs_op_list_clusters, &in, &c.arena, &out, &err);
    printf("%-12s  %-36s  %-14s  %-5s  %-24s  %s\n", "TASK", "IMAGE", "STATUS", "SINCE", "GROUP",
           "PORTS");
    for (size_t i = 0; r == 0 && i < out.cluster_arns.n; i++) {
        r = list(&c, out.cluster_arns.v[i], "RUNNING", &err);
        if (r == 0 && all) {
            r = list(&c, out.cluster_arns.v[i], "STOPPED", &err);
        }
    }
    r = r < 0 ? cli_fail(&err) : 0;
    cli_close(&c);
    return r;
}
