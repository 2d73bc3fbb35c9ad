/*
 * The connections that are open. One that waits for its peer (idle, or in the middle of a head or
 * of a body that nobody has vouched for) may be closed to make room; one with a request under way
 * is left alone.
 */
#include "lib/http/server_priv.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#include <sys/socket.h>

void http_peers_init(struct http_peers *p, unsigned max)
{
    pthread_mutex_init(&p->lock, NULL);
    gt_list_init(&p->all);
    p->n = 0;
    p->enough = max - max / 8;
}

void http_peers_fini(struct http_peers *p)
{
    pthread_mutex_destroy(&p->lock);
}

void http_peer_busy(struct http_peer *peer, bool busy)
{
    atomic_store_explicit(&peer->since, gt_clock_mono_ms(), memory_order_relaxed);
    atomic_store_explicit(&peer->busy, busy, memory_order_relaxed);
}

/* The lock is held, so its descriptor is still its own: libmicrohttpd tells of the end before it
 * closes. What the peer sends next is an end of file to the network thread. */
static void cut_longest_waiting(struct http_peers *p)
{
    struct http_peer *oldest = NULL;
    gt_list_for_each (it, tmp, &p->all) {
        struct http_peer *peer = gt_list_entry(it, struct http_peer, all);
        if (!peer->cut && !atomic_load_explicit(&peer->busy, memory_order_relaxed) &&
            (!oldest || peer->since < oldest->since)) {
            oldest = peer;
        }
    }
    if (oldest) {
        oldest->cut = true;
        (void)shutdown(oldest->fd, SHUT_RDWR);
        gt_debug("http: %u connections are open, one that waits was closed", p->n);
    }
}

void http_peer_notify(void *cls, struct MHD_Connection *conn, void **context,
                      enum MHD_ConnectionNotificationCode what)
{
    struct http_peers *p = &((struct http_server *)cls)->peers;
    struct http_peer *peer = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = peer = gt_new(struct http_peer);
        peer->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        http_peer_busy(peer, false);
        pthread_mutex_lock(&p->lock);
        if (++p->n > p->enough) {
            cut_longest_waiting(p);
        }
        gt_list_push_back(&p->all, &peer->all);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    pthread_mutex_lock(&p->lock);
    gt_list_remove(&peer->all);
    p->n--;
    pthread_mutex_unlock(&p->lock);
    free(peer);
    *context = NULL;
}
