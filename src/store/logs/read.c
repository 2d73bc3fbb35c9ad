/*
 * Reading: a sweep over the blocks that may have something in the range.
 *
 * Forwards, blocks are opened in the order of their first event, as the sweep gets there, and a
 * heap says which open block has the next event. Backwards (one stream), whole blocks are gathered
 * from the newest on, until no older one can have an event that belongs to the answer.
 */
#include "store/logs/cursor.h"

#include "lib/base/limits.h"

#include <errno.h>

struct ref { /* a block to read */
    struct log_block b;
    uint64_t stream;
    struct gt_str name;
};

struct sweep {
    struct log_store *s;
    const struct log_query *q;
    struct gt_arena *arena;
    struct log_result *out;
    int64_t from, to; /* narrowed by after and before */
    struct ref *refs;
    size_t n_refs, cap_refs, next_ref;
    struct log_cursor **heap;
    size_t n_heap;
    uint64_t *held; /* streams that must wait */
    size_t n_held;
    struct log_key held_key; /* of one stream, backwards */
    size_t bytes, scanned, cap_events;
};

int log_key_cmp(const struct log_key *a, const struct log_key *b)
{
    if (a->time != b->time) {
        return a->time < b->time ? -1 : 1;
    }
    if (a->stream != b->stream) {
        return a->stream < b->stream ? -1 : 1;
    }
    return (a->pos > b->pos) - (a->pos < b->pos);
}

/* -- which blocks -- */

static void add_stream(struct sweep *w, const struct log_stream *st)
{
    struct gt_str name = {0};
    size_t i = 0;
    if (st->ordered && st->n_blocks > 0) { /* skip at once what lies before */
        size_t hi = st->n_blocks;
        while (i < hi) {
            size_t mid = (i + hi) / 2;
            if (st->blocks[mid].max < w->from) {
                i = mid + 1;
            } else {
                hi = mid;
            }
        }
    }
    for (; i < st->n_blocks; i++) {
        const struct log_block *b = &st->blocks[i];
        if (st->ordered && b->min >= w->to) {
            break;
        }
        if (b->max < w->from || b->min >= w->to) {
            continue;
        }
        if (name.p == NULL) {
            name = gt_str(gt_arena_strdup(w->arena, st->name));
        }
        if (w->n_refs == w->cap_refs) {
            w->cap_refs = GT_MAX(w->cap_refs * 2, (size_t)16);
            w->refs = gt_realloc(w->refs, w->cap_refs * sizeof(*w->refs));
        }
        b->segment->refs++;
        w->refs[w->n_refs++] = (struct ref){*b, st->id, name};
    }
}

