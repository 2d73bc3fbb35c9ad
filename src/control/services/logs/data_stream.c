/* Log streams: CreateLogStream, DeleteLogStream, DescribeLogStreams. */
#include "control/services/gen/logs_handlers.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"

#include <errno.h>
#include <stdio.h>

int logs_create_log_stream(struct data_req *rq, const struct logs_create_log_stream_in *in,
                           struct logs_create_log_stream_out *out, struct gt_err *err)
{
    struct log_group_ref g;
    int r = group_find(rq, in->log_group_name, &g, err);
    if (r < 0) {
        return r;
    }
    r = log_stream_create(data_store(rq), g.id, in->log_stream_name, data_now(rq), NULL, err);
    return r < 0 ? store_error(err) : 0;
}

int logs_delete_log_stream(struct data_req *rq, const struct logs_delete_log_stream_in *in,
                           struct logs_delete_log_stream_out *out, struct gt_err *err)
{
    struct log_group_ref g;
    int r = group_find(rq, in->log_group_name, &g, err);
    if (r < 0) {
        return r;
    }
    r = log_stream_delete(data_store(rq), g.id, in->log_stream_name, err);
    return r < 0 ? store_error(err) : 0;
}

/* A page ends at "<time of its last event>/<name>". */
static int parse_token(struct gt_arena *arena, struct gt_str token, struct log_stream_query *q,
                       struct gt_err *err)
{
    long long time;
    int n = 0;
    char *text = gt_arena_str(arena, token);
    if (sscanf(text, "%lld/%n", &time, &n) != 1 || n == 0) {
        return gt_err_set(err, GT_ERR_INVALID, "The specified nextToken is invalid.");
    }
    q->after_time = time;
    q->after_name = gt_str(text + n);
    return 0;
}

static void show(struct data_req *rq, const struct log_group_ref *g,
                 const struct log_stream_info *s, struct logs_log_stream *to)
{
    to->log_stream_name = s->name;
    to->arn = gt_str(gt_arena_printf(data_arena(rq),
                                     "arn:aws:logs:" GT_STR_FMT ":" GT_STR_FMT
                                     ":log-group:" GT_STR_FMT ":log-stream:" GT_STR_FMT,
                                     GT_STR_ARG(data_region(rq)), GT_STR_ARG(data_account(rq)),
                                     GT_STR_ARG(g->name), GT_STR_ARG(s->name)));
    WIRE_SET(to, creation_time, s->created);
    WIRE_SET(to, stored_bytes, 0); /* as AWS, since 2019 */
    if (s->ingested > 0) {
        WIRE_SET(to, last_ingestion_time, s->ingested);
    }
    if (s->last > g->keep_from) { /* what is older can no longer be read */
        WIRE_SET(to, first_event_timestamp, GT_MAX(s->first, g->keep_from));
        WIRE_SET(to, last_event_timestamp, s->last);
    }
}

int logs_describe_log_streams(struct data_req *rq, const struct logs_describe_log_streams_in *in,
                              struct logs_describe_log_streams_out *out, struct gt_err *err)
{
    struct gt_arena *arena = data_arena(rq);
    struct log_stream_query q = {.prefix = in->log_stream_name_prefix,
                                 .by_time = gt_str_is(in->order_by, LOGS_ORDER_BY_LAST_EVENT_TIME),
                                 .descending = in->descending,
                                 .limit = in->has_limit ? (size_t)in->limit : 50};
    if (q.by_time && in->log_stream_name_prefix.p) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "Cannot order by LastEventTime with a logStreamNamePrefix.");
    }
    struct log_group_ref g;
    int r = group_find_either(rq, in->log_group_name, in->log_group_identifier, &g, err);
    if (r == 0 && in->next_token.p) {
        r = parse_token(arena, in->next_token, &q, err);
    }
    if (r < 0) {
        return r;
    }
    struct log_stream_info *v;
    size_t n;
    bool more;
    log_streams(data_store(rq), g.id, &q, arena, &v, &n, &more);
    out->log_streams.has = true;
    out->log_streams.v = gt_arena_array(arena, struct logs_log_stream, n + 1);
    out->log_streams.n = n;
    for (size_t i = 0; i < n; i++) {
        show(rq, &g, &v[i], &out->log_streams.v[i]);
    }
    if (more && n > 0) {
        out->next_token = gt_str(gt_arena_printf(
            arena, "%lld/" GT_STR_FMT, (long long)v[n - 1].last, GT_STR_ARG(v[n - 1].name)));
    }
    return 0;
}
