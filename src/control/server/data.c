#include "control/server/server_priv.h"

#include "lib/base/clock.h"

struct gt_arena *data_arena(struct data_req *rq)
{
    return rq->arena;
}

const struct principal *data_principal(const struct data_req *rq)
{
    return &rq->principal;
}

struct gt_str data_account(const struct data_req *rq)
{
    return rq->principal.account;
}

struct gt_str data_region(const struct data_req *rq)
{
    return rq->region;
}

struct gt_str data_host(const struct data_req *rq)
{
    return rq->host;
}

int64_t data_now(const struct data_req *rq)
{
    return gt_clock_real_ms();
}

void *data_store(struct data_req *rq)
{
    return rq->m->store;
}

static int submit(struct data_req *rq, struct core_request *c, struct gt_err *err)
{
    c->class = CORE_API;
    c->call.principal = rq->principal;
    c->call.region = rq->region;
    c->call.arena = rq->arena;
    if (!server_core_run(rq->s, c)) {
        return gt_err_set(err, GT_ERR_THROTTLED, "Rate exceeded");
    }
    if (c->call.result < 0 && err) {
        *err = c->call.err;
    }
    return c->call.result;
}

int data_core_call(struct data_req *rq, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                   void *arg, struct gt_err *err)
{
    struct core_request c = {.call = {.fn = fn, .arg = arg, .label = gt_str(rq->m->model->name)}};
    return submit(rq, &c, err);
}

int data_core_change(struct data_req *rq, const struct service_change *change, const void *in,
                     void *out, struct gt_err *err)
{
    struct core_request c = {.call = {.change = change, .in = in, .out = out}};
    return submit(rq, &c, err);
}
