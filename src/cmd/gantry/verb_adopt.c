/* gantry adopt: nodes come back to a server that was restored from a backup. */
#include "cmd/gantry/cli.h"
#include "lib/wire/gen/admin.h"

#include <stdio.h>
#include <string.h>

static const char *what_of(struct gt_str what)
{
    return gt_str_is(what, ADMIN_ADOPTION_GOES_ON) ? "goes on"
           : gt_str_is(what, ADMIN_ADOPTION_ENDS)  ? "ends"
                                                   : "is gone";
}

static void print_node(const struct admin_astray_node *n)
{
    printf("node " GT_STR_FMT " (" GT_STR_FMT "), cluster " GT_STR_FMT
           ": knows of revision %lld%s\n",
           GT_STR_ARG(n->node_id), GT_STR_ARG(n->name), GT_STR_ARG(n->cluster),
           (long long)n->known_revision, n->adopted ? "; adopted, and not through yet" : "");
    for (size_t i = 0; i < n->tasks.n; i++) {
        const struct admin_astray_task *t = &n->tasks.v[i];
        printf("  %-8s " GT_STR_FMT "  " GT_STR_FMT "  " GT_STR_FMT "  " GT_STR_FMT "\n",
               what_of(t->what), GT_STR_ARG(t->task_id), GT_STR_ARG(t->family),
               GT_STR_ARG(t->status), GT_STR_ARG(t->group));
    }
    int64_t more = n->go_on + n->end + n->gone - (int64_t)n->tasks.n;
    if (more > 0) {
        printf("  and %lld more\n", (long long)more);
    }
}

static void print(const struct admin_adopt_out *out, bool dry_run)
{
    long long go_on = 0, end = 0, gone = 0;
    for (size_t i = 0; i < out->nodes.n; i++) {
        print_node(&out->nodes.v[i]);
        go_on += out->nodes.v[i].go_on;
        end += out->nodes.v[i].end;
        gone += out->nodes.v[i].gone;
    }
    if (!out->nodes.n) {
        puts("no node is astray");
        return;
    }
    printf("%zu nodes%s: of their tasks %lld go on, %lld end (the server does not know them), "
           "%lld are gone (it knows them, the node does not)\n",
           out->nodes.n, dry_run ? " would be adopted" : " adopted", go_on, end, gone);
}

int cmd_adopt(int argc, char **argv)
{
    const char *state = NULL;
    struct option_list nodes = {0};
    bool dry_run = false;
    struct cli c;
    const struct option_def defs[] = {
        {"dry-run", NULL, "only say what would become of which task", NULL, &dry_run},
        {.name = "node", .value = "ID", .help = "only this one; may come again", .list = &nodes},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    int r = options_parse(defs, "gantry adopt",
                          "After a restore: lets nodes come back that know of more than the "
                          "server's state.\nTasks that the server knows go on, others end.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    struct gt_err err = GT_ERR_INIT;
    struct gt_str ids[GT_ARRAY_LEN(nodes.v)];
    for (unsigned i = 0; i < nodes.n; i++) {
        ids[i] = gt_str(nodes.v[i]);
    }
    struct admin_adopt_in in = {.node_ids = {ids, nodes.n, nodes.n > 0}};
    struct admin_adopt_out out;
    WIRE_SET(&in, dry_run, dry_run);
    r = api_call(c.client, &admin_op_adopt, &in, &c.arena, &out, &err);
    if (r == 0) {
        print(&out, dry_run);
    }
    cli_close(&c);
    return r < 0 ? cli_fail(&err) : 0;
}
