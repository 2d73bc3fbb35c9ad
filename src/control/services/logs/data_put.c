/* PutLogEvents. */
#include "control/services/gen/logs_handlers.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"
#include "lib/base/limits.h"

#include <errno.h>

enum {
    MAX_BATCH = 1048576, /* bytes, with 26 for each event */
    EVENT_EXTRA = 26,
    TOO_OLD_MS = 14 * 24 * 3600 * 1000,
    TOO_NEW_MS = 2 * 3600 * 1000,
};

/* What AWS refuses as a whole. */
static int check_batch(const struct logs_input_log_event_list *v, struct gt_err *err)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (v->v[i].message.n + EVENT_EXTRA > GT_LIMIT_LOG_EVENT) {
            return gt_err_set(err, GT_ERR_INVALID,
                              "Log event too large: %zu bytes exceeds limit of %lu",
                              v->v[i].message.n + EVENT_EXTRA, GT_LIMIT_LOG_EVENT);
        }
        if (i > 0 && v->v[i].timestamp < v->v[i - 1].timestamp) {
            return gt_err_set(err, GT_ERR_INVALID,
                              "Log events in a single PutLogEvents request must be in "
                              "chronological order.");
        }
        bytes += v->v[i].message.n + EVENT_EXTRA;
    }
    if (bytes > MAX_BATCH) {
        return gt_err_set(err, GT_ERR_INVALID, "Upload too large: %llu bytes exceeds limit of %d",
                          (unsigned long long)bytes, MAX_BATCH);
    }
    if (v->n > 0 && v->v[v->n - 1].timestamp - v->v[0].timestamp > DAY_MS) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "The batch of log events in a single PutLogEvents request cannot span "
                          "more than 24 hours.");
    }
    return 0;
}

/* Events are in order of time: what is too old stands in front, what is too new at the end. */
static struct logs_rejected_log_events_info *reject(struct data_req *rq,
                                                    const struct logs_input_log_event_list *v,
                                                    int64_t keep_from, size_t *ret_from,
                                                    size_t *ret_to)
{
    struct logs_rejected_log_events_info *info =
        gt_arena_new(data_arena(rq), struct logs_rejected_log_events_info);
    int64_t now = data_now(rq);
    size_t expired = 0, old = 0, to = v->n;
    while (expired < v->n && v->v[expired].timestamp < keep_from) {
        expired++;
    }
    while (old < v->n && v->v[old].timestamp < now - TOO_OLD_MS) {
        old++;
    }
    while (to > 0 && v->v[to - 1].timestamp > now + TOO_NEW_MS) {
        to--;
    }
    if (expired > 0) {
        WIRE_SET(info, expired_log_event_end_index, (int64_t)expired);
    }
    if (old > expired) {
        WIRE_SET(info, too_old_log_event_end_index, (int64_t)old);
    }
    if (to < v->n) {
        WIRE_SET(info, too_new_log_event_start_index, (int64_t)to);
    }
    *ret_from = GT_MAX(expired, old);
    *ret_to = to;
    return *ret_from > 0 || to < v->n ? info : NULL;
}

int logs_put_log_events(struct data_req *rq, const struct logs_put_log_events_in *in,
                        struct logs_put_log_events_out *out, struct gt_err *err)
{
    struct log_group_ref g;
    size_t from, to;
    int r = group_find(rq, in->log_group_name, &g, err);
    if (r == 0) {
        r = check_batch(&in->log_events, err);
    }
    if (r < 0) {
        return r;
    }
    out->rejected_log_events_info = reject(rq, &in->log_events, g.keep_from, &from, &to);
    size_t n = to > from ? to - from : 0;
    struct log_event_in *v = gt_arena_array(data_arena(rq), struct log_event_in, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = (struct log_event_in){in->log_events.v[from + i].timestamp,
                                     in->log_events.v[from + i].message};
    }
    r = log_append_events(data_store(rq), g.id, in->log_stream_name, v, n, data_now(rq), err);
    if (r < 0) {
        return store_error(err);
    }
    /* Sequence tokens are accepted and given, and mean nothing, as in AWS since 2023. */
    out->next_sequence_token =
        GT_STR_LIT("49590302340455233444535353535353535353535353535353535353");
    return 0;
}
