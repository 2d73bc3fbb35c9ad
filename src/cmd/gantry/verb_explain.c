/* gantry explain: why a task is where it is, why a service's next task fits or not. */
#include "cmd/gantry/cli.h"
#include "lib/wire/gen/admin.h"

#include <stdio.h>
#include <string.h>

/* "a, b, c"; `none` when there is nothing. In the arena. */
static const char *joined(struct cli *c, const struct gt_str *v, size_t n, const char *none)
{
    char *all = NULL;
    for (size_t i = 0; i < n; i++) {
        all = gt_arena_printf(&c->arena, "%s%s" GT_STR_FMT, all ? all : "", all ? ", " : "",
                              GT_STR_ARG(v[i]));
    }
    return all ? all : none;
}

static void print_ask(struct cli *c, const struct admin_placement_ask *ask)
{
    printf("It asks for %lld CPU units, %lld MiB of memory%s", (long long)ask->cpu,
           (long long)ask->memory, ask->address ? ", an address" : "");
    for (size_t i = 0; i < ask->host_ports.n; i++) {
        printf(", port " GT_STR_FMT, GT_STR_ARG(ask->host_ports.v[i]));
    }
    printf(".\nStrategy: %s.\n", joined(c, ask->strategies.v, ask->strategies.n, "random"));
    for (size_t i = 0; i < ask->member_of.n; i++) {
        printf("Constraint: " GT_STR_FMT "\n", GT_STR_ARG(ask->member_of.v[i]));
    }
    for (size_t i = 0; i < ask->attributes.n; i++) {
        printf("Needs: " GT_STR_FMT "\n", GT_STR_ARG(ask->attributes.v[i]));
    }
    if (ask->distinct_instance) {
        puts("Constraint: distinctInstance");
    }
}

static const char *changes(struct cli *c, const struct admin_placement_fix *fix)
{
    struct gt_str *texts = gt_arena_array(&c->arena, struct gt_str, fix->changes.n + 1);
    for (size_t i = 0; i < fix->changes.n; i++) {
        texts[i] = fix->changes.v[i].text;
    }
    return joined(c, texts, fix->changes.n, "nothing");
}

static const char *verdict(struct cli *c, const struct admin_explain_out *out,
                           const struct admin_node_verdict *v)
{
    if (v->fits) {
        return out->placed_on.n && gt_str_eq(out->placed_on, v->node) ? "fits: here it is" : "fits";
    }
    struct gt_str *texts = gt_arena_array(&c->arena, struct gt_str, v->refusals.n + 1);
    for (size_t i = 0; i < v->refusals.n; i++) {
        texts[i] = v->refusals.v[i].text;
    }
    return joined(c, texts, v->refusals.n, "");
}

static const char *scores(struct cli *c, const struct admin_node_verdict *v)
{
    char *all = NULL;
    for (size_t i = 0; i < v->scores.n && v->fits; i++) {
        all = gt_arena_printf(&c->arena, "%s%s%lld", all ? all : "", all ? ", " : "",
                              (long long)v->scores.v[i]);
    }
    return all ? all : "-";
}

static void print_nodes(struct cli *c, const struct admin_explain_out *out)
{
    enum { COLUMNS = 4 };
    static const char *const head[COLUMNS] = {"NODE", "ZONE", "SCORE", "VERDICT"};
    if (!out->nodes.n) {
        return;
    }
    const char **cells = gt_arena_array(&c->arena, const char *, (out->nodes.n + 1) * COLUMNS);
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < out->nodes.n; i++) {
        const struct admin_node_verdict *v = &out->nodes.v[i];
        const char **row = &cells[(i + 1) * COLUMNS];
        row[0] = gt_arena_str(&c->arena, v->name.n ? v->name : v->node);
        row[1] = gt_arena_str(&c->arena, v->zone);
        row[2] = scores(c, v);
        row[3] = verdict(c, out, v);
    }
    puts("");
    cli_columns(cells, out->nodes.n + 1, COLUMNS);
    if ((int64_t)out->nodes.n < out->considered && out->nodes.n > 1) {
        printf("... and %lld more\n", (long long)(out->considered - (int64_t)out->nodes.n));
    }
}

/* Of a node that was asked for: its own; else the smallest one of all. */
static void print_fix(struct cli *c, const struct admin_explain_out *out, bool one_node)
{
    const struct admin_placement_fix *fix =
        one_node && out->nodes.n ? out->nodes.v[0].fix : out->fix;
    if (!fix || !fix->changes.n) {
        if (one_node && out->nodes.n && !out->nodes.v[0].fits) {
            puts("\nNo change of this node or of the task would make it fit.");
        }
        return;
    }
    const char *where = "";
    for (size_t i = 0; i < out->nodes.n && fix->node.n; i++) {
        if (gt_str_eq(out->nodes.v[i].node, fix->node)) {
            where = gt_arena_printf(&c->arena, " (on " GT_STR_FMT ")",
                                    GT_STR_ARG(out->nodes.v[i].name));
        }
    }
    printf("\nSmallest change after which it fits%s: %s.\n", where, changes(c, fix));
}

static void print(struct cli *c, const struct admin_explain_out *out, bool one_node)
{
    printf("%c" GT_STR_FMT ": %lld of %lld nodes would take it", out->subject.p[0] - 'a' + 'A',
           (int)out->subject.n - 1, out->subject.p + 1, (long long)out->fitting,
           (long long)out->considered);
    if (out->placed_on.n) {
        printf("; made at revision %lld on node " GT_STR_FMT, (long long)out->create_revision,
               GT_STR_ARG(out->placed_on));
    }
    puts(".");
    print_ask(c, out->ask);
    print_nodes(c, out);
    print_fix(c, out, one_node);
}

/* A service of this name, else a task. */
static int ask(struct cli *c, const char *which, struct admin_explain_in *in,
               struct admin_explain_out *out, struct gt_err *err)
{
    in->service = gt_str(which);
    int r = api_call(c->client, &admin_op_explain, in, &c->arena, out, err);
    if (r == 0 || !gt_streq(api_client_exception(c->client), "ResourceNotFoundException")) {
        return r < 0 ? cli_fail(err) : 0;
    }
    in->service = (struct gt_str){NULL, 0};
    const struct ecs_task *t = cli_task(c, which);
    if (!t) {
        return 1;
    }
    in->task = t->task_arn;
    in->cluster = t->cluster_arn;
    r = api_call(c->client, &admin_op_explain, in, &c->arena, out, err);
    return r < 0 ? cli_fail(err) : 0;
}

int cmd_explain(int argc, char **argv)
{
    const char *state = NULL, *cluster = NULL, *node = NULL;
    const struct option_def defs[] = {
        {"node", "NODE", "of this node alone: an id or a name", &node, NULL},
        {"cluster", "NAME", "the service's cluster (default)", &cluster, NULL},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    int r = options_parse_mixed(defs, "gantry explain [options] TASK|SERVICE",
                                "Says for each node why a task is there, or why it does not fit, "
                                "and the smallest\nchange that would make it fit.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc != 2) {
        fprintf(stderr, "gantry explain: which task or service?\n");
        return 2;
    }
    struct cli c;
    struct gt_err err = GT_ERR_INIT;
    struct admin_explain_in in = {.cluster = gt_str(cluster), .node = gt_str(node)};
    struct admin_explain_out out = {0};
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    r = ask(&c, argv[1], &in, &out, &err);
    if (r == 0) {
        print(&c, &out, node != NULL);
    }
    cli_close(&c);
    return r;
}
