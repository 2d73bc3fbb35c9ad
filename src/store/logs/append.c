/* The writing end: makes blocks, gives them a place in their stream, waits for the flusher. */
#include "store/logs/logs_priv.h"

#include "lib/base/limits.h"

#include <endian.h>
#include <errno.h>

/* Waits until this caller is the stream's only writer. NULL: it is gone. Under the lock. */
static struct log_stream *stream_take(struct log_store *s, struct gt_str group, struct gt_str name)
{
    for (;;) {
        struct log_stream *st = index_find(s, group, name);
        if (st == NULL || !st->busy) {
            if (st) {
                st->busy = true;
            }
            return st;
        }
        pthread_cond_wait(&s->wake_writers, &s->lock);
    }
}

/* Under the lock. The stream may be gone by now. */
static void stream_give(struct log_store *s, uint64_t id)
{
    struct log_stream *st = index_by_id(s, id);
    if (st) {
        st->busy = false;
    }
    pthread_cond_broadcast(&s->wake_writers);
}

/* A block's header goes in front of its payload once the payload is known. */
static size_t block_begin(struct gt_buf *b)
{
    size_t at = b->n;
    memset(gt_buf_reserve(b, LOG_HEAD_BYTES), 0, LOG_HEAD_BYTES);
    b->n += LOG_HEAD_BYTES;
    return at;
}

/* The flusher adds where the batch begins. */
static void block_end(const struct log_store *s, struct gt_buf *b, size_t at,
                      const struct log_head *h)
{
    log_head_encode(h, s->salt, (unsigned char *)b->p + at);
}

/* Under the lock: queues and waits for durability. */
static int commit(struct log_store *s, struct log_write *w, struct gt_err *err)
{
    w->result = 1;
    gt_list_push_back(&s->queue, &w->link);
    pthread_cond_signal(&s->wake_flusher);
    while (w->result > 0) {
        pthread_cond_wait(&s->wake_writers, &s->lock);
    }
    if (w->result < 0) {
        return gt_err_errno(err, w->result, "write log events");
    }
    return 0;
}

static int no_stream(struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_NOT_FOUND, "The specified log stream does not exist.");
}

/* -- events -- */

static void put_event(struct gt_buf *to, const struct log_event_in *e, int64_t now)
{
    uint64_t head[3] = {htole64((uint64_t)e->time), htole64((uint64_t)now),
                        htole64((uint64_t)(uint32_t)e->text.n)};
    gt_buf_add(to, head, sizeof(head));
    gt_buf_str(to, e->text);
}

/* One block of events from *i on; `h->pos` is set, the rest is filled. */
static void put_event_block(const struct log_store *s, struct gt_buf *to,
                            const struct log_event_in *v, size_t n, size_t *i, int64_t now,
                            struct log_head *h)
{
    size_t at = block_begin(to), start = to->n;
    h->kind = LOG_EVENTS;
    h->min = v[*i].time;
    h->ingested = now;
    do {
        put_event(to, &v[*i], now);
        h->max = v[*i].time;
        (*i)++;
    } while (*i < n && to->n - start + LOG_EVENT_HEAD + v[*i].text.n <= LOG_BLOCK_BYTES);
    h->len = (uint32_t)(to->n - start);
    h->crc = log_crc(to->p + start, h->len);
    block_end(s, to, at, h);
}

int log_append_events(struct log_store *s, struct gt_str group, struct gt_str stream,
                      const struct log_event_in *v, size_t n, int64_t now, struct gt_err *err)
{
    pthread_mutex_lock(&s->lock);
    struct log_stream *st = stream_take(s, group, stream);
    if (st == NULL) {
        pthread_mutex_unlock(&s->lock);
        return no_stream(err);
    }
    uint64_t id = st->id;
    struct log_head h = {.stream = id, .pos = st->next_pos};
    pthread_mutex_unlock(&s->lock);

    struct log_write w = {.bytes = GT_BUF_INIT(64 * GT_MIB)};
    for (size_t i = 0; i < n;) {
        put_event_block(s, &w.bytes, v, n, &i, now, &h);
        h.pos += h.len;
    }
    GT_ASSERT(gt_buf_ok(&w.bytes));
    pthread_mutex_lock(&s->lock);
    w.stream = id;
    int r = n > 0 ? commit(s, &w, err) : 0;
    stream_give(s, id);
    pthread_mutex_unlock(&s->lock);
    gt_buf_fini(&w.bytes);
    return r;
}

