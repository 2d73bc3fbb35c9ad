/*
 * The log of one container: from its pipes (or terminal) into frames of a file (shim_proto.h).
 *
 * Bytes go from the pipe to the file by splice, so that this process never holds them. A busy
 * stream is looked at only every few milliseconds, so that frames are large and its writer is not
 * woken for each line. When as much as the cap is not acknowledged, the blocking mode stops reading
 * (the container then waits in write), the other throws bytes away and counts them. Where bytes are
 * missing, a line that says how many stands in their place as soon as there is room for it, so that
 * who reads the log knows. It begins with a newline: it ends the line that was cut.
 */
#ifndef GT_NODE_SHIM_SPOOL_H
#define GT_NODE_SHIM_SPOOL_H

#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { SPOOL_STREAMS = 2 };

struct spool {
    int fd;
    uint64_t written, acked, punched; /* offsets in the file */
    uint64_t max;
    uint64_t dropped;               /* bytes, ever */
    uint64_t unsaid[SPOOL_STREAMS]; /* of them, those that no line of the spool speaks of */
    uint64_t last[SPOOL_STREAMS];   /* offset behind a stream's last byte; 0: none */
    bool nonblocking, by_disk;      /* by_disk: the last ones, because the disk took none */
};

enum stream_state { STREAM_OPEN, STREAM_PAUSED, STREAM_LATER, STREAM_CLOSED };

struct stream {
    int fd; /* -1: closed */
    uint32_t number;
    bool terminal;
    int64_t last_ms; /* when it was read */
    int64_t retry_ms;
};

int spool_open(struct spool *s, const char *path, uint64_t max, bool nonblocking,
               struct gt_err *err);
void spool_close(struct spool *s);
/* Everything before the offset may go. */
void spool_ack(struct spool *s, uint64_t offset);
/* Nothing else will come: says what is unsaid, whatever the cap, and ends lines that have no end,
 * so that they are not waited for. */
void spool_end(struct spool *s);

/* Moves what is there. OPEN: call again when readable; PAUSED: when something was acknowledged;
 * LATER: at stream->retry_ms (now_ms' clock); CLOSED: that was the end. `final` takes what is
 * there, whatever the cap says unless bytes may be dropped, without waiting for more; LATER then
 * means that the disk is full. */
enum stream_state stream_pump(struct stream *st, struct spool *s, int64_t now_ms, bool final);
/* Gives up what is still in the pipe. */
void stream_discard(struct stream *st, struct spool *s);

#endif
