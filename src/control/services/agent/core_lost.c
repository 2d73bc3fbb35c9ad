/* NodeLost, NodeBack. */
#include "control/services/agent/agent.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/agent_handlers.h"

static struct rec_ecs_node *internal_node(struct tx *tx, struct gt_str id, struct gt_err *err)
{
    if (tx_principal(tx)->kind != PRINCIPAL_INTERNAL) {
        gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException", "for the server alone");
        return NULL;
    }
    struct rec_ecs_session *s = tx_get(tx, key_session(tx, id), &rec_ecs_session_desc);
    struct rec_ecs_node *n =
        s ? tx_get(tx, key_node(tx, s->cluster, id), &rec_ecs_node_desc) : NULL;
    if (!n) {
        gt_err_aws(err, GT_ERR_NOT_FOUND, "UnknownNodeException",
                   "node '" GT_STR_FMT "' is not registered", GT_STR_ARG(id));
    }
    return n;
}

int agent_node_lost(struct tx *tx, const struct agent_node_lost_in *in,
                    struct agent_node_lost_out *out, struct gt_err *err)
{
    struct rec_ecs_node *n = internal_node(tx, in->node_id, err);
    if (!n) {
        return gt_err_code(err);
    }
    if (in->held ? n->lost : n->lost && !n->held) {
        return 0; /* as it was said before */
    }
    if (in->held) {
        node_hold(tx, n);
    } else {
        node_lose(tx, n, in->reason, /* gone= */ false);
    }
    tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
    return 0;
}

int agent_node_back(struct tx *tx, const struct agent_node_back_in *in,
                    struct agent_node_back_out *out, struct gt_err *err)
{
    struct rec_ecs_node *n = internal_node(tx, in->node_id, err);
    if (!n) {
        return gt_err_code(err);
    }
    if (n->fenced) {
        return agent_fenced(n, err);
    }
    if (n->lost) {
        node_found(tx, n);
        tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
    }
    return 0;
}
