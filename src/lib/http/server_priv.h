/* Private to lib/http: what server.c (threads), request.c (life of a request) and body.c share. */
#ifndef GT_LIB_HTTP_SERVER_PRIV_H
#define GT_LIB_HTTP_SERVER_PRIV_H

#include "lib/base/list.h"
#include "lib/crypto/digest.h"
#include "lib/http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zlib.h>

enum http_phase {
    HTTP_OPEN,
    HTTP_CLOSING, /* new requests are answered 503 */
    HTTP_HALTING, /* and none is suspended any more: its connection is closed instead */
};

/* peers.c. A connection; `since` (monotonic, ms) is when it last changed between busy and not. */
struct http_peer {
    struct gt_list all;
    int fd;
    bool cut;
    atomic_bool busy; /* a request is under way: its body is there, or it may take its time */
    atomic_llong since;
};

struct http_peers {
    pthread_mutex_t lock;
    struct gt_list all;
    unsigned n, enough; /* beyond this one goes for each that comes */
};

struct http_server {
    atomic_int phase;
    struct MHD_Daemon *daemon;
    http_handler_fn *handler;
    void *arg;
    uint16_t port;
    bool tls;
    int listen_fd; /* ours again after quiescing; -1 while the daemon has it */
    unsigned max_connections;
    uint64_t id_salt;
    atomic_ulong next_id;
    atomic_uint in_flight;   /* requests whose connection is not done with them */
    atomic_uint waiting;     /* of them, those whose connection is suspended */
    atomic_size_t collected; /* bytes in collected bodies */
    size_t max_collected;
    struct http_peers peers;
};

enum http_course { /* what the handler made of the request */
                   HTTP_COURSE_NONE,
                   HTTP_COURSE_COLLECT,
                   HTTP_COURSE_STREAM,
                   HTTP_COURSE_DROP, /* answered, or refused: the body is of no interest */
};

struct http_req {
    struct http_server *server;
    atomic_uint refs;
    void *user;
    void (*on_free)(void *arg);
    void *on_free_arg;

    /* The head: written once, on the network thread, before the handler sees the request. */
    enum http_method method;
    struct gt_str method_name, path, query;
    struct http_header *headers;
    size_t n_headers;
    struct http_head head;
    char id[37];
    char *head_text;        /* copies of the headers' text */
    struct http_peer *peer; /* network thread only, until the request is finished */

    /* Network thread only */
    enum http_course course;
    bool begun, ended, queued;
    bool cut; /* where the request ends is in doubt: answer at once and close */
    uint64_t body_max, body_seen, dropped;
    void (*ready)(struct http_req *rq, void *arg);
    const struct http_sink *sink;
    void *sink_arg;
    struct gt_buf body;
    size_t charged; /* of server->collected */
    z_stream *inflate;
    struct gt_sha256 sent; /* with inflate: of the compressed bytes */
    char sent_hex[GT_SHA256_HEX];
    bool inflate_done;

    pthread_mutex_t lock;          /* what follows */
    struct MHD_Connection *conn;   /* NULL: gone */
    struct MHD_Response *response; /* given, not yet queued */
    int status;
    bool answered, suspended, resume_wanted;
    void (*call)(struct http_req *rq, void *arg); /* to be made on the network thread */
    void *call_arg;

    char target[]; /* as it came, NUL-terminated */
};

/* request.c */
struct http_req *http_req_new(struct http_server *s, const char *target);
int http_req_read_head(struct http_req *rq, const char *method, const char *version,
                       struct gt_err *err);
/* The rest of MHD's callbacks, on the network thread. */
enum MHD_Result http_req_begin(struct http_req *rq);
enum MHD_Result http_req_data(struct http_req *rq, const char *p, size_t *n);
enum MHD_Result http_req_end(struct http_req *rq);
void http_req_finished(struct http_req *rq);
/* A JSON error of the frame's own: {"__type": ..., "message": ...}. */
void http_req_refuse(struct http_req *rq, int status, const struct gt_err *err, bool close);

/* body.c: false: refused, the answer is given. */
bool http_body_start(struct http_req *rq);
bool http_body_add(struct http_req *rq, const char *p, size_t n);
bool http_body_finish(struct http_req *rq);
void http_body_free(struct http_req *rq);

void http_peers_init(struct http_peers *p, unsigned max);
void http_peers_fini(struct http_peers *p);
void http_peer_busy(struct http_peer *peer, bool busy);
/* MHD's callback of connections that come and go; cls is the server. */
void http_peer_notify(void *cls, struct MHD_Connection *conn, void **context,
                      enum MHD_ConnectionNotificationCode what);

/* listen.c */
int http_listen(const char *address, uint16_t *ret_port, struct gt_err *err);

#endif
