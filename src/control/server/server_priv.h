/* What the files of control/server share. */
#ifndef GT_CONTROL_SERVER_PRIV_H
#define GT_CONTROL_SERVER_PRIV_H

#include "control/core/data.h"
#include "control/core/thread.h"
#include "control/server/bulk.h"
#include "control/server/keys.h"
#include "control/server/route.h"
#include "control/server/server.h"
#include "control/server/tls.h"
#include "control/services/admin/admin.h"
#include "control/services/sts/session.h"
#include "lib/crypto/digest.h"
#include "lib/http/server.h"
#include "lib/wire/sigv4.h"
#include "lib/wire/wire.h"

#include <stdatomic.h>

#define SERVER_MAX_SERVICES 16

/* A service as the server knows it. */
struct mounted {
    const struct wire_service *model;
    const struct service *service;
    const struct server_route *routes;
    size_t n_routes;
    void *store; /* what data_store() gives */
};

struct server {
    struct keys keys;
    struct sts_sealer sealer;
    struct sigv4_keys *signing_keys;
    char region[64];
    struct mounted mounted[SERVER_MAX_SERVICES];
    const struct wire_service *models[SERVER_MAX_SERVICES];
    const struct service *services[SERVER_MAX_SERVICES + 1]; /* NULL-terminated */
    size_t n_mounted;

    struct journal *journal;
    struct core_thread *core;
    atomic_uint inside; /* threads that call the core just now; see door.c */
    atomic_bool closed;
    struct bulk *bulk;
    struct past *past;
    struct http_server *http;
    struct liveness *liveness;
    struct housekeeping *housekeeping;
    struct ecr_store *ecr;
    struct log_store *logs;
    struct tls tls;
    struct admin_host admin;
};

/* One data-plane request: an operation, or the body of a route. */
struct data_req {
    struct server *s;
    const struct mounted *m;
    struct gt_arena *arena;
    struct principal principal;
    struct gt_str region, host;
};

struct mounted *server_mounted(struct server *s, const char *service);

/* --- door.c: the way to the core, shut before the core goes. As core_thread_submit() and
 * core_thread_run(); a shut door is an overload like another. */
enum core_submitted server_core_submit(struct server *s, struct core_request *rq);
bool server_core_run(struct server *s, struct core_request *rq);
/* Waits until nobody is inside. Parked requests are not. */
void server_core_shut(struct server *s);

/* --- verify.c: who calls. On a network thread. body NULL: the body is still to come. */
int server_verify(struct server *s, struct http_req *rq, const struct gt_str *body,
                  struct gt_arena *arena, const char *service, struct sigv4_auth *ret_auth,
                  struct principal *ret_principal, struct gt_err *err);
/* Whether the caller names a key that we know; proves nothing. */
int server_known(struct server *s, struct http_req *rq, struct gt_arena *arena, struct gt_err *err);
/* Where a call came from: policies may ask. On a network thread. */
void server_from(struct http_req *rq, struct gt_arena *arena, struct principal *p);
/* Only the credential scope, to route by; empty when there is no signature. */
struct gt_str server_scope_service(struct http_req *rq, struct gt_arena *arena);

/* --- authorize.c: who may do what. Inside of the operation's transaction ... */
int server_authorize(struct tx *tx, const struct service_op *op, const void *in,
                     struct gt_err *err);
/* ... or before a data operation, on its worker: it may ask the core. */
int server_authorize_data(struct data_req *rq, const struct service_op *op, const void *in,
                          struct gt_err *err);
/* On a worker, before anything is done for a caller that may be a node: is its key still good? */
int server_check_key(struct data_req *rq, struct gt_err *err);

/* --- issue.c: keys that the core made get their secrets, which it does not know */
void server_issue(struct server *s, const struct wire_op *op, void *out, struct gt_arena *arena);

/* A signed call came, perhaps from a node: a sign of life. */
void server_hear(struct server *s, const struct principal *p);

/* --- api.c and routes.c: what becomes of a request */
void server_api(struct server *s, struct http_req *rq);
/* false: no route has this path. */
bool server_route(struct server *s, struct http_req *rq);

#endif
