/*
 * Plain HTTP paths beside the AWS protocols: the OCI distribution API, the log ingest, health. A
 * service gives the server a table of routes (struct server_options in server.h); the longest
 * prefix that fits the path wins.
 *
 * begin() runs on a network thread as soon as the head was read, so that a stranger's upload is
 * refused before its body is read: it checks who calls and how large the body is, and must not
 * block (no file, no database, no core). body() and end() run on a bulk worker, one at a time for
 * each request, and may block on the service's store: while body() works, the network thread
 * gathers the next piece, and the client is made to wait when both are full. Memory for each
 * upload is constant.
 *
 * A request is answered once by route_answer(), from any of the callbacks; what follows of the body
 * is dropped, and body() and end() are not called again. done() is always called last, once, on a
 * worker or network thread, whether the client stayed or not, and frees what route_set_user() was
 * given; it must not block for long.
 */
#ifndef GT_CONTROL_SERVER_ROUTE_H
#define GT_CONTROL_SERVER_ROUTE_H

#include "control/core/data.h"
#include "lib/http/server.h"

struct route_req;

struct server_route {
    unsigned methods;    /* mask of enum http_method; others are answered 405 */
    const char *prefix;  /* "/v2/" */
    const char *service; /* whose store data_store() gives: "ecr" */
    uint64_t max_body;   /* larger ones are answered 413 */
    /* NULL: nothing to check. Returns < 0 to refuse: err's kind and name make a JSON answer. May
     * answer by itself with route_answer() and return 0. */
    int (*begin)(struct route_req *rq, struct gt_err *err);
    /* A piece of the body, of at most 256 KiB. < 0: refused as in begin. NULL: body is dropped. */
    int (*body)(struct route_req *rq, const void *p, size_t n, struct gt_err *err);
    /* All of the body was there. Answers, or returns < 0: refused as in begin. */
    int (*end)(struct route_req *rq, struct gt_err *err);
    void (*done)(struct route_req *rq); /* NULL: nothing to free */
    /* The frame verifies the caller's SigV4 signature (of the head; the payload hash may be
     * UNSIGNED-PAYLOAD or is checked by the service) before begin(). False: the service looks. */
    bool signed_only;
};

struct http_req *route_http(struct route_req *rq);
/* For data_arena(), data_store(), data_core_call(): in body() and end() only. */
struct data_req *route_data(struct route_req *rq);
/* The verified caller of a signed_only route, in all callbacks; NULL otherwise. */
const struct principal *route_principal(const struct route_req *rq);
void route_set_user(struct route_req *rq, void *user);
void *route_user(const struct route_req *rq);
/* Takes over a->body and a->fd. */
void route_answer(struct route_req *rq, struct http_answer *a);

/* The secret of the server's own (32 bytes, made at first start, kept beside the root key), for
 * tokens that a service seals by itself. Not to be shown to anyone. */
const unsigned char *route_secret(const struct route_req *rq);
/* The secret access key of an access key id that the server knows: the root key or a node's.
 * Does not block. p NULL: unknown. The text lives in `to`. Fills *ret_principal when it is not NULL
 * (its texts live as long as the server). */
struct gt_str route_key_secret(struct route_req *rq, struct gt_str access_key_id,
                               char to[static 64], struct principal *ret_principal);

/* The caller is the session of a role that this token is (services/sts/session.h); data_core_call()
 * is as its, and in this region, from now on. Does not block, and looks at no time: the session's.
 * In begin() only. False: it is none of this server's. */
bool route_session(struct route_req *rq, struct gt_str access_key_id, struct gt_str token,
                   struct gt_str region, struct principal *ret_principal);

#endif
