/*
 * The data plane's side of the core: how an operation on a store (log events, tags, manifests)
 * learns what it needs from the core's state.
 *
 * A data operation runs on a worker thread. It may block on its own store. It must not hold a lock
 * of its store while it waits for the core.
 */
#ifndef GT_CONTROL_CORE_DATA_H
#define GT_CONTROL_CORE_DATA_H

#include "control/core/service.h"

struct data_req;

struct gt_arena *data_arena(struct data_req *rq); /* lives until the answer is encoded */
const struct principal *data_principal(const struct data_req *rq);
struct gt_str data_account(const struct data_req *rq);
struct gt_str data_region(const struct data_req *rq);
/* The Host header of the request: under which name the caller reached this server. May be empty. */
struct gt_str data_host(const struct data_req *rq);
int64_t data_now(const struct data_req *rq); /* wall clock, ms since 1970 */
/* The object that the server was given for this service at start (its store); see server.h. */
void *data_store(struct data_req *rq);

/* Runs fn, which only reads, on the core thread in a transaction and waits until everything that it
 * read is durable. fn must be pure like any handler. `arg` is shared: fn copies what it wants to
 * keep out of tx's arena into data_arena() (through arg). Returns what fn returned. */
int data_core_call(struct data_req *rq, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                   void *arg, struct gt_err *err);

/* Likewise, for what writes: runs one of the service's changes. `in` is a record of change->in. */
int data_core_change(struct data_req *rq, const struct service_change *change, const void *in,
                     void *out, struct gt_err *err);

#endif
