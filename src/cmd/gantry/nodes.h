/* What the verbs about nodes share: which there are, and which one is meant. */
#ifndef GT_CMD_GANTRY_NODES_H
#define GT_CMD_GANTRY_NODES_H

#include "cmd/gantry/cli.h"
#include "lib/wire/gen/admin.h"

struct nodes {
    struct admin_node *v; /* in the arena of the cli */
    size_t n;
    const struct admin_brake *brake; /* NULL: it is off */
};
int nodes_list(struct cli *c, struct nodes *ret, struct gt_err *err);

/* The node that an id, a unique beginning of one, a name or an ARN means. Prints why when there is
 * none or more than one. */
const struct admin_node *nodes_find(const struct nodes *all, const char *verb, const char *which);

#endif
