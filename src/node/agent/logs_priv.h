/* For logs*.c alone: the shipper's streams. */
#ifndef GT_NODE_AGENT_LOGS_PRIV_H
#define GT_NODE_AGENT_LOGS_PRIV_H

#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "lib/base/table.h"
#include "node/agent/logs.h"
#include "node/agent/node.h"

#include <pthread.h>
#include <stdatomic.h>

struct log_stream {
    struct gt_list link; /* of the shipper, under its lock; only its thread takes streams out */
    struct log_shipper *shipper;
    char *path;           /* of the spool; under the lock: it moves when its task goes */
    char *region, *name;  /* of the stream */
    char *group, *stream; /* escaped for the query */
    char *task_id, *runtime_id;
    struct gt_buf tail;  /* under the lock */
    uint64_t tell_every; /* bytes; a small part of its spool's cap */
    _Atomic uint64_t offset, end;
    atomic_bool dropped; /* nobody wants it any more */
    atomic_bool broken;  /* its group is not there */
    atomic_bool over;    /* nobody writes to the spool any more */
    atomic_bool left;    /* its task is gone: the shipper's alone (logs_left.c) */
    atomic_bool known;   /* the server has the stream, and has said where it wants to go on */

    /* The shipper's thread alone */
    int fd;
    uint64_t told;     /* the loop knows of so much */
    int64_t retry_ms;  /* not before */
    int64_t opened_ms; /* a stream that stays empty is made a moment after */
};

struct log_shipper {
    struct node *n;
    pthread_t thread;
    pthread_mutex_t lock; /* streams, groups, stop */
    pthread_cond_t poked;
    struct gt_list streams;
    struct gt_table groups; /* "region/name" -> time it was seen */
    bool stop;
    char *block;
};

struct log_stream *log_stream_new(struct log_shipper *s);
void log_stream_free(struct log_stream *l);
void log_stream_start(struct log_stream *l); /* into the shipper's list */

/* logs_left.c */
void log_left_load(struct log_shipper *s);
void log_left_remove(struct log_stream *l); /* its files */

/* log_spool.c */
enum { LOG_TAIL = 4096 };
/* Keeps the last LOG_TAIL bytes; the last n - 1 of them as text. */
void log_tail_add(struct gt_buf *tail, const char *p, size_t n);
void log_tail_copy(const struct gt_buf *text, char *to, unsigned n);
/* Whole frames from an offset on, dated `ahead` ms later than this host did: how many bytes of the
 * block; 0: nothing is there. */
size_t log_spool_read(int fd, uint64_t offset, int64_t ahead, char *block, size_t n);

#endif
