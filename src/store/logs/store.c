#include "lib/base/file.h"
#include "lib/base/log.h"
#include "store/logs/logs_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void store_free(struct log_store *s)
{
    index_free(s);
    segments_free(s);
    sqlite3_close(s->db);
    gt_closep(&s->dirfd);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->catalogue);
    pthread_cond_destroy(&s->wake_flusher);
    pthread_cond_destroy(&s->wake_writers);
    free(s->dir);
    free(s);
}

int log_store_open(const char *dir, struct log_store **ret, struct gt_err *err)
{
    int r = gt_mkdirs(dir, 0700, err);
    if (r < 0) {
        return r;
    }
    struct log_store *s = gt_new(struct log_store);
    s->dir = gt_strdup(dir);
    s->segment_bytes = LOG_SEGMENT_BYTES;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->catalogue, NULL);
    pthread_cond_init(&s->wake_flusher, NULL);
    pthread_cond_init(&s->wake_writers, NULL);
    gt_table_init(&s->groups);
    gt_table_init(&s->streams);
    gt_list_init(&s->queue);
    s->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = s->dirfd < 0 ? gt_err_errno(err, errno, "open '%s'", dir) : 0;
    if (r == 0) {
        r = catalogue_open(s, err);
    }
    if (r == 0) {
        r = segments_open(s, err);
    }
    if (r == 0) {
        /* Whether somebody was shown an unfinished line is forgotten: none is continued. */
        struct gt_table_entry *e;
        for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->streams, &it));) {
            struct log_stream *st = e->value;
            st->lines = (struct log_lines){.mid = 3, .cut = 3};
        }
        r = flusher_start(s);
        r = r < 0 ? gt_err_errno(err, r, "start the log store's thread") : 0;
    }
    if (r < 0) {
        store_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void log_store_close(struct log_store *s)
{
    if (s == NULL) {
        return;
    }
    flusher_stop(s);
    store_free(s);
}
