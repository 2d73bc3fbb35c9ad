#include "control/services/agent/agent.h"

#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/agent_handlers.h"

const struct service *agent_control(void)
{
    static const struct controller *const controllers[] = {
        &agent_lost_controller, &agent_join_controller, &agent_removed_controller, NULL};
    static const struct service_change *const changes[] = {&node_fence, NULL};
    static struct service s = {
        .name = "agent", .ops = agent_ops, .controllers = controllers, .changes = changes};
    s.n_ops = n_agent_ops;
    return &s;
}

struct gt_str agent_session_node(struct gt_str token)
{
    const char *dot = token.n ? memrchr(token.p, '.', token.n) : NULL;
    return dot ? gt_str_n(token.p, (size_t)(dot - token.p)) : gt_str(NULL);
}

int agent_fenced(const struct rec_ecs_node *n, struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_DENIED, "NodeFencedException",
                      "node '" GT_STR_FMT "' is fenced: its tasks were given to others (gantry "
                      "fence --undo)",
                      GT_STR_ARG(n->id));
}

struct rec_ecs_session *agent_session(struct tx *tx, struct gt_str token, struct gt_err *err)
{
    struct gt_str node = agent_session_node(token);
    const struct principal *who = tx_principal(tx);
    if (!name_valid(node, ".", 255)) {
        gt_err_aws(err, GT_ERR_NOT_FOUND, "UnknownNodeException", "the session is none of ours");
        return NULL;
    }
    if (who->kind == PRINCIPAL_NODE && !gt_str_eq(who->name, node)) {
        gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                   "the key belongs to another node than the session");
        return NULL;
    }
    struct rec_ecs_session *s = tx_get(tx, key_session(tx, node), &rec_ecs_session_desc);
    if (!s) {
        gt_err_aws(err, GT_ERR_NOT_FOUND, "UnknownNodeException",
                   "node '" GT_STR_FMT "' is not registered", GT_STR_ARG(node));
        return NULL;
    }
    if (!gt_str_eq(s->token, token)) {
        gt_err_aws(err, GT_ERR_CONFLICT, "StaleSessionException",
                   "node '" GT_STR_FMT "' has a newer session", GT_STR_ARG(node));
        return NULL;
    }
    return s;
}

bool agent_position(struct tx *tx, struct gt_str said, struct agent_position *ret)
{
    const int64_t now = (int64_t)tx_revision(tx) - 1;
    *ret = (struct agent_position){.until = now};
    if (!said.n) {
        return true;
    }
    int64_t until = 0;
    size_t i = 0;
    for (; i < said.n && said.p[i] >= '0' && said.p[i] <= '9' && until <= now; i++) {
        until = until * 10 + (said.p[i] - '0');
    }
    if (i == 0 || i == said.n || said.p[i] != '/' || until > now) {
        return false;
    }
    ret->until = until;
    ret->after = gt_str_n(said.p + i + 1, said.n - i - 1);
    return name_valid(ret->after, "", 255);
}

struct gt_str agent_position_text(struct tx *tx, const struct agent_position *at,
                                  struct gt_str after)
{
    return gt_str(
        gt_arena_printf(tx_arena(tx), "%lld/" GT_STR_FMT, (long long)at->until, GT_STR_ARG(after)));
}
