/*
 * Segments: files of blocks, one after the other, of all streams together, so that one fdatasync
 * serves every writer. "%016llx.log", counting up; the newest is appended to until it is full.
 *
 * Recovery walks from header to header. In the newest segment payloads are checked too, and the
 * file is cut at the first block that is not whole, when no block behind it is of a later batch:
 * that batch was never acknowledged. Any other damage costs the blocks that it hit: they are
 * skipped, and it is logged. Payloads of older segments are checked when they are first read.
 */
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "store/logs/logs_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void segment_name(uint64_t id, char to[static 32])
{
    snprintf(to, 32, "%016" PRIx64 ".log", id);
}

static int segment_cmp(const void *a, const void *b)
{
    const struct log_segment *x = *(struct log_segment *const *)a,
                             *y = *(struct log_segment *const *)b;
    return (x->id > y->id) - (x->id < y->id);
}

static struct log_segment *segment_add(struct log_store *s, uint64_t id, int fd)
{
    struct log_segment *seg = gt_new(struct log_segment);
    seg->id = id;
    seg->fd = fd;
    seg->refs = 1;
    s->segments = gt_realloc(s->segments, (s->n_segments + 1) * sizeof(struct log_segment *));
    s->segments[s->n_segments++] = seg;
    return seg;
}

int segment_new(struct log_store *s, struct gt_err *err)
{
    uint64_t id = s->n_segments ? s->segments[s->n_segments - 1]->id + 1 : 1;
    char name[32];
    segment_name(id, name);
    int fd = openat(s->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return gt_err_errno(err, errno, "make log segment '%s/%s'", s->dir, name);
    }
    if (fsync(s->dirfd) < 0) {
        int e = errno;
        unlinkat(s->dirfd, name, 0);
        close(fd);
        return gt_err_errno(err, e, "make log segment '%s/%s'", s->dir, name);
    }
    if (s->active) {
        s->active->sealed = true;
    }
    s->active = segment_add(s, id, fd);
    return 0;
}

void segment_unref(struct log_segment *seg)
{
    if (--seg->refs == 0) {
        close(seg->fd);
        free(seg);
    }
}

void segment_forget(struct log_store *s, struct log_segment *seg)
{
    char name[32];
    segment_name(seg->id, name);
    if (unlinkat(s->dirfd, name, 0) < 0 && errno != ENOENT) {
        gt_warn("remove log segment '%s/%s': %m", s->dir, name);
        return;
    }
    for (size_t i = 0; i < s->n_segments; i++) {
        if (s->segments[i] == seg) {
            memmove(s->segments + i, s->segments + i + 1,
                    (s->n_segments - i - 1) * sizeof(struct log_segment *));
            s->n_segments--;
            break;
        }
    }
    segment_unref(seg);
}

static bool payload_ok(int fd, const struct log_head *h, uint64_t at, struct gt_buf *buf)
{
    gt_buf_reset(buf);
    char *p = gt_buf_reserve(buf, h->len);
    if (p == NULL) {
        return false;
    }
    ssize_t got = pread(fd, p, h->len, (off_t)at);
    return got == (ssize_t)h->len && log_crc(p, h->len) == h->crc;
}

struct scan {
    struct log_store *s;
    struct log_segment *seg;
    uint64_t size;
    bool newest;
    struct gt_buf buf;
};

/* The header of the block at `at`; of the newest segment the payload is looked at too. */
static bool block_at(struct scan *c, uint64_t at, struct log_head *ret)
{
    unsigned char raw[LOG_HEAD_BYTES];
    return at + LOG_HEAD_BYTES <= c->size &&
           pread(c->seg->fd, raw, sizeof(raw), (off_t)at) == (ssize_t)sizeof(raw) &&
           log_head_decode(raw, c->s->salt, ret) && at + LOG_HEAD_BYTES + ret->len <= c->size &&
           (!c->newest || payload_ok(c->seg->fd, ret, at + LOG_HEAD_BYTES, &c->buf));
}

/* The next good block behind the damage at `bad` that was written after what is damaged was synced;
 * the segment's size when there is none. */
