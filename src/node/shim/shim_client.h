/*
 * The agent's side of a shim: spawn, take from a pool, find again after a restart, talk.
 *
 * A shim is a process of its own session and cgroup that does not notice when its client dies. Its
 * directory is <run>/tasks/<task id>/ (while in the pool <run>/pool/<random>/). It ends by
 * SHUTDOWN, or when it is killed; then its containers end with it, but shim_cleanup() is what makes
 * sure of that.
 *
 * Requests block until the shim answers (microseconds; CREATE and EXEC a few milliseconds) and give
 * up after 30 s. A loop that must not wait sends with shim_send_...() and reads with shim_recv();
 * the socket, shim_fd(), is readable when there is something. A request that waits keeps what else
 * comes, for shim_recv(), but shim_fd() does not tell of it: call until 0 afterwards, or better do
 * not mix the two. One object, one thread at a time.
 */
#ifndef GT_NODE_SHIM_CLIENT_H
#define GT_NODE_SHIM_CLIENT_H

#include "lib/base/err.h"
#include "node/runtime/spec.h"
#include "node/shim/shim_proto.h"

#include <stdbool.h>
#include <stdint.h>

struct shim;

struct shim_opts {
    const char *run_dir;     /* such as /run/gantry */
    const char *cgroup_root; /* such as "/gantry": one for each instance on a machine */
    const char *shim_path;   /* NULL: gantry-shim beside /proc/self/exe */
    unsigned parked;         /* children made ready ahead in each shim, 0..8 */
    uint64_t descriptors;    /* soft limit of shim and containers; 0: this process's own */
};

/* --- the pool. Not for two threads at once, but for shim_pool_make(). */
struct shim_pool;
int shim_pool_new(const struct shim_opts *opts, unsigned size, struct shim_pool **ret,
                  struct gt_err *err);
/* Spawns what is missing; call when idle, and after each take. About 1 ms a shim for the caller;
 * the shim itself becomes ready in the background. Also removes what an earlier agent's pool left.
 */
int shim_pool_fill(struct shim_pool *pool, struct gt_err *err);
void shim_pool_free(struct shim_pool *pool); /* ends the shims in it */
/* More than its size, when many will be taken at once: made on any thread, then put in. */
enum { SHIM_POOL_ID = 17 };
int shim_pool_make(const struct shim_pool *pool, char ret_id[static SHIM_POOL_ID],
                   struct gt_err *err);
void shim_pool_add(struct shim_pool *pool, const char *id);
unsigned shim_pool_ready(const struct shim_pool *pool);

/* A shim for this task, from the pool or fresh (pool NULL or empty): makes <run>/tasks/<id>, tells
 * it the spool's folder and the task's limits (NULL: none). */
int shim_take(struct shim_pool *pool, const struct shim_opts *opts, const char *task_id,
              const char *spool_dir, const struct rt_limits *limits, struct shim **ret,
              struct gt_err *err);

/* --- after a restart */
/* What shim_take() tells the shim, once more: for whoever took it and died in the middle. Nothing
 * happens when the shim knows. */
int shim_task_again(struct shim *s, const char *task_id, const char *spool_dir,
                    const struct rt_limits *limits, struct gt_err *err);

/* Calls `each` with the id of every folder in <run>/tasks; stops when that returns not 0. */
int shim_list(const char *run_dir, int (*each)(const char *task_id, void *arg), void *arg,
              struct gt_err *err);
/* Connects and subscribes. -ECONNREFUSED or -ENOENT: the shim is dead. */
int shim_open(const char *run_dir, const char *task_id, struct shim **ret, struct gt_err *err);
/* Only disconnects. */
void shim_close(struct shim *s);

/* Events of a shim, living or dead, with seq > `after`, oldest first, until max; returns how many.
 */
int shim_events_read(const char *run_dir, const char *task_id, uint64_t after,
                     struct shim_event *to, unsigned max, struct gt_err *err);
/* After a shim's death or SHUTDOWN: kills and removes its cgroup, removes its directory (not the
 * spools). -EBUSY while processes are still dying: again later. */
int shim_cleanup(const char *run_dir, const char *task_id, struct gt_err *err);

/* --- requests */
int shim_fd(const struct shim *s); /* readable: shim_recv(); end of file: the shim is dead */
const struct shim_state *shim_hello_state(const struct shim *s); /* as of connecting */

/* Starts a container at once (or only creates it, with start false). stdin_fd: -1, or what becomes
 * its standard input when spec->stdin_open (the caller keeps its own copy). ret->pid and so on on
 * success. The error says why, in words for a stoppedReason; its sys_errno tells "no such command"
 * (ENOENT) and "not executable" (EACCES) apart from others. */
int shim_create(struct shim *s, const char *container, const struct rt_spec *spec, int stdin_fd,
                bool start, struct shim_created *ret, struct gt_err *err);
int shim_start(struct shim *s, const char *container, struct gt_err *err);
int shim_signal(struct shim *s, const char *container, const char *exec, int signo,
                struct gt_err *err);
/* container NULL: all of the task's. */
int shim_kill_all(struct shim *s, const char *container, struct gt_err *err);
int shim_freeze(struct shim *s, const char *container, bool frozen, struct gt_err *err);
/* stdio: three descriptors that become 0, 1 and 2 (the caller keeps its copies), or NULL with
 * e->tty: then *tty_master is the terminal's other end and belongs to the caller. */
int shim_exec(struct shim *s, const char *container, const char *exec_id, const struct rt_exec *e,
              const int stdio[3], int *tty_master, struct shim_created *ret, struct gt_err *err);
int shim_resize(struct shim *s, const char *container, unsigned rows, unsigned cols,
                struct gt_err *err);
int shim_spool_ack(struct shim *s, const char *container, uint64_t offset, struct gt_err *err);
int shim_remove(struct shim *s, const char *container, struct gt_err *err);
/* `to` holds `max`; returns how many there are. */
int shim_containers(struct shim *s, struct shim_container *to, unsigned max, struct gt_err *err);
int shim_shutdown(struct shim *s, struct gt_err *err);

/* The next event: 1 and *ret, 0 when there is none now, -EPIPE when the shim is dead. Events that
 * came while a request waited for its reply are kept and come first, so call until 0 after any
 * request too. */
int shim_next_event(struct shim *s, struct shim_event *ret, struct gt_err *err);

/* --- for a loop: sends without waiting, the id of the request is returned; -EAGAIN when the shim
 * has stopped to listen. The reply comes out of shim_recv(): 1 and a reply or an event, 0 nothing
 * now, -EPIPE dead. */
struct shim_reply {
    uint32_t type; /* SHIM_REPLY or SHIM_EVENT */
    uint32_t id;
    int fd; /* -1, or a descriptor that now belongs to the caller */
    union {
        struct shim_created created;
        struct shim_event event;
    };
    struct gt_err err; /* kind != NONE: the request was not carried out */
};
int64_t shim_send_create(struct shim *s, const char *container, const struct rt_spec *spec,
                         int stdin_fd, bool start, struct gt_err *err);
int64_t shim_send_exec(struct shim *s, const char *container, const char *exec_id,
                       const struct rt_exec *e, const int stdio[3], struct gt_err *err);
int64_t shim_send_signal(struct shim *s, const char *container, const char *exec, int signo,
                         struct gt_err *err);
int64_t shim_send_kill_all(struct shim *s, const char *container, struct gt_err *err);
int64_t shim_send_spool_ack(struct shim *s, const char *container, uint64_t offset,
                            struct gt_err *err);
int shim_recv(struct shim *s, struct shim_reply *ret, struct gt_err *err);

#endif
