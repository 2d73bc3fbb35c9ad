#include "control/services/agent/agent.h"
#include "control/services/ecs/names.h"

static int check(const struct rec_ecs_node *n, bool undo, struct gt_err *err)
{
    if (n->fenced == !undo) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ConflictException", "node '" GT_STR_FMT "' is %s",
                          GT_STR_ARG(n->id), undo ? "not fenced" : "fenced already");
    }
    if (!undo && !n->lost) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "ConflictException",
                          "node '" GT_STR_FMT "' is heard; to empty it: gantry drain",
                          GT_STR_ARG(n->id));
    }
    return 0;
}

static int fence(struct tx *tx, const void *in, void *out, struct gt_err *err)
{
    const struct rec_ecs_fence *f = in;
    struct gt_str id = f->node;
    bool undo = f->undo;
    struct rec_ecs_session *s =
        name_valid(id, ".", 255) ? tx_get(tx, key_session(tx, id), &rec_ecs_session_desc) : NULL;
    struct rec_ecs_node *n =
        s ? tx_get(tx, key_node(tx, s->cluster, id), &rec_ecs_node_desc) : NULL;
    if (!n) {
        return gt_err_aws(err, GT_ERR_NOT_FOUND, "NodeNotFoundException",
                          "node '" GT_STR_FMT "' is not registered", GT_STR_ARG(id));
    }
    int r = check(n, undo, err);
    if (r < 0) {
        return r;
    }
    n->fenced = !undo;
    if (n->fenced) {
        node_lose(tx, n, GT_STR_LIT("fenced by an operator"), /* gone= */ true);
        s->token = gt_str(NULL); /* the session is over, the next one is refused */
        tx_put(tx, key_session(tx, id), &rec_ecs_session_desc, s);
    }
    tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
    return 0;
}

const struct service_change node_fence = {"agent.FenceNode", &rec_ecs_fence_desc, fence};
