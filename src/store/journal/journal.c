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

void journal_forget(struct journal *j, uint64_t revision)
{
    j->ops->forget(j, revision);
}

int journal_read(struct journal *j, uint64_t after,
                 int (*fn)(void *arg, const struct journal_entry *entry, struct gt_err *err),
                 void *arg, struct gt_err *err)
{
    return j->ops->read(j, after, fn, arg, err);
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
