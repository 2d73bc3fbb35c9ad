/*
 * Ships the spools of containers to the server's log store.
 *
 * One thread walks over the streams that have something, sends blocks of whole frames to
 * POST /_gantry/logs with the offset that they begin at, and tells the loop what the server has, so
 * that the shim can free it. The server answers the offset that it wants next, so that nothing is
 * lost or doubled by a restart of either. A server that is away costs the container nothing: its
 * spool grows up to its cap. When the group is deleted, the spool is kept too, until the group is
 * back; in the mode `blocking` its container waits.
 */
#ifndef GT_NODE_AGENT_LOGS_H
#define GT_NODE_AGENT_LOGS_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct node;
struct container;
struct log_shipper;
struct log_stream;

struct log_shipper *log_shipper_new(struct node *n);
void log_shipper_free(struct log_shipper *s); /* stops the thread */

/* Checks the group (making it with awslogs-create-group) and starts shipping. Blocks: on the pool.
 * *ret stays NULL when the container does not use awslogs. */
int log_stream_open(struct log_shipper *s, struct container *c, struct log_stream **ret,
                    struct gt_err *err);
/* From the loop: the container may have written; `end` is where its spool ends when it has exited,
 * UINT64_MAX before. */
void log_stream_poke(struct log_stream *l, uint64_t end);
/* The shim is dead: the log ends where the spool does. */
void log_stream_over(struct log_stream *l);
/* Whether everything up to the end was acknowledged (or cannot be: its group is not there). */
bool log_stream_drained(const struct log_stream *l);
/* NULL is allowed. The shipper lets go when it is done with it. */
void log_stream_drop(struct log_stream *l);
/* Its task goes before everything was shipped: the shipper takes the spool, and goes on in its own
 * time, also after a restart (logs_left.c). The stream is no longer the caller's. Blocks: on the
 * pool; nobody may write to the spool any more. */
void log_stream_leave(struct log_stream *l);
/* "prefix/container/task id" as on ECS; into the given buffer. */
void log_stream_name(const struct container *c, char *to, unsigned n);

/* The last of what was shipped as text, for lastLog: at most n - 1 bytes. */
void log_stream_tail(struct log_stream *l, char *to, unsigned n);
/* The same of a spool that is not shipped. `from` is where a frame begins. */
void log_spool_tail(const char *spool, uint64_t from, char *to, unsigned n);
/* The first beginning of a frame at or after `least`, walking from the frame at `from`. */
uint64_t log_spool_boundary(const char *spool, uint64_t from, uint64_t least);

#endif