/* -- frames -- */

/* Makes blocks of the frames; h has stream, pos, spool, and want where they begin. */
static int cut_frames(const struct log_store *s, struct gt_str frames, int64_t now,
                      struct log_head h, struct log_lines *lines, struct gt_buf *to,
                      struct gt_err *err)
{
    struct log_cutter c = {.p = frames.p, .n = frames.n, .lines = *lines};
    while (c.n > 0) {
        size_t at = block_begin(to);
        ptrdiff_t took = log_cutter_next(&c, LOG_BLOCK_BYTES, to, &h);
        if (took <= 0) {
            return gt_err_set(err, GT_ERR_INVALID, "the body does not consist of whole log frames");
        }
        h.want += (uint64_t)took;
        h.ingested = now;
        block_end(s, to, at, &h);
        h.pos += h.len;
    }
    *lines = c.lines;
    return gt_buf_ok(to) ? 0 : gt_err_set(err, GT_ERR_TOO_LARGE, "too many log frames at once");
}

/* The stream, made when there is none, with this caller as its writer; the lock is held. */
static int take_or_make(struct log_store *s, struct gt_str group, struct gt_str stream, int64_t now,
                        struct log_stream **ret, struct gt_err *err)
{
    for (int tries = 0; tries < 100; tries++) {
        pthread_mutex_lock(&s->lock);
        *ret = stream_take(s, group, stream);
        if (*ret) {
            return 0;
        }
        pthread_mutex_unlock(&s->lock);
        int r = log_stream_create(s, group, stream, now, NULL, err);
        if (r < 0 && r != -EEXIST) {
            return r;
        }
    }
    return no_stream(err); /* somebody deletes it as fast as it is made */
}

int log_append_frames(struct log_store *s, struct gt_str group, struct gt_str stream,
                      struct gt_str spool, uint64_t offset, struct gt_str frames, int64_t now,
                      uint64_t *ret_next, struct gt_err *err)
{
    struct log_stream *st;
    int r = take_or_make(s, group, stream, now, &st, err);
    if (r < 0) {
        return r;
    }
    uint64_t id = st->id, spool_hash = spool.n ? gt_hash(spool.p, spool.n, 1) : 0;
    if (st->spool != spool_hash) {
        st->spool = spool_hash;
        st->want = 0;
    }
    uint64_t want = st->want, first = GT_MAX(want, offset);
    struct log_lines lines = st->lines;
    struct log_head h = {.stream = id, .pos = st->next_pos, .spool = spool_hash, .want = first};
    pthread_mutex_unlock(&s->lock);

    struct log_write w = {.bytes = GT_BUF_INIT(64 * GT_MIB)};
    uint64_t skip = GT_MIN(first - offset, (uint64_t)frames.n);
    struct gt_str fresh = gt_str_n(frames.p + skip, frames.n - skip);
    if (fresh.n > 0) {
        gt_buf_reserve(&w.bytes, fresh.n + fresh.n / 16 + 4 * LOG_HEAD_BYTES);
        r = cut_frames(s, fresh, now, h, &lines, &w.bytes, err);
    }
    pthread_mutex_lock(&s->lock);
    w.stream = id;
    if (r == 0 && w.bytes.n > 0) {
        r = commit(s, &w, err);
    }
    if (r == 0) {
        st = index_by_id(s, id);
        if (st && w.bytes.n > 0) {
            st->lines = lines;
            st->want = first + fresh.n;
        }
        *ret_next = GT_MAX(want, offset + frames.n);
    }
    stream_give(s, id);
    pthread_mutex_unlock(&s->lock);
    gt_buf_fini(&w.bytes);
    return r;
}
