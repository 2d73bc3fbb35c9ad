#include "control/server/server_priv.h"

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

int server_authorize_data(const struct principal *p, const struct wire_op *op, struct gt_err *err)
{
    if (gt_streq(op->service->name, "admin") && p->kind != PRINCIPAL_ROOT) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "%s is for the root key alone", op->name);
    }
    if (p->kind == PRINCIPAL_ROOT || p->kind == PRINCIPAL_INTERNAL ||
        (p->kind == PRINCIPAL_NODE && node_may(op))) {
        return 0;
    }
    return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                      "User: " GT_STR_FMT " is not authorized to perform: %s:%s",
                      GT_STR_ARG(p->arn), op->service->signing, op->name);
}

int server_authorize(struct tx *tx, const struct service_op *op, const void *in, struct gt_err *err)
{
    return server_authorize_data(tx_principal(tx), op->op, err);
}
