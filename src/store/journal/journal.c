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
