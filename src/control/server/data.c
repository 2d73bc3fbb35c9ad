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

int data_core_call(struct data_req *rq, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                   void *arg, struct gt_err *err)
{
    struct core_request c = {.call = {.fn = fn,
                                      .arg = arg,
                                      .principal = rq->principal,
                                      .region = rq->region,
                                      .arena = rq->arena,
                                      .label = gt_str(rq->m->model->name)},
                             .class = CORE_API};
    if (!server_core_run(rq->s, &c)) {
        return gt_err_set(err, GT_ERR_THROTTLED, "Rate exceeded");
    }
    if (c.call.result < 0 && err) {
        *err = c.call.err;
    }
    return c.call.result;
}
