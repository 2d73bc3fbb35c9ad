/* A session's inside: session.c asks what to run, register.c says who this node is, report.c what
 * became of the tasks. */
#ifndef GT_NODE_AGENT_SESSION_PRIV_H
#define GT_NODE_AGENT_SESSION_PRIV_H

#include "lib/http/api_client.h"
#include "node/agent/node.h"
#include "node/agent/session.h"
#include "node/agent/standing.h"

#include <pthread.h>
#include <stdatomic.h>

struct report;

struct session {
    struct node *n;
    pthread_t poller, reporter;
    atomic_bool stop;
    atomic_bool recall;        /* ends the poll under way: the session is over, or all is */
    struct node_identity self; /* the poller's own: the loop's follows it */
    char agent_id[33];         /* of this process */
    bool renewed;              /* with --renew-key: it was done */
    bool astray, adopted;      /* ... likewise: what the last registration said */
    pthread_mutex_t lock;      /* everything below */
    pthread_cond_t changed;
    char id[SESSION_ID_MAX];   /* of the session; "" while there is none */
    char held[SESSION_ID_MAX]; /* the last one that it had; "": none yet */
    int64_t heartbeat_ms;
    struct standing standing;
    struct report *pending; /* handed over by the loop, taken by the reporter */
    bool sending;           /* loop only: a report is on its way */
};

/* session.c */
/* Whether the last call was refused because the session, or the key, is no more. */
bool session_over(const struct api_client *c);

/* register.c: by the poller. -EAGAIN: the node has a newer key now, and is to register once more
 * with that. */
int session_register(struct session *s, struct api_client *c, struct gt_err *err);
/* Whether a newer key is to be asked for, by registering once more. */
bool session_renewal_due(const struct session *s);

/* report.c */
void *session_report_loop(void *session); /* the reporter's thread */
void report_free(struct report *r);       /* NULL: nothing */

#endif
