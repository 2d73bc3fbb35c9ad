/* The journal of tests and of the simulator: a list of encoded entries. Durable at once. */
#include "lib/base/rand.h"
#include "store/journal/journal_priv.h"

enum soundness { SOUND, BREAKS, BREAKS_LATE, BROKEN };

struct memory_journal {
    struct journal base;
    struct gt_buf *entries; /* entries[i] has revision first + i */
    size_t n, cap;
    uint64_t first;
    bool full;
    enum soundness soundness;
    struct journal_stats stats;
    uint64_t snapshot_revision; /* 0: none */
    int64_t snapshot_time;
    uint64_t snapshot_bytes;
    struct gt_buf snapshot;
};

static struct memory_journal *self(struct journal *j)
{
    return GT_CONTAINER_OF(j, struct memory_journal, base);
}

static int read_until(struct memory_journal *m, uint64_t after, uint64_t until,
                      journal_entry_fn *fn, void *arg, struct gt_err *err)
{
    struct gt_arena arena;
    gt_arena_init(&arena, JOURNAL_ENTRY_MAX);
    int r = 0;
    size_t from = after >= m->first ? (size_t)(after - m->first + 1) : 0;
    for (size_t i = from; i < m->n && m->first + i <= until && r >= 0; i++) {
        struct journal_entry e;
        gt_arena_reset(&arena);
        r = journal_decode(gt_buf_view(&m->entries[i]), &arena, &e, err);
        r = r < 0 ? r : fn(arg, &e, err);
    }
    gt_arena_fini(&arena);
    return r < 0 ? r : 0;
}

static int memory_read(struct journal *j, uint64_t after, journal_entry_fn *fn, void *arg,
                       struct gt_err *err)
{
    return read_until(self(j), after, UINT64_MAX, fn, arg, err);
}

static uint64_t newest(const struct memory_journal *m)
{
    return m->n ? m->first + m->n - 1 : m->snapshot_revision;
}

static int rebuild(struct memory_journal *m, uint64_t until, const struct journal_reader *reader,
                   struct gt_err *err)
{
    bool use = m->snapshot_revision <= until;
    uint64_t base = use ? m->snapshot_revision : 0;
    int r = reader->start(reader->arg, base, use ? m->snapshot_time : 0, err);
    if (r >= 0 && base) {
        r = journal_chunk_read(gt_buf_view(&m->snapshot), reader, err);
    }
    return r < 0 ? r : read_until(m, base, until, reader->entry, reader->arg, err);
}

static int memory_recover(struct journal *j, const struct journal_reader *reader,
                          struct gt_err *err)
{
    j->appended = newest(self(j));
    return rebuild(self(j), UINT64_MAX, reader, err);
}

static int memory_state_at(struct journal *j, uint64_t revision,
                           const struct journal_reader *reader, struct gt_err *err)
{
    struct memory_journal *m = self(j);
    if (revision > newest(m) || (revision < m->snapshot_revision && m->first > 1)) {
        return gt_err_set(err, GT_ERR_NOT_FOUND, "revision %llu is not kept",
                          (unsigned long long)revision);
    }
    return rebuild(m, revision, reader, err);
}

static size_t memory_snapshots(struct journal *j, struct journal_mark *to, uint64_t *ret_bytes)
{
    struct memory_journal *m = self(j);
    *ret_bytes = m->stats.bytes;
    if (!m->snapshot_revision) {
        return 0;
    }
    to[0] = (struct journal_mark){
        .revision = m->snapshot_revision, .time = m->snapshot_time, .bytes = m->snapshot_bytes};
    return 1;
}

static void keep(struct memory_journal *m, uint64_t revision, struct gt_buf *encoded)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 64;
        m->entries = gt_realloc(m->entries, m->cap * sizeof *m->entries);
    }
    if (m->n == 0) {
        m->first = revision;
    }
    m->stats.commits++;
    m->stats.entries++;
    m->stats.bytes += encoded->n;
    m->entries[m->n++] = *encoded;
}

static void memory_append(struct journal *j, const struct journal_entry *entry)
{
    struct memory_journal *m = self(j);
    bool lost = m->soundness == BREAKS || m->soundness == BROKEN;
    bool fails = m->soundness == BREAKS || m->soundness == BREAKS_LATE;
    if (!lost) {
        struct gt_buf encoded = GT_BUF_INIT(JOURNAL_ENTRY_MAX);
        journal_encode(entry, &encoded);
        keep(m, entry->revision, &encoded);
    }
    if (m->soundness == SOUND && j->events.on_durable) {
        j->events.on_durable(j->events.arg, entry->revision);
    }
    m->soundness = m->soundness == SOUND ? SOUND : BROKEN;
    if (fails && j->events.on_failed) {
        struct gt_err err;
        gt_err_set(&err, GT_ERR_IO, "the journal was told not to write");
        j->events.on_failed(j->events.arg, &err);
    }
}

void memory_journal_break(struct journal *j, bool keep)
{
    self(j)->soundness = keep ? BREAKS_LATE : BREAKS;
}

void memory_journal_mend(struct journal *j)
{
    struct memory_journal *m = self(j);
    m->soundness = m->soundness == BROKEN ? BROKEN : SOUND;
}

