/* Private to store/logs. One mutex guards the index; files are read and written without it. */
#ifndef GT_STORE_LOGS_LOGS_PRIV_H
#define GT_STORE_LOGS_LOGS_PRIV_H

#include "lib/base/buf.h"
#include "lib/base/list.h"
#include "lib/base/table.h"
#include "store/logs/block.h"
#include "store/logs/logs.h"

#include <pthread.h>
#include <sqlite3.h>

enum { LOG_SEGMENT_BYTES = 64 * 1024 * 1024, LOG_BLOCK_BYTES = 256 * 1024 };

struct log_segment {
    uint64_t id;
    int fd;
    unsigned refs;   /* one of the store, one of each reader; under the lock */
    uint64_t size;   /* bytes written */
    uint64_t live;   /* bytes of blocks that the index has */
    unsigned blocks; /* of them */
    bool sealed;
    bool merged; /* was written anew in this process's life */
};

enum log_block_state { LOG_UNCHECKED, LOG_WHOLE, LOG_DAMAGED }; /* of the payload */

struct log_block { /* an index entry */
    struct log_segment *segment;
    uint64_t pos; /* of its first payload byte in the stream */
    int64_t min, max, ingested;
    uint32_t at; /* of the payload in the segment */
    uint32_t len;
    uint8_t kind, mid;
    uint8_t state; /* enum log_block_state */
};

struct log_stream {
    uint64_t id;
    char *name, *group;
    int64_t created, first, last, ingested;
    uint64_t bytes;
    struct log_block *blocks; /* by pos */
    size_t n_blocks, cap_blocks;
    bool ordered; /* block after block in time too */

    /* The writing end */
    bool busy; /* one writer at a time */
    uint64_t next_pos;
    uint64_t spool, want; /* hash of the spool's name, its next offset */
    struct log_lines lines;
};

struct log_group {
    char *id;
    struct gt_table streams; /* by name */
    uint64_t bytes;
};

struct log_write { /* one writer's blocks on their way to the disk */
    struct gt_list link;
    uint64_t stream;
    struct gt_buf bytes; /* headers and payloads */
    int result;          /* 1: not yet */
};

struct log_store {
    char *dir;
    int dirfd;
    sqlite3 *db;
    pthread_mutex_t catalogue; /* the database; taken before `lock`, never after */

    pthread_mutex_t lock;
    pthread_cond_t wake_flusher, wake_writers;
    struct gt_table groups;  /* id -> struct log_group */
    struct gt_table streams; /* 8 bytes of id -> struct log_stream */
    struct log_segment **segments;
    size_t n_segments;
    struct log_segment *active;
    uint64_t segment_bytes; /* when a segment is full */
    struct gt_list queue;
    bool roll; /* the flusher shall begin a new segment */
    bool stop;
    uint32_t salt;
    pthread_t flusher;
};

/* catalogue.c */
int catalogue_open(struct log_store *s, struct gt_err *err); /* loads all streams */
int catalogue_add(struct log_store *s, struct gt_str group, struct gt_str name, int64_t now,
                  uint64_t *ret_id, struct gt_err *err);
int catalogue_remove(struct log_store *s, struct gt_str group, const struct gt_str *name,
                     struct gt_err *err); /* name NULL: the whole group */

/* index.c: all under the lock */
struct log_stream *index_add(struct log_store *s, uint64_t id, struct gt_str group,
                             struct gt_str name, int64_t created);
struct log_stream *index_find(struct log_store *s, struct gt_str group, struct gt_str name);
struct log_stream *index_by_id(struct log_store *s, uint64_t id);
void index_remove(struct log_store *s, struct log_stream *st);
void index_add_block(struct log_store *s, struct log_segment *seg, const struct log_head *h,
                     uint32_t payload_at, enum log_block_state state);
/* The first block whose position is beyond pos; n_blocks: none. */
size_t index_beyond(const struct log_stream *st, uint64_t pos);
void index_drop_blocks(struct log_store *s, struct log_stream *st, size_t from, size_t n);
void index_free(struct log_store *s);

/* segment.c */
int segments_open(struct log_store *s, struct gt_err *err);        /* scans all, fills the index */
int segment_new(struct log_store *s, struct gt_err *err);          /* makes it the active one */
void segment_unref(struct log_segment *seg);                       /* under the lock */
void segment_forget(struct log_store *s, struct log_segment *seg); /* under the lock: deletes it */
void segments_free(struct log_store *s);

/* compact.c: the segment is sealed. Takes the lock. */
int segment_rewrite(struct log_store *s, struct log_segment *seg, struct gt_err *err);

/* flush.c */
int flusher_start(struct log_store *s);
void flusher_stop(struct log_store *s);

#endif
