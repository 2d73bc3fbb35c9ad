/* What kind of request a ranking is for. */
#include "control/scheduler/ranking_priv.h"
#include "lib/base/mem.h"

static void put_str(struct gt_buf *b, struct gt_str s)
{
    gt_buf_add(b, &s.n, sizeof s.n);
    gt_buf_str(b, s);
}

static void put_int(struct gt_buf *b, int64_t v)
{
    gt_buf_add(b, &v, sizeof v);
}

struct gt_str ranking_key(struct gt_buf *b, const struct sched_request *rq)
{
    gt_buf_reset(b);
    put_str(b, rq->group);
    put_int(b, rq->external | rq->needs_address << 1 | rq->distinct_instance << 2);
    put_int(b, rq->cpu);
    put_int(b, rq->memory);
    put_int(b, (int64_t)rq->n_ports);
    for (size_t i = 0; i < rq->n_ports; i++) {
        put_int(b, rq->ports[i]);
    }
    put_int(b, (int64_t)rq->n_requires);
    for (size_t i = 0; i < rq->n_requires; i++) {
        put_str(b, rq->requires[i].name);
        put_str(b, rq->requires[i].value);
    }
    put_int(b, (int64_t)rq->n_member_of);
    for (size_t i = 0; i < rq->n_member_of; i++) {
        put_str(b, query_text(rq->member_of[i]));
    }
    for (size_t i = 0; i < rq->n_strategies; i++) {
        put_int(b, rq->strategies[i].type << 8 | rq->strategies[i].field);
        put_str(b, rq->strategies[i].attribute);
    }
    GT_ASSERT(gt_buf_ok(b)); /* each part of it has its cap */
    return gt_buf_view(b);
}

static struct gt_str keep(struct gt_arena *a, struct gt_str s)
{
    return gt_str_n(gt_arena_str(a, s), s.n);
}

void ranking_keep_request(struct ranking *r, const struct sched_request *rq)
{
    struct gt_arena *a = &r->arena;
    r->rq = *rq;
    r->rq.group = r->group->name;
    int64_t *ports = gt_arena_array(a, int64_t, rq->n_ports + 1);
    for (size_t i = 0; i < rq->n_ports; i++) {
        ports[i] = rq->ports[i];
    }
    struct query_attr *requires = gt_arena_array(a, struct query_attr, rq->n_requires + 1);
    for (size_t i = 0; i < rq->n_requires; i++) {
        requires[i].name = keep(a, rq->requires[i].name);
        requires[i].value = keep(a, rq->requires[i].value);
    }
    const struct query **member_of = gt_arena_array(a, const struct query *, rq->n_member_of + 1);
    for (size_t i = 0; i < rq->n_member_of; i++) {
        member_of[i] = query_parse(query_text(rq->member_of[i]), a, NULL);
        GT_ASSERT(member_of[i]);
    }
    size_t n;
    const struct sched_strategy *by = sched_strategies(rq, &n);
    GT_ASSERT(n <= RANKING_MAX_BY);
    struct sched_strategy *strategies = gt_arena_array(a, struct sched_strategy, n + 1);
    for (size_t i = 0; i < n; i++) {
        strategies[i] = by[i];
        strategies[i].attribute = keep(a, by[i].attribute);
        r->n_attr += by[i].field == SCHED_BY_ATTRIBUTE;
    }
    r->rq.ports = ports;
    r->rq.requires = requires;
    r->rq.member_of = member_of;
    r->rq.strategies = r->by = strategies;
    r->rq.n_strategies = r->n_by = n;
}
