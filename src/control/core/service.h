/*
 * What an AWS service (ecs, ecr, logs, sts, and the agent protocol) gives to the server: for each
 * operation of its model the function that does it, and its controllers. Operations without a
 * function are refused by name in the frame.
 *
 * Two planes. A core operation runs on the core thread in a transaction. A data operation runs on
 * a bulk worker with stores of its own, and sees the core only through data_core_call(), which
 * runs a small core function in a read or write transaction and waits for its durability.
 *
 * `in` and `out` are the generated structs of the operation (struct ecs_run_task_in ...); in the
 * tables they are void pointers, and the generator makes the typed wrappers.
 */
#ifndef GT_CONTROL_CORE_SERVICE_H
#define GT_CONTROL_CORE_SERVICE_H

#include "control/core/controller.h"
#include "control/core/tx.h"

struct wire_op;
struct rec_desc;

typedef int core_op_fn(struct tx *tx, const void *in, void *out, struct gt_err *err);

struct data_req; /* one data-plane request: see data.h */
typedef int data_op_fn(struct data_req *rq, const void *in, void *out, struct gt_err *err);

struct service_op {
    const struct wire_op *op;
    core_op_fn *core; /* exactly one of core and data; both NULL: refused by name */
    data_op_fn *data;
    /* On which resources a policy must allow it: ARNs with {members} of the input in them, made as
     * server/resource.h says. NULL: on "*". */
    const char *resource;
    bool unrestricted; /* no policy is asked: the handler looks itself, or it is everybody's */
};

struct rec_kv_list;

/* What policies need to know of a service's resources; each may be NULL. Pure, inside of the
 * transaction that is authorized. */
struct service_policy {
    /* The ARN in full of a resource that may be named in a shorter way (a task definition without
     * its revision); the same text when it is not known. */
    struct gt_str (*full_arn)(struct tx *tx, struct gt_str arn);
    /* The tags of a resource; false: there is none of this ARN, or it has none. */
    bool (*tags)(struct tx *tx, struct gt_str arn, struct rec_kv_list *ret);
    /* Condition keys beside aws:..., for operations whose input has what their ARN is made of. */
    const struct service_key {
        const char *key, *resource;
    } * keys;
    size_t n_keys;
};

/* A write of the core's state that a data operation makes (data_core_change()). Its input is a
 * record, so that the journal's entry of it can be run once more; `out` is NULL then. */
struct service_change {
    const char *label; /* "ecr.PutRepository": no operation's name */
    const struct rec_desc *in;
    int (*fn)(struct tx *tx, const void *in, void *out, struct gt_err *err);
};

struct service {
    const char *name; /* as in api/<name>.json */
    const struct service_op *ops;
    size_t n_ops;
    const struct controller *const *controllers; /* NULL-terminated; may be NULL */
    const struct service_change *const *changes; /* likewise */
    const struct service_policy *policy;         /* NULL: none of it */
};

#endif
