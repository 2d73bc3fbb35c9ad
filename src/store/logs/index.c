/* What is where: groups, streams and blocks, in memory. All under the store's lock. */
#include "lib/base/mem.h"
#include "store/logs/logs_priv.h"

#include <string.h>

static struct gt_str id_key(const uint64_t *id)
{
    return gt_str_n((const char *)id, sizeof(*id));
}

static struct log_group *group_get(struct log_store *s, struct gt_str id)
{
    struct log_group *g = gt_table_get(&s->groups, id);
    if (g == NULL) {
        g = gt_new(struct log_group);
        g->id = gt_strndup(id.p, id.n);
        gt_table_init(&g->streams);
        gt_table_put(&s->groups, id, g);
    }
    return g;
}

struct log_stream *index_add(struct log_store *s, uint64_t id, struct gt_str group,
                             struct gt_str name, int64_t created)
{
    struct log_group *g = group_get(s, group);
    struct log_stream *st = gt_new(struct log_stream);
    st->id = id;
    st->name = gt_strndup(name.p, name.n);
    st->group = g->id;
    st->created = created;
    st->ordered = true;
    gt_table_put(&g->streams, name, st);
    gt_table_put(&s->streams, id_key(&id), st);
    return st;
}

struct log_stream *index_find(struct log_store *s, struct gt_str group, struct gt_str name)
{
    struct log_group *g = gt_table_get(&s->groups, group);
    return g ? gt_table_get(&g->streams, name) : NULL;
}

struct log_stream *index_by_id(struct log_store *s, uint64_t id)
{
    return gt_table_get(&s->streams, id_key(&id));
}

size_t index_beyond(const struct log_stream *st, uint64_t pos)
{
    size_t lo = 0, hi = st->n_blocks;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (st->blocks[mid].pos > pos) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return lo;
}

void index_add_block(struct log_store *s, struct log_segment *seg, const struct log_head *h,
                     uint32_t payload_at, enum log_block_state state)
{
    struct log_stream *st = index_by_id(s, h->stream);
    if (st == NULL) {
        return; /* deleted: dead bytes */
    }
    if (st->n_blocks == st->cap_blocks) {
        st->cap_blocks = GT_MAX(st->cap_blocks * 2, (size_t)4);
        st->blocks = gt_realloc(st->blocks, st->cap_blocks * sizeof(*st->blocks));
    }
    struct log_block *last = st->n_blocks ? &st->blocks[st->n_blocks - 1] : NULL;
    st->ordered = st->ordered && (last == NULL || h->min >= last->max);
    st->blocks[st->n_blocks++] = (struct log_block){.segment = seg,
                                                    .pos = h->pos,
                                                    .min = h->min,
                                                    .max = h->max,
                                                    .ingested = h->ingested,
                                                    .at = payload_at,
                                                    .len = h->len,
                                                    .kind = h->kind,
                                                    .mid = h->mid,
                                                    .state = (uint8_t)state};
    st->first = st->first == 0 ? h->min : GT_MIN(st->first, h->min);
    st->last = GT_MAX(st->last, h->max);
    st->ingested = GT_MAX(st->ingested, h->ingested);
    st->next_pos = GT_MAX(st->next_pos, h->pos + h->len);
    if (h->kind == LOG_FRAMES) {
        st->spool = h->spool;
        st->want = h->want;
    }
    st->bytes += h->len;
    seg->live += LOG_HEAD_BYTES + h->len;
    seg->blocks++;
    struct log_group *g = gt_table_get(&s->groups, gt_str(st->group));
    g->bytes += h->len;
}

void index_drop_blocks(struct log_store *s, struct log_stream *st, size_t from, size_t n)
{
    if (n == 0) {
        return;
    }
    struct log_group *g = gt_table_get(&s->groups, gt_str(st->group));
    for (size_t i = from; i < from + n; i++) {
        struct log_block *b = &st->blocks[i];
        b->segment->live -= LOG_HEAD_BYTES + b->len;
        b->segment->blocks--;
        st->bytes -= b->len;
        g->bytes -= b->len;
    }
    memmove(st->blocks + from, st->blocks + from + n,
            (st->n_blocks - from - n) * sizeof(*st->blocks));
    st->n_blocks -= n;
    st->first = 0;
    for (size_t i = 0; i < st->n_blocks; i++) {
        st->first = i == 0 ? st->blocks[i].min : GT_MIN(st->first, st->blocks[i].min);
    }
    if (st->n_blocks == 0) {
        st->last = 0;
    }
}

static void stream_free(struct log_stream *st)
{
    free(st->name);
    free(st->blocks);
    free(st);
}

void index_remove(struct log_store *s, struct log_stream *st)
{
    index_drop_blocks(s, st, 0, st->n_blocks);
    struct log_group *g = gt_table_get(&s->groups, gt_str(st->group));
    gt_table_del(&g->streams, gt_str(st->name));
    gt_table_del(&s->streams, id_key(&st->id));
    stream_free(st);
    if (g->streams.count == 0) {
        gt_table_del(&s->groups, gt_str(g->id));
        gt_table_fini(&g->streams);
        free(g->id);
        free(g);
    }
}

void index_free(struct log_store *s)
{
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->streams, &it));) {
        stream_free(e->value);
    }
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->groups, &it));) {
        struct log_group *g = e->value;
        gt_table_fini(&g->streams);
        free(g->id);
        free(g);
    }
    gt_table_fini(&s->streams);
    gt_table_fini(&s->groups);
}
