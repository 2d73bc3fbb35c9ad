#include "store/logs/cursor.h"

#include "lib/base/log.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

void cursor_init(struct log_cursor *c, struct log_store *s, const struct log_block *b,
                 uint64_t stream, struct gt_str name, int64_t now, uint32_t window_size)
{
    *c = (struct log_cursor){.store = s,
                             .b = *b,
                             .stream = stream,
                             .name = name,
                             .now = now,
                             .mid = b->mid,
                             .window = GT_BUF_INIT(SIZE_MAX / 2),
                             .window_size = window_size,
                             .line = GT_BUF_INIT(4 * (size_t)LOG_FRAME_MAX)};
}

void cursor_fini(struct log_cursor *c)
{
    gt_buf_fini(&c->window);
    gt_buf_fini(&c->line);
}

/* n bytes of the payload from off on; NULL: they are not there. Valid until the next call. */
static const char *bytes_at(struct log_cursor *c, uint32_t off, uint32_t n)
{
    if (off > c->b.len || n > c->b.len - off) {
        return NULL;
    }
    if (off >= c->lo && (size_t)(off - c->lo) + n <= c->window.n) {
        return c->window.p ? c->window.p + (off - c->lo) : "";
    }
    size_t want = GT_MIN(GT_MAX(n, c->window_size), c->b.len - off);
    gt_buf_reset(&c->window);
    char *to = gt_buf_reserve(&c->window, want);
    ssize_t got = pread(c->b.segment->fd, to, want, (off_t)c->b.at + off);
    if (got < (ssize_t)n) {
        return NULL;
    }
    c->window.n = (size_t)got;
    c->lo = off;
    return to;
}

static int corrupt(struct log_cursor *c, struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_CORRUPT, "a block of log stream '" GT_STR_FMT "' is damaged",
                      GT_STR_ARG(c->name));
}

/* Whether the payload is what was written: looked at once for each block that was not written by
 * this process. */
static bool is_whole(struct log_cursor *c)
{
    if (c->b.state != LOG_UNCHECKED) {
        return c->b.state == LOG_WHOLE;
    }
    struct log_store *s = c->store;
    unsigned char head[LOG_HEAD_BYTES];
    struct log_head h;
    gt_auto_free char *p = gt_malloc((size_t)c->b.len + 1);
    bool ok = pread(c->b.segment->fd, head, sizeof(head), (off_t)c->b.at - LOG_HEAD_BYTES) ==
                  (ssize_t)sizeof(head) &&
              log_head_decode(head, s->salt, &h) && h.len == c->b.len &&
              pread(c->b.segment->fd, p, h.len, (off_t)c->b.at) == (ssize_t)h.len &&
              log_crc(p, h.len) == h.crc;
    c->b.state = ok ? LOG_WHOLE : LOG_DAMAGED;
    pthread_mutex_lock(&s->lock);
    struct log_stream *st = index_by_id(s, c->stream);
    size_t i = st ? index_beyond(st, c->b.pos) : 0;
    if (i > 0 && st->blocks[i - 1].pos == c->b.pos) {
        st->blocks[i - 1].state = c->b.state;
    }
    pthread_mutex_unlock(&s->lock);
    if (!ok) {
        gt_error("log segment '%s/%016" PRIx64 ".log': the block at byte %u is damaged, events of "
                 "stream '" GT_STR_FMT "' are lost",
                 s->dir, c->b.segment->id, c->b.at - LOG_HEAD_BYTES, GT_STR_ARG(c->name));
    }
    return ok;
}

/* -- events -- */

