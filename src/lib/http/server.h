/*
 * An HTTP/1.1 server: libmicrohttpd with internal threads, and what it leaves to its user.
 *
 * A few network threads read and write; nothing on them may block. The handler is called there as
 * soon as the head of a request was read, and decides what becomes of the request by calling
 * exactly one of
 *   http_req_collect()  gather the body (inflated when it is gzip) and call `ready` with all of it
 *   http_req_stream()   hand the body to a sink piece by piece, in constant memory
 *   http_req_answer()   answer without looking at the body
 * After collect and stream the answer may come from any thread and at any time; the connection
 * waits without holding a thread, and has no time limit of its own while it waits.
 *
 * Refused before the handler sees it, with 400 and a closed connection: more than one
 * Content-Length, Content-Length beside Transfer-Encoding, a transfer coding other than chunked,
 * more than one Host or Authorization, names that are no tokens (head.h).
 *
 * A client that goes away in the middle of a body is noticed at once, unless its last bytes and its
 * end arrive together: libmicrohttpd (0.9.75, edge-triggered epoll) then sees the end only when the
 * connection has been idle for idle_seconds.
 *
 * Who only holds connections open keeps nobody out: when seven eighths of max_connections are in
 * use, each new one costs the one that has waited longest for its peer (idle, or in the middle of a
 * head or of a body that is collected). A request under way is left alone.
 *
 * Every answer carries x-amzn-RequestId and exactly one Date.
 */
#ifndef GT_LIB_HTTP_SERVER_H
#define GT_LIB_HTTP_SERVER_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/http/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;
struct http_req;

/* Bits, so that a set of methods is a mask. */
enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_DELETE = 16,
    HTTP_PATCH = 32,
    HTTP_OPTIONS = 64,
    HTTP_OTHER = 128,
};

/* Runs on a network thread and must not block. */
typedef void http_handler_fn(struct http_req *rq, void *arg);

struct http_server_options {
    const char *listen;       /* "127.0.0.1:4566", "[::1]:0", "name:port"; port 0: any free one */
    unsigned threads;         /* 0: 2 */
    unsigned max_connections; /* 0: 4096, or three quarters of the descriptors we may have */
    unsigned idle_seconds;    /* before an idle or stalled connection is closed; 0: 75 */
    size_t max_collected;     /* bytes of all collected bodies together; 0: 256 MiB */
    const char *tls_cert, *tls_key; /* PEM text; NULL: no TLS */
    http_handler_fn *handler;
    void *arg;
};

int http_server_start(const struct http_server_options *o, struct http_server **ret,
                      struct gt_err *err);
/* The port that it listens on. */
uint16_t http_server_port(const struct http_server *s);
/* Accepts no further connection, and answers further requests with 503. Those under way go on. */
void http_server_quiesce(struct http_server *s);
/* Waits up to timeout_ms until every request under way was answered; returns how many are left. */
unsigned http_server_drain(struct http_server *s, int timeout_ms);
/* Ends the threads and closes all connections; sinks are told. GT_ERR_TIMEOUT, and nothing is done,
 * while requests wait for their answers. */
int http_server_halt(struct http_server *s, struct gt_err *err);
/* After halt, when no request is referred to any more. */
void http_server_free(struct http_server *s);
/* Both; every request must have been answered. */
void http_server_stop(struct http_server *s);

/* -- a request -- The text lives as long as the request; see http_req_ref(). */

enum http_method http_req_method(const struct http_req *rq);
struct gt_str http_req_method_name(const struct http_req *rq);
struct gt_str http_req_path(const struct http_req *rq);  /* as it came, not decoded */
struct gt_str http_req_query(const struct http_req *rq); /* what follows the '?', not decoded */
/* The first header of this name (in lower case); p is NULL when there is none. */
struct gt_str http_req_header(const struct http_req *rq, const char *name);
const struct http_header *http_req_headers(const struct http_req *rq, size_t *ret_n);
const char *http_req_id(const struct http_req *rq); /* the request id of its answer */
bool http_req_tls(const struct http_req *rq);
/* The address that the request came from, "10.0.0.1"; empty when it is not known. In the handler
 * only, and what it calls there. */
