/*
 * Joining a server with a token (agent_options.join): the first thing that an agent does that has
 * no key yet.
 *
 * A token is "<id>.<secret>.<hash>"; the hash (SHA-256 of the certificate of the server's own
 * authority) tells the server from others, and is left out by a server with a certificate that
 * --ca or the system knows. From then on only that authority is trusted: <state>/agent/ca.pem.
 *
 * Before the server is asked, <state>/agent/join.json names this join: when the answer is lost, or
 * the machine, the same call brings the same node. Afterwards node.json is all there is.
 */
#ifndef GT_NODE_AGENT_JOIN_H
#define GT_NODE_AGENT_JOIN_H

#include "lib/base/str.h"
#include "node/agent/node.h"

struct join_token {
    char key_id[80]; /* access key id: GTJOIN-<id> */
    char secret[256];
    char hash[65]; /* "": none */
};
/* Takes white space around it. */
int join_token_parse(struct gt_str text, struct join_token *ret, struct gt_err *err);

/* "https://host:port" without a path; plain http for this machine's own server alone. */
int join_url(const char *text, char *to, size_t n, struct gt_err *err);

/* Fills and saves the identity. Nothing is left behind when the server refuses. */
int node_join(const struct agent_options *o, struct node_identity *ret, struct gt_err *err);

/* Where the authority's certificate is, if it joined by one. The caller frees it. */
char *join_ca_file(const struct agent_options *o);

#endif
