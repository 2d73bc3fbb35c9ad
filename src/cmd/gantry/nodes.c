#include "cmd/gantry/nodes.h"

#include <stdio.h>
#include <string.h>

enum { NODES_MAX = 1000000 };

static void append(struct cli *c, const struct admin_node_list *page, struct nodes *to)
{
    struct admin_node *v = gt_arena_array(&c->arena, struct admin_node, to->n + page->n + 1);
    if (to->n) {
        memcpy(v, to->v, to->n * sizeof *v);
    }
    if (page->n) {
        memcpy(v + to->n, page->v, page->n * sizeof *v);
    }
    to->v = v;
    to->n += page->n;
}

int nodes_list(struct cli *c, struct nodes *ret, struct gt_err *err)
{
    struct admin_describe_nodes_in in = {0};
    struct admin_describe_nodes_out out;
    *ret = (struct nodes){0};
    do {
        int r = api_call(c->client, &admin_op_describe_nodes, &in, &c->arena, &out, err);
        if (r < 0) {
            return r;
        }
        append(c, &out.nodes, ret);
        ret->brake = out.brake;
        in.next_token = out.next_token;
    } while (out.next_token.n && ret->n < NODES_MAX);
    return 0;
}

const struct admin_node *nodes_find(const struct nodes *all, const char *verb, const char *which)
{
    const char *slash = strrchr(which, '/'); /* an ARN */
    struct gt_str want = gt_str(slash ? slash + 1 : which);
    const struct admin_node *found = NULL;
    size_t n = 0;
    for (size_t i = 0; i < all->n && want.n; i++) {
        const struct admin_node *node = &all->v[i];
        if (gt_str_eq(node->node_id, want)) {
            return node;
        }
        if (gt_str_eq(node->name, want) || gt_str_starts(node->node_id, want)) {
            found = node;
            n++;
        }
    }
    if (n == 1) {
        return found;
    }
    fprintf(stderr, "gantry %s: %s node '%s'%s\n", verb, n ? "more than one" : "no", which,
            n ? "; `gantry nodes` shows their ids" : "");
    return NULL;
}
