/* Between the files of gantry-link. */
#ifndef GT_NODE_LINK_LINK_PRIV_H
#define GT_NODE_LINK_LINK_PRIV_H

#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "node/link/dns.h"
#include "node/link/http_head.h"
#include "node/link/link.h"
#include "node/link/link_state.h"
#include "node/link/loop.h"

/* --- index.c: which tasks there are; files are read again for each request ------------------ */

struct index_task {
    struct gt_list node;
    char id[160];
    uint32_t address; /* 0: host mode */
    size_t n_endpoints, n_credentials;
    char endpoints[LINK_MAX_CONTAINERS][64];
    char credentials[LINK_MAX_CREDENTIALS][64];
};

struct index {
    struct loop_source source; /* inotify; first, so that a source is its index */
    struct loop *loop;
    int dir;              /* <run>/link/tasks */
    struct gt_list tasks; /* struct index_task */
};

int index_open(struct index *x, struct loop *l, const char *run_dir, struct gt_err *err);
void index_close(struct index *x);
/* The task that asks: by its address, or, for one without, by what it knows. NULL: none. */
const struct index_task *index_by_address(const struct index *x, uint32_t address);
const struct index_task *index_by_endpoint(const struct index *x, uint32_t from, struct gt_str id);
const struct index_task *index_by_credentials(const struct index *x, uint32_t from,
                                              struct gt_str id);
/* Reads a task's file; `ret` is views into `bytes`. */
int index_read(const struct index *x, const struct index_task *t, struct gt_buf *bytes,
               struct link_task *ret);

/* --- limit.c: a bucket for each address ------------------------------------------------------ */

struct limit_bucket {
    uint32_t address;
    int64_t tokens, at; /* thousandths; ms */
};
struct limit {
    struct limit_bucket v[256];
};
bool limit_take(struct limit *l, uint32_t address, int64_t now);

/* --- stats.c --------------------------------------------------------------------------------- */

/* The container's statistics as docker has them, or `null` when it does not run. */
void stats_write(const struct link_task *t, const struct link_container *c, struct gt_buf *to);

/* --- routes.c -------------------------------------------------------------------------------- */

struct answer {
    int status;
    const char *type; /* static */
    struct gt_buf body;
};
#define LINK_ANSWER_MAX (4 * 1024 * 1024)
void routes_answer(const struct index *x, uint32_t from, const struct http_head *head,
                   struct answer *to);

/* --- http.c, dns_proxy.c, dns_tcp.c ---------------------------------------------------------- */

struct http_server {
    struct loop_source source; /* listening */
    struct loop *loop;
    const struct index *index;
    struct gt_list connections;
    unsigned n;
    struct limit limit;
};
int http_server_open(struct http_server *s, struct loop *l, const struct index *x, int fd);
void http_server_close(struct http_server *s);
bool http_server_tick(struct http_server *s); /* whether any connection is open */

struct dns_proxy {
    struct loop_source udp, tcp;
    struct loop *loop;
    const char *resolv_conf;
    struct dns_resolvers resolvers;
    int64_t resolvers_at; /* when looked at */
    struct gt_list queries, connections;
    unsigned n_queries, n_connections;
};
int dns_proxy_open(struct dns_proxy *p, struct loop *l, const char *resolv_conf, int udp, int tcp);
void dns_proxy_close(struct dns_proxy *p);
bool dns_proxy_tick(struct dns_proxy *p);
const struct dns_resolvers *dns_proxy_resolvers(struct dns_proxy *p);
void dns_tcp_accept(struct dns_proxy *p);
bool dns_tcp_tick(struct dns_proxy *p);
void dns_tcp_close(struct dns_proxy *p);

#endif
