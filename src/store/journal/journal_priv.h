/* What a back end gives, and the encoding of entries, which they share. */
#ifndef GT_STORE_JOURNAL_JOURNAL_PRIV_H
#define GT_STORE_JOURNAL_JOURNAL_PRIV_H

#include "lib/base/arena.h"
#include "store/journal/journal.h"

struct journal_ops {
    int (*recover)(struct journal *j, const struct journal_reader *reader, struct gt_err *err);
    void (*append)(struct journal *j, const struct journal_entry *entry);
    int (*flush)(struct journal *j, struct gt_err *err);
    bool (*snapshot)(struct journal *j, const struct journal_snapshot *snapshot);
    void (*cancel_snapshot)(struct journal *j);
    void (*forget)(struct journal *j, uint64_t revision, uint64_t snapshots_below);
    int (*read)(struct journal *j, uint64_t after, journal_entry_fn *fn, void *arg,
                struct gt_err *err);
    int (*state_at)(struct journal *j, uint64_t revision, const struct journal_reader *reader,
                    struct gt_err *err);
    size_t (*snapshots)(struct journal *j, struct journal_mark *to, uint64_t *ret_bytes);
    int (*mark)(struct journal *j, uint64_t revision, struct journal_mark *ret, struct gt_err *err);
    int (*span)(struct journal *j, struct journal_span *ret, struct gt_err *err);
    bool (*has_room)(struct journal *j);
    void (*stats)(struct journal *j, struct journal_stats *ret);
    void (*close)(struct journal *j);
};

/* First member of each back end's struct. */
struct journal {
    const struct journal_ops *ops;
    struct journal_events events;
    uint64_t appended; /* highest revision; 0 before recovery told */
    bool recovered, read_only;
};

enum { JOURNAL_ENTRY_MAX = 256 * 1024 * 1024 };

/* An entry as bytes: a checksum of the rest (u64), then varints and lengths. */
void journal_encode(const struct journal_entry *entry, struct gt_buf *to);
/* Text points into bytes, writes into the arena. -EBADMSG when the checksum or the form is wrong.
 */
int journal_decode(struct gt_str bytes, struct gt_arena *arena, struct journal_entry *ret,
                   struct gt_err *err);

/* Items of a snapshot's chunk: a checksum, then one after the other. */
void journal_chunk_begin(struct gt_buf *to);
void journal_chunk_add(struct gt_buf *to, const struct journal_item *item);
void journal_chunk_end(struct gt_buf *to);
int journal_chunk_read(struct gt_str bytes, const struct journal_reader *reader,
                       struct gt_err *err);

#endif
