/*
 * What a shim and its clients say to each other over <dir>/shim.sock (unix, SOCK_SEQPACKET), and
 * the two kinds of files that the shim leaves for them: the events and the log spools.
 *
 * One message is a struct shim_hdr and `n` bytes of payload, with file descriptors beside it where
 * said so. Byte order and layout are the machine's own: both ends come from one build or from
 * builds of one protocol version (HELLO refuses others). Only the owner of the run directory (0700)
 * gets as far as connecting, and the peer's uid is checked against the shim's.
 *
 * Every request is answered with a REPLY of the same id: result 0, or a negative errno and a text.
 * Requests are handled in order; a request that waits for a container (CREATE, EXEC) is answered
 * when the outcome is known, and others pass it.
 *
 * Events go to the file first, then to every client that subscribed. A client that was away reads
 * the file: record i is at i * sizeof(struct shim_event), and its seq is i + 1.
 */
#ifndef GT_NODE_SHIM_PROTO_H
#define GT_NODE_SHIM_PROTO_H

#include "node/runtime/spec.h"

#include <stdint.h>

#define SHIM_PROTO_VERSION 1
#define SHIM_MSG_MAX (RT_SPEC_MAX_BYTES + 4096)
#define SHIM_MAX_CONTAINERS 32
#define SHIM_MAX_EXECS 64
#define SHIM_MAX_CLIENTS 8
#define SHIM_ID_SIZE (RT_ID_MAX + 1)

/* name, payload, descriptors */
#define SHIM_MSGS(X)                                                                               \
    X(HELLO)     /* struct shim_hello -> struct shim_state */                                      \
    X(TASK)      /* struct shim_task + rt_limits: what this shim is for; once */                   \
    X(CREATE)    /* struct shim_create + rt_spec; fds: [stdin] -> struct shim_created [tty] */     \
    X(START)     /* struct shim_target: lets a created container go */                             \
    X(SIGNAL)    /* struct shim_target with number */                                              \
    X(KILL_ALL)  /* struct shim_target; container "" = every container: SIGKILL to the cgroup */   \
    X(FREEZE)    /* struct shim_target with number 1 or 0 */                                       \
    X(EXEC)      /* struct shim_create + rt_exec; fds: stdin, stdout, stderr unless tty ->         \
                    struct shim_created [tty master] */                                            \
    X(RESIZE)    /* struct shim_target with rows, cols: a container's own terminal */              \
    X(STATE)     /* -> struct shim_state + n struct shim_container */                              \
    X(SPOOL_ACK) /* struct shim_target with offset: everything before it may be freed */           \
    X(REMOVE)    /* struct shim_target: forget an exited container, its cgroup and spool */        \
    X(SHUTDOWN)  /* kills what runs, records the exits, removes cgroups, exits */                  \
    X(REPLY)     /* shim to client */                                                              \
    X(EVENT)     /* shim to client: struct shim_event */

enum shim_msg_type {
    SHIM_NONE,
#define X(name) SHIM_##name,
    SHIM_MSGS(X)
#undef X
};

struct shim_hdr {
    uint32_t type;
    uint32_t id;    /* chosen by the client; 0 in events */
    int32_t result; /* replies */
    uint32_t n;     /* bytes that follow; in a reply with a result < 0 the text */
};

struct shim_hello {
    uint32_t version;
    uint32_t subscribe; /* 1: send events */
};

struct shim_task {
    char id[SHIM_ID_SIZE];
    char spool_dir[1024]; /* on a disk; where <container id>.log go; exists */
    uint32_t limits_n;    /* bytes of encoded rt_limits that follow */
};

#define SHIM_CREATE_START 1U /* do not wait for START */

struct shim_create {
    char container[SHIM_ID_SIZE];
    char exec[SHIM_ID_SIZE]; /* EXEC: the client's name for it */
    uint32_t flags;
    uint32_t spec_n; /* bytes that follow */
};

struct shim_created {
    int32_t pid; /* the host's number */
    uint32_t pad;
    int64_t started_ms; /* 0: created only */
    char cgroup[256];   /* path below the hierarchies' roots */
};

struct shim_target {
    char container[SHIM_ID_SIZE];
    char exec[SHIM_ID_SIZE]; /* SIGNAL: "" = the container's main process */
    int32_t number;
    uint32_t rows, cols;
    uint32_t pad;
    uint64_t offset;
};

enum shim_container_state {
    SHIM_CONTAINER_CREATING,
    SHIM_CONTAINER_CREATED,
    SHIM_CONTAINER_RUNNING,
    SHIM_CONTAINER_EXITED,
};

struct shim_container {
    char id[SHIM_ID_SIZE];
    char cgroup[256];
    uint32_t state; /* enum shim_container_state */
    int32_t pid;
    int32_t exit_code; /* 128 + signal when killed by one */
    int32_t oom;       /* the OOM killer had a part in it */
    int64_t created_ms, started_ms, exited_ms;
    uint64_t spool_written, spool_acked; /* offsets */
    uint64_t dropped_bytes;
};

struct shim_state {
    uint32_t version;
    int32_t pid;
    uint64_t last_seq;       /* of events */
    char task[SHIM_ID_SIZE]; /* "" while in the pool */
    char cgroup[256];        /* of the whole task */
    char spool_dir[1024];
    uint32_t n_containers; /* struct shim_container that follow (STATE) */
    uint32_t n_parked;
};

/* name */
#define SHIM_EVENTS(X)                                                                             \
    X(STARTED)     /* container, pid */                                                            \
    X(EXITED)      /* container, pid, exit_code, oom, offset: the end of its spool */              \
    X(EXEC_EXITED) /* container, exec, pid, exit_code */                                           \
    X(OOM)         /* container: the OOM killer ended one of its processes */                      \
    X(DROPPED)     /* container, offset: bytes dropped since it started; a second apart at first,  \
                      less and less often while nothing is acknowledged */                         \
    X(WARNING)     /* container, text: something was clamped or left out */

enum shim_event_type {
    SHIM_EVENT_NONE,
#define X(name) SHIM_EVENT_##name,
    SHIM_EVENTS(X)
#undef X
};

struct shim_event { /* 512 bytes, also in the file */
    uint64_t seq;
    int64_t time_ms;
    uint32_t type;
    int32_t pid;
    int32_t exit_code; /* 128 + signal when killed by one */
    int32_t oom;
    uint64_t offset;
    char container[SHIM_ID_SIZE];
    char exec[SHIM_ID_SIZE];
    char text[216];
};
_Static_assert(sizeof(struct shim_event) == 512, "events are records of a file");

/*
 * A spool, <spool dir>/<container id>.log, is a row of frames: this header and n bytes. Offsets are
 * those of the file; they only grow: what was acknowledged is punched out, not shifted. The bytes
 * are written before the header, so a header with n == 0 (or the end of the file) is where writing
 * is going on. Text lines may span frames.
 */
struct shim_frame {
    uint64_t time_ms;
    uint32_t stream; /* 1 standard output (and a terminal), 2 standard error */
    uint32_t n;
};
#define SHIM_FRAME_MAX (256 * 1024)

/* Files of a shim's directory. */
#define SHIM_SOCKET "shim.sock"
#define SHIM_EVENTS_FILE "events"
#define SHIM_CGROUP_FILE "cgroup" /* path of the shim's cgroup, for whoever cleans up after it */

#endif
