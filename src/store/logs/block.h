/*
 * A block: what one writer appended to one stream at once, at most about 256 KiB.
 *
 * On disk: a header of 80 bytes, little endian, with a checksum of its own and one of the payload.
 * The header's begins with the store's salt, which nobody outside knows: output of a container that
 * looks like a block is none. The header says where in its segment the batch begins that it was
 * written in: what lies before it had been synced by then. Payloads: LOG_EVENTS is entries {i64
 * time, i64 ingested, u32 n, u32 0, n bytes}; LOG_FRAMES is spool frames {u64 time, u32 source, u32
 * n, n bytes}, raw. Times within a block do not go back. A frame of no bytes ends the line of its
 * source.
 *
 * Everything here is pure, so that it can be fuzzed.
 */
#ifndef GT_STORE_LOGS_BLOCK_H
#define GT_STORE_LOGS_BLOCK_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOG_HEAD_BYTES = 80, LOG_FRAME_HEAD = 16, LOG_EVENT_HEAD = 24 };
enum log_kind { LOG_EVENTS = 1, LOG_FRAMES = 2 };
enum { LOG_SOURCES = 2 }; /* stdout, stderr */

struct log_head {
    uint32_t len; /* of the payload */
    uint32_t crc; /* of the payload */
    uint64_t stream, pos;
    int64_t min, max, ingested;
    uint64_t spool, want; /* frames: which spool, and the offset after this block */
    uint8_t kind;
    uint32_t batch; /* offset in the segment */
    uint8_t mid;    /* frames: bit s: the block begins within a line of source s */
};

void log_head_encode(const struct log_head *h, uint32_t salt,
                     unsigned char to[static LOG_HEAD_BYTES]);
/* False: no header, or a damaged one. */
bool log_head_decode(const unsigned char from[static LOG_HEAD_BYTES], uint32_t salt,
                     struct log_head *ret);
/* Where in p a header may begin, at or after `at`; n: nowhere. */
size_t log_head_search(const char *p, size_t n, size_t at);
uint32_t log_crc(const void *p, size_t n);

/* Where the lines of a stream's sources stand at its writing end. */
struct log_lines {
    uint8_t mid;               /* bit s: within a line */
    uint8_t cut;               /* bit s: the line must end before more comes */
    uint32_t len[LOG_SOURCES]; /* of the unfinished line */
};

struct log_frame {
    int64_t time;
    unsigned source; /* 0 stdout, 1 stderr */
    struct gt_str text;
};
/* The frame at the beginning of p; returns its whole length, 0: not a whole frame, < 0: not one. */
ptrdiff_t log_frame_decode(const char *p, size_t n, struct log_frame *ret);

/* Cuts frames into blocks. Each call takes as many frames as fit one block. */
struct log_cutter {
    const char *p;
    size_t n;
    struct log_lines lines;
};
/* Appends one payload to `to` and fills min, max, mid, len and crc of *h. Returns how many bytes of
 * the input it took (0: none are left), or -EINVAL when they are no frames. */
ptrdiff_t log_cutter_next(struct log_cutter *c, size_t block_bytes, struct gt_buf *to,
                          struct log_head *h);

#endif
