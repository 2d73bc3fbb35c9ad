/* What the parts of the agent share: the loop, the folders, the session. For node/agent alone. */
#ifndef GT_NODE_AGENT_NODE_H
#define GT_NODE_AGENT_NODE_H

#include "lib/base/arena.h"
#include "lib/base/table.h"
#include "lib/http/api_client.h"
#include "lib/http/server_clock.h"
#include "node/agent/agent.h"
#include "node/agent/ended.h"
#include "node/image/image.h"
#include "node/net/net.h"
#include "node/shim/shim_client.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct session;
struct log_shipper;
struct peers;
struct control;

/* Who the node is to the server; its key is whose it was registered with, then its own. The loop's;
 * other threads call by node_client_new(). */
struct node_identity {
    char node_id[64], instance_arn[256], cluster[256], cluster_id[64];
    char subnet[32];
    char access_key[128], secret_key[128];
    int64_t key_expires_ms;  /* 0: not known */
    int64_t epoch, revision; /* what the server has told last; see astray.h of the server's side */
    char server[256], region[64]; /* of the server that it joined; "": options say it */
};

struct node_keys {
    pthread_mutex_t lock;
    char access_key[128], secret_key[128];
};

struct node {
    struct agent_options o;
    struct gt_table tasks; /* task id -> struct task */
    struct ended ended;
    struct node_identity id;
    struct node_keys keys;
    struct server_clock clock;

    uv_loop_t loop;
    uv_async_t wake;
    uv_signal_t sigterm, sigint;
    uv_timer_t tick;   /* once a second: link, pool, network */
    uv_timer_t refill; /* of the pools, a moment after a start */
    pthread_mutex_t post_lock;
    struct post *posts, **posts_end;
    bool stopping;
    bool astray;          /* the server is of another history: what runs here goes on */
    atomic_bool clearing; /* ... and the operator let it: what it does not know is still ending */
    bool walked;          /* the walk after that has come */
    bool memory_dirty;    /* what is remembered of the server is not saved yet */
    int64_t memory_saved_ms;
    bool ready;           /* the network is open and earlier tasks were found again */
    uint64_t process_cap; /* processes and threads of one container */

    struct image_store *images;
    int64_t images_due_ms; /* the next tidying up, by the monotonic clock */
    bool images_tidying;
    pthread_mutex_t apart_lock;
    pthread_cond_t apart_free;
    unsigned apart; /* threads of node_work_apart() at work; under apart_lock */
    struct net *net;
    struct shim_opts shim_opts;
    struct shim_pool *pool;
    bool refilling;
    unsigned preparing;   /* tasks: each will want a shim soon */
    unsigned shims_ahead; /* of those, are being made beside the pool */
    pid_t link_pid;
    int64_t link_started_ms;

    struct session *session;
    struct peers *peers;
    struct log_shipper *logs;
    struct control *control;
};

/* --- loop.c */
int node_loop_init(struct node *n, struct gt_err *err);
/* From any thread: fn(n, arg) runs on the loop soon, in the order of the calls. */
void node_post(struct node *n, void (*fn)(struct node *n, void *arg), void *arg);
/* From the loop: work(arg) on the pool, then done(n, arg) on the loop. */
void node_work(struct node *n, void (*work)(void *arg), void (*done)(struct node *n, void *arg),
               void *arg);
/* The same on a thread of its own: for what may take long (the network), so that it keeps nothing
 * else waiting. At most NODE_WORK_APART at a time; the rest wait for their turn, which `give_up`
 * (may be NULL) ends: work() is called all the same and should look at it. */
#define NODE_WORK_APART 32
void node_work_apart(struct node *n, void (*work)(void *arg),
                     void (*done)(struct node *n, void *arg), void *arg, atomic_bool *give_up);

/* --- images.c: the image store's house-keeping */
void node_images_tick(struct node *n); /* once a second */

/* --- identity.c: <state>/agent/node.json */
int node_identity_load(const struct agent_options *o, struct node_identity *ret,
                       struct gt_err *err); /* -ENOENT: never registered */
int node_identity_save(const struct agent_options *o, const struct node_identity *id,
                       struct gt_err *err);
/* What the server has told last. A new epoch is saved at once, revisions now and then, on the pool:
 * to remember less than there was does no harm. */
void node_remember(struct node *n, int64_t epoch, int64_t revision);
void node_memory_tick(struct node *n); /* once a second */
/* {"accessKeyId", "secretAccessKey"} of a key file. */
int node_key_file_read(const char *path, char *access_key, size_t a, char *secret_key, size_t s,
                       struct gt_err *err);

/* --- client.c: calls to the server, from any thread */
void node_keys_init(struct node *n); /* those of n->id */
void node_keys_set(struct node *n, const struct node_identity *id);
/* The server's time, whatever this host's clock says: for what the server is told. */
int64_t node_now(struct node *n);
/* Sleeps, but ends soon after `stop` is set. */
void node_pause(atomic_bool *stop, int64_t ms);
/* region NULL: the node's. */
int node_client_new(struct node *n, const char *region, long timeout_ms, atomic_bool *cancel,
                    struct api_client **ret, struct gt_err *err);

/* --- net_setup.c: network and gantry-link */
int node_net_open(struct node *n, struct gt_err *err);
void node_pool_refill(struct node *n); /* shims and namespaces, in the background */
/* The same a moment later: what was just started comes first. */
void node_pool_refill_soon(struct node *n);
void node_link_check(struct node *n); /* starts gantry-link when it does not run */
void node_link_kill(const struct agent_options *o);

#endif