static int next_event(struct log_cursor *c, struct gt_err *err)
{
    if (c->off >= c->b.len) {
        return 0;
    }
    uint64_t head[3];
    const char *p = bytes_at(c, c->off, LOG_EVENT_HEAD);
    if (p == NULL) {
        return corrupt(c, err);
    }
    memcpy(head, p, sizeof(head));
    uint32_t n = (uint32_t)le64toh(head[2]);
    p = bytes_at(c, c->off + LOG_EVENT_HEAD, n);
    if (p == NULL) {
        return corrupt(c, err);
    }
    c->key = (struct log_key){(int64_t)le64toh(head[0]), c->stream, c->b.pos + c->off};
    c->ingested = (int64_t)le64toh(head[1]);
    c->text = gt_str_n(p, n);
    c->off += LOG_EVENT_HEAD + n;
    return 1;
}

/* -- lines -- */

static int frame_head(struct log_cursor *c, uint32_t off, struct log_frame *ret, uint32_t *ret_n)
{
    const char *p = bytes_at(c, off, LOG_FRAME_HEAD);
    uint32_t n;
    if (p == NULL) {
        return -EINVAL;
    }
    char head[LOG_FRAME_HEAD];
    memcpy(head, p, sizeof(head));
    memcpy(&n, head + 12, 4);
    *ret_n = le32toh(n);
    memset(head + 12, 0, 4); /* the text is fetched apart */
    return log_frame_decode(head, sizeof(head), ret) > 0 &&
                   *ret_n <= c->b.len - off - LOG_FRAME_HEAD
               ? 0
               : -EINVAL;
}

/* Adds what frames from `off` of this block on have of the source's line. 1: the line ended. */
static int gather(struct log_cursor *c, uint32_t off, unsigned source, struct gt_buf *line)
{
    while (off < c->b.len) {
        struct log_frame f;
        uint32_t n;
        if (frame_head(c, off, &f, &n) < 0) {
            return -EINVAL;
        }
        if (f.source == source) {
            const char *p = bytes_at(c, off + LOG_FRAME_HEAD, n);
            const char *nl = p && n ? memchr(p, '\n', n) : NULL;
            if (p == NULL) {
                return -EINVAL;
            }
            gt_buf_add(line, p, nl ? (size_t)(nl - p) : n);
            if (nl || n == 0) {
                return 1;
            }
        }
        off += LOG_FRAME_HEAD + n;
    }
    return 0;
}

/* The block of the stream after a position, with a reference; false: there is none (yet). Fills
 * *ret_end with where the stream ends. */