enum { HTTP_ADDRESS = 46 };
void http_req_address(const struct http_req *rq, char to[static HTTP_ADDRESS]);
/* The collected body, from `ready` until the answer. It may be changed in place; a NUL follows. */
struct gt_str http_req_body(const struct http_req *rq);
/* SHA-256 in hex of the body as it came, when it came compressed (a signature is over those bytes);
 * NULL: the collected body is what came. */
const char *http_req_sent_sha256(const struct http_req *rq);
/* Content-Length; -1: unknown (chunked). 0 when there is no body. */
int64_t http_req_content_length(const struct http_req *rq);

/* A pointer of the handler's own. */
void http_req_set_user(struct http_req *rq, void *user);
void *http_req_user(const struct http_req *rq);

/* A request lives until its connection is done with it. Who keeps it longer (a worker that handles
 * a piece of the body while the client may go away) takes a reference. */
struct http_req *http_req_ref(struct http_req *rq);
void http_req_unref(struct http_req *rq);
/* Calls fn(arg) when the request dies: after every callback of a sink has returned and the last
 * reference is gone. On any thread; once for each request. */
void http_req_on_free(struct http_req *rq, void (*fn)(void *arg), void *arg);

/* -- what becomes of it -- */

/* A body over `max` is answered with 413. `ready` runs on the network thread. */
void http_req_collect(struct http_req *rq, size_t max,
                      void (*ready)(struct http_req *rq, void *arg), void *arg);

/* All three run on a network thread and must not block. */
struct http_sink {
    /* The next n bytes of the body. Returns how many it took; when that is fewer, the connection
     * rests until http_req_resume() and the rest is offered again. */
    size_t (*data)(struct http_req *rq, const void *p, size_t n, void *arg);
    /* The body is complete. */
    void (*end)(struct http_req *rq, void *arg);
    /* The connection ended before the body was complete; nothing else is called any more. */
    void (*gone)(struct http_req *rq, void *arg);
};
/* An answer given before the end of the body is sent after it; what is left of it is dropped, and
 * no callback of the sink begins after the answer. A
 * body over `max` is answered with 413 and the sink's gone() is called. Compressed bodies are
 * refused with 415. */
void http_req_stream(struct http_req *rq, uint64_t max, const struct http_sink *sink, void *arg);
/* From any thread: the sink has room again. */
void http_req_resume(struct http_req *rq);

/* From any thread, while the request waits for its answer: fn runs on its network thread, where
 * making an answer keeps nobody else (a thread that commits, say) from going on. */
void http_req_call(struct http_req *rq, void (*fn)(struct http_req *rq, void *arg), void *arg);

#define HTTP_ANSWER_HEADERS 16
struct http_answer {
    int status;               /* 200, 404 ... */
    const char *content_type; /* NULL: none */
    struct gt_buf body;       /* taken over by http_req_answer() */
    int fd; /* >= 0: the body is length bytes of this file from offset; taken over */
    uint64_t offset, length; /* without fd and body, length is what Content-Length says (HEAD) */
    bool close;              /* close the connection afterwards */
    struct {
        const char *name, *value;
    } headers[HTTP_ANSWER_HEADERS];
    size_t n_headers;
};
#define HTTP_ANSWER_INIT(status_)                                                                  \
    ((struct http_answer){.status = (status_), .body = {.max = SIZE_MAX}, .fd = -1})

/* The texts must live until http_req_answer(). */
void http_answer_header(struct http_answer *a, const char *name, const char *value);
/* From any thread, once for each request. Takes over body and fd, also when the client is gone. */
void http_req_answer(struct http_req *rq, struct http_answer *a);

#endif
