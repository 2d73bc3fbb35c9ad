#include "control/server/server_priv.h"

#include "control/services/agent/join.h"
#include "lib/wire/gen/agent.h"

/* What a node's key may call beside the agent protocol: what its tasks need. */
static const char *const node_ops[] = {
    "ecr.GetAuthorizationToken", "ecr.BatchGetImage",      "ecr.DescribeRepositories",
    "logs.CreateLogGroup",       "logs.DescribeLogGroups", "logs.CreateLogStream",
    "logs.PutLogEvents",         "sts.GetCallerIdentity",
};

static bool node_may(const struct wire_op *op)
{
    if (gt_streq(op->service->name, "agent")) {
        return true; /* its handlers check that a node speaks of itself */
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(node_ops); i++) {
        const char *dot = strchr(node_ops[i], '.');
        if (strncmp(op->service->name, node_ops[i], (size_t)(dot - node_ops[i])) == 0 &&
            gt_streq(op->name, dot + 1)) {
            return true;
        }
    }
    return false;
}

static bool may(enum principal_kind kind, const struct wire_op *op)
{
    if (kind == PRINCIPAL_JOIN) {
        return op == &agent_op_join_node;
    }
    return kind == PRINCIPAL_ROOT || kind == PRINCIPAL_INTERNAL ||
           (kind == PRINCIPAL_NODE && node_may(op));
}

int server_authorize_data(const struct principal *p, const struct wire_op *op, struct gt_err *err)
{
    if (gt_streq(op->service->name, "admin") && p->kind != PRINCIPAL_ROOT) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "%s is for the root key alone", op->name);
    }
    if (may(p->kind, op)) {
        return 0;
    }
    return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                      "User: " GT_STR_FMT " is not authorized to perform: %s:%s",
                      GT_STR_ARG(p->arn), op->service->signing, op->name);
}

int server_authorize(struct tx *tx, const struct service_op *op, const void *in, struct gt_err *err)
{
    int r = agent_key_check(tx, err);
    return r < 0 ? r : server_authorize_data(tx_principal(tx), op->op, err);
}

static int check_key(struct tx *tx, void *arg, struct gt_err *err)
{
    return agent_key_check(tx, err);
}

int server_check_key(struct data_req *rq, struct gt_err *err)
{
    return rq->principal.kind == PRINCIPAL_NODE ? data_core_call(rq, check_key, NULL, err) : 0;
}
