/*
 * GetLogEvents: a stream, page by page in both directions.
 *
 * A token is "f/" or "b/", where an event stands (time and position) and which stream it is of. A
 * forward token means what comes after that event, a backward one what comes before. When there is
 * nothing (yet), the token that was given is given back: so a reader knows the end, and a follower
 * asks again with the same one. Before anything was read, "f/" at the beginning of time stands for
 * the start of the stream.
 */
#include "control/services/gen/logs_handlers.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { MAX_EVENTS = 10000, MAX_BYTES = 1024 * 1024 };

static struct gt_str make_token(struct gt_arena *arena, char direction, const struct log_key *k,
                                uint64_t stream)
{
    return gt_str(gt_arena_printf(arena, "%c/%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "/s",
                                  direction, (uint64_t)k->time, k->pos, stream));
}

static int parse_token(struct gt_arena *arena, struct gt_str token, uint64_t stream, bool *ret_back,
                       struct log_key *ret, struct gt_err *err)
{
    char direction = 0;
    uint64_t time = 0, pos = 0, of = 0;
    int n = 0;
    char *text = gt_arena_str(arena, token);
    int got = sscanf(text, "%c/%16" SCNx64 "%16" SCNx64 "%16" SCNx64 "/s%n", &direction, &time,
                     &pos, &of, &n);
    if (got != 4 || (size_t)n != token.n || (direction != 'f' && direction != 'b') ||
        of != stream) {
        return gt_err_set(err, GT_ERR_INVALID, "The specified nextToken is invalid.");
    }
    *ret_back = direction == 'b';
    *ret = (struct log_key){(int64_t)time, stream, pos};
    return 0;
}

static int find_stream(struct data_req *rq, struct gt_str group, struct gt_str name,
                       uint64_t *ret_id, struct gt_err *err)
{
    *ret_id = log_stream_find(data_store(rq), group, name);
    return *ret_id ? 0
                   : gt_err_set(err, GT_ERR_NOT_FOUND, "The specified log stream does not exist.");
}

static void show(struct gt_arena *arena, const struct log_result *res,
                 struct logs_get_log_events_out *out)
{
    out->events.has = true;
    out->events.n = res->n;
    out->events.v = gt_arena_array(arena, struct logs_output_log_event, res->n + 1);
    for (size_t i = 0; i < res->n; i++) {
        struct logs_output_log_event *e = &out->events.v[i];
        WIRE_SET(e, timestamp, res->v[i].key.time);
        WIRE_SET(e, ingestion_time, res->v[i].ingested);
        e->message = res->v[i].text;
    }
}

int logs_get_log_events(struct data_req *rq, const struct logs_get_log_events_in *in,
                        struct logs_get_log_events_out *out, struct gt_err *err)
{
    struct gt_arena *arena = data_arena(rq);
    struct log_group_ref g;
    uint64_t stream = 0;
    bool back = !in->start_from_head;
    struct log_key at = {0};
    int r = group_find_either(rq, in->log_group_name, in->log_group_identifier, &g, err);
    if (r == 0) {
        r = find_stream(rq, g.id, in->log_stream_name, &stream, err);
    }
    if (r == 0 && in->next_token.p) {
        r = parse_token(arena, in->next_token, stream, &back, &at, err);
    }
    if (r < 0) {
        return r;
    }
    struct log_query q = {.group = g.id,
                          .streams = &in->log_stream_name,
                          .n_streams = 1,
                          .from = GT_MAX(in->start_time, g.keep_from),
                          .to = in->has_end_time ? in->end_time : INT64_MAX,
                          .backward = back,
                          .after = in->next_token.p && !back ? &at : NULL,
                          .before = in->next_token.p && back ? &at : NULL,
                          .max_events = in->has_limit ? (size_t)in->limit : MAX_EVENTS,
                          .max_bytes = MAX_BYTES,
                          .now = data_now(rq)};
    struct log_result res;
    r = log_read(data_store(rq), &q, arena, &res, err);
    if (r < 0) {
        return store_error(err);
    }
    show(arena, &res, out);
    const struct log_key *first = res.n ? &res.v[0].key : &at;
    const struct log_key *last = res.n ? &res.v[res.n - 1].key : &at;
    out->next_backward_token = make_token(arena, 'b', first, stream);
    out->next_forward_token = make_token(arena, 'f', last, stream);
    return 0;
}