static uint64_t block_behind(struct scan *c, uint64_t bad)
{
    enum { WINDOW = 1 << 20 };
    gt_auto_free char *p = gt_malloc(WINDOW);
    for (uint64_t at = bad + 1; at < c->size;) {
        ssize_t got = pread(c->seg->fd, p, WINDOW, (off_t)at);
        if (got < (ssize_t)LOG_HEAD_BYTES) {
            break;
        }
        size_t n = (size_t)got, i = 0;
        while ((i = log_head_search(p, n, i)) < n) {
            struct log_head h;
            if (block_at(c, at + i, &h) && (!c->newest || h.batch > bad)) {
                return at + i;
            }
            i++;
        }
        at += n - 3; /* a header may begin in the last bytes */
    }
    return c->size;
}

/* Fills the index from one segment; returns where the readable part ends. */
static uint64_t scan(struct log_store *s, struct log_segment *seg, uint64_t size, bool newest)
{
    struct scan c = {s, seg, size, newest, GT_BUF_INIT(16 * 1024 * 1024)};
    uint64_t at = 0;
    while (at < size) {
        struct log_head h;
        if (block_at(&c, at, &h)) {
            index_add_block(s, seg, &h, (uint32_t)(at + LOG_HEAD_BYTES),
                            newest ? LOG_WHOLE : LOG_UNCHECKED);
            at += LOG_HEAD_BYTES + h.len;
            continue;
        }
        uint64_t next = block_behind(&c, at);
        if (next == size && newest) {
            break;
        }
        gt_error("log segment '%s/%016" PRIx64 ".log' is damaged: the events in %llu bytes at byte "
                 "%llu are lost",
                 s->dir, seg->id, (unsigned long long)(next - at), (unsigned long long)at);
        at = next;
    }
    gt_buf_fini(&c.buf);
    return at;
}

static int open_segment(struct log_store *s, struct log_segment *seg, bool newest,
                        struct gt_err *err)
{
    char name[32];
    struct stat st;
    segment_name(seg->id, name);
    seg->fd = openat(s->dirfd, name, O_RDWR | O_CLOEXEC);
    if (seg->fd < 0 || fstat(seg->fd, &st) < 0) {
        return gt_err_errno(err, errno, "open log segment '%s/%s'", s->dir, name);
    }
    seg->size = scan(s, seg, (uint64_t)st.st_size, newest);
    if (seg->size == (uint64_t)st.st_size) {
        return 0;
    }
    gt_info("log segment '%s/%s': cut off %llu bytes that were never acknowledged", s->dir, name,
            (unsigned long long)((uint64_t)st.st_size - seg->size));
    if (ftruncate(seg->fd, (off_t)seg->size) < 0 || fdatasync(seg->fd) < 0) {
        return gt_err_errno(err, errno, "cut log segment '%s/%s'", s->dir, name);
    }
    return 0;
}

static int list_segments(struct log_store *s, struct gt_err *err)
{
    DIR *d = opendir(s->dir);
    if (d == NULL) {
        return gt_err_errno(err, errno, "list '%s'", s->dir);
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char *end;
        unsigned long long id = strtoull(e->d_name, &end, 16);
        if (end == e->d_name + 16 && gt_streq(end, ".log")) {
            segment_add(s, id, -1);
        } else if (end == e->d_name + 16 && gt_streq(end, ".tmp")) {
            unlinkat(s->dirfd, e->d_name, 0);
        }
    }
    closedir(d);
    if (s->n_segments > 0) {
        qsort(s->segments, s->n_segments, sizeof(struct log_segment *), segment_cmp);
    }
    return 0;
}

int segments_open(struct log_store *s, struct gt_err *err)
{
    int r = list_segments(s, err);
    for (size_t i = 0; r == 0 && i < s->n_segments; i++) {
        bool newest = i + 1 == s->n_segments;
        r = open_segment(s, s->segments[i], newest, err);
        s->segments[i]->sealed = !newest;
    }
    if (r < 0) {
        return r;
    }
    if (s->n_segments == 0) {
        return segment_new(s, err);
    }
    s->active = s->segments[s->n_segments - 1];
    return 0;
}

void segments_free(struct log_store *s)
{
    for (size_t i = 0; i < s->n_segments; i++) {
        gt_closep(&s->segments[i]->fd);
        free(s->segments[i]);
    }
    free(s->segments);
}