static bool block_after(struct log_cursor *c, uint64_t pos, struct log_block *ret)
{
    struct log_store *s = c->store;
    bool found = false;
    pthread_mutex_lock(&s->lock);
    struct log_stream *st = index_by_id(s, c->stream);
    size_t i = st ? index_beyond(st, pos) : 0;
    if (st && i < st->n_blocks) {
        *ret = st->blocks[i];
        ret->segment->refs++;
        found = true;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

/* Nobody has continued the line for long enough: it ends here, and what comes begins a new one. */
static bool end_line_now(struct log_cursor *c, unsigned source, uint64_t seen_pos)
{
    struct log_store *s = c->store;
    pthread_mutex_lock(&s->lock);
    struct log_stream *st = index_by_id(s, c->stream);
    bool ok = st == NULL ||
              (!st->busy && st->n_blocks > 0 && st->blocks[st->n_blocks - 1].pos <= seen_pos);
    if (ok && st) {
        st->lines.cut |= (uint8_t)(1U << source);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

/* The rest of a line that this block does not end: in later blocks. 1: complete, 0: held. */
static int follow(struct log_cursor *c, unsigned source)
{
    uint64_t pos = c->b.pos, end = pos + c->b.len;
    int64_t ingested = c->b.ingested;
    for (;;) {
        struct log_cursor next;
        struct log_block b;
        if (!block_after(c, pos, &b)) {
            bool old = c->now - ingested >= LOG_LINE_WAIT_MS;
            return old && end_line_now(c, source, pos) ? 1 : 0;
        }
        /* What lay between them was damaged: the rest of the line is not to be had. */
        int r = b.pos != end;
        if (r == 0 && b.kind == LOG_FRAMES) {
            cursor_init(&next, c->store, &b, c->stream, c->name, c->now, c->window_size);
            bool on = (b.mid & (1U << source)) && is_whole(&next);
            r = on ? gather(&next, 0, source, &c->line) : 1;
            ingested = b.ingested;
            cursor_fini(&next);
        }
        pos = b.pos;
        end = b.pos + b.len;
        pthread_mutex_lock(&c->store->lock);
        segment_unref(b.segment);
        pthread_mutex_unlock(&c->store->lock);
        if (r != 0) {
            return r;
        }
    }
}

/* A line begins in the frame and does not end in it. */
static int assemble(struct log_cursor *c, struct gt_str start)
{
    gt_buf_reset(&c->line);
    gt_buf_str(&c->line, start);
    int r = gather(c, c->off + LOG_FRAME_HEAD + c->frame_n, c->frame.source, &c->line);
    if (r == 0) {
        r = follow(c, c->frame.source);
        c->held = r == 0;
    }
    return r;
}

/* Stands on the next frame that has something that begins in it. 0: the block is at its end. */
static int enter_frame(struct log_cursor *c)
{
    while (!c->in_frame) {
        if (c->off >= c->b.len) {
            return 0;
        }
        if (frame_head(c, c->off, &c->frame, &c->frame_n) < 0) {
            return -EINVAL;
        }
        unsigned bit = 1U << c->frame.source;
        c->in = 0;
        c->in_frame = true;
        if (c->frame_n == 0) {
            c->mid &= (uint8_t)~bit;
        } else if (c->mid & bit) {
            const char *p = bytes_at(c, c->off + LOG_FRAME_HEAD, c->frame_n);
            const char *nl = p ? memchr(p, '\n', c->frame_n) : NULL;
            if (p == NULL) {
                return -EINVAL;
            }
            c->in = nl ? (uint32_t)(nl + 1 - p) : c->frame_n;
            c->mid = (uint8_t)(nl ? c->mid & ~bit : c->mid);
        }
        if (c->in >= c->frame_n) {
            c->off += LOG_FRAME_HEAD + c->frame_n;
            c->in_frame = false;
        }
    }
    return 1;
}

static int next_line(struct log_cursor *c, struct gt_err *err)
{
    for (;;) {
        int r = enter_frame(c);
        if (r <= 0) {
            return r < 0 ? corrupt(c, err) : 0;
        }
        uint32_t at = c->off + LOG_FRAME_HEAD + c->in, rest = c->frame_n - c->in;
        const char *p = bytes_at(c, at, rest);
        if (p == NULL) {
            return corrupt(c, err);
        }
        const char *nl = memchr(p, '\n', rest);
        c->text = gt_str_n(p, nl ? (size_t)(nl - p) : rest);
        if (nl) {
            c->in += (uint32_t)c->text.n + 1;
        } else {
            c->mid |= (uint8_t)(1U << c->frame.source);
            c->key = (struct log_key){c->frame.time, c->stream, c->b.pos + at};
            r = assemble(c, c->text);
            if (r <= 0) {
                return r < 0 ? corrupt(c, err) : 0;
            }
            c->text = gt_buf_view(&c->line);
            c->in = c->frame_n;
        }
        if (c->in >= c->frame_n) {
            c->off += LOG_FRAME_HEAD + c->frame_n;
            c->in_frame = false;
        }
        if (c->text.n > 0 && c->text.p[c->text.n - 1] == '\r') {
            c->text.n--;
        }
        if (c->text.n > 0) { /* an event has at least one byte: empty lines are none */
            c->key = (struct log_key){c->frame.time, c->stream, c->b.pos + at};
            c->ingested = c->b.ingested;
            return 1;
        }
    }
}

int cursor_next(struct log_cursor *c, struct gt_err *err)
{
    if (c->held || !is_whole(c)) {
        return 0;
    }
    return c->b.kind == LOG_FRAMES ? next_line(c, err) : next_event(c, err);
}