static int collect(struct sweep *w, struct gt_err *err)
{
    struct log_store *s = w->s;
    const struct log_query *q = w->q;
    int r = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < q->n_streams && r == 0; i++) {
        struct log_stream *st = index_find(s, q->group, q->streams[i]);
        bool again = false; /* it is named twice */
        for (size_t k = 0; k < i; k++) {
            again |= gt_str_eq(q->streams[k], q->streams[i]);
        }
        if (st && !again) {
            add_stream(w, st);
        } else if (!st) {
            r = gt_err_set(err, GT_ERR_NOT_FOUND, "The specified log stream does not exist.");
        }
    }
    struct log_group *g = q->n_streams == 0 ? gt_table_get(&s->groups, q->group) : NULL;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; g && (e = gt_table_next(&g->streams, &it));) {
        struct log_stream *st = e->value;
        if (gt_str_starts(gt_str(st->name), q->prefix)) {
            add_stream(w, st);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

static void release(struct sweep *w)
{
    pthread_mutex_lock(&w->s->lock);
    for (size_t i = 0; i < w->n_refs; i++) {
        segment_unref(w->refs[i].b.segment);
    }
    pthread_mutex_unlock(&w->s->lock);
    for (size_t i = 0; i < w->n_heap; i++) {
        cursor_fini(w->heap[i]);
        free(w->heap[i]);
    }
    free(w->heap);
    free(w->refs);
    free(w->held);
}

static bool in_range(const struct sweep *w, const struct log_key *k)
{
    const struct log_query *q = w->q;
    return k->time >= q->from && k->time < q->to &&
           (q->after == NULL || log_key_cmp(k, q->after) > 0) &&
           (q->before == NULL || log_key_cmp(k, q->before) < 0);
}

/* Steps to the next event in the range. 0: the block has no more. */
static int step(struct sweep *w, struct log_cursor *c, struct gt_err *err)
{
    int r;
    while ((r = cursor_next(c, err)) > 0 && !in_range(w, &c->key)) {
        if (c->key.time >= w->to) {
            return 0;
        }
    }
    return r;
}

/* Copies the event into the answer. -ENOBUFS: the arena is full. */
static int emit(struct sweep *w, const struct log_cursor *c)
{
    struct log_result *out = w->out;
    if (out->n == w->cap_events) {
        size_t cap = GT_MAX(w->cap_events * 2, (size_t)64);
        struct log_event *v = gt_arena_try_alloc(w->arena, cap * sizeof(*v));
        if (v == NULL) {
            return -ENOBUFS;
        }
        if (out->n) {
            memcpy(v, out->v, out->n * sizeof(*v));
        }
        out->v = v;
        w->cap_events = cap;
    }
    char *text = gt_arena_try_alloc(w->arena, c->text.n + 1);
    if (text == NULL) {
        return -ENOBUFS;
    }
    memcpy(text, c->text.p, c->text.n);
    out->v[out->n++] = (struct log_event){.key = c->key,
                                          .ingested = c->ingested,
                                          .text = gt_str_n(text, c->text.n),
                                          .stream_name = c->name};
    /* AWS counts 26 bytes for each event beside its text. */
    w->bytes += c->text.n + 26;
    return 0;
}

/* -- forwards -- */

static void heap_down(struct sweep *w, size_t i)
{
    for (;;) {
        size_t least = i, l = 2 * i + 1;
        for (size_t k = l; k < l + 2 && k < w->n_heap; k++) {
            if (log_key_cmp(&w->heap[k]->key, &w->heap[least]->key) < 0) {
                least = k;
            }
        }
        if (least == i) {
            return;
        }
        struct log_cursor *c = w->heap[i];
        w->heap[i] = w->heap[least];
        w->heap[least] = c;
        i = least;
    }
}

static void heap_push(struct sweep *w, struct log_cursor *c)
{
    size_t i = w->n_heap++;
    for (; i > 0 && log_key_cmp(&c->key, &w->heap[(i - 1) / 2]->key) < 0; i = (i - 1) / 2) {
        w->heap[i] = w->heap[(i - 1) / 2];
    }
    w->heap[i] = c;
}

static void hold(struct sweep *w, uint64_t stream)
{
    w->held = gt_realloc(w->held, (w->n_held + 1) * sizeof(*w->held));
    w->held[w->n_held++] = stream;
}

static bool is_held(const struct sweep *w, uint64_t stream)
{
    for (size_t i = 0; i < w->n_held; i++) {
        if (w->held[i] == stream) {
            return true;
        }
    }
    return false;
}

/* Opens the blocks that may have the next event. */
static int open_blocks(struct sweep *w, struct gt_err *err)
{
    uint32_t window = w->n_refs > 64 ? 16 * 1024 : 64 * 1024;
    while (w->next_ref < w->n_refs) {
        struct ref *ref = &w->refs[w->next_ref];
        if (w->n_heap > 0 && ref->b.min > w->heap[0]->key.time) {
            return 0;
        }
        w->next_ref++;
        if (is_held(w, ref->stream)) {
            continue;
        }
        struct log_cursor *c = gt_new(struct log_cursor);
        cursor_init(c, w->s, &ref->b, ref->stream, ref->name, w->q->now, window);
        int r = step(w, c, err);
        if (r > 0) {
            heap_push(w, c);
            continue;
        }
        if (c->held) {
            hold(w, c->stream);
        }
        cursor_fini(c);
        free(c);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int advance_top(struct sweep *w, struct gt_err *err)
{
    struct log_cursor *c = w->heap[0];
    int r = step(w, c, err);
    if (r <= 0) {
        if (c->held) {
            hold(w, c->stream);
        }
        w->heap[0] = w->heap[--w->n_heap];
        cursor_fini(c);
        free(c);
    }
    heap_down(w, 0);
    return r < 0 ? r : 0;
}

static bool is_full(const struct sweep *w)
{
    const struct log_query *q = w->q;
    return w->out->n >= q->max_events || w->bytes >= q->max_bytes ||
           (q->max_scan > 0 && w->scanned >= q->max_scan);
}

static int by_first(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    return x->b.min != y->b.min ? (x->b.min < y->b.min ? -1 : 1)
                                : (x->b.pos > y->b.pos) - (x->b.pos < y->b.pos);
}

static int read_forward(struct sweep *w, struct gt_err *err)
{
    qsort(w->refs, w->n_refs, sizeof(*w->refs), by_first);
    w->heap = gt_new_array(struct log_cursor *, w->n_refs + 1);
    int r;
    while ((r = open_blocks(w, err)) == 0 && w->n_heap > 0) {
        struct log_cursor *c = w->heap[0];
        if (is_full(w)) {
            w->out->more = true;
            return 0;
        }
        bool wanted = w->q->match == NULL || w->q->match(w->q->arg, c->text);
        if (wanted && (w->bytes > 0 && w->bytes + c->text.n + 26 > w->q->max_bytes)) {
            w->out->more = true;
            return 0;
        }
        if (wanted && emit(w, c) < 0) {
            w->out->more = true;
            return 0;
        }
        w->scanned += c->text.n + 26;
        w->out->last = c->key;
        r = advance_top(w, err);
        if (r < 0) {
            return r;
        }
    }
    return r;
}

/* -- backwards -- */

static int by_last(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    return x->b.max != y->b.max ? (x->b.max > y->b.max ? -1 : 1)
                                : (x->b.pos < y->b.pos) - (x->b.pos > y->b.pos);
}

static int by_key(const void *a, const void *b)
{
    return log_key_cmp(&((const struct log_event *)a)->key, &((const struct log_event *)b)->key);
}

/* Sorts, drops what must wait for a held line, and from the front what the limits do not allow.
 * True: something was dropped or the limits are just reached. */
static bool keep_last(struct sweep *w)
{
    struct log_result *out = w->out;
    if (out->n == 0) {
        return false;
    }
    qsort(out->v, out->n, sizeof(*out->v), by_key);
    while (w->n_held > 0 && out->n > 0 && log_key_cmp(&out->v[out->n - 1].key, &w->held_key) > 0) {
        out->n--;
    }
    size_t first = out->n, bytes = 0;
    while (first > 0 && out->n - first < w->q->max_events) {
        size_t n = out->v[first - 1].text.n + 26;
        if (bytes > 0 && bytes + n > w->q->max_bytes) {
            break;
        }
        bytes += n;
        first--;
    }
    bool full = first > 0 || out->n >= w->q->max_events;
    memmove(out->v, out->v + first, (out->n - first) * sizeof(*out->v));
    out->n -= first;
    w->bytes = bytes;
    return full;
}

static int gather_block(struct sweep *w, const struct ref *ref, struct gt_err *err)
{
    struct log_cursor c;
    cursor_init(&c, w->s, &ref->b, ref->stream, ref->name, w->q->now, LOG_BLOCK_BYTES);
    int r;
    while ((r = step(w, &c, err)) > 0) {
        if (emit(w, &c) < 0) {
            r = gt_err_set(err, GT_ERR_LIMIT, "the log events asked for are too many at once");
            break;
        }
    }
    if (c.held && (w->n_held++ == 0 || log_key_cmp(&c.key, &w->held_key) < 0)) {
        w->held_key = c.key;
    }
    cursor_fini(&c);
    return r;
}

/* Whether everything in the block comes before the event. */
static bool is_beyond(const struct log_key *k, const struct log_block *b)
{
    return k->time > b->max || (k->time == b->max && k->pos >= b->pos + b->len);
}

static int read_backward(struct sweep *w, struct gt_err *err)
{
    qsort(w->refs, w->n_refs, sizeof(*w->refs), by_last);
    for (size_t i = 0; i < w->n_refs; i++) {
        int r = gather_block(w, &w->refs[i], err);
        if (r < 0) {
            return r;
        }
        bool full = keep_last(w);
        if (full && i + 1 < w->n_refs && is_beyond(&w->out->v[0].key, &w->refs[i + 1].b)) {
            break;
        }
    }
    if (w->out->n > 0) {
        w->out->last = w->out->v[w->out->n - 1].key;
    }
    return 0;
}

int log_read(struct log_store *s, const struct log_query *q, struct gt_arena *arena,
             struct log_result *ret, struct gt_err *err)
{
    struct sweep w = {.s = s, .q = q, .arena = arena, .out = ret, .from = q->from, .to = q->to};
    *ret = (struct log_result){0};
    if (q->after) {
        w.from = GT_MAX(w.from, q->after->time);
        ret->last = *q->after;
    }
    if (q->before && q->before->time < INT64_MAX) {
        w.to = GT_MIN(w.to, q->before->time + 1);
    }
    int r = collect(&w, err);
    if (r == 0 && w.n_refs > 0) {
        r = q->backward ? read_backward(&w, err) : read_forward(&w, err);
    }
    release(&w);
    return r;
}
