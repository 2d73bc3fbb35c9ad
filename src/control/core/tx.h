/*
 * A transaction: what a handler and a controller step see of the world.
 *
 * A handler is a pure function of (state, input, time, seed, principal). It reads records with
 * tx_get and tx_scan, writes with tx_put and tx_delete, and returns an answer. It does no I/O,
 * reads no clock, draws no randomness but tx_random(). When it returns < 0 nothing that it wrote
 * stays. What it writes is seen by its own later reads.
 *
 * Records: struct rec_<name> with a descriptor rec_<name>_desc, generated from the files of schema/
 * in store/record. A record that tx_get returns is decoded into the transaction's arena: change it
 * freely and tx_put it back, or drop it. Text in a record that is put is copied.
 *
 * Keys are text, `/`-separated, and begin with account and region:
 * `000000000000/us-east-1/ecs/task/<cluster>/<id>`; tx_key() puts those two in front.
 */
#ifndef GT_CONTROL_CORE_TX_H
#define GT_CONTROL_CORE_TX_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct tx;
struct rec_desc;

/* Who calls. The frame has verified the signature and authorized the operation before. */
enum principal_kind {
    PRINCIPAL_ROOT,     /* the account's root key */
    PRINCIPAL_NODE,     /* a node's key: `name` is the container instance id */
    PRINCIPAL_JOIN,     /* a machine that wants to be one: `name` is the token's id */
    PRINCIPAL_INTERNAL, /* a controller, an actor inside the server */
    PRINCIPAL_ROLE,     /* a session of a role: `name` is the role's name */
};
/* What a session of a role carries; made by AssumeRole, sealed into its token. */
struct principal_tag {
    struct gt_str key, value;
    bool transitive; /* a session that is made with this one has it, too */
};
struct principal_session {
    struct gt_str role_id;         /* of the role that was assumed */
    struct gt_str name;            /* RoleSessionName */
    struct gt_str policy;          /* what it may do at most; empty: as the role */
    struct gt_str source_identity; /* empty: none */
    struct gt_str token;           /* as the caller sent it */
    int64_t issued_at, expires_at; /* ms since 1970 */
    const struct principal_tag *tags;
    size_t n_tags;
};
struct principal {
    enum principal_kind kind;
    struct gt_str account; /* 12 digits */
    struct gt_str key_id;  /* access key id; empty for internal */
    struct gt_str name;
    struct gt_str arn;                       /* arn:aws:iam::<account>:root, ... */
    const struct principal_session *session; /* of PRINCIPAL_ROLE; else NULL */
    struct gt_str source_ip; /* where the call came from; empty: not over the network */
    bool secure;             /* over TLS */
};

/* The input's facts */
int64_t tx_now(const struct tx *tx); /* ms since 1970; never runs backwards */
uint64_t tx_random(struct tx *tx);   /* from the input's seed */
/* n lower-case hex digits of randomness (task ids have 32, service deployments 19 decimal digits:
 * use tx_random for those). In the arena. */
char *tx_hex_id(struct tx *tx, size_t n);
const struct principal *tx_principal(const struct tx *tx);
struct gt_str tx_account(const struct tx *tx);
struct gt_str tx_region(const struct tx *tx);
struct gt_arena *tx_arena(struct tx *tx); /* lives until the answer is encoded */
uint64_t
tx_revision(const struct tx *tx); /* the revision that this transaction's writes will get */

/* The epoch: one life of a server (see core_begin_epoch()). 0: none was begun. */
int64_t tx_epoch(const struct tx *tx);
/* Whether that revision of that epoch is part of this history. */
bool tx_knows(const struct tx *tx, int64_t epoch, uint64_t revision);

/* "<account>/<region>/" + formatted rest, in the arena. */
char *tx_key(struct tx *tx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "arn:aws:<service>:<region>:<account>:" + formatted rest, in the arena. */
char *tx_arn(struct tx *tx, const char *service, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads. NULL when there is no such key. `desc` must be the type that was put. */
void *tx_get(struct tx *tx, const char *key, const struct rec_desc *desc);
bool tx_exists(struct tx *tx, const char *key);
/* create and modify revision of a key; false when there is no such key. 0 for one that this
 * transaction itself made. */
bool tx_revisions(struct tx *tx, const char *key, uint64_t *ret_create, uint64_t *ret_modify);

/* Ordered walk over the keys that begin with prefix, from the first key > after (NULL: from the
 * start). The cursor stays valid across writes of this transaction; it sees them.
 *     struct tx_cursor c = tx_scan(tx, prefix, NULL);
 *     for (const char *key; (key = tx_next(&c));) { struct rec_x *x = tx_get(tx, key, &rec_x_desc);
 * }
 * Whoever looks at many and keeps few frees what tx_get() gave: gt_arena_mark() after tx_next(). A
 * walk that has nearly filled the arena ends, and lets the whole transaction end in an error.
 */
struct tx_cursor {
    struct tx *tx;
    const char *prefix, *at; /* both in the arena */
};
struct tx_cursor tx_scan(struct tx *tx, const char *prefix, const char *after);
const char *tx_next(struct tx_cursor *c); /* the key, in the arena; NULL at the end */
/* The same, but passes over keys that were last written at or before that revision. */
const char *tx_next_since(struct tx_cursor *c, uint64_t revision);
size_t tx_count(struct tx *tx, const char *prefix); /* how many keys begin so; O(log n + found) */

/* Secondary indexes: ordinary empty records kept by the code that owns the primary record, under
 * keys of their own (`.../ecs/task-by-node/<node>/<cluster>/<id>`). tx_mark puts such a record. */
void tx_mark(struct tx *tx, const char *key);

/* How much of something one transaction does before it leaves the rest to the next: `usual`, or
 * less (at least 1) in a core that is told to be tight. */
size_t tx_bound(const struct tx *tx, size_t usual);

/* Writes. Putting what is there already writes nothing and leaves the modify revision alone, so a
 * level-triggered step may put what it wants without comparing. A record over GT_LIMIT_RECORD, a
 * key over GT_LIMIT_KEY or more than GT_LIMIT_TX_WRITES writes let the whole transaction end in an
 * error, whatever the handler returns. */
void tx_put(struct tx *tx, const char *key, const struct rec_desc *desc, const void *rec);
void tx_delete(struct tx *tx, const char *key);

/*
 * Alarms: at `when` (ms since 1970) the controller `name` is run with the key `key`. Setting it
 * again for the same (name, key) replaces the time. Alarms are records: they survive a restart.
 */
void tx_alarm_set(struct tx *tx, const char *name, const char *key, int64_t when);
void tx_alarm_clear(struct tx *tx, const char *name, const char *key);

/*
 * Long polls. A handler that has nothing to say yet calls tx_wait() and returns 0, having written
 * nothing and left `out` alone. There is no answer then: the driver runs it again, with the same
 * input, when a key was written that is `prefix` or begins with it (it should end in '/'), or at
 * `until` (ms since 1970). On that last run tx_wait_over() is true and it must answer.
 */
void tx_wait(struct tx *tx, const char *prefix, int64_t until);
bool tx_wait_over(const struct tx *tx);

#endif
