/* An answer to Poll, on its way from the poller's thread to the loop, which carries it out. */
#ifndef GT_NODE_AGENT_POLLED_H
#define GT_NODE_AGENT_POLLED_H

#include "lib/base/arena.h"
#include "lib/base/table.h"
#include "lib/wire/gen/agent.h"
#include "node/agent/node.h"

struct polled {
    struct gt_arena arena; /* of out */
    struct agent_poll_out out;
    uint64_t ended; /* ended_count() before it was asked for */
    /* out.full: the ids of all tasks that came since the walk began, which are all that are this
     * node's. What else is here goes. Values mean nothing. */
    struct gt_table all;
    bool adopted;  /* of the walk after an adoption: what is not here was here once */
    bool anew;     /* the server has started since the answer before */
    bool remember; /* the walk is through: what follows is what the node knows */
    int64_t epoch, revision;
};

void polled_free(struct polled *p);
/* n->clearing ends when all is gone that the server did not know. */
void polled_settle(struct node *n);
/* For node_post(); frees `arg`, a struct polled. */
void polled_take(struct node *n, void *arg);

#endif
