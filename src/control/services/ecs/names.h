/*
 * Names of ECS: what a caller may write where (a name, an id, an ARN), the ARNs that answers carry,
 * and the keys that records lie under (all after account and region):
 *
 *   ecs/cluster/<cluster>                           rec_ecs_cluster
 *   ecs/family/<family>                             rec_ecs_family: its newest revision
 *   ecs/taskdef/<family>/<revision, 10 digits>      rec_ecs_taskdef
 *   ecs/service/<cluster>/<service>                 rec_ecs_service
 *   ecs/events/<cluster>/<service>                  rec_ecs_events
 *   ecs/task/<cluster>/<task>                       rec_ecs_task
 *   ecs/live/<cluster>/<task>                       mark: desired status RUNNING
 *   ecs/dead/<cluster>/<task>                       mark: desired status STOPPED
 *   ecs/group/<cluster>/<group>/<node>/<task>       mark: last status not STOPPED
 *   ecs/done/<cluster>/<service>/<task>             mark: stopped, and its service has not seen it
 *   ecs/node/<cluster>/<node>                       rec_ecs_node
 *   ecs/drain/<cluster>/<node>                      mark: its status is DRAINING
 *   ecs/held/<cluster>/<node>                       mark: not heard, and its tasks stay as they are
 *   ecs/inactive/<node>                             rec_ecs_node: it was deregistered
 *   ecs/load/<cluster>/<node>                       rec_ecs_load: what is reserved on it
 *   ecs/assign/<node>/<task>                        rec_ecs_assignment: what a node should do
 *   ecs/session/<node>                              rec_ecs_session
 *   ecs/peer/<node>                                 rec_ecs_peer: where other nodes reach its tasks
 *   ecs/peers                                       rec_ecs_peers: written when one of them changes
 *   ecs/astray/<node>/<task>                        rec_ecs_astray: it has it, from another history
 *   ecs/lost/<node>                                 rec_ecs_lost: its tasks are being stopped
 *   ecs/waiting/<cluster>/<service>                 mark: the service wants room
 *   ecs/token/<operation>/<cluster>/<token>         rec_ecs_idempotency
 */
#ifndef GT_CONTROL_ECS_NAMES_H
#define GT_CONTROL_ECS_NAMES_H

#include "control/core/tx.h"

/* A copy with a NUL in the transaction's arena. */
struct gt_str name_dup(struct tx *tx, struct gt_str s);
/* Letters, digits, '-' and '_' (plus those in `more`), 1 to max of them. */
bool name_valid(struct gt_str s, const char *more, size_t max);
/* For a part of a key that may hold anything: other bytes than letters, digits and "-_.:" become
 * %XX. In the arena. */
char *name_escape(struct tx *tx, struct gt_str s);
struct gt_str name_unescape(struct gt_arena *a, struct gt_str s);

/*
 * What follows "<kind>/" when s is an ARN of this account and region ("arn:aws:ecs:<region>:
 * <account>:cluster/x" and kind "cluster" give "x"); s itself when it is no ARN at all; p NULL when
 * it is another ARN.
 */
struct gt_str name_of_arn(struct tx *tx, struct gt_str s, const char *kind);
/* The last part of "<cluster>/<id>" or "<id>". False: it names another cluster. */
bool name_in_cluster(struct gt_str s, struct gt_str cluster, struct gt_str *ret_id);

struct gt_str arn_cluster(struct tx *tx, struct gt_str cluster);
struct gt_str arn_task(struct tx *tx, struct gt_str cluster, struct gt_str id);
struct gt_str arn_container(struct tx *tx, struct gt_str cluster, struct gt_str task,
                            struct gt_str id);
struct gt_str arn_service(struct tx *tx, struct gt_str cluster, struct gt_str name);
struct gt_str arn_instance(struct tx *tx, struct gt_str cluster, struct gt_str node);
struct gt_str arn_taskdef(struct tx *tx, struct gt_str family, int64_t revision);

char *key_cluster(struct tx *tx, struct gt_str cluster);
char *key_family(struct tx *tx, struct gt_str family);
char *key_taskdef(struct tx *tx, struct gt_str family, int64_t revision);
char *key_service(struct tx *tx, struct gt_str cluster, struct gt_str name);
char *key_events(struct tx *tx, struct gt_str cluster, struct gt_str name);
char *key_task(struct tx *tx, struct gt_str cluster, struct gt_str id);
char *key_live(struct tx *tx, struct gt_str cluster, struct gt_str id);
char *key_dead(struct tx *tx, struct gt_str cluster, struct gt_str id);
char *key_group(struct tx *tx, struct gt_str cluster, struct gt_str group, struct gt_str node,
                struct gt_str id);
/* id empty: the prefix of all */
char *key_done(struct tx *tx, struct gt_str cluster, struct gt_str service, struct gt_str id);
char *key_node(struct tx *tx, struct gt_str cluster, struct gt_str node);
char *key_drain(struct tx *tx, struct gt_str cluster, struct gt_str node);
char *key_held(struct tx *tx, struct gt_str cluster, struct gt_str node);
char *key_inactive(struct tx *tx, struct gt_str node);
char *key_load(struct tx *tx, struct gt_str cluster, struct gt_str node);
char *key_assign(struct tx *tx, struct gt_str node, struct gt_str id);
char *key_session(struct tx *tx, struct gt_str node);
char *key_peer(struct tx *tx, struct gt_str node);
char *key_peers(struct tx *tx);
/* id empty: the prefix of all */
char *key_astray(struct tx *tx, struct gt_str node, struct gt_str id);
char *key_lost(struct tx *tx, struct gt_str node);
char *key_waiting(struct tx *tx, struct gt_str cluster, struct gt_str service);
char *key_token(struct tx *tx, const char *op, struct gt_str cluster, struct gt_str token);

/* What of a key comes after account and region. */
const char *key_rest(const char *key);
/* The last part of a key: after its last '/'. */
struct gt_str key_tail(const char *key);

#endif
