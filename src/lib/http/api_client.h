/*
 * Calls operations of any service in api/ the way an SDK does: encodes the input, signs the request
 * (SigV4, for the server's time), sends it over a kept connection, decodes the answer or the error
 * envelope.
 *
 * For the agent and the command line. One object, one thread at a time; calls block. The command
 * line's and the agent's services all speak JSON (ecs, ecr, logs, agent) or are read as such.
 */
#ifndef GT_LIB_HTTP_API_CLIENT_H
#define GT_LIB_HTTP_API_CLIENT_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct server_clock;
struct wire_op;
struct api_client;

struct api_client_options {
    const char *endpoint;   /* "http://127.0.0.1:4566" */
    const char *region;     /* "us-east-1" */
    const char *access_key; /* all texts are copied */
    const char *secret_key;
    const char *session_token;  /* NULL: none */
    const char *ca_file;        /* NULL: the system's */
    long timeout_ms;            /* for a whole call; 0: 30000 */
    struct server_clock *clock; /* shared by clients of one server; NULL: one of its own */
    atomic_bool *cancel;        /* set by another thread: calls give up within a second; or NULL */
};

int api_client_new(const struct api_client_options *o, struct api_client **ret, struct gt_err *err);
void api_client_free(struct api_client *c); /* NULL is allowed */
/* The region that the calls from now on are signed for. */
void api_client_set_region(struct api_client *c, const char *region);
GT_DEFINE_AUTO(api_client, struct api_client *, api_client_free)

/*
 * `in` and `out` are structs of op->in and op->out; out is zeroed and filled (NULL: not wanted),
 * its text lives in the arena. An error that the service answered has the service's message in
 * err->msg, the exception's name in api_client_exception(), and kind NOT_FOUND, DENIED, THROTTLED,
 * INVALID or INTERNAL by what its status and name say. UNAVAILABLE: nobody answered (the call may
 * or may not have happened). TIMEOUT likewise. DENIED without an exception: whoever answered
 * could not prove to be the server.
 */
int api_call(struct api_client *c, const struct wire_op *op, const void *in, struct gt_arena *arena,
             void *out, struct gt_err *err);

/* Of a call, or a fetched introduction: nobody answered, or not now. The same may do later. */
bool api_passing(const struct gt_err *err);

/* POST of bytes to a path of the server's own ("/_gantry/logs?..."), signed for service `gantry`.
 * *ret_answer lives in the arena. */
int api_post(struct api_client *c, const char *path, const void *body, size_t n,
             struct gt_arena *arena, struct gt_str *ret_answer, struct gt_err *err);

/* "ClusterNotFoundException" of the last call that a service refused; "" otherwise. */
const char *api_client_exception(const struct api_client *c);

#endif
