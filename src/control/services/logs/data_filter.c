/* FilterLogEvents: the events of many streams of a group in one order of time. */
#include "control/services/gen/logs_handlers.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"
#include "control/services/logs/pattern.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    MAX_EVENTS = 10000,
    MAX_BYTES = 1024 * 1024,
    /* Looked at in one call; a page may be empty and still have a successor. */
    MAX_SCAN = 64 * 1024 * 1024,
};

static bool matches(void *arg, struct gt_str text)
{
    return log_pattern_match(arg, text);
}

static int parse_token(struct gt_arena *arena, struct gt_str token, struct log_key *ret,
                       struct gt_err *err)
{
    uint64_t time = 0;
    int n = 0;
    char *text = gt_arena_str(arena, token);
    int got = sscanf(text, "%16" SCNx64 "%16" SCNx64 "%16" SCNx64 "%n", &time, &ret->stream,
                     &ret->pos, &n);
    if (got != 3 || (size_t)n != token.n) {
        return gt_err_set(err, GT_ERR_INVALID, "The specified nextToken is invalid.");
    }
    ret->time = (int64_t)time;
    return 0;
}

/* Names an event for good: digits, as AWS has them. */
static struct gt_str event_id(struct gt_arena *arena, const struct log_key *k)
{
    return gt_str(gt_arena_printf(arena, "%013" PRId64 "%020" PRIu64 "%020" PRIu64, k->time,
                                  k->stream, k->pos));
}

static void show(struct gt_arena *arena, const struct log_result *res,
                 struct logs_filter_log_events_out *out)
{
    out->searched_log_streams.has = true; /* empty, as AWS has it since 2020 */
    out->events.has = true;
    out->events.n = res->n;
    out->events.v = gt_arena_array(arena, struct logs_filtered_log_event, res->n + 1);
    for (size_t i = 0; i < res->n; i++) {
        struct logs_filtered_log_event *e = &out->events.v[i];
        e->log_stream_name = res->v[i].stream_name;
        WIRE_SET(e, timestamp, res->v[i].key.time);
        WIRE_SET(e, ingestion_time, res->v[i].ingested);
        e->message = res->v[i].text;
        e->event_id = event_id(arena, &res->v[i].key);
    }
    if (res->more) {
        out->next_token =
            gt_str(gt_arena_printf(arena, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
                                   (uint64_t)res->last.time, res->last.stream, res->last.pos));
    }
}

int logs_filter_log_events(struct data_req *rq, const struct logs_filter_log_events_in *in,
                           struct logs_filter_log_events_out *out, struct gt_err *err)
{
    struct gt_arena *arena = data_arena(rq);
    struct log_group_ref g;
    struct log_pattern pattern;
    struct log_key at = {0};
    if (in->log_stream_names.n > 0 && in->log_stream_name_prefix.p) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "LogStreamNames and LogStreamNamePrefix cannot both be specified.");
    }
    int r = group_find_either(rq, in->log_group_name, in->log_group_identifier, &g, err);
    if (r == 0) {
        r = log_pattern_parse(in->filter_pattern, arena, &pattern, err);
    }
    if (r == 0 && in->next_token.p) {
        r = parse_token(arena, in->next_token, &at, err);
    }
    if (r < 0) {
        return r;
    }
    struct log_query q = {.group = g.id,
                          .streams = in->log_stream_names.v,
                          .n_streams = in->log_stream_names.n,
                          .prefix = in->log_stream_name_prefix,
                          .from = GT_MAX(in->start_time, g.keep_from),
                          .to = in->has_end_time && in->end_time < INT64_MAX ? in->end_time + 1
                                                                             : INT64_MAX,
                          .after = in->next_token.p ? &at : NULL,
                          .max_events = in->has_limit ? (size_t)in->limit : MAX_EVENTS,
                          .max_bytes = MAX_BYTES,
                          .max_scan = MAX_SCAN,
                          .match = log_pattern_is_empty(&pattern) ? NULL : matches,
                          .arg = &pattern,
                          .now = data_now(rq)};
    struct log_result res;
    r = log_read(data_store(rq), &q, arena, &res, err);
    if (r < 0) {
        return store_error(err);
    }
    show(arena, &res, out);
    return 0;
}
