/*
 * A cursor walks over the events of one block, in order. Frames become lines here. Private to
 * store/logs.
 */
#ifndef GT_STORE_LOGS_CURSOR_H
#define GT_STORE_LOGS_CURSOR_H

#include "store/logs/logs_priv.h"

struct log_cursor {
    struct log_store *store;
    struct log_block b; /* holds a reference to its segment */
    uint64_t stream;
    struct gt_str name;
    int64_t now;

    /* The event that it stands on */
    struct log_key key;
    int64_t ingested;
    struct gt_str text; /* until the next step */
    /* The block ends in a line that is not finished and too young to be shown: what follows in the
     * stream must wait for it. `key` is the line's. */
    bool held;

    uint32_t off; /* of the entry, in the payload */
    uint8_t mid;  /* bit s: within a line of source s that began earlier */
    bool in_frame;
    uint32_t in;            /* bytes of the frame's text that are done */
    struct log_frame frame; /* without its text */
    uint32_t frame_n;

    struct gt_buf window; /* of the payload, from `lo` on */
    uint32_t lo, window_size;
    struct gt_buf line; /* assembled from several frames */
};

void cursor_init(struct log_cursor *c, struct log_store *s, const struct log_block *b,
                 uint64_t stream, struct gt_str name, int64_t now, uint32_t window_size);
void cursor_fini(struct log_cursor *c); /* does not give back the segment's reference */
/* 1: stands on the next event; 0: at the end, or held; < 0: what is on the disk makes no sense. */
int cursor_next(struct log_cursor *c, struct gt_err *err);

#endif
