/* One shim's state: one task, its containers, its clients. For this folder alone.
 *
 * Everything is in arrays of fixed size in one static object: after set-up only the decoding of a
 * request takes memory, and gives it back. One thread, one epoll loop; nothing in it blocks on a
 * container or a client. */
#ifndef GT_NODE_SHIM_PRIV_H
#define GT_NODE_SHIM_PRIV_H

#include "node/runtime/cgroup.h"
#include "node/runtime/container.h"
#include "node/shim/shim_proto.h"
#include "node/shim/spool.h"

#include <stdbool.h>
#include <stdint.h>

#define SHIM_MAX_PARKED 8
#define SHIM_NOBODY (-1)

/* A reply that is owed. The generation tells a client's slot from its next user. */
struct owed {
    int client; /* SHIM_NOBODY: none */
    uint32_t generation, id;
};

enum slot_state { SLOT_FREE, SLOT_CREATING, SLOT_CREATED, SLOT_RUNNING, SLOT_ENDING, SLOT_EXITED };

struct container {
    enum slot_state state;
    bool own_pid_ns, tty, exec_seen, failed, status_known;
    char id[SHIM_ID_SIZE];
    struct rt_child child;
    struct cgroup *cg;
    struct spool spool;
    struct stream streams[2];
    uint64_t oom_seen, dropped_told;
    int64_t created_ms, started_ms, exited_ms, deadline_ms;
    int64_t dropped_next_ms, dropped_wait_ms; /* of the events that tell of it */
    int status;                               /* of waitpid */
    int exit_code;
    int32_t pid; /* kept after the exit */
    struct owed owed;
    struct gt_err err; /* of the start */
};

struct exec {
    bool used, exec_seen, failed, status_known, replied;
    unsigned container; /* index */
    char id[SHIM_ID_SIZE];
    struct rt_child child;
    int tty_master;
    int status;
    struct owed owed;
    struct gt_err err;
};

struct parked {
    bool used;
    struct rt_child child;
    struct cgroup *cg;
};

struct client {
    int fd; /* -1: free */
    uint32_t generation;
    bool subscribed;
};

struct shim_server {
    char cgroup_path[200]; /* "<root>/<shim id>" */
    char task[SHIM_ID_SIZE];
    char spool_dir[1024];
    int epoll, listen, signals, events_fd;
    uint64_t last_seq;
    struct cgroup_sys *sys;
    struct cgroup *all, *task_cg; /* "<root>/<shim id>", and "/task" below it */
    unsigned next_cgroup;         /* containers' cgroups are "c0", "c1" ... */
    unsigned want_parked;
    bool refill;        /* make parked children when idle */
    int64_t release_ms; /* when parked children that nobody needed go; 0: not */
    bool shutting_down;
    struct owed shutdown_owed;
    struct container containers[SHIM_MAX_CONTAINERS];
    struct exec execs[SHIM_MAX_EXECS];
    struct parked parked[SHIM_MAX_PARKED];
    struct client clients[SHIM_MAX_CLIENTS];
};

/* What an epoll entry is about: kind << 16 | index. */
enum watch_kind {
    WATCH_SIGNALS,
    WATCH_LISTEN,
    WATCH_CLIENT,
    WATCH_CHILD,  /* a container's reports */
    WATCH_EXEC,   /* an exec's reports */
    WATCH_STREAM, /* index: container * 2 + stream */
    WATCH_OOM,
};
int watch(struct shim_server *s, int fd, enum watch_kind kind, unsigned index, uint32_t events);
void rewatch(struct shim_server *s, int fd, enum watch_kind kind, unsigned index, uint32_t events);
void unwatch(struct shim_server *s, int fd);

/* event.c */
void event_record(struct shim_server *s, struct shim_event *e);

/* client.c: sockets and requests */
void client_accept(struct shim_server *s);
void client_read(struct shim_server *s, unsigned index);
void client_event(struct shim_server *s, const struct shim_event *e);
struct owed client_owe(struct shim_server *s, unsigned client, uint32_t id);
/* err with a kind: the request was not carried out. fd -1: none; stays the caller's. */
void client_reply(struct shim_server *s, struct owed *owed, const struct gt_err *err,
                  const void *payload, uint32_t n, int fd);

/* task.c: containers */
struct container *task_find(struct shim_server *s, const char *id);
int task_configure(struct shim_server *s, const struct shim_task *t, const void *limits,
                   struct gt_err *err);
int task_create(struct shim_server *s, const struct shim_create *c, const void *spec,
                const int *fds, unsigned n_fds, struct owed owed, struct gt_err *err);
int task_start(struct shim_server *s, const char *id, struct owed owed, struct gt_err *err);
int task_remove(struct shim_server *s, const char *id, struct gt_err *err);
void task_child(struct shim_server *s, unsigned index);
void task_stream(struct shim_server *s, unsigned index);
void task_oom(struct shim_server *s, unsigned index);
void task_exited(struct shim_server *s, struct container *c, int status);
void task_acked(struct shim_server *s, struct container *c, uint64_t offset);
void task_describe(const struct container *c, struct shim_container *to);
/* What time brings: returns in how many milliseconds to call again, -1: not at all. */
int task_tick(struct shim_server *s);
/* One child more; whether another is wanted. */
bool task_park(struct shim_server *s);
void task_shutdown(struct shim_server *s);

/* exec.c */
int exec_start(struct shim_server *s, const struct shim_create *c, const void *spec, const int *fds,
               unsigned n_fds, struct owed owed, struct gt_err *err);
void exec_child(struct shim_server *s, unsigned index);
void exec_exited(struct shim_server *s, struct exec *e, int status);
struct exec *exec_find(struct shim_server *s, unsigned container, const char *id);

static inline int exit_code_of(int status)
{
    return (status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f);
}

#endif
