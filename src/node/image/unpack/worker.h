/*
 * The unpack worker and its protocol. `gantry-unpack MAX_BYTES MAX_FILES` reads a layer from
 * descriptor 0, lays it down in the empty folder that is descriptor 3, and answers on
 * descriptor 4 with records until it closes: a type byte, the length as u32 little endian, text.
 *
 *   'O' path                         a directory to mark opaque (see sink_dir.h)
 *   'D' "<diff_id hex> <bytes> <files>"  done; the last record
 *   'E' "<kind> <errno> <message>"   not done; the last record
 *
 * It reads the input to its end in either case where that is cheap, and never talks on anything
 * else. Whoever started it trusts no byte of the answer: it comes from a process that a hostile
 * archive may have taken over.
 */
#ifndef GT_NODE_IMAGE_UNPACK_WORKER_H
#define GT_NODE_IMAGE_UNPACK_WORKER_H

#include <stdint.h>

#define UNPACK_FD_INPUT 0
#define UNPACK_FD_LAYER 3
#define UNPACK_FD_RESULT 4

#define UNPACK_OPAQUE 'O'
#define UNPACK_DONE 'D'
#define UNPACK_FAILED 'E'
#define UNPACK_RECORD_MAX 8192

/* The whole of gantry-unpack; returns its exit status. */
int unpack_worker(uint64_t max_bytes, uint64_t max_files);

#endif
