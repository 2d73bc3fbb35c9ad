#include "store/logs/logs_priv.h"

#include <errno.h>

int log_stream_create(struct log_store *s, struct gt_str group, struct gt_str name, int64_t now,
                      uint64_t *ret_id, struct gt_err *err)
{
    pthread_mutex_lock(&s->catalogue);
    pthread_mutex_lock(&s->lock);
    bool there = index_find(s, group, name) != NULL;
    pthread_mutex_unlock(&s->lock);
    uint64_t id = 0;
    int r = there ? gt_err_set(err, GT_ERR_EXISTS, "The specified log stream already exists")
                  : catalogue_add(s, group, name, now, &id, err);
    if (r == 0) {
        pthread_mutex_lock(&s->lock);
        index_add(s, id, group, name, now);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&s->catalogue);
    if (r == 0 && ret_id) {
        *ret_id = id;
    }
    return r;
}

int log_stream_delete(struct log_store *s, struct gt_str group, struct gt_str name,
                      struct gt_err *err)
{
    pthread_mutex_lock(&s->catalogue);
    pthread_mutex_lock(&s->lock);
    bool there = index_find(s, group, name) != NULL;
    pthread_mutex_unlock(&s->lock);
    int r = there ? catalogue_remove(s, group, &name, err)
                  : gt_err_set(err, GT_ERR_NOT_FOUND, "The specified log stream does not exist.");
    if (r == 0) {
        pthread_mutex_lock(&s->lock);
        index_remove(s, index_find(s, group, name));
        pthread_cond_broadcast(&s->wake_writers);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&s->catalogue);
    return r;
}

uint64_t log_stream_find(struct log_store *s, struct gt_str group, struct gt_str name)
{
    pthread_mutex_lock(&s->lock);
    const struct log_stream *st = index_find(s, group, name);
    uint64_t id = st ? st->id : 0;
    pthread_mutex_unlock(&s->lock);
    return id;
}

int log_group_drop(struct log_store *s, struct gt_str group, struct gt_err *err)
{
    pthread_mutex_lock(&s->catalogue);
    int r = catalogue_remove(s, group, NULL, err);
    if (r == 0) {
        pthread_mutex_lock(&s->lock);
        for (;;) {
            /* The group itself goes with its last stream. */
            struct log_group *g = gt_table_get(&s->groups, group);
            struct gt_table_iter it = {0};
            struct gt_table_entry *e = g ? gt_table_next(&g->streams, &it) : NULL;
            if (e == NULL) {
                break;
            }
            index_remove(s, e->value);
        }
        pthread_cond_broadcast(&s->wake_writers);
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&s->catalogue);
    return r;
}

uint64_t log_group_bytes(struct log_store *s, struct gt_str group)
{
    pthread_mutex_lock(&s->lock);
    struct log_group *g = gt_table_get(&s->groups, group);
    uint64_t n = g ? g->bytes : 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void log_groups(struct log_store *s, struct gt_arena *arena, struct gt_str **ret, size_t *ret_n)
{
    pthread_mutex_lock(&s->lock);
    *ret = gt_arena_array(arena, struct gt_str, s->groups.count + 1);
    *ret_n = 0;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->groups, &it));) {
        struct log_group *g = e->value;
        (*ret)[(*ret_n)++] = gt_str(gt_arena_strdup(arena, g->id));
    }
    pthread_mutex_unlock(&s->lock);
}

static int by_name(const void *a, const void *b, void *arg)
{
    const struct log_stream *x = *(struct log_stream *const *)a,
                            *y = *(struct log_stream *const *)b;
    const struct log_stream_query *q = arg;
    int c = q->by_time ? (x->last > y->last) - (x->last < y->last) : 0;
    c = c ? c : gt_str_cmp(gt_str(x->name), gt_str(y->name));
    return q->descending ? -c : c;
}

/* Whether the stream comes after the one at which the last page ended. */
static bool beyond(const struct log_stream *st, const struct log_stream_query *q)
{
    if (q->after_name.p == NULL) {
        return true;
    }
    int c = q->by_time ? (st->last > q->after_time) - (st->last < q->after_time) : 0;
    c = c ? c : gt_str_cmp(gt_str(st->name), q->after_name);
    return q->descending ? c < 0 : c > 0;
}

void log_streams(struct log_store *s, struct gt_str group, const struct log_stream_query *q,
                 struct gt_arena *arena, struct log_stream_info **ret, size_t *ret_n,
                 bool *ret_more)
{
    *ret = NULL;
    *ret_n = 0;
    *ret_more = false;
    pthread_mutex_lock(&s->lock);
    struct log_group *g = gt_table_get(&s->groups, group);
    if (g) {
        gt_auto_free struct log_stream **v =
            gt_new_array(struct log_stream *, g->streams.count + 1);
        size_t n = 0;
        struct gt_table_entry *e;
        for (struct gt_table_iter it = {0}; (e = gt_table_next(&g->streams, &it));) {
            struct log_stream *st = e->value;
            if (gt_str_starts(gt_str(st->name), q->prefix) && beyond(st, q)) {
                v[n++] = st;
            }
        }
        qsort_r(v, n, sizeof(struct log_stream *), by_name, (void *)(uintptr_t)q);
        *ret_more = n > q->limit;
        *ret_n = GT_MIN(n, q->limit);
        *ret = gt_arena_array(arena, struct log_stream_info, *ret_n + 1);
        for (size_t i = 0; i < *ret_n; i++) {
            (*ret)[i] = (struct log_stream_info){.id = v[i]->id,
                                                 .name = gt_str(gt_arena_strdup(arena, v[i]->name)),
                                                 .created = v[i]->created,
                                                 .first = v[i]->first,
                                                 .last = v[i]->last,
                                                 .ingested = v[i]->ingested};
        }
    }
    pthread_mutex_unlock(&s->lock);
}
