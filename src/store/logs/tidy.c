/* What nobody needs any more. */
#include "lib/base/log.h"
#include "store/logs/logs_priv.h"

enum {
    SMALL_BLOCK = 16 * 1024, /* a segment whose blocks are smaller on average is merged */
    AT_ONCE = 16,            /* segments written anew in one call */
    CLOSE_FROM = 1 << 20,
};

void log_expire(struct log_store *s, struct gt_str group, int64_t before)
{
    pthread_mutex_lock(&s->lock);
    struct log_group *g = gt_table_get(&s->groups, group);
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; g && (e = gt_table_next(&g->streams, &it));) {
        struct log_stream *st = e->value;
        for (size_t i = 0; i < st->n_blocks;) {
            size_t n = 0;
            while (i + n < st->n_blocks && st->blocks[i + n].max < before) {
                n++;
            }
            if (n > 0) {
                index_drop_blocks(s, st, i, n);
            } else {
                i++;
            }
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static void drop_empty(struct log_store *s)
{
    for (size_t i = 0; i < s->n_segments;) {
        struct log_segment *seg = s->segments[i];
        size_t before = s->n_segments;
        if (seg->sealed && seg->blocks == 0) {
            segment_forget(s, seg);
        }
        i += s->n_segments == before;
    }
}

/* A segment that is worth being written anew. */
static struct log_segment *find_wasteful(const struct log_store *s)
{
    for (size_t i = 0; i < s->n_segments; i++) {
        struct log_segment *seg = s->segments[i];
        bool small = !seg->merged && seg->blocks > 1 && seg->live / seg->blocks < SMALL_BLOCK;
        if (seg->sealed && (small || (!seg->merged && seg->live * 2 < seg->size) ||
                            (seg->merged && seg->live * 4 < seg->size))) {
            return seg;
        }
    }
    return NULL;
}

/* The newest segment is written to and cannot be written anew. When most of it is dead, it is
 * closed, so that its space comes back too. */
static void close_wasteful(struct log_store *s)
{
    if (s->active->size > CLOSE_FROM && s->active->live * 2 < s->active->size) {
        s->roll = true;
        pthread_cond_signal(&s->wake_flusher);
        while (s->roll) {
            pthread_cond_wait(&s->wake_writers, &s->lock);
        }
    }
}

/* Only one thread tidies, and only it takes segments away: `seg` stays while the lock is open. */
void log_store_tidy(struct log_store *s)
{
    pthread_mutex_lock(&s->lock);
    close_wasteful(s);
    drop_empty(s);
    for (int i = 0; i < AT_ONCE; i++) {
        struct gt_err err = GT_ERR_INIT;
        struct log_segment *seg = find_wasteful(s);
        if (seg == NULL) {
            break;
        }
        pthread_mutex_unlock(&s->lock);
        if (segment_rewrite(s, seg, &err) < 0) {
            gt_warn("%s", err.msg);
            return;
        }
        pthread_mutex_lock(&s->lock);
    }
    drop_empty(s);
    pthread_mutex_unlock(&s->lock);
}
