#include "cmd/gantry/nodes.h"

#include <stdio.h>

enum { COLUMNS = 8 };

static const char *status(struct gt_arena *a, const struct admin_node *n)
{
    bool live = gt_str_is(n->state, "LIVE");
    if (gt_str_is(n->status, "ACTIVE")) {
        return live ? "ACTIVE" : gt_arena_str(a, n->state);
    }
    return gt_arena_printf(a, GT_STR_FMT "%s" GT_STR_FMT, GT_STR_ARG(n->status), live ? "" : ",",
                           GT_STR_ARG(live ? gt_str("") : n->state));
}

static void add(struct gt_arena *a, const struct admin_node *n, const char **cell)
{
    cell[0] = gt_arena_str(a, gt_str_n(n->node_id.p, GT_MIN(n->node_id.n, (size_t)12)));
    cell[1] = gt_arena_str(a, n->name);
    cell[2] = gt_arena_str(a, n->zone);
    cell[3] = status(a, n);
    cell[4] = gt_arena_printf(a, "%.4g/%.4g", (double)n->cpu_free / 1024, (double)n->cpu / 1024);
    cell[5] = gt_arena_printf(a, "%lld/%lld", (long long)n->memory_free, (long long)n->memory);
    cell[6] = gt_arena_printf(a, "%lld", (long long)n->running_tasks + n->pending_tasks);
    cell[7] = n->has_heard_ms ? cli_duration(a, n->heard_ms) : "-";
}

static void print(struct cli *c, const struct nodes *all, const char *cluster, bool quiet)
{
    static const char *const head[COLUMNS] = {"NODE",     "NAME",         "ZONE",  "STATUS",
                                              "CPU FREE", "MEM FREE MiB", "TASKS", "HEARD"};
    const char **cells = gt_arena_array(&c->arena, const char *, (all->n + 1) * COLUMNS);
    memcpy(cells, head, sizeof head);
    size_t rows = 1;
    for (size_t i = 0; i < all->n; i++) {
        if (cluster && !gt_str_is(all->v[i].cluster, cluster)) {
            continue;
        }
        if (quiet) {
            printf(GT_STR_FMT "\n", GT_STR_ARG(all->v[i].node_id));
        }
        add(&c->arena, &all->v[i], cells + COLUMNS * rows++);
    }
    if (!quiet) {
        cli_columns(cells, rows, COLUMNS);
    }
    if (all->brake && !quiet) {
        printf("\n%lld of %lld nodes fell silent together, %s ago. Their tasks are not replaced "
               "until\nenough of them are heard again, or you say that they are gone: gantry nodes "
               "--release\n",
               (long long)all->brake->silent, (long long)all->brake->of,
               cli_duration(&c->arena, all->brake->since_ms));
    }
}

static int release(struct cli *c, const struct nodes *all, struct gt_err *err)
{
    struct admin_release_nodes_in in = {0};
    struct admin_release_nodes_out out = {0};
    if (!all->brake) {
        puts("No nodes are held.");
        return 0;
    }
    int r = api_call(c->client, &admin_op_release_nodes, &in, &c->arena, &out, err);
    if (r == 0) {
        puts("The tasks of the nodes that are held are replaced now.");
    }
    return r;
}

int cmd_nodes(int argc, char **argv)
{
    const char *state = NULL, *cluster = NULL;
    bool quiet = false, let_go = false;
    const struct option_def defs[] = {
        {"cluster", "NAME", "only of this cluster", &cluster, NULL},
        {"quiet", NULL, "only the ids", NULL, &quiet, 'q'},
        {"release", NULL, "nodes that are held are gone: replace what they ran", NULL, &let_go},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {.name = "filter", .letter = 'f', .refused = "--cluster filters"},
        {.name = "format",
         .refused = "aws ecs describe-container-instances has --query and --output"},
        {0},
    };
    struct gt_err err = GT_ERR_INIT;
    struct nodes all;
    struct cli c;
    int r =
        options_parse(defs, "gantry nodes", "Lists the nodes of all clusters.", argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    r = nodes_list(&c, &all, &err);
    if (r == 0 && let_go) {
        r = release(&c, &all, &err);
    } else if (r == 0) {
        print(&c, &all, cluster, quiet);
    }
    r = r < 0 ? cli_fail(&err) : 0;
    cli_close(&c);
    return r;
}
