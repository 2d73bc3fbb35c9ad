#include "cmd/gantry/cli.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 6, ROWS_MAX = 100000 };

struct row {
    int64_t when; /* made, or stopped */
    bool stopped;
    const char *cell[COLUMNS];
};

struct table {
    struct cli *c;
    struct row *row;
    size_t n, room;
    bool quiet, stopped; /* stopped ones only; else all others */
};

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

static const char *status(struct gt_arena *a, const struct ecs_task *t)
{
    bool stopped = gt_str_is(t->last_status, "STOPPED");
    for (size_t i = 0; stopped && i < t->containers.n; i++) {
        if (t->containers.v[i].has_exit_code) {
            return gt_arena_printf(a, "STOPPED (%lld)", (long long)t->containers.v[i].exit_code);
        }
    }
    return gt_str_is(t->desired_status, "STOPPED") && !stopped ? "STOPPING"
                                                               : gt_arena_str(a, t->last_status);
}

static bool add(void *arg, struct ecs_task *t)
{
    struct table *to = arg;
    struct gt_arena *a = &to->c->arena;
    gt_auto_buf struct gt_buf p = GT_BUF_INIT(4096);
    bool stopped = gt_str_is(t->last_status, "STOPPED");
    if (stopped != to->stopped) {
        return true;
    }
    bool since = stopped ? t->has_stopped_at : t->has_started_at;
    int64_t at = stopped ? t->stopped_at : t->started_at;
    ports(t, &p);
    if (to->n == to->room) {
        to->room = to->room ? 2 * to->room : 64;
        to->row = gt_realloc(to->row, to->room * sizeof *to->row);
    }
    struct row *row = &to->row[to->n++];
    const char **r = row->cell;
    row->stopped = stopped;
    row->when = stopped ? t->stopped_at : t->created_at;
    struct gt_str id = cli_task_id(t);
    r[0] = gt_arena_str(a, gt_str_n(id.p, GT_MIN(id.n, (size_t)12)));
    r[1] = t->containers.n ? gt_arena_str(a, t->containers.v[0].image) : "-";
    r[2] = status(a, t);
    r[3] = since ? cli_duration(a, gt_clock_real_ms() - at) : "-";
    r[4] = t->group.n ? gt_arena_str(a, t->group) : "-";
    r[5] = gt_arena_str(a, gt_str_n(p.p ? p.p : "", p.n));
    return to->n < ROWS_MAX;
}

/* Those that run first, the newest of each kind first. */
static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->stopped != y->stopped) {
        return x->stopped ? 1 : -1;
    }
    return x->when > y->when ? -1 : x->when < y->when;
}

static void print(const struct table *t)
{
    static const char *const head[COLUMNS] = {"TASK", "IMAGE", "STATUS", "SINCE", "GROUP", "PORTS"};
    for (size_t i = 0; t->quiet && i < t->n; i++) {
        puts(t->row[i].cell[0]);
    }
    if (t->quiet) {
        return;
    }
    gt_auto_free const char **cells = gt_calloc((t->n + 1) * COLUMNS, sizeof *cells);
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < t->n; i++) {
        memcpy(cells + (i + 1) * COLUMNS, t->row[i].cell, sizeof head);
    }
    cli_columns(cells, t->n + 1, COLUMNS);
}

/* A task whose stop was asked is listed as STOPPED by ECS while it still runs. */
static int list(struct table *t, struct ecs_list_tasks_in filter, bool all, struct gt_err *err)
{
    int r = 0;
    for (t->stopped = false; r == 0; t->stopped = true) {
        filter.desired_status = GT_STR_LIT("RUNNING");
        r = t->stopped ? 0 : cli_each_task(t->c, filter, add, t, err);
        filter.desired_status = GT_STR_LIT("STOPPED");
        r = r < 0 ? r : cli_each_task(t->c, filter, add, t, err);
        if (t->stopped || !all) {
            break;
        }
    }
    return r;
}

int cmd_ps(int argc, char **argv)
{
    const char *state = NULL, *cluster = NULL, *service = NULL, *family = NULL;
    struct cli c;
    struct table t = {.c = &c};
    bool all = false;
    const struct option_def defs[] = {
        {"all", NULL, "stopped tasks too (those of the last hour)", NULL, &all, 'a'},
        {"quiet", NULL, "only the ids", NULL, &t.quiet, 'q'},
        {"cluster", "NAME", "only of this cluster", &cluster, NULL},
        {"service", "NAME", "only of services with this name", &service, NULL},
        {"family", "NAME", "only of this family of task definitions", &family, NULL},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {.name = "filter", .letter = 'f', .refused = "--cluster, --service and --family filter"},
        {.name = "format", .refused = "aws ecs describe-tasks has --query and --output"},
        {0},
    };
    struct gt_err err = GT_ERR_INIT;
    int r = options_parse(defs, "gantry ps", "Lists the tasks of all clusters.", argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    struct gt_str one = gt_str(cluster ? cluster : "");
    struct ecs_list_clusters_in in = {0};
    struct ecs_list_clusters_out out = {.cluster_arns = {&one, 1, true}};
    r = cluster ? 0 : api_call(c.client, &ecs_op_list_clusters, &in, &c.arena, &out, &err);
    for (size_t i = 0; r == 0 && i < out.cluster_arns.n; i++) {
        struct ecs_list_tasks_in filter = {.cluster = out.cluster_arns.v[i],
                                           .service_name = gt_str(service ? service : ""),
                                           .family = gt_str(family ? family : "")};
        r = list(&t, filter, all, &err);
        if (r < 0 && service && !cluster &&
            gt_streq(api_client_exception(c.client), "ServiceNotFoundException")) {
            r = 0; /* another cluster may have it */
        }
    }
    if (r == 0) {
        if (t.n) {
            qsort(t.row, t.n, sizeof *t.row, by_time);
        }
        print(&t);
    }
    r = r < 0 ? cli_fail(&err) : 0;
    free(t.row);
    cli_close(&c);
    return r;
}
