/* For tests of a service's operations on the core, when it has some on a store beside them: those
 * are linked, and not called. */
#include "control/core/data.h"

#include <stdlib.h>

struct gt_arena *data_arena(struct data_req *rq)
{
    abort();
}

const struct principal *data_principal(const struct data_req *rq)
{
    abort();
}

struct gt_str data_account(const struct data_req *rq)
{
    abort();
}

struct gt_str data_region(const struct data_req *rq)
{
    abort();
}

struct gt_str data_host(const struct data_req *rq)
{
    abort();
}

int64_t data_now(const struct data_req *rq)
{
    abort();
}

void *data_store(struct data_req *rq)
{
    abort();
}

int data_core_change(struct data_req *rq, const struct service_change *change, const void *in,
                     void *out, struct gt_err *err)
{
    abort();
}

int data_core_call(struct data_req *rq, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                   void *arg, struct gt_err *err)
{
    abort();
}
