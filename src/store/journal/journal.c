#include "store/journal/journal_priv.h"

int journal_recover(struct journal *j, const struct journal_reader *reader, struct gt_err *err)
{
    GT_ASSERT(!j->recovered);
    int r = j->ops->recover(j, reader, err);
    j->recovered = r == 0;
    return r;
}

void journal_listen(struct journal *j, const struct journal_events *events)
{
    j->events = *events;
}

void journal_append(struct journal *j, const struct journal_entry *entry)
{
    GT_ASSERT(j->recovered && !j->read_only && entry->revision == j->appended + 1);
    j->appended = entry->revision;
    j->ops->append(j, entry);
}

int journal_flush(struct journal *j, struct gt_err *err)
{
    return j->ops->flush(j, err);
}

bool journal_snapshot(struct journal *j, const struct journal_snapshot *snapshot)
{
    return j->ops->snapshot(j, snapshot);
}

void journal_cancel_snapshot(struct journal *j)
{
    j->ops->cancel_snapshot(j);
}

void journal_forget(struct journal *j, uint64_t revision, uint64_t snapshots_below)
{
    j->ops->forget(j, revision, snapshots_below);
}

int journal_read(struct journal *j, uint64_t after, journal_entry_fn *fn, void *arg,
                 struct gt_err *err)
{
    return j->ops->read(j, after, fn, arg, err);
}

int journal_state_at(struct journal *j, uint64_t revision, const struct journal_reader *reader,
                     struct gt_err *err)
{
    return j->ops->state_at(j, revision, reader, err);
}

size_t journal_snapshots(struct journal *j, struct journal_mark to[static JOURNAL_SNAPSHOTS_MAX],
                         uint64_t *ret_bytes)
{
    return j->ops->snapshots(j, to, ret_bytes);
}

int journal_span(struct journal *j, struct journal_span *ret, struct gt_err *err)
{
    *ret = (struct journal_span){0};
    return j->ops->span(j, ret, err);
}

uint64_t journal_span_begin(const struct journal_span *span)
{
    if (!span->first.revision) {
        return span->n_snapshots ? span->snapshots[span->n_snapshots - 1].revision : 0;
    }
    uint64_t before = span->first.revision - 1;
    for (size_t i = 0; before && i < span->n_snapshots; i++) {
        if (span->snapshots[i].revision >= before) {
            return span->snapshots[i].revision;
        }
    }
    return before;
}

int journal_entry_mark(struct journal *j, uint64_t revision, struct journal_mark *ret,
                       struct gt_err *err)
{
    struct journal_span *span = gt_new(struct journal_span);
    int r = journal_span(j, span, err);
    *ret = (struct journal_mark){0};
    for (size_t i = 0; i < span->n_snapshots; i++) {
        if (span->snapshots[i].revision == revision) {
            *ret = span->snapshots[i];
        }
    }
    bool there = revision >= span->first.revision && revision <= span->last.revision;
    if (r == 0 && there) {
        r = j->ops->mark(j, revision, ret, err);
    } else if (r == 0 && !ret->revision) {
        r = gt_err_set(err, GT_ERR_NOT_FOUND, "revision %llu is not kept: there are %llu to %llu",
                       (unsigned long long)revision, (unsigned long long)journal_span_begin(span),
                       (unsigned long long)span->last.revision);
    }
    free(span);
    return r;
}

/* Times rise with revisions. */
int journal_find_time(struct journal *j, int64_t time, struct journal_mark *ret, struct gt_err *err)
{
    struct journal_span *span = gt_new(struct journal_span);
    int r = journal_span(j, span, err);
    struct journal_mark low = span->first, high = span->last, middle;
    free(span);
    if (r == 0 && (!low.revision || time < low.time)) {
        r = gt_err_set(err, GT_ERR_NOT_FOUND,
                       "nothing is kept of that time: the oldest that is kept is revision %llu",
                       (unsigned long long)low.revision);
    }
    if (r == 0 && time >= high.time) {
        low = high;
    }
    while (r == 0 && high.revision - low.revision > 1) {
        r = j->ops->mark(j, low.revision + (high.revision - low.revision) / 2, &middle, err);
        if (r == 0) {
            *(middle.time <= time ? &low : &high) = middle;
        }
    }
    *ret = low;
    return r;
}

bool journal_has_room(struct journal *j)
{
    return j->ops->has_room(j);
}

void journal_stats(struct journal *j, struct journal_stats *ret)
{
    j->ops->stats(j, ret);
}

void journal_close(struct journal *j)
{
    if (j) {
        j->ops->close(j);
    }
}
