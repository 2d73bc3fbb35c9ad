/*
 * Writing a segment anew: without what nobody needs any more, and with neighbouring small blocks of
 * a stream made into one. So a stream that trickles in costs an index entry for each 256 KiB and
 * not for each line, and the space of what was deleted comes back.
 *
 * Positions stay as they are (a merged block covers those of its parts), so tokens do too. The new
 * file takes the place of the old one by rename; readers of the old one have it open.
 */
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "store/logs/logs_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { MERGE_WITHIN_MS = 60 * 1000 };

struct part { /* a block of the old segment that the index has */
    uint64_t stream;
    struct log_block b;
};

struct merged { /* a block of the new one */
    struct log_head h;
    uint32_t at; /* of its payload */
};

struct rewrite {
    struct log_store *s;
    struct log_segment *old;
    struct part *parts;
    size_t n_parts;
    struct merged *blocks;
    size_t n_blocks;
    int fd;
    uint64_t size;
    struct gt_buf out; /* header and payload of the block under way */
};

/* -- what is alive -- */

static int by_place(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    if (x->stream != y->stream) {
        return x->stream < y->stream ? -1 : 1;
    }
    return (x->b.pos > y->b.pos) - (x->b.pos < y->b.pos);
}

/* Under the lock. */
static void collect(struct rewrite *w)
{
    struct gt_table_entry *e;
    w->parts = gt_new_array(struct part, w->old->blocks + 1);
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&w->s->streams, &it));) {
        const struct log_stream *st = e->value;
        for (size_t i = 0; i < st->n_blocks; i++) {
            if (st->blocks[i].segment == w->old) {
                w->parts[w->n_parts++] = (struct part){st->id, st->blocks[i]};
            }
        }
    }
    GT_ASSERT(w->n_parts == w->old->blocks);
    qsort(w->parts, w->n_parts, sizeof(*w->parts), by_place);
}

/* -- the new file -- */

static int end_block(struct rewrite *w, struct log_head *h)
{
    if (w->out.n == 0) {
        return 0;
    }
    h->len = (uint32_t)(w->out.n - LOG_HEAD_BYTES);
    h->crc = log_crc(w->out.p + LOG_HEAD_BYTES, h->len);
    h->batch = 0; /* the whole file is synced before it counts */
    log_head_encode(h, w->s->salt, (unsigned char *)w->out.p);
    int r = gt_write_full(w->fd, w->out.p, w->out.n);
    if (r < 0) {
        return r;
    }
    w->blocks[w->n_blocks++] = (struct merged){*h, (uint32_t)(w->size + LOG_HEAD_BYTES)};
    w->size += w->out.n;
    gt_buf_reset(&w->out);
    return 0;
}

static bool may_join(const struct log_head *to, size_t payload, const struct log_head *h)
{
    return to->stream == h->stream && to->kind == h->kind && to->spool == h->spool &&
           to->pos + payload == h->pos && h->min >= to->max &&
           payload + h->len <= LOG_BLOCK_BYTES && h->ingested - to->ingested <= MERGE_WITHIN_MS;
}

/* Header and payload of a part, checked. */
static int read_part(struct rewrite *w, const struct log_block *b, struct gt_buf *raw,
                     struct log_head *ret)
{
    size_t n = LOG_HEAD_BYTES + (size_t)b->len;
    gt_buf_reset(raw);
    char *p = gt_buf_reserve(raw, n);
    if (pread(w->old->fd, p, n, (off_t)b->at - LOG_HEAD_BYTES) != (ssize_t)n ||
        !log_head_decode((unsigned char *)p, w->s->salt, ret) || ret->len != b->len ||
        ret->pos != b->pos || log_crc(p + LOG_HEAD_BYTES, b->len) != ret->crc) {
        return -EBADMSG;
    }
    raw->n = n;
    return 0;
}

static int write_blocks(struct rewrite *w)
{
    gt_auto_buf struct gt_buf raw = GT_BUF_INIT(64 * GT_MIB);
    struct log_head h, at = {0};
    int r = 0;
    w->blocks = gt_new_array(struct merged, w->n_parts + 1);
    for (size_t i = 0; i < w->n_parts && r == 0; i++) {
        r = read_part(w, &w->parts[i].b, &raw, &h);
        if (r == -EBADMSG) { /* nobody can read it: it is left behind */
            gt_error("log segment '%s/%016" PRIx64 ".log': the block at byte %u is damaged, its "
                     "events are lost",
                     w->s->dir, w->old->id, w->parts[i].b.at - LOG_HEAD_BYTES);
            r = 0;
            continue;
        }
        if (r < 0) {
            return r;
        }
        if (w->out.n > 0 && may_join(&at, w->out.n - LOG_HEAD_BYTES, &h)) {
            gt_buf_add(&w->out, raw.p + LOG_HEAD_BYTES, h.len);
            at.max = h.max;
            at.want = h.want;
        } else {
            r = end_block(w, &at);
            at = h;
            gt_buf_add(&w->out, raw.p, raw.n);
        }
    }
    return r < 0 ? r : end_block(w, &at);
}

