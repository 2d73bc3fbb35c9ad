#include "lib/http/server.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/http/server_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Called by libmicrohttpd with the target as it stands in the request line, before anything else:
 * the request is born here. Signatures are over the undecoded path. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *conn)
{
    struct http_req *rq = http_req_new(cls, target);
    rq->conn = conn;
    rq->peer = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    return rq;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **con_cls)
{
    struct http_req *rq = *con_cls;
    if (!rq->begun) {
        rq->begun = true;
        struct gt_err err = GT_ERR_INIT;
        if (http_req_read_head(rq, method, version, &err) < 0) {
            http_req_refuse(rq, 400, &err, /* close= */ true);
        } else if (atomic_load(&rq->server->phase) != HTTP_OPEN) {
            gt_err_set(&err, GT_ERR_UNAVAILABLE, "the server is stopping");
            http_req_refuse(rq, 503, &err, /* close= */ true);
        } else {
            rq->server->handler(rq, rq->server->arg);
        }
        return http_req_begin(rq);
    }
    return *n > 0 ? http_req_data(rq, data, n) : http_req_end(rq);
}

static void on_finished(void *cls, struct MHD_Connection *conn, void **con_cls,
                        enum MHD_RequestTerminationCode why)
{
    if (*con_cls != NULL) {
        http_req_finished(*con_cls);
        *con_cls = NULL;
    }
}

/* The target is decoded by who needs it; libmicrohttpd's own copy is not used. */
static size_t leave_escaped(void *cls, struct MHD_Connection *conn, char *s)
{
    return strlen(s);
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
    if (gt_log_enabled(GT_LOG_DEBUG)) {
        char text[400];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        vsnprintf(text, sizeof(text), fmt, ap);
#pragma GCC diagnostic pop
        gt_debug("http: %.*s", (int)strcspn(text, "\n"), text);
    }
}

static struct MHD_Daemon *start_daemon(struct http_server *s, const struct http_server_options *o)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO |
                     MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };
    if (s->tls) {
        flags |= MHD_USE_TLS;
    } else {
        tls[0] = tls[2];
    }
    unsigned threads = o->threads ? o->threads : 2;
    unsigned connections = s->max_connections;
    unsigned idle = o->idle_seconds ? o->idle_seconds : 75;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (threads < 2) {
        pool[0] = pool[1]; /* a pool of one is refused */
    }
    return MHD_start_daemon(
        flags, s->port, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s,
        MHD_OPTION_LISTEN_SOCKET, s->listen_fd, MHD_OPTION_THREAD_STACK_SIZE, (size_t)(256 * 1024),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)GT_LIMIT_HEADERS, MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_CONNECTION_TIMEOUT, idle, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, s, MHD_OPTION_NOTIFY_COMPLETED, on_finished, s,
        MHD_OPTION_NOTIFY_CONNECTION, http_peer_notify, s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

/* What the process does beside needs descriptors too. */
static unsigned default_connections(void)
{
    struct rlimit l;
    bool known = getrlimit(RLIMIT_NOFILE, &l) == 0;
    return known && l.rlim_cur / 4 * 3 < 4096 ? (unsigned)(l.rlim_cur / 4 * 3) : 4096;
}

int http_server_start(const struct http_server_options *o, struct http_server **ret,
                      struct gt_err *err)
{
    struct http_server *s = gt_new(struct http_server);
    s->handler = o->handler;
    s->arg = o->arg;
    s->tls = o->tls_cert != NULL;
    s->max_connections = o->max_connections ? o->max_connections : default_connections();
    s->id_salt = gt_rand_u64();
    s->max_collected = o->max_collected ? o->max_collected : 256 * GT_MIB;
    s->listen_fd = http_listen(o->listen, &s->port, err);
    if (s->listen_fd < 0) {
        int r = s->listen_fd;
        free(s);
        return r;
    }
    http_peers_init(&s->peers, s->max_connections);
    s->daemon = start_daemon(s, o);
    if (s->daemon == NULL) {
        http_server_free(s);
        return gt_err_set(err, GT_ERR_INTERNAL, "start the HTTP server on '%s'%s", o->listen,
                          o->tls_cert ? ": is the certificate and its key valid PEM?" : "");
    }
    *ret = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_quiesce(struct http_server *s)
{
    atomic_store(&s->phase, HTTP_CLOSING);
    MHD_quiesce_daemon(s->daemon);
}

unsigned http_server_drain(struct http_server *s, int timeout_ms)
{
    int64_t until = gt_clock_mono_ms() + timeout_ms;
    while (atomic_load(&s->in_flight) > 0 && gt_clock_mono_ms() < until) {
        poll(NULL, 0, 5);
    }
    return atomic_load(&s->in_flight);
}

int http_server_halt(struct http_server *s, struct gt_err *err)
{
    atomic_store(&s->phase, HTTP_HALTING);
    unsigned waiting = atomic_load(&s->waiting);
    if (waiting > 0) { /* libmicrohttpd would abort */
        atomic_store(&s->phase, HTTP_CLOSING);
        return gt_err_set(err, GT_ERR_TIMEOUT, "%u requests wait for their answers", waiting);
    }
    MHD_quiesce_daemon(s->daemon);
    MHD_stop_daemon(s->daemon);
    return 0;
}

void http_server_free(struct http_server *s)
{
    close(s->listen_fd);
    http_peers_fini(&s->peers);
    free(s);
}

void http_server_stop(struct http_server *s)
{
    GT_ASSERT(http_server_halt(s, NULL) == 0);
    http_server_free(s);
}
