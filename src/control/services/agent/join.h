/*
 * How a node comes to its key, and how long that is good.
 *
 * A token lets a number of machines join until it expires. The server keeps a record of it without
 * its secret: that follows from the server's own secret and the token's id (agent_secret), as do
 * the secrets of nodes' keys. A joining agent signs with it as with any key (access key id
 * GTJOIN-<token>): the secret never travels, and whether a token is there is told only to who has
 * its secret. The core knows access key ids; the frame adds the secrets to its answers.
 *
 * A node has at most two keys (access key id GTNODE-<node>.<serial>): the one that it uses, and a
 * newer one while it changes over. Each ends by itself. Who registers with one lets the others end
 * AGENT_KEY_OVERLAP_MS later. agent_key_check() is asked in the transaction of every call of a
 * node.
 *
 * Joining may be repeated with the same join id, which only the agent knows: it gets the same node
 * and key, though the token is used up by now. A node that joined and does not register within
 * AGENT_JOIN_GRACE_MS is forgotten.
 *
 *   <account>/<region>/agent/token/<token>            rec_agent_token
 *   <account>/<region>/agent/join/<token>/<join id>   rec_agent_join
 *   <account>/aws-global/agent/key/<node>             rec_agent_node_key: good in all regions
 */
#ifndef GT_CONTROL_AGENT_JOIN_H
#define GT_CONTROL_AGENT_JOIN_H

#include "control/core/controller.h"
#include "store/record/gen/rec_agent.h"

#define AGENT_KEY_PREFIX "GTNODE-"
#define AGENT_TOKEN_PREFIX "GTJOIN-"

#define AGENT_HOUR_MS (3600 * (int64_t)1000)
#define AGENT_DAY_MS (24 * AGENT_HOUR_MS)
#define AGENT_KEY_LIFE_MS (90 * AGENT_DAY_MS)
#define AGENT_KEY_OVERLAP_MS (5 * 60 * (int64_t)1000)
#define AGENT_JOIN_GRACE_MS AGENT_HOUR_MS
#define AGENT_TOKEN_KEPT_MS (30 * AGENT_DAY_MS) /* listed so long after its end */
#define AGENT_TOKEN_LIFE_MAX_MS (30 * AGENT_DAY_MS)
#define AGENT_TOKEN_USES_MAX 1000

enum { AGENT_SECRET_SIZE = 33 };
/* The secret of an access key id: 32 hex digits. */
void agent_secret(const unsigned char secret[static 32], struct gt_str access_key_id,
                  char to[static AGENT_SECRET_SIZE]);
/* The node of "GTNODE-<node>.<serial>"; p NULL: another form. */
struct gt_str agent_key_node(struct gt_str access_key_id);

/* --- keys.c */

/* The caller is no node, or its key is good now; else UnrecognizedClientException. */
int agent_key_check(struct tx *tx, struct gt_err *err);
/* The caller registers: other keys of the node end soon. NULL: it is not a node's key. */
struct rec_agent_node_key *agent_key_confirm(struct tx *tx);
/* The node is no more, and may not come back with any key that it had. */
void agent_key_revoke(struct tx *tx, struct gt_str node);

char *agent_key_record(struct tx *tx, struct gt_str node);
/* Keeps `keep` (NULL: none) and adds a key, which is good for first_ms until it is used. Puts k. */
void agent_key_add(struct tx *tx, struct rec_agent_node_key *k, const struct rec_agent_key *keep,
                   int64_t first_ms);
/* The access key id of a node's newest key. In the arena. */
struct gt_str agent_key_newest(struct tx *tx, const struct rec_agent_node_key *k);

/* --- join.c */

char *agent_token_record(struct tx *tx, struct gt_str token);
/* Puts a new token that is good for life_ms; id and what it says of nodes are in t. */
int agent_token_make(struct tx *tx, struct rec_agent_token *t, int64_t life_ms, struct gt_err *err);
void agent_token_forget(struct tx *tx, struct gt_str token);

extern const struct controller agent_join_controller;

#endif