/* -- taking its place -- */

/* Whether any part of the merged block is still wanted: streams and old events may have gone while
 * it was written. */
static bool is_wanted(const struct rewrite *w, const struct log_stream *st, const struct merged *m)
{
    for (size_t i = 0; i < st->n_blocks; i++) {
        const struct log_block *b = &st->blocks[i];
        if (b->segment == w->old && b->pos >= m->h.pos && b->pos < m->h.pos + m->h.len) {
            return true;
        }
    }
    return false;
}

static int by_pos(const void *a, const void *b)
{
    const struct log_block *x = a, *y = b;
    return (x->pos > y->pos) - (x->pos < y->pos);
}

/* The stream's part of m[0..n): in with those that are wanted, out with the old ones. */
static void replace(struct rewrite *w, struct log_segment *seg, struct log_stream *st,
                    const struct merged *m, size_t n)
{
    gt_auto_free bool *wanted = gt_new_array(bool, n + 1);
    for (size_t i = 0; i < n; i++) {
        wanted[i] = is_wanted(w, st, &m[i]);
    }
    for (size_t i = 0; i < st->n_blocks; i++) {
        size_t run = 0;
        while (i + run < st->n_blocks && st->blocks[i + run].segment == w->old) {
            run++;
        }
        index_drop_blocks(w->s, st, i, run);
    }
    struct log_stream writing = *st; /* its end is not moved by blocks in its middle */
    for (size_t i = 0; i < n; i++) {
        if (wanted[i]) {
            index_add_block(w->s, seg, &m[i].h, m[i].at, LOG_WHOLE);
        }
    }
    st->spool = writing.spool;
    st->want = writing.want;
    if (st->n_blocks > 0) {
        qsort(st->blocks, st->n_blocks, sizeof(*st->blocks), by_pos);
    }
    st->ordered = true;
    for (size_t i = 1; i < st->n_blocks; i++) {
        st->ordered = st->ordered && st->blocks[i].min >= st->blocks[i - 1].max;
    }
}

/* Under the lock. */
static void take_place(struct rewrite *w)
{
    struct log_store *s = w->s;
    struct log_segment *seg = gt_new(struct log_segment);
    *seg = (struct log_segment){.id = w->old->id,
                                .fd = gt_steal_fd(&w->fd),
                                .refs = 1,
                                .size = w->size,
                                .sealed = true,
                                .merged = true};
    for (size_t i = 0; i < s->n_segments; i++) {
        if (s->segments[i] == w->old) {
            s->segments[i] = seg;
        }
    }
    for (size_t i = 0, n; i < w->n_blocks; i += n) {
        uint64_t id = w->blocks[i].h.stream;
        for (n = 1; i + n < w->n_blocks && w->blocks[i + n].h.stream == id; n++) {
        }
        struct log_stream *st = index_by_id(s, id);
        if (st) {
            replace(w, seg, st, &w->blocks[i], n);
        }
    }
    segment_unref(w->old);
}

static int write_file(struct rewrite *w, struct gt_err *err)
{
    char tmp[32], name[32];
    snprintf(tmp, sizeof(tmp), "%016" PRIx64 ".tmp", w->old->id);
    snprintf(name, sizeof(name), "%016" PRIx64 ".log", w->old->id);
    w->fd = openat(w->s->dirfd, tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = w->fd < 0 ? -errno : write_blocks(w);
    if (r == 0 && (fdatasync(w->fd) < 0 || renameat(w->s->dirfd, tmp, w->s->dirfd, name) < 0 ||
                   fsync(w->s->dirfd) < 0)) {
        r = -errno;
    }
    if (r < 0) {
        unlinkat(w->s->dirfd, tmp, 0);
        return gt_err_errno(err, r, "write log segment '%s/%s' anew", w->s->dir, name);
    }
    return 0;
}

int segment_rewrite(struct log_store *s, struct log_segment *seg, struct gt_err *err)
{
    struct rewrite w = {.s = s, .old = seg, .fd = -1, .out = GT_BUF_INIT(64 * GT_MIB)};
    pthread_mutex_lock(&s->lock);
    seg->refs++;
    collect(&w);
    pthread_mutex_unlock(&s->lock);
    int r = write_file(&w, err);
    pthread_mutex_lock(&s->lock);
    seg->merged = true; /* also when it did not work: not again and again */
    if (r == 0) {
        take_place(&w);
    }
    segment_unref(seg);
    pthread_mutex_unlock(&s->lock);
    gt_closep(&w.fd);
    gt_buf_fini(&w.out);
    free(w.parts);
    free(w.blocks);
    return r;
}