bool memory_journal_damage(struct journal *j, uint64_t dice)
{
    struct memory_journal *m = self(j);
    struct gt_prng rng = {.state = dice};
    size_t covered = m->snapshot_revision >= m->first
                         ? GT_MIN(m->n, (size_t)(m->snapshot_revision - m->first + 1))
                         : 0;
    size_t n = m->n - covered + (m->snapshot_revision > 0);
    if (!n) {
        return false;
    }
    size_t at = covered + (size_t)gt_prng_below(&rng, n);
    struct gt_buf *b = at < m->n ? &m->entries[at] : &m->snapshot;
    size_t byte = (size_t)gt_prng_below(&rng, b->n);
    if (gt_prng_below(&rng, 2)) {
        b->p[byte] = (char)(b->p[byte] ^ (1 << gt_prng_below(&rng, 8)));
    } else {
        b->n = byte; /* torn */
    }
    return true;
}

static int memory_flush(struct journal *j, struct gt_err *err)
{
    return self(j)->soundness == BROKEN
               ? gt_err_set(err, GT_ERR_IO, "the journal was told not to write")
               : 0;
}

static bool memory_snapshot(struct journal *j, const struct journal_snapshot *snapshot)
{
    struct memory_journal *m = self(j);
    struct journal_item item;
    journal_chunk_begin(&m->snapshot);
    while (snapshot->next(snapshot->arg, &item)) {
        journal_chunk_add(&m->snapshot, &item);
    }
    journal_chunk_end(&m->snapshot);
    m->snapshot_revision = snapshot->revision;
    m->snapshot_time = snapshot->time;
    m->snapshot_bytes = m->stats.bytes;
    snapshot->done(snapshot->arg, NULL);
    return true;
}

static void memory_cancel_snapshot(struct journal *j)
{
}

static void memory_forget(struct journal *j, uint64_t revision, uint64_t snapshots_below)
{
    struct memory_journal *m = self(j);
    size_t drop = 0;
    while (drop < m->n && m->first + drop <= GT_MIN(revision, m->snapshot_revision)) {
        gt_buf_fini(&m->entries[drop++]);
    }
    if (drop) {
        memmove(m->entries, m->entries + drop, (m->n - drop) * sizeof *m->entries);
        m->n -= drop;
        m->first += drop;
    }
}

static int mark_of(struct memory_journal *m, size_t i, struct journal_mark *ret, struct gt_err *err)
{
    struct gt_arena arena;
    struct journal_entry e = {0};
    gt_arena_init(&arena, JOURNAL_ENTRY_MAX);
    int r = journal_decode(gt_buf_view(&m->entries[i]), &arena, &e, err);
    *ret = (struct journal_mark){.revision = e.revision, .time = e.time};
    gt_arena_fini(&arena);
    return r;
}

static int memory_mark(struct journal *j, uint64_t revision, struct journal_mark *ret,
                       struct gt_err *err)
{
    return mark_of(self(j), (size_t)(revision - self(j)->first), ret, err);
}

static int memory_span(struct journal *j, struct journal_span *ret, struct gt_err *err)
{
    struct memory_journal *m = self(j);
    if (m->snapshot_revision) {
        ret->snapshots[ret->n_snapshots++] =
            (struct journal_mark){.revision = m->snapshot_revision, .time = m->snapshot_time};
    }
    int r = m->n ? mark_of(m, 0, &ret->first, err) : 0;
    return r < 0 || !m->n ? r : mark_of(m, m->n - 1, &ret->last, err);
}

static bool memory_has_room(struct journal *j)
{
    return !self(j)->full;
}

void memory_journal_set_room(struct journal *j, bool room)
{
    self(j)->full = !room;
}

static void memory_stats(struct journal *j, struct journal_stats *ret)
{
    *ret = self(j)->stats;
}

static void memory_close(struct journal *j)
{
    struct memory_journal *m = self(j);
    for (size_t i = 0; i < m->n; i++) {
        gt_buf_fini(&m->entries[i]);
    }
    free(m->entries);
    gt_buf_fini(&m->snapshot);
    free(m);
}

static const struct journal_ops memory_ops = {
    .recover = memory_recover,
    .append = memory_append,
    .flush = memory_flush,
    .snapshot = memory_snapshot,
    .cancel_snapshot = memory_cancel_snapshot,
    .forget = memory_forget,
    .read = memory_read,
    .state_at = memory_state_at,
    .snapshots = memory_snapshots,
    .mark = memory_mark,
    .span = memory_span,
    .has_room = memory_has_room,
    .stats = memory_stats,
    .close = memory_close,
};

struct journal *memory_journal_new(void)
{
    struct memory_journal *m = gt_new(struct memory_journal);
    m->base.ops = &memory_ops;
    m->first = 1;
    m->snapshot = GT_BUF_INIT(JOURNAL_ENTRY_MAX);
    return &m->base;
}

struct journal *memory_journal_copy(struct journal *j, uint64_t revision)
{
    struct memory_journal *from = self(j);
    struct memory_journal *m = self(memory_journal_new());
    m->first = from->first;
    for (size_t i = 0; i < from->n && from->first + i <= revision; i++) {
        struct gt_buf b = GT_BUF_INIT(JOURNAL_ENTRY_MAX);
        gt_buf_str(&b, gt_buf_view(&from->entries[i]));
        keep(m, from->first + i, &b);
    }
    if (from->snapshot_revision && from->snapshot_revision <= revision) {
        gt_buf_str(&m->snapshot, gt_buf_view(&from->snapshot));
        m->snapshot_revision = from->snapshot_revision;
        m->snapshot_time = from->snapshot_time;
        m->snapshot_bytes = from->snapshot_bytes;
    }
    return &m->base;
}
