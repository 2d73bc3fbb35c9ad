/* DescribeJournal: which revisions can be seen. */
#include "control/services/admin/admin.h"
#include "control/services/gen/admin_handlers.h"

int admin_describe_journal(struct data_req *rq, const struct admin_describe_journal_in *in,
                           struct admin_describe_journal_out *out, struct gt_err *err)
{
    struct admin_host *host = data_store(rq);
    struct journal_span span;
    int r = journal_span(host->journal, &span, err);
    if (r < 0) {
        return r;
    }
    WIRE_SET(out, revision, (int64_t)span.last.revision);
    WIRE_SET(out, time, span.last.time);
    WIRE_SET(out, first_revision, (int64_t)span.first.revision);
    WIRE_SET(out, first_time, span.first.time);
    out->snapshots.v = gt_arena_array(data_arena(rq), struct admin_snapshot, span.n_snapshots + 1);
    out->snapshots.n = span.n_snapshots;
    out->snapshots.has = true;
    for (size_t i = 0; i < span.n_snapshots; i++) {
        WIRE_SET(&out->snapshots.v[i], revision, (int64_t)span.snapshots[i].revision);
        WIRE_SET(&out->snapshots.v[i], time, span.snapshots[i].time);
    }
    return 0;
}
