#include "cmd/gantry/nodes.h"

#include <stdio.h>

static int fence(struct cli *c, const struct admin_node *n, bool undo)
{
    struct gt_err err = GT_ERR_INIT;
    struct admin_fence_in in = {.node_id = n->node_id};
    struct admin_fence_out out = {0};
    WIRE_SET(&in, undo, undo);
    if (api_call(c->client, &admin_op_fence, &in, &c->arena, &out, &err) < 0) {
        return cli_fail(&err);
    }
    printf(GT_STR_FMT "\n", GT_STR_ARG(n->node_id));
    return 0;
}

int cmd_fence(int argc, char **argv)
{
    const char *state = NULL;
    bool undo = false;
    const struct option_def defs[] = {
        {"undo", NULL, "let it come back; it ends what it still runs", NULL, &undo},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct gt_err err = GT_ERR_INIT;
    struct nodes all;
    struct cli c;
    int r = options_parse_mixed(defs, "gantry fence [options] NODE...",
                                "Says that silent nodes are gone for good: their tasks are "
                                "replaced, what they held\nis free, and they are refused.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc < 2) {
        fprintf(stderr, "gantry fence: which node?\n");
        return 2;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    bool listed = nodes_list(&c, &all, &err) == 0;
    r = listed ? 0 : cli_fail(&err);
    for (int i = 1; listed && i < argc; i++) {
        const struct admin_node *n = nodes_find(&all, "fence", argv[i]);
        r = !n || fence(&c, n, undo) ? 1 : r;
    }
    cli_close(&c);
    return r;
}
