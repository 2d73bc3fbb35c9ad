/*
 * The flusher: one thread that writes whatever waits, in one go, syncs, and lets the writers go.
 * What came while it synced is the next batch.
 *
 * A write that does not succeed (a full disk) leaves the file as long as it was, and its writers
 * get the reason. When even that or the sync does not succeed, nobody knows what is on the disk:
 * the process ends, and recovery finds out.
 */
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "store/logs/logs_priv.h"

#include <errno.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

static void die(const char *what, int e)
{
    gt_error("log store: %s: %s; what was written is unknown, so the process ends", what,
             strerror(e));
    abort();
}

/* Every block says where its batch begins. */
static void mark_batch(const struct log_store *s, struct gt_list *batch, uint64_t start)
{
    gt_list_for_each (it, tmp, batch) {
        struct log_write *w = gt_list_entry(it, struct log_write, link);
        for (size_t i = 0; i < w->bytes.n;) {
            unsigned char *head = (unsigned char *)w->bytes.p + i;
            struct log_head h;
            GT_ASSERT(log_head_decode(head, s->salt, &h));
            h.batch = (uint32_t)start;
            log_head_encode(&h, s->salt, head);
            i += LOG_HEAD_BYTES + h.len;
        }
    }
}

static int write_batch(struct log_segment *seg, struct gt_list *batch, uint64_t *at)
{
    if (GT_FAIL("logs-write")) {
        return -ENOSPC;
    }
    gt_list_for_each (it, tmp, batch) {
        struct log_write *w = gt_list_entry(it, struct log_write, link);
        for (size_t done = 0; done < w->bytes.n;) {
            ssize_t n = pwrite(seg->fd, w->bytes.p + done, w->bytes.n - done, (off_t)*at);
            if (n < 0 && errno != EINTR) {
                return -errno;
            }
            if (n > 0) {
                done += (size_t)n;
                *at += (uint64_t)n;
            }
        }
    }
    return 0;
}

/* Under the lock. */
static void publish(struct log_store *s, struct log_segment *seg, const struct log_write *w,
                    uint64_t at)
{
    for (size_t i = 0; i < w->bytes.n;) {
        struct log_head h;
        GT_ASSERT(log_head_decode((const unsigned char *)w->bytes.p + i, s->salt, &h));
        index_add_block(s, seg, &h, (uint32_t)(at + i + LOG_HEAD_BYTES), LOG_WHOLE);
        i += LOG_HEAD_BYTES + h.len;
    }
}

/* Under the lock. */
static void roll(struct log_store *s)
{
    struct gt_err err = GT_ERR_INIT;
    if (segment_new(s, &err) < 0) {
        gt_warn("%s; going on with a longer one", err.msg);
    }
}

static void flush(struct log_store *s, struct gt_list *batch)
{
    struct log_segment *seg = s->active; /* only this thread changes it */
    uint64_t start = seg->size, at = start;
    mark_batch(s, batch, start);
    int r = write_batch(seg, batch, &at);
    if (r < 0 && ftruncate(seg->fd, (off_t)start) < 0) {
        die("take back a write", errno);
    }
    if (r == 0 && fdatasync(seg->fd) < 0) {
        die("fdatasync", errno);
    }
    pthread_mutex_lock(&s->lock);
    seg->size = r < 0 ? start : at;
    at = start;
    gt_list_for_each (it, tmp, batch) {
        struct log_write *w = gt_list_entry(it, struct log_write, link);
        gt_list_remove(it);
        if (r == 0) {
            publish(s, seg, w, at);
            at += w->bytes.n;
        }
        w->result = r;
    }
    pthread_cond_broadcast(&s->wake_writers);
    if (seg->size >= s->segment_bytes) {
        roll(s);
    }
    pthread_mutex_unlock(&s->lock);
}

static void *run(void *arg)
{
    struct log_store *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stop || !gt_list_empty(&s->queue)) {
        if (s->roll) {
            roll(s);
            s->roll = false;
            pthread_cond_broadcast(&s->wake_writers);
        }
        if (gt_list_empty(&s->queue)) {
            pthread_cond_wait(&s->wake_flusher, &s->lock);
            continue;
        }
        struct gt_list batch;
        gt_list_init(&batch);
        gt_list_for_each (it, tmp, &s->queue) {
            gt_list_remove(it);
            gt_list_push_back(&batch, it);
        }
        pthread_mutex_unlock(&s->lock);
        flush(s, &batch);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int flusher_start(struct log_store *s)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    int r = -pthread_create(&s->flusher, &attr, run, s);
    pthread_attr_destroy(&attr);
    return r;
}

void flusher_stop(struct log_store *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->wake_flusher);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->flusher, NULL);
}
